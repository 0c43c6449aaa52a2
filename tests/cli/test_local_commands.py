"""The commands that speak to no client: serve, keys, db, config, as a user calls them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import structlog

from ktrdr.cli.app import main
from ktrdr.cli.running import Local
from ktrdr.wiring import open_client, open_keys, serve, serve_host, upgrade_database

LOCAL = Local(serve=serve, serve_host=serve_host, open_keys=open_keys, upgrade_database=upgrade_database)


@pytest.fixture
def ktrdr(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = main(open_client, [*arguments], local=LOCAL)
        said = capsys.readouterr()
        return code, said.out, said.err

    yield call
    structlog.reset_defaults()


def test_keys_are_made_listed_and_revoked(ktrdr):
    """The key is alone on stdout, once; lists do not have it."""
    code, key, said = ktrdr("keys", "create", "alice", "--scope", "train")
    assert (code, key.startswith("ktrdr_"), "KTRDR_API_KEY" in said) == (0, True, True)
    made = json.loads(ktrdr("keys", "create", "bob", "--json")[1])
    assert (made["scope"], made["key"].startswith("ktrdr_")) == ("read", True)
    _, listed, _ = ktrdr("keys", "list")
    assert "alice" in listed
    assert key.strip() not in listed
    assert ktrdr("keys", "revoke", made["key_id"])[0] == 0
    rows = json.loads(ktrdr("keys", "list", "--json")[1])["keys"]
    assert {row["name"]: row["revoked_at"] is None for row in rows} == {"alice": True, "bob": False}
    code, _, said = ktrdr("keys", "revoke", "nobody")
    assert (code, "no API key nobody" in said) == (1, True)


def test_no_keys_says_how_to_make_one(ktrdr):
    """In the list."""
    assert "ktrdr keys create" in ktrdr("keys", "list")[1]


def test_the_database_is_brought_up_to_date(ktrdr):
    """Twice is fine; a database that is not there is said to be so."""
    for _ in range(2):
        code, said, _ = ktrdr("db", "upgrade")
        assert (code, "operations.db is up to date" in said) == (0, True)


def test_settings_are_shown_with_where_they_come_from(ktrdr, monkeypatch):
    """An option, the environment, the file .env, the default; secrets stay hidden."""
    monkeypatch.setenv("KTRDR_PORT", "8123")
    monkeypatch.setenv("KTRDR_API_KEY", "ktrdr_secret")
    Path(".env").write_text("KTRDR_THREADS=2\nKTRDR_PORT=1\n")
    code, said, _ = ktrdr("--log-level", "ERROR", "config", "show", "--json")
    rows = {row["name"]: (row["value"], row["origin"]) for row in json.loads(said)["settings"]}
    assert code == 0
    assert rows["KTRDR_PORT"] == ("8123", "environment")
    assert rows["KTRDR_THREADS"] == ("2", ".env")
    assert rows["KTRDR_LOG_LEVEL"] == ("ERROR", "option")
    assert rows["KTRDR_DEVICE"] == ("auto", "default")
    assert "ktrdr_secret" not in said
    assert "KTRDR_DEVICE" in ktrdr("config", "show")[1]
    monkeypatch.setenv("KTRDR_PORT", "99999")
    code, _, said = ktrdr("config", "show")
    assert (code, "KTRDR_PORT" in said) == (1, True)


def test_an_address_that_cannot_be_had_is_said(ktrdr):
    """The port is taken; or half of TLS is missing."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, said = ktrdr("serve", "--port", str(taken.getsockname()[1]))
    assert code == 1
    assert "cannot listen" in said
    assert "--port" in said
    assert "Traceback" not in said


def server(home, *options, **environment):
    command = [sys.executable, "-m", "ktrdr", "--home", str(home), "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
    return process, process.stderr.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_stops_in_order(tmp_path, number):
    """At either signal, with exit code 0 and no trace; its lock is gone."""
    process, said = server(tmp_path)
    with process:
        assert "serves at http://127.0.0.1:" in said
        time.sleep(0.5)
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(20) == 0
    assert "Traceback" not in rest
    assert list((tmp_path / ".ktrdr" / "owners").iterdir()) == []


def test_a_server_for_others_wants_keys(tmp_path):
    """As soon as it binds more than loopback; it says so where nobody has one, and that its hosts do not find it."""
    hosts = '[{"name": "gpu1", "url": "https://127.0.0.1:9"}]'
    process, _ = server(tmp_path, "--host", "0.0.0.0", "--isolation", "thread", KTRDR_HOSTS=hosts)
    with process:
        said = "".join(process.stderr.readline() for _ in range(3))
        assert "it wants API keys" in said
        assert "KTRDR_PUBLIC_URL" in said
        process.terminate()
        process.stderr.read()


def test_no_server_is_one_sentence(ktrdr):
    """With what to do; a name that is none, and an option that is the server's business, likewise."""
    for url, says in (
        ("http://127.0.0.1:9", "does not answer"),
        ("nonsense", "is no address"),
        ("http://[", "does not answer"),
    ):
        code, _, said = ktrdr("--server", url, "models", "list")
        assert (code, says in said, "Traceback" in said) == (1, True, False)
    code, _, said = ktrdr("--server", "http://127.0.0.1:9", "models", "list", "--models-dir", "x")
    assert (code, "leave --models-dir out" in said) == (1, True)
