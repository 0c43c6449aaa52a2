"""The registry of hosts: those of the settings and those that were added, asked seldom and never waited for long."""

import asyncio

import pytest

from ktrdr.contracts.hosts import Device, HostEntry, HostHealth
from ktrdr.errors import Conflict, InvalidRequest, NotFound, Unavailable
from ktrdr.orchestration.default_mode import DefaultMode
from ktrdr.orchestration.host_registry import HostRegistry
from ktrdr.orchestration.stored_settings import StoredSettings

HEALTH = HostHealth(version="1", uptime_seconds=1.0, devices=[Device(type="cpu", name="x")], slots=1, free_slots=1)


class Checker:
    """Hosts of which some are silent, and some slow."""

    def __init__(self, *, silent=(), slow=()):
        self.silent, self.slow = silent, slow
        self.asked = []

    async def health(self, host):
        self.asked.append(host.name)
        if host.name in self.slow:
            await asyncio.sleep(60)
        if host.name in self.silent:
            raise Unavailable(f"the host {host.name} does not answer")
        return HEALTH


def entry(name, **more):
    return HostEntry(name=name, url=f"http://{name}:8100", **more)


async def test_hosts_of_both_kinds(store):
    """They are listed by name, added once, and only those that were added can be removed."""
    registry = HostRegistry(store.database, Checker(), configured=[entry("b")])
    await registry.add(entry("a", price_per_hour=1.5))
    assert [one.name for one in await registry.entries()] == ["a", "b"]
    assert (await registry.entry("a")).price_per_hour == 1.5
    for taken in ("a", "b"):
        with pytest.raises(Conflict, match="already"):
            await registry.add(entry(taken))
    with pytest.raises(Conflict, match="KTRDR_HOSTS"):
        await registry.remove("b")
    await registry.remove("a")
    with pytest.raises(NotFound, match="ktrdr hosts list"):
        await registry.remove("a")
    assert [one.name for one in await registry.entries()] == ["b"]


async def test_reports(store):
    """A silent host costs no more than the timeout, its neighbours nothing; the reason is told."""
    seen = []
    registry = HostRegistry(
        store.database,
        Checker(silent=["b"], slow=["c"]),
        configured=[entry("a"), entry("b"), entry("c")],
        timeout=0.05,
        on_check=seen.append,
    )
    good, silent, slow = await asyncio.wait_for(registry.reports(), 2)
    assert (good.health, good.error, good.origin) == (HEALTH, None, "settings")
    assert (silent.health, silent.error) == (None, "the host b does not answer")
    assert slow.error == "no answer within 0.05 s"
    assert {report.host.name for report in seen} == {"a", "b", "c"}


async def test_a_host_of_another_version_is_of_no_use(store):
    """It would train for hours, and its result might be refused."""
    for version, of_use in (("1", True), (None, True), ("2", False)):
        registry = HostRegistry(store.database, Checker(), configured=[entry("a")], version=version)
        (report,) = await registry.reports()
        assert (report.health == HEALTH, report.error is None) == (of_use, of_use)
    assert report.error == "it runs KTRDR 1, and this is 2: install the same on both"


async def test_what_is_known_is_not_asked_again(store):
    """Within its time, by one or by many; `fresh` and `forget` ask anew."""
    checker = Checker()
    registry = HostRegistry(store.database, checker, configured=[entry("a")], remember=60)
    await asyncio.gather(*(registry.reports() for _ in range(20)))
    assert checker.asked == ["a"]
    await registry.reports(fresh=True)
    registry.forget()
    await registry.reports()
    assert checker.asked == ["a"] * 3


@pytest.mark.parametrize("url", ["ftp://a", "http://a/path", "http://user@a", "http://a?b", "a:8100", "http://a:x"])
def test_a_url_is_an_origin(url):
    with pytest.raises(InvalidRequest, match="no address"):
        HostEntry(name="a", url=url)


def test_an_origin_is_read_in_its_plain_form():
    assert HostEntry(name="a", url="https://[::1]:8100/").url == "https://[::1]:8100"


async def test_the_default_mode_is_stored_and_wins(store):
    """The settings' until it is changed; the change says what was before, and is there after a restart."""
    stored = StoredSettings(store.database)
    modes = DefaultMode(stored, "auto")
    assert (await modes.config()).model_dump() == {
        "default_execution_mode": "auto",
        "origin": "settings",
        "previous": None,
    }
    changed = await modes.change("local")
    assert (changed.default_execution_mode, changed.origin, changed.previous) == ("local", "stored", "auto")
    assert await DefaultMode(stored, "host")() == "local"
    assert (await modes.change("host")).previous == "local"
    with pytest.raises(InvalidRequest, match="use auto, local, host"):
        await modes.change("moon")
