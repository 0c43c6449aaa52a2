"""Threads for work that takes long, apart from those that all short work shares: it keeps only its like waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TypeVar

Answer = TypeVar("Answer")


class Workers:
    """So many threads; what comes when all are busy waits its turn."""

    def __init__(self, count: int, name: str) -> None:
        """Threads are started when they are needed, and carry `name`."""
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[..., Answer], *arguments: object) -> Answer:
        """What `work` answers, called in one of the threads with the context of the caller."""
        call = partial(copy_context().run, work, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Take nothing more; what runs is left to end."""
        self._pool.shutdown(wait=False)
