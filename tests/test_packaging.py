"""What is shipped beside the code is what it says: the table of settings, the units, the compose file."""

import importlib.util
import json
import plistlib
from urllib.parse import urlsplit

from ruamel.yaml import YAML

from ktrdr.contracts.addresses import require_private
from ktrdr.contracts.hosts import host_entry
from ktrdr.settings import Settings
from tests.support import ROOT


def test_the_tables_of_the_pages_are_those_of_the_classes() -> None:
    """`python docs/tables.py` writes them."""
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert set(tables.TABLES) == {"settings.md", "indicators.md"}
    for name in tables.TABLES:
        assert tables.page(name) == (ROOT / "docs" / name).read_text(encoding="utf-8"), f"{name}: run docs/tables.py"
    assert all(field.description for field in Settings.model_fields.values())


def test_the_server_is_given_time_to_stop() -> None:
    """By all that start it: longer than it takes for itself."""
    drain = Settings.model_fields["drain_seconds"].default
    for name, words in (("ktrdr", ["serve"]), ("ktrdr-host", ["host", "serve"])):
        unit = (ROOT / "deploy" / f"{name}.service").read_text(encoding="utf-8")
        assert int(unit.partition("TimeoutStopSec=")[2].split()[0]) > drain
        assert "KillMode=mixed" in unit
        assert unit.partition("ExecStart=")[2].split("\n")[0].split()[1:] == words
    for name, words in (("server", ["serve"]), ("host", ["host", "serve"])):
        agent = plistlib.loads((ROOT / "deploy" / f"org.ktrdr.{name}.plist").read_bytes())
        assert agent["ExitTimeOut"] > drain
        assert agent["ProgramArguments"][1:] == words
    compose = YAML(typ="safe").load(ROOT / "compose.yaml")
    server = compose["services"]["server"]
    assert int(server["stop_grace_period"].removesuffix("s")) > drain
    assert server["read_only"]
    assert server["depends_on"]["upgrade"]["condition"] == "service_completed_successfully"


def test_a_container_finds_a_host_beside_it() -> None:
    """Its settings can be used as they stand, and the host sends results there without being told more."""
    compose = YAML(typ="safe").load(ROOT / "deploy" / "compose.host.yaml")
    server = compose["services"]["server"]
    told = {name.removeprefix("KTRDR_").lower(): text for name, text in server["environment"].items()}
    (host,) = json.loads(told["hosts"])
    name = urlsplit(host_entry(**host).url).hostname
    assert [entry.partition(":")[0] for entry in server["extra_hosts"]] == [name]
    require_private(host["url"], json.loads(told["trusted_network"]))
    assert told["public_url"] in Settings.model_fields["callback_origins"].default
    assert set(told) <= set(Settings.model_fields)


def test_the_image_copies_what_is_there() -> None:
    """And only what .dockerignore lets through."""
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [
        name for line in lines if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]
    ]
    assert set(copied) == let_through
    assert all((ROOT / name).exists() for name in copied)
    assert "USER ktrdr" in lines
