"""Who waits for news of which operation; news says only that there is some, the reader looks for itself."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Follower:
    """One reader of one operation: `changed` is set at each change and cleared by the reader, `ended` at its end."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.ended = asyncio.Event()

    async def wait(self, *, at_least: float, at_most: float) -> None:
        """Until something has changed, but no fewer and no more seconds than these; the end is told at once."""
        await _set_within(self.ended, at_least)
        if not self.ended.is_set():
            await _set_within(self.changed, at_most - at_least)


class Watchers:
    """The readers of operations in this process. Used in one event loop."""

    def __init__(self) -> None:
        self._followers: defaultdict[str, set[Follower]] = defaultdict(set)

    @contextmanager
    def following(self, operation_id: str) -> Iterator[Follower]:
        """A follower that hears of the operation while the block lasts."""
        follower = Follower()
        self._followers[operation_id].add(follower)
        try:
            yield follower
        finally:
            self._followers[operation_id].discard(follower)
            if not self._followers[operation_id]:
                del self._followers[operation_id]

    def tell(self, operation_id: str, *, ended: bool = False) -> None:
        """Say that the operation has changed, or has ended."""
        for follower in self._followers.get(operation_id, ()):
            follower.changed.set()
            if ended:
                follower.ended.set()


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await event.wait()
    except TimeoutError:
        return
