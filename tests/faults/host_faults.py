"""What can happen between a backend and a host, each with the end that it has to have.

    python -m tests.faults.host_faults

runs them all and writes what came of each into the table of `docs/reliability.md`.
"""

import base64
import functools
import json
import signal
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.machines import Machines, two_machines, wait
from tests.faults.proxy import (
    Exchange,
    Rule,
    answer_lost,
    answered,
    bit_flipped,
    cut_in_half,
    delayed,
    hung,
    lost,
    passed,
    stale,
)

RESULTS, STATUS, STOP = "POST /api/v1/trainings/results", "GET /training/status", "POST /training/stop"
FETCHES = "GET /training/result"
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- host faults: begin -->", "<!-- host faults: end -->"


@dataclass(frozen=True)
class Fault:
    """`run` makes it happen and answers with what came of it, which has to be `end`."""

    name: str
    end: str
    run: Callable[[Machines], str]
    settings: dict[str, str] | None = None
    """Of both programs; None: it needs no others than most."""


FAULTS: list[Fault] = []


def fault(name: str, end: str, **settings: str) -> Callable[[Callable[[Machines], str]], Callable[[Machines], str]]:
    """Enter a fault into the list."""

    def enter(run: Callable[[Machines], str]) -> Callable[[Machines], str]:
        FAULTS.append(Fault(name, end, run, settings or None))
        return run

    return enter


def told(machines: Machines, operation_id: str, *, models: int = 1, trainings: int = 1) -> str:
    """How it ended: the operation, the answers to its deliveries, and what is stored; raises when that is not whole."""
    operation = machines.ended(operation_id)
    found, trained = machines.models(operation_id), machines.trainings(operation_id)
    assert len(found) == models, (operation, found)
    assert len(trained) == trainings, (operation, trained)
    assert operation["attempt"] == 1, operation
    wait(lambda: not machines.leftovers(), f"nothing half-written, there is {machines.leftovers()}", 5)
    if models:
        machines.ask("POST", f"/models/{operation['result']['model_path'].partition('/')[2]}/predict", {"last": 1})
    with suppress(TimeoutError):
        wait(lambda: machines.session(operation_id).get("delivery") != "pending", "the host to know too", 5)
    posted = " ".join(machines.results.answers(RESULTS, operation_id)) or "nothing"
    fetched = ", fetched" if machines.calls.answers(FETCHES, operation_id) else ""
    return f"{operation['status']}; posts: {posted}{fetched}"


def delivered(rule: Rule, times: int = 1) -> Callable[[Machines], str]:
    """Train, with something wrong with the delivery of the result."""

    def run(machines: Machines) -> str:
        machines.results.rule(RESULTS, rule, times)
        return told(machines, machines.train())

    return run


fault("nothing", "completed; posts: 200")(delivered(passed))
fault("the callback is answered 500, once", "completed; posts: 500 200")(delivered(answered(500)))
fault("it is answered 500, always", "completed; posts: 500 500 500, fetched")(delivered(answered(500), 9))
fault("it is not answered at all", "completed; posts: nothing, fetched")(delivered(hung, 9))
fault("its connection ends", "completed; posts: none 200")(delivered(lost))
fault("its answer is lost", "completed; posts: none 200")(delivered(answer_lost))
fault("it is cut in the middle", "completed; posts: none 200")(delivered(cut_in_half))
fault("one bit of it is flipped", "completed; posts: 422 200")(delivered(bit_flipped))
fault("it is delayed by 3 s", "completed; posts: 200")(delivered(delayed(3)))


@fault("it is repeated 20 times at once", "completed; posts: 200")
def repeated(machines: Machines) -> str:
    """Every one gets the same answer."""
    answers: list[bytes] = []

    async def rule(exchange: Exchange) -> bytes:
        import asyncio

        answers.extend(await asyncio.gather(*(exchange.forward() for _ in range(20))))
        return answers[0]

    machines.results.rule(RESULTS, rule)
    end = told(machines, machines.train())
    bodies = {answer.partition(b"\r\n\r\n")[2] for answer in answers}
    assert len(answers) == 20
    assert len(bodies) == 1, bodies
    return end


def rewritten(change: Callable[[dict[str, Any]], object]) -> Rule:
    """The result is another one, and says so with a digest that fits."""

    async def rule(exchange: Exchange) -> bytes:
        payload = json.loads(exchange.body)
        change(payload)
        body = json.dumps(payload).encode()
        return await exchange.forward(exchange.with_body(body, content_digest=_digest(body)))

    return rule


def _digest(body: bytes) -> str:
    import hashlib

    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


@functools.cache
def _bomb_b64() -> str:
    packer, piece = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS), bytes(1 << 24)
    return base64.b64encode(b"".join([*(packer.compress(piece) for _ in range(64)), packer.flush()])).decode()


def _bomb(payload: dict[str, Any]) -> None:
    payload["model_state_dict_b64"] = _bomb_b64()


def _reshape(payload: dict[str, Any]) -> None:
    payload["feature_names"] = payload["feature_names"][:-1]


fault("a gzip bomb of 1 GB comes in its place", "completed; posts: 422 422 422, fetched")(
    delivered(rewritten(_bomb), 9)
)
fault("a model of another shape comes in its place", "completed; posts: 422, fetched")(delivered(rewritten(_reshape)))


@fault("300 MB come in its place", "completed; posts: 413, fetched")
def huge(machines: Machines) -> str:
    """Refused before it is read."""

    async def rule(exchange: Exchange) -> bytes:
        return await exchange.forward(exchange.with_body(bytes(300_000_000)))

    machines.results.rule(RESULTS, rule)
    return told(machines, machines.train())


@fault("it has a wrong token", "completed; posts: 401, fetched")
def wrong_token(machines: Machines) -> str:
    """Final: nobody tries that again."""

    async def rule(exchange: Exchange) -> bytes:
        head = exchange.head.replace(b"Bearer ktrdr-callback.", b"Bearer ktrdr-callback.x")
        return await exchange.forward(head + b"\r\n\r\n" + exchange.body)

    machines.results.rule(RESULTS, rule)
    return told(machines, machines.train())


@fault("it has another operation's token", "completed; posts: 401, fetched")
def foreign_token(machines: Machines) -> str:
    """The token of a training that waits for its result too."""
    tokens: list[bytes] = []

    async def keep(exchange: Exchange) -> bytes:
        tokens.append(exchange.head.partition(b"Bearer ")[2].split(b"\r\n")[0])
        return b"HTTP/1.1 500 Told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

    async def rule(exchange: Exchange) -> bytes:
        own = exchange.head.partition(b"Bearer ")[2].split(b"\r\n")[0]
        return await exchange.forward(exchange.head.replace(own, tokens[0]) + b"\r\n\r\n" + exchange.body)

    machines.results.rule(RESULTS, keep, 3)
    machines.calls.rule(FETCHES, answered(500), 999)
    first = machines.train()
    wait(lambda: len(machines.results.answers(RESULTS, first)) == 3, "the first result to be kept")
    machines.results.rule(RESULTS, rule)
    second = machines.train()
    wait(lambda: len(machines.results.answers(RESULTS)) == 4, "the second result to be refused")
    assert not machines.models(second)
    machines.calls.clear()
    machines.ended(first)
    return told(machines, second)


@fault("polls are lost, delayed, cut and reordered", "completed; posts: 200")
def bad_polls(machines: Machines) -> str:
    """What is on its way to the host."""
    machines.calls.rule("POST /training/start", delayed(0.5))
    for rule in (lost, delayed(0.5), cut_in_half, answered(502)):
        machines.calls.rule(STATUS, rule)
    machines.calls.rule(STATUS, stale([]), 999)
    return told(machines, machines.train())


@fault("the start arrives and its answer is lost", "completed; posts: 200")
def start_unanswered(machines: Machines) -> str:
    """It is said again, and is the same session."""
    machines.calls.rule("POST /training/start", answer_lost)
    return told(machines, machines.train())


@fault("the host does not answer for 4 s while it trains", "unreachable, then completed; posts: 200")
def unreachable(machines: Machines) -> str:
    """Its training goes on."""
    operation_id = machines.train("long")
    machines.in_epoch(operation_id)
    machines.calls.rule(STATUS, lost, 999)
    wait(lambda: machines.operation(operation_id)["progress"]["details"].get("unreachable") is True, "unreachable")
    machines.calls.clear()
    wait(lambda: not machines.operation(operation_id)["progress"]["details"].get("unreachable"), "to be heard again")
    return f"unreachable, then {told(machines, operation_id)}"


@fault("the host is killed while it trains", "completed; posts: 200")
def host_killed(machines: Machines) -> str:
    """Its session is interrupted, and goes on from its checkpoint."""
    operation_id = machines.train("long")
    machines.in_epoch(operation_id)
    machines.host.kill()
    machines.host.start()
    end = told(machines, operation_id, trainings=2)
    assert machines.resumed(operation_id)
    return end


@fault("the host is killed after it trained", "completed; posts: 500 200")
def host_killed_later(machines: Machines) -> str:
    """Its result is on its disk."""
    machines.results.rule(RESULTS, answered(500))
    machines.calls.rule(FETCHES, answered(500), 999)
    operation_id = machines.train()
    wait(lambda: bool(machines.results.answers(RESULTS)), "the first attempt to deliver")
    machines.host.kill()
    machines.calls.clear()
    machines.host.start()
    return told(machines, operation_id)


@fault("the host is stopped and started while it trains", "completed; posts: 200")
def host_stopped(machines: Machines) -> str:
    """SIGTERM: it keeps a checkpoint of the very epoch."""
    operation_id = machines.train("long")
    machines.in_epoch(operation_id)
    machines.host.kill(signal.SIGTERM)
    machines.host.start()
    end = told(machines, operation_id, trainings=2)
    assert machines.resumed(operation_id)
    return end


@fault("the backend is killed while the host trains", "completed; posts: 200")
def backend_killed(machines: Machines) -> str:
    """It finds the session again."""
    operation_id = machines.train("long")
    machines.in_epoch(operation_id)
    machines.backend.kill()
    machines.backend.start()
    return told(machines, operation_id)


@fault("the backend is away when the result comes", "completed; posts: none none none, fetched")
def backend_away(machines: Machines) -> str:
    """The host keeps it."""
    operation_id = machines.train("long")
    machines.in_epoch(operation_id)
    machines.backend.kill()
    wait(lambda: len(machines.results.answers(RESULTS)) == 3, "the host to give up posting", 90)
    machines.backend.start()
    return told(machines, operation_id)


@fault("the backend is killed while it receives", "completed; posts: none then once more")
def backend_killed_receiving(machines: Machines) -> str:
    """With half of the result read."""
    killed = threading.Event()

    async def rule(exchange: Exchange) -> bytes | None:
        await exchange.cut(0.5)
        machines.backend.kill()
        killed.set()
        return None

    machines.results.rule(RESULTS, rule)
    operation_id = machines.train()
    killed.wait(60)
    machines.backend.start()
    return told(machines, operation_id).partition(";")[0] + "; posts: none then once more"


@fault("both are killed while the host trains", "completed; posts: 200")
def both_killed(machines: Machines) -> str:
    """Both find what they had."""
    operation_id = machines.train("long")
    machines.in_epoch(operation_id)
    machines.host.kill()
    machines.backend.kill()
    machines.host.start()
    machines.backend.start()
    end = told(machines, operation_id, trainings=2)
    assert machines.resumed(operation_id)
    return end


@fault("the training is cancelled", "cancelled; posts: nothing")
def cancelled(machines: Machines) -> str:
    """The host has heard of it within a poll and 250 ms."""
    operation_id = machines.train("long")
    machines.in_epoch(operation_id)
    begun = time.monotonic()
    machines.ask("DELETE", f"/operations/{operation_id}")
    wait(lambda: machines.session(operation_id)["status"] in ("stopping", "cancelled"), "the host to hear of it")
    assert time.monotonic() - begun < 2.25, time.monotonic() - begun
    return told(machines, operation_id, models=0)


@fault("the host ignores the cancel", "cancelled; posts: 409")
def cancel_ignored(machines: Machines) -> str:
    """It is given up, and its late result refused."""
    operation_id = machines.train("long")
    machines.in_epoch(operation_id)
    machines.calls.rule(STOP, lost, 999)
    machines.ask("DELETE", f"/operations/{operation_id}")
    machines.ended(operation_id)
    wait(lambda: bool(machines.results.answers(RESULTS)), "the late result", 90)
    return told(machines, operation_id, models=0)


@fault("it is cancelled while the backend is away", "cancelled; posts: nothing")
def cancelled_across(machines: Machines) -> str:
    """The host hears of it when the backend is back."""
    operation_id = machines.train("long")
    machines.in_epoch(operation_id)
    machines.calls.rule(STOP, lost, 999)
    machines.ask("DELETE", f"/operations/{operation_id}")
    machines.backend.kill()
    machines.calls.clear()
    machines.backend.start()
    machines.ended(operation_id)
    wait(lambda: machines.session(operation_id)["status"] == "cancelled", "the host to stop")
    return told(machines, operation_id, models=0)


def clock_ahead(folder: Path, seconds: int) -> dict[str, str]:
    """An environment in which Python's clock is ahead."""
    (folder / "sitecustomize.py").write_text(
        "import datetime, sys, time\n"
        f"AHEAD = {seconds}\n"
        "now = time.time\n"
        "time.time = lambda: now() + AHEAD\n"
        "class Ahead(datetime.datetime):\n"
        "    @classmethod\n"
        "    def now(cls, tz=None):\n"
        "        return datetime.datetime.fromtimestamp(now() + AHEAD, tz)\n"
        "if '--multiprocessing-fork' not in sys.orig_argv:  # its values are pickled\n"
        "    datetime.datetime = Ahead\n"
    )
    return {"PYTHONPATH": str(folder)}


@fault("the host's clock is ten minutes ahead", "completed; posts: 200")
def clocks_apart(machines: Machines) -> str:
    """Nothing between the two goes by the clock."""
    with tempfile.TemporaryDirectory() as folder:
        machines.host.environment |= clock_ahead(Path(folder), 600)
        machines.host.kill()
        machines.host.start()
        try:
            operation_id = machines.train()
            end = told(machines, operation_id)
            begun = machines.session(operation_id)["started_at"]
        finally:
            machines.host.kill()
            del machines.host.environment["PYTHONPATH"]
            machines.host.start()
    assert begun > machines.operation(operation_id)["ended_at"], "the clocks are not apart"
    return end


SETTINGS = {"KTRDR_HOST_LOST_SECONDS": "2", "KTRDR_HOST_CANCEL_SECONDS": "2"}


def run_fault(machines: Machines, one: Fault) -> str:
    """Make it happen on two programs that run; they are as before afterwards."""
    machines.results.clear()
    machines.calls.clear()
    return one.run(machines)


def table(ends: dict[str, str]) -> str:
    """As it stands in the page."""
    rows = [f"| {name} | {end} |" for name, end in ends.items()]
    return "\n".join([BEGIN, "| what happens | what comes of it |", "|---|---|", *rows, END])


def main() -> int:
    ends = {}
    with tempfile.TemporaryDirectory() as folder, two_machines(Path(folder), **SETTINGS) as machines:
        for one in FAULTS:
            begun = time.monotonic()
            try:
                ends[one.name] = run_fault(machines, one)
            except (AssertionError, TimeoutError) as error:
                ends[one.name] = f"{type(error).__name__}: {str(error)[:1500]}"
            good = ends[one.name] == one.end
            sys.stdout.write(
                f"{'ok ' if good else 'NOT'} {time.monotonic() - begun:5.1f} s  {one.name}: {ends[one.name]}\n"
            )
            sys.stdout.flush()
    if any(ends[one.name] != one.end for one in FAULTS):
        return 1
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(before + table(ends) + after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
