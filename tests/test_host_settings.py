"""Settings of hosts that cannot be used stop the start with a sentence that names them."""

import asyncio
import json
from pathlib import Path

import pytest

from ktrdr import wiring
from ktrdr.cli import host
from ktrdr.errors import InvalidSettings
from ktrdr.settings import load_settings

ONE = {"name": "gpu1", "url": "https://gpu1:8100"}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


async def hosts() -> list[str]:
    async with wiring.open_client() as client:
        return [report.host.url for report in await client.hosts()]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[{", "KTRDR_HOSTS has to be JSON"),
        ("gpu1", "KTRDR_HOSTS has to be JSON"),
        (json.dumps([{**ONE, "prize": 1}]), "a name, a url and, if somebody counts, a price_per_hour"),
        (json.dumps([{"name": "gpu1"}]), "a name, a url"),
        (json.dumps([{**ONE, "url": "gpu1"}]), "'gpu1' is no address"),
        (json.dumps([{**ONE, "price_per_hour": -1}]), "price_per_hour"),
        (json.dumps([{**ONE, "name": "a b"}]), "name"),
        (json.dumps([ONE, ONE]), "it has gpu1 twice"),
    ],
)
async def test_hosts_that_cannot_be(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    monkeypatch.setenv("KTRDR_HOSTS", value)
    with pytest.raises(InvalidSettings, match="KTRDR_HOSTS") as raised:
        await hosts()
    assert said in str(raised.value)


async def test_hosts_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their URL in its plain form."""
    monkeypatch.setenv("KTRDR_HOSTS", json.dumps([{**ONE, "url": "http://127.0.0.1:1/"}]))
    assert await hosts() == ["http://127.0.0.1:1"]


@pytest.mark.parametrize("url", ["backend:8000", "http://backend/ktrdr"])
async def test_a_public_url_that_is_none(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("KTRDR_PUBLIC_URL", url)
    with pytest.raises(InvalidSettings, match="KTRDR_PUBLIC_URL cannot be used"):
        await hosts()


def test_a_host_that_others_reach_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """And origins that are some."""
    with pytest.raises(InvalidSettings, match="set KTRDR_HOST_KEY"):
        asyncio.run(wiring.serve_host(listening=lambda *_: None, host_address="0.0.0.0"))
    with pytest.raises(InvalidSettings, match="KTRDR_CALLBACK_ORIGINS cannot be used"):
        asyncio.run(wiring.serve_host(listening=lambda *_: None, callback_origins=["http://a/b"]))


def test_what_others_are_told_to_add_is_an_address_of_theirs() -> None:
    """Where it listens on every address, that is no address for others."""
    assert host._from_elsewhere("https://127.0.0.1:8100") == "https://127.0.0.1:8100"
    for url in ("http://0.0.0.0:8100", "http://[::]:8100"):
        there = host._from_elsewhere(url)
        assert there.endswith(":8100")
        assert "0.0.0.0" not in there
        assert "[::]" not in there


def test_lists_in_settings_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence shows how."""
    monkeypatch.setenv("KTRDR_TRUSTED_NETWORK", "gpu1, gpu2")
    with pytest.raises(InvalidSettings, match=r"KTRDR_TRUSTED_NETWORK has to be JSON, such as '\[\"one\", \"two\"\]'"):
        load_settings()
