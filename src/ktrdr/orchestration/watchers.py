"""Who waits for news of which operation; news says only that there is some, the reader looks for itself."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Watchers:
    """The readers of operations in this process. Used in one event loop."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def following(self, operation_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at each change of the operation while the block lasts; the reader clears it."""
        changed = asyncio.Event()
        self._waiting[operation_id].add(changed)
        try:
            yield changed
        finally:
            self._waiting[operation_id].discard(changed)
            if not self._waiting[operation_id]:
                del self._waiting[operation_id]

    def tell(self, operation_id: str) -> None:
        """Say that the operation has changed."""
        for changed in self._waiting.get(operation_id, ()):
            changed.set()


async def wait_for_change(changed: asyncio.Event, *, at_least: float, at_most: float) -> None:
    """Until `changed` is set, but no fewer and no more seconds than these."""
    await asyncio.sleep(at_least)
    try:
        async with asyncio.timeout(max(at_most - at_least, 0)):
            await changed.wait()
    except TimeoutError:
        return
