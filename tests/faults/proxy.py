"""A network between two programs, which loses, delays, cuts, repeats, corrupts and reorders what it is told to."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Rule = Callable[["Exchange"], Awaitable[bytes | None]]
"""What happens to a request: the answer that its sender gets; None: the connection ends without one."""


@dataclass
class Exchange:
    """One request on its way."""

    head: bytes
    body: bytes
    proxy: "Proxy"

    @property
    def request(self) -> bytes:
        return self.head + b"\r\n\r\n" + self.body

    def with_body(self, body: bytes, **headers: str) -> bytes:
        """The request with another body, and the headers that go with it."""
        changed = {"content-length": str(len(body)), **{name.replace("_", "-"): text for name, text in headers.items()}}
        lines = [line for line in self.head.decode().split("\r\n") if line.partition(":")[0].lower() not in changed]
        return "\r\n".join([*lines, *(f"{name}: {text}" for name, text in changed.items())]).encode() + (
            b"\r\n\r\n" + body
        )

    async def forward(self, request: bytes | None = None) -> bytes:
        """Send it on; the whole answer, empty when the other side hung up."""
        return await self.proxy.send(self.request if request is None else request)

    async def cut(self, share: float) -> None:
        """Send on a part of it and hang up."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.proxy.upstream)
        writer.write(self.request[: int(len(self.request) * share)])
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()


@dataclass
class Proxy:
    """Listens on `port`, in a thread of its own, and passes on to `upstream`. `seen` has each request's line with
    the operation of its token, and the status line of its answer."""

    upstream: int
    port: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)
    _rules: list[tuple[str, Rule, list[int]]] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator["Proxy"]:
        """Until the end of the block."""
        started, loop = threading.Event(), asyncio.new_event_loop()

        async def serve() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            with suppress(asyncio.CancelledError):
                await server.serve_forever()
            for open_still in asyncio.all_tasks() - {asyncio.current_task()}:
                open_still.cancel()
            await asyncio.sleep(0)

        thread = threading.Thread(target=loop.run_until_complete, args=(task := loop.create_task(serve()),))
        thread.start()
        started.wait()
        yield self
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()

    def rule(self, path: str, rule: Rule, times: int = 1) -> None:
        """Let the next `times` requests whose line has `path` in it meet `rule`."""
        self._rules.append((path, rule, [times]))

    def clear(self) -> None:
        """Pass everything on again."""
        self._rules.clear()
        self.seen.clear()

    def answers(self, path: str, operation_id: str = "") -> list[str]:
        """The status of every answer to such requests for that operation, in their order."""
        found = [status for line, status in self.seen if path in line and operation_id in line]
        return [status.split(" ")[1] if status else "none" for status in found]

    async def send(self, request: bytes) -> bytes:
        """One request to the other side, on a connection of its own."""
        head, _, body = request.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            return b""
        try:
            answer = asyncio.create_task(_read(reader))  # it may come before the whole request is sent
            writer.write(b"\r\n".join([*lines, b"connection: close"]) + b"\r\n\r\n" + body)
            with suppress(OSError):
                await writer.drain()
            return await answer
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
            lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            length = int(lengths[0].partition(b":")[2]) if lengths else 0
            exchange = Exchange(head, await reader.readexactly(length), self)
            answer = await self._rule_for(head)(exchange)
            named = head.partition(b"Bearer ktrdr-callback.")[2].rpartition(b".")[0]  # the operation of its token
            line = head.split(b"\r\n")[0] + b" " + named
            self.seen.append((line.decode(), (answer or b"").split(b"\r\n")[0].decode()))
            if answer:
                writer.write(answer)
                await writer.drain()
        writer.close()

    def _rule_for(self, head: bytes) -> Rule:
        line = head.split(b"\r\n")[0].decode()
        for path, rule, left in self._rules:
            if path in line and left[0] > 0:
                left[0] -= 1
                return rule
        return passed


async def _read(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends, however that does."""
    answer = b""
    with suppress(OSError):
        while piece := await reader.read(1 << 20):
            answer += piece
    return answer


async def passed(exchange: Exchange) -> bytes:
    """As if nobody were between."""
    return await exchange.forward()


def answered(status: int) -> Rule:
    """Nothing is passed on; the sender is told that status."""

    async def rule(_: Exchange) -> bytes:
        return f"HTTP/1.1 {status} Told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()

    return rule


async def hung(_: Exchange) -> None:
    """Nothing is passed on, and nothing is said for a very long time."""
    await asyncio.sleep(3600)


async def lost(_: Exchange) -> None:
    """Nothing is passed on; the connection ends."""


async def answer_lost(exchange: Exchange) -> None:
    """It arrives; its answer does not."""
    await exchange.forward()


async def cut_in_half(exchange: Exchange) -> None:
    """Half of it arrives."""
    await exchange.cut(0.5)


async def bit_flipped(exchange: Exchange) -> bytes:
    """One bit of the body changes on the way."""
    body = bytearray(exchange.body)
    body[len(body) // 2] ^= 1
    return await exchange.forward(exchange.head + b"\r\n\r\n" + bytes(body))


def delayed(seconds: float) -> Rule:
    """It arrives late."""

    async def rule(exchange: Exchange) -> bytes:
        await asyncio.sleep(seconds)
        return await exchange.forward()

    return rule


def stale(first: list[bytes]) -> Rule:
    """Answers come in another order: every second one is an older one once more."""

    async def rule(exchange: Exchange) -> bytes:
        first.append(await exchange.forward())
        return first[-2] if len(first) % 2 == 0 else first[-1]

    return rule
