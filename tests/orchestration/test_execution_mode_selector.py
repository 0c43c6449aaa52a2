"""Where a training runs: the request, then the system's default, then what fits; and always a reason."""

from datetime import UTC, datetime

import pytest

from ktrdr.contracts.hosts import Device, HostEntry, HostHealth, HostReport
from ktrdr.contracts.operations import LOCAL_INSTEAD
from ktrdr.errors import InvalidRequest, ModeUnavailable
from ktrdr.orchestration.execution_mode_selector import ExecutionModeSelector


class Hosts:
    """A directory with these reports."""

    def __init__(self, *reports):
        self.found = list(reports)

    async def reports(self):
        return self.found

    async def entry(self, name):
        return next(report.host for report in self.found if report.host.name == name)


def host(name, *, free=1, slots=1, gpu=False, error=None):
    """A host as its check found it."""
    health = HostHealth(
        version="1",
        uptime_seconds=1.0,
        devices=[Device(type="cuda" if gpu else "cpu", name="x")],
        slots=slots,
        free_slots=free,
    )
    entry = HostEntry(name=name, url=f"http://{name}:8100")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return HostReport(host=entry, checked_at=at, latency_seconds=0.1, health=None if error else health, error=error)


def selector(*hosts, default="auto", gpu=False):
    async def default_mode():
        return default

    return ExecutionModeSelector(default_mode=default_mode, local_has_gpu=lambda: gpu, hosts=Hosts(*hosts))


@pytest.mark.parametrize(
    ("requested", "default", "reason"),
    [
        (None, "auto", "auto is the default; no GPU is required"),
        (None, "local", "local is the default"),
        ("auto", "host", "auto is requested; no GPU is required"),
        ("local", "auto", "local is requested"),
    ],
)
async def test_local(requested, default, reason):
    """What needs no GPU and is not asked to go elsewhere runs here, whatever hosts there are."""
    selection = await selector(host("a", gpu=True), default=default).select(requested)
    assert (selection.mode, selection.host, selection.fallback) == ("local", None, False)
    assert selection.reason.startswith(reason)


async def test_gpu_here():
    """A GPU on this machine meets local, and auto where no host has one."""
    for requested in (None, "auto", "local"):
        selection = await selector(host("a"), gpu=True).select(requested, require_gpu=True)
        assert selection.mode == "local"
        assert "the GPU it requires is on this machine" in selection.reason
    with pytest.raises(ModeUnavailable, match="this machine has none"):
        await selector(host("a", gpu=True)).select("local", require_gpu=True)


@pytest.mark.parametrize(("requested", "default"), [("host", "auto"), (None, "host")])
async def test_the_least_loaded_host(requested, default):
    """Of healthy hosts the one with the largest share of free slots; of equals the one before, then by name."""
    hosts = host("a", free=1, slots=4), host("b", free=1, slots=2), host("c", error="no answer"), host("d", free=0)
    selection = await selector(*hosts, default=default).select(requested)
    assert (selection.mode, selection.host) == ("host", "b")
    assert "host b is the least loaded" in selection.reason
    equal = selector(host("a"), host("b"))
    assert (await equal.select("host")).host == "a"
    assert (await equal.select("host", before="b")).host == "b"


async def test_a_gpu_is_found_on_the_host_that_has_one():
    """Auto goes to a host for a GPU, as the specification says, and host does not take one without."""
    for requested in ("auto", "host"):
        selection = await selector(host("a"), host("b", gpu=True), gpu=True).select(requested, require_gpu=True)
        assert (selection.mode, selection.host) == ("host", "b")
        assert "with a GPU" in selection.reason


async def test_busy_hosts_are_waited_for():
    """A host that is busy is there: the training waits in the queue, unless auto has a GPU here."""
    busy = host("a", free=0, gpu=True)
    for require_gpu in (False, True):
        selection = await selector(busy).select("host", require_gpu=require_gpu)
        assert (selection.mode, selection.waits, selection.host) == ("host", True, None)
    assert (await selector(busy, gpu=True).select("auto", require_gpu=True)).mode == "local"


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [
        ((), "no host service is registered"),
        ((host("a", error="no answer within 2 s"),), r"no host service answers \(a: no answer within 2 s\)"),
    ],
)
async def test_fallback(hosts, reason):
    """Without a host that answers local takes its place, and the reason says so; never where a GPU is required."""
    selection = await selector(*hosts).select("host")
    assert (selection.mode, selection.fallback) == ("local", True)
    assert selection.reason.endswith(LOCAL_INSTEAD)
    with pytest.raises(ModeUnavailable, match=reason):
        await selector(*hosts).select("host", require_gpu=True)
    waiting = await selector(*hosts).select("host", require_gpu=True, queue_if_unavailable=True)
    assert (waiting.mode, waiting.waits) == ("host", True)


async def test_a_host_without_a_gpu_is_none_for_a_training_that_needs_one():
    """It is told from a host that does not answer."""
    with pytest.raises(ModeUnavailable, match="no host service that answers has one"):
        await selector(host("a")).select("auto", require_gpu=True)


async def test_gpu_is_not_looked_for_without_need():
    """Looking for a GPU is slow: it is not done unless one is required."""

    def look():
        raise AssertionError

    chosen = selector()
    chosen._local_has_gpu = look
    assert (await chosen.select("auto")).mode == "local"


async def test_a_mode_that_does_not_exist():
    """The answer says which do."""
    with pytest.raises(InvalidRequest, match="'moon': use auto, local, host"):
        await selector().select("moon")
