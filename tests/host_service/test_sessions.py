"""The sessions of a host: begun once, ended whatever happens, found again after a restart, kept while needed."""

import asyncio
import json
import stat
import threading
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import pytest_asyncio
import structlog
from pydantic import ValidationError
from tests.host_service.parts import (
    BACKEND,
    SERIES,
    TOKEN,
    Discards,
    Leaves,
    Notes,
    ended,
    leave,
    sessions_in,
    start,
    until,
    weights_of,
)

from ktrdr.contracts.hosts import Delivery, SeriesNeeded
from ktrdr.contracts.hosts import SessionStatus as S
from ktrdr.contracts.training import Phase
from ktrdr.errors import (
    DataRefused,
    Forbidden,
    InvalidSettings,
    NotPlaced,
    SessionNotFound,
    StorageFailed,
    TrainingCancelled,
)
from ktrdr.execution import files
from ktrdr.execution.transfer.packing import unpack
from ktrdr.execution.transfer.sending import STATE, read_payload
from ktrdr.host_service.delivery import ResultCourier
from ktrdr.host_service.session import TrainingSession

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "sessions"


@pytest.fixture
def executor(root):
    return Leaves(root)


@pytest.fixture
def slow(root):
    """Waits until it is told to go on."""
    return Leaves(root, hold=threading.Event())


@pytest_asyncio.fixture
async def opened(root):
    """Opens sessions of the folder; they are suspended at the end."""
    made = []

    async def make(executor, courier=None, **options):
        sessions = sessions_in(root, executor, courier or Notes(), **options)
        await sessions.open()
        made.append((sessions, executor))
        return sessions

    yield make
    for sessions, executor in made:
        executor.hold.set()
        await sessions.suspend()


def left_behind(root, session_id="op_1", *, status=S.RUNNING, model=False, delivery=None, **changes):
    """What a host that died has on its disk."""
    session = TrainingSession.begin(root, start(session_id), NOW)
    if model:
        leave(root, session.wanted.request)
    session.change(status=status, delivery=delivery, **changes)
    return session


def weights(root, session_id="op_1"):
    """The state dict that the session would send."""
    payload = read_payload(root / session_id, session_id)
    unpack([(root / session_id / STATE).read_bytes()], root / ".plain", payload.model_state_dict)
    return (root / ".plain").read_bytes()


async def test_a_session(opened, root, slow):
    """It tells its progress, ends with its model in its folder, and its result is brought away."""
    courier = Notes()
    sessions = await opened(slow, courier)
    state = await sessions.start(start())
    assert (state.status, state.attempt, state.delivery) == (S.RUNNING, 1, None)
    await slow.beginning()
    shown = sessions.session("op_1").state
    assert (shown.progress.phase, shown.progress.details["epoch"]) == (Phase.TRAINING, 1)
    assert shown.revision > state.revision
    slow.hold.set()
    state = await ended(sessions)
    assert (state.status, state.delivery, state.error) == (S.FINISHED, Delivery.DELIVERED, None)
    assert state.ended_at >= state.started_at
    assert state.progress.phase is Phase.RESULT_AGGREGATION
    assert courier.brought == [("op_1", TOKEN)]
    assert weights(root) == weights_of(1)
    assert TrainingSession.read(root / "op_1").state == state


async def test_the_same_start_is_the_same_training(opened, slow):
    """Many at once, one later, and one after its end."""
    sessions = await opened(slow)
    states = await asyncio.gather(*(sessions.start(start()) for _ in range(5)))
    assert {state.session_id for state in states} == {"op_1"}
    await slow.beginning()
    assert (await sessions.start(start())).status is S.RUNNING
    slow.hold.set()
    await ended(sessions)
    assert (await sessions.start(start())).status is S.FINISHED
    assert len(slow.runs) == 1


async def test_without_a_callback_the_result_is_kept(opened, executor):
    """There is nobody to bring it to."""
    courier = Notes()
    sessions = await opened(executor, courier)
    await sessions.start(start(callback_url=None))
    assert (await ended(sessions)).delivery is Delivery.KEPT
    assert courier.brought == []


async def test_slots(opened, root, slow):
    """No more trainings than slots, and nothing is left of one that was refused; sessions that have ended take none."""
    sessions = await opened(slow, slots=2)
    for name in ("op_1", "op_2"):
        await sessions.start(start(name))
    assert sessions.free_slots == 0
    with pytest.raises(NotPlaced, match="2 slots are taken"):
        await sessions.start(start("op_3"))
    assert not (root / "op_3").exists()
    with pytest.raises(SessionNotFound, match="op_3"):
        sessions.session("op_3")
    assert (await sessions.start(start("op_2"))).status is S.RUNNING
    slow.hold.set()
    for name in ("op_1", "op_2"):
        await ended(sessions, name)
    assert sessions.free_slots == 2
    await sessions.start(start("op_3"))
    assert (await ended(sessions, "op_3")).status is S.FINISHED


@pytest.mark.parametrize(
    "place",
    [
        {"callback_url": "http://127.0.0.1:8001/api/v1/trainings/results"},
        {"bars_url": "http://evil.example/api/v1/data"},
        {"callback_url": f"{BACKEND}.evil.example/"},
        {"callback_url": "http://127.0.0.1:8000@evil.example/"},
        {"callback_url": "https://127.0.0.1:8000/"},
        {"callback_url": "//127.0.0.1:8000/"},
    ],
    ids=str,
)
async def test_results_go_to_the_origins_on_the_list_and_nowhere_else(opened, root, executor, place):
    """A start that points elsewhere begins nothing; the list is exact."""
    async with httpx2.AsyncClient() as http:
        sessions = await opened(executor, ResultCourier(http, origins=[BACKEND]))
        with pytest.raises(Forbidden, match="KTRDR_CALLBACK_ORIGINS"):
            await sessions.start(start(**place))
    assert executor.runs == []
    assert not root.exists()


async def test_a_token_is_not_shown_to_the_network(opened, executor):
    """An origin of another machine has to speak TLS, or be trusted."""
    place = {"callback_url": "http://backend:8000/results", "bars_url": "https://backend:8000/data"}
    async with httpx2.AsyncClient() as http:
        origins = ["http://backend:8000", "https://backend:8000"]
        sessions = await opened(executor, ResultCourier(http, origins=origins))
        with pytest.raises(InvalidSettings, match="KTRDR_TRUSTED_NETWORK"):
            await sessions.start(start(**place))
        ResultCourier(http, origins=origins, trusted=["backend"]).check(start(**place))


@pytest.mark.parametrize(
    ("status", "model", "then", "delivery"),
    [
        (S.RUNNING, False, S.INTERRUPTED, None),
        (S.STOPPING, False, S.CANCELLED, None),
        (S.RUNNING, True, S.FINISHED, Delivery.DELIVERED),
        (S.STOPPING, True, S.FINISHED, Delivery.DELIVERED),
        (S.CANCELLED, False, S.CANCELLED, None),
        (S.INTERRUPTED, False, S.INTERRUPTED, None),
    ],
)
async def test_a_restart_finds_what_was_there(opened, root, executor, status, model, then, delivery):
    """What ran is interrupted, or finished if its model is whole; what was to be stopped is."""
    left_behind(root, status=status, model=model)
    courier = Notes()
    sessions = await opened(executor, courier)
    state = await ended(sessions)
    assert (state.status, state.delivery) == (then, delivery)
    assert courier.brought == ([("op_1", TOKEN)] if model else [])
    assert executor.runs == []
    assert sessions.free_slots == 1
    assert TrainingSession.read(root / "op_1").state == state


@pytest.mark.parametrize("delivery", list(Delivery))
async def test_a_result_that_was_on_its_way_is_brought_again(opened, root, executor, delivery):
    """And no other."""
    left_behind(root, status=S.FINISHED, model=True, delivery=delivery, ended_at=NOW)
    courier = Notes(Delivery.REFUSED)
    sessions = await opened(executor, courier, clock=lambda: NOW)
    state = await ended(sessions)
    assert courier.brought == ([("op_1", TOKEN)] if delivery is Delivery.PENDING else [])
    assert state.delivery is (Delivery.REFUSED if delivery is Delivery.PENDING else delivery)


@pytest.mark.parametrize("damage", ["no record", "torn", "of another kind", "no folder"])
async def test_a_folder_that_is_no_session_hides_no_other(opened, root, executor, damage):
    """It is passed over with a warning."""
    left_behind(root, "op_1")
    record = left_behind(root, "op_2").folder / "session.json"
    match damage:
        case "no record":
            record.unlink()
        case "torn":
            record.write_text(record.read_text()[:-20])
        case "of another kind":
            record.write_text("[]")
        case "no folder":
            (root / "op_3").write_text("mine")
            (root / ".lock").touch()
    with structlog.testing.capture_logs() as lines:
        sessions = await opened(executor)
    assert sessions.session("op_1").state.status is S.INTERRUPTED
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["a session is passed over"]
    if damage != "no folder":
        assert (await sessions.start(start("op_2"))).status is S.RUNNING
        assert (await ended(sessions, "op_2")).status is S.FINISHED


async def test_an_interrupted_session_goes_on(opened, root, executor):
    """The same start, after a restart, is no other training: its checkpoint is kept."""
    left_behind(root)
    checkpoints = Discards()
    sessions = await opened(executor, checkpoints=checkpoints)
    for resume in (True, False):
        state = await sessions.start(start(resume=resume))
        assert (state.status, state.ended_at, state.progress) == (S.RUNNING, None, None)
        assert (await ended(sessions)).status is S.FINISHED
        left = sessions.session("op_1")
        left.change(status=S.INTERRUPTED)
    assert len(executor.runs) == 2
    assert checkpoints.discarded == []


ENDS = [S.FINISHED, S.FAILED, S.CANCELLED, S.INTERRUPTED]


@pytest.mark.parametrize("status", ENDS)
@pytest.mark.parametrize("resume", [True, False])
async def test_a_later_attempt(opened, root, executor, status, resume):
    """It trains again; only a result that is there already is enough for one that does not want the beginning."""
    left_behind(root, status=status, model=status is S.FINISHED, error={"code": "error"})
    checkpoints, courier = Discards(), Notes()
    sessions = await opened(executor, courier, checkpoints=checkpoints)
    again = not (status is S.FINISHED and resume)
    state = await sessions.start(start(attempt=2, resume=resume, token="ktrdr-callback.op_1.other"))
    assert state.attempt == 2
    assert state.status is (S.RUNNING if again else S.FINISHED)
    assert not again or state.error is None
    assert (await ended(sessions)).status is S.FINISHED
    assert [run.attempt for run in executor.runs] == ([2] if again else [])
    assert checkpoints.discarded == ([] if resume else ["op_1"])
    assert weights(root) == weights_of(2 if again else 1)
    assert courier.brought == ([("op_1", "ktrdr-callback.op_1.other")] if again else [])


@pytest.mark.parametrize("status", [S.FINISHED, S.FAILED, S.CANCELLED])
async def test_the_same_attempt_is_not_trained_again(opened, root, executor, status):
    """However it ended; the end is what the backend gets to know."""
    left_behind(root, status=status, model=status is S.FINISHED, error={"code": "x"})
    sessions = await opened(executor)
    assert (await sessions.start(start(resume=False))).status is status
    assert executor.runs == []


async def test_a_session_belongs_to_the_last_start(opened, root, slow):
    """A backend that was started again has a new token: the result is brought with that one."""
    courier = Notes()
    sessions = await opened(slow, courier)
    await sessions.start(start())
    await slow.beginning()
    await sessions.start(start(token="ktrdr-callback.op_1.newer"))
    slow.hold.set()
    await ended(sessions)
    assert courier.brought == [("op_1", "ktrdr-callback.op_1.newer")]
    assert TrainingSession.read(root / "op_1").wanted.callback_token.get_secret_value() == "ktrdr-callback.op_1.newer"


async def test_a_session_that_stops_is_not_begun_again_before_it_has(opened, root):
    """Its slot is not free, and two of them would share a folder."""
    deaf = Leaves(root, hold=threading.Event(), deaf=True)
    sessions = await opened(deaf)
    await sessions.start(start())
    await deaf.beginning()
    assert sessions.stop("op_1").status is S.STOPPING
    for attempt in (1, 2):
        with pytest.raises(NotPlaced, match="still stopping"):
            await sessions.start(start(attempt=attempt))
    deaf.hold.set()
    assert (await ended(sessions)).status is S.FINISHED  # it won the race against its cancel


async def test_a_stop(opened, slow):
    """It ends at the next epoch; once more, or after the end, it changes nothing."""
    courier = Notes()
    sessions = await opened(slow, courier)
    await sessions.start(start())
    await slow.beginning()
    assert [sessions.stop("op_1").status for _ in range(2)] == [S.STOPPING] * 2
    state = await ended(sessions)
    assert (state.status, state.delivery, courier.brought) == (S.CANCELLED, None, [])
    assert sessions.stop("op_1") == state
    with pytest.raises(SessionNotFound, match="op_2"):
        sessions.stop("op_2")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DataRefused("these bars are odd: import others"), {"code": "data_refused", "message": "these bars are odd"}),
        (ZeroDivisionError("secret"), {"code": "internal_error", "message": "training broke on a mistake"}),
    ],
)
async def test_a_failure_is_told_as_what_it_is(opened, root, executor, error, said):
    """Its slot is free again; a mistake of ours keeps its secrets."""
    executor.error = error
    sessions = await opened(executor)
    await sessions.start(start())
    state = await ended(sessions)
    assert (state.status, state.delivery, state.error["code"]) == (S.FAILED, None, said["code"])
    assert said["message"] in state.error["message"]
    assert "secret" not in (root / "op_1" / "session.json").read_text()
    assert sessions.free_slots == 1


@pytest.mark.parametrize(
    ("error", "status"), [(StorageFailed("the disk is full"), S.FAILED), (TrainingCancelled("cancelled"), S.CANCELLED)]
)
async def test_what_cannot_be_prepared_is_not_trained(opened, executor, error, status):
    async def prepare(session):
        session.note(Phase.DATA_LOADING, "Fetching")
        raise error

    sessions = await opened(executor, prepare=prepare)
    await sessions.start(start())
    state = await ended(sessions)
    assert (state.status, state.progress.message) == (status, "Fetching")
    assert executor.runs == []


async def test_what_was_fetched_is_with_the_backend(opened, root, slow):
    """Also while the courier is still trying; an unfinished one cannot be."""
    courier = Notes(Delivery.KEPT)
    courier.hold = asyncio.Event()
    sessions = await opened(slow, courier)
    await sessions.start(start())
    await slow.beginning()
    assert sessions.received("op_1").delivery is None
    slow.hold.set()
    await until(lambda: courier.brought)
    assert sessions.received("op_1").delivery is Delivery.DELIVERED
    courier.hold.set()
    await asyncio.gather(*sessions._tasks.values())
    assert TrainingSession.read(root / "op_1").state.delivery is Delivery.DELIVERED


async def test_a_suspended_host_stops_where_it_stands(opened, root, slow):
    """It starts nothing more; the next one finds the session interrupted, and goes on with it."""
    sessions = await opened(slow, slots=2)
    await sessions.start(start())
    await slow.beginning()
    await sessions.suspend()
    assert TrainingSession.read(root / "op_1").state.status is S.INTERRUPTED
    with pytest.raises(NotPlaced, match="it starts or stops"):
        await sessions.start(start("op_2"))
    slow.hold.set()
    again = await opened(slow)
    assert again.session("op_1").state.status is S.INTERRUPTED
    await again.start(start())
    assert (await ended(again)).status is S.FINISHED


async def test_a_delivery_under_way_goes_on_at_the_next_start(opened, root, executor):
    """Nobody waits for it when the host stops."""
    courier = Notes()
    courier.hold = asyncio.Event()
    sessions = await opened(executor, courier)
    await sessions.start(start())
    await until(lambda: courier.brought)
    async with asyncio.timeout(5):
        await sessions.suspend()
    assert TrainingSession.read(root / "op_1").state.delivery is Delivery.PENDING
    courier.hold.set()
    assert (await ended(await opened(executor, courier))).delivery is Delivery.DELIVERED


async def test_what_ended_long_ago_is_forgotten(opened, root, executor):
    """But not a result that is nowhere else, nor its bars."""
    old, young = NOW - timedelta(days=8), NOW - timedelta(days=6)
    for delivery in (*Delivery, None):
        status = S.FAILED if delivery is None else S.FINISHED
        for age, ended_at in (("old", old), ("young", young)):
            name = f"{age}_{delivery}"
            left_behind(root, name, status=status, model=True, delivery=delivery, ended_at=ended_at)
    released, checkpoints, courier = [], Discards(), Notes()
    courier.hold = asyncio.Event()
    sessions = await opened(executor, courier, release=released.append, checkpoints=checkpoints, clock=lambda: NOW)
    gone = {"old_delivered", "old_refused", "old_None"}
    assert set(checkpoints.discarded) == gone
    kept = {folder.name for folder in root.glob("[!.]*")}
    assert kept == {f"{age}_{name}" for age in ("old", "young") for name in (*Delivery, None)} - gone
    assert released == [[SERIES] * len(kept)]
    for name in gone:
        with pytest.raises(SessionNotFound):
            sessions.session(name)
    courier.hold.set()


async def test_a_start_makes_room(opened, root, executor):
    """Bars of sessions that are kept stay, those of others are let go of."""
    released, now = [], [NOW]
    other = SeriesNeeded(symbol="OTHER", timeframe="1h", digest="1" * 64, calendar="24/7")
    sessions = await opened(executor, release=released.append, clock=lambda: now[0])
    await sessions.start(start("op_1", series=[other]))
    await ended(sessions, "op_1")
    now[0] += timedelta(days=8)
    await sessions.start(start("op_2"))
    await ended(sessions, "op_2")
    await sessions.start(start("op_3"))
    assert not (root / "op_1").exists()
    assert released[-1] == [SERIES]


async def test_the_token_is_for_this_user_alone(opened, root, executor):
    """It stands in a file of its own, whatever the umask, and nowhere else."""
    sessions = await opened(executor)
    await sessions.start(start())
    await ended(sessions)
    await sessions.start(start(token="ktrdr-callback.op_1.newer"))
    place = root / "op_1" / "token"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert place.read_text() == "ktrdr-callback.op_1.newer"
    others = [file.read_bytes() for file in (root / "op_1").iterdir() if file != place]
    assert not any(b"secret" in content or b"newer" in content for content in others)


@pytest.mark.parametrize("session_id", ["../op", "a/b", ".", "..", "", "a b", "a\n", "a" * 101, "é"])
def test_an_id_that_is_no_name_is_refused(session_id):
    """It becomes a folder's."""
    with pytest.raises(ValidationError, match="session_id"):
        start(session_id)


async def test_a_full_disk_takes_no_result_away(opened, root, slow, monkeypatch):
    """The end is told although it cannot be kept, and brought away; the next start finds what there is."""
    courier = Notes()
    sessions = await opened(slow, courier)
    await sessions.start(start())
    await slow.beginning()
    task = sessions._tasks["op_1"]

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ktrdr.host_service.session.replace_file", full)
    slow.hold.set()
    await task
    state = sessions.session("op_1").state
    assert (state.status, state.delivery) == (S.FINISHED, Delivery.DELIVERED)
    assert courier.brought == [("op_1", TOKEN)]
    monkeypatch.setattr("ktrdr.host_service.session.replace_file", files.replace_file)
    assert json.loads((root / "op_1" / "session.json").read_text())["state"]["status"] == "running"
    again = Notes()
    assert (await ended(await opened(slow, again))).status is S.FINISHED
    assert again.brought == [("op_1", TOKEN)]


async def test_a_start_that_cannot_be_kept_is_none(opened, root, executor):
    """Nothing runs that a restart would not find."""
    sessions = await opened(executor)
    root.write_text("mine")
    with pytest.raises(StorageFailed):
        await sessions.start(start())
    with pytest.raises(SessionNotFound):
        sessions.session("op_1")
    assert (executor.runs, sessions.free_slots) == ([], 1)
