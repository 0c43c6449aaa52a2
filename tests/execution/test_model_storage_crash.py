"""ModelStorage under many writers at once, and under writers killed at every step.

Run as a script, this file is such a writer: `save` stores models, `kill` forks writers that kill themselves.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ktrdr.contracts.models import ModelArtifact
from ktrdr.errors import ModelNotFound
from ktrdr.execution.model_storage import ModelStorage
from ktrdr.logs import configure_logging

STEPS = ("mkdir", "open", "fsync", "rename", "symlink", "unlink", "rmdir")


def artifact(operation_id: str, symbol: str = "EURUSD") -> ModelArtifact:
    return ModelArtifact(
        operation_id=operation_id,
        strategy_name="trend",
        symbols=(symbol,),
        base_timeframe="1h",
        weights={"model.pt": operation_id.encode() * 1000, "model_full.pt": b"full"},
        documents={"config": {}, "metrics": {"test_metrics": {}}, "features": {}},
    )


SCENARIOS: dict[str, tuple[int, Callable[[ModelStorage], object]]] = {
    "first save": (0, lambda storage: storage.save(artifact("new"))),
    "next save": (2, lambda storage: storage.save(artifact("new"))),
    "delete of the latest": (2, lambda storage: storage.delete("trend")),
    "delete of the last": (1, lambda storage: storage.delete("trend")),
}


def die_at(step: int, *, after: bool) -> None:
    """Let this process kill itself before, or after, its `step`th call that changes the disk."""
    calls = 0

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == step and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = real(*args, **kwargs)
            if calls == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call

    for name in STEPS:
        setattr(os, name, dying(getattr(os, name)))


def kill_everywhere(root: Path) -> None:
    """Run every scenario in a fresh folder for every step at which it can be killed, until it lives to its end."""
    for scenario, (earlier, act) in SCENARIOS.items():
        for after in (False, True):
            step, lived = 0, False
            while not lived:
                step += 1
                storage = ModelStorage(root / scenario / f"{step}{'+' if after else '-'}")
                for number in range(earlier):
                    storage.save(artifact(f"old_{number}"))
                child = os.fork()
                if child == 0:
                    die_at(step, after=after)
                    act(storage)
                    os._exit(0)
                lived = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def save_many(root: Path, operations: list[str]) -> None:
    storage = ModelStorage(root)
    print(json.dumps({operation: storage.save(artifact(operation)) for operation in operations}))  # noqa: T201


def script(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True)


def check_whole(storage: ModelStorage, root: Path) -> list[str]:
    """Every visible version verifies, no operation is there twice, the link points nowhere wrong; the operations."""
    records = storage.records()
    folders = [path for path in root.glob("*/*_v*") if not path.name.startswith(".")]
    assert len(records) == len(folders), "a visible version is not whole"
    for record in records:
        storage.files(record.name)
    assert all(link.exists() for link in root.glob("*/*_latest") if link.is_symlink())
    operations = [record.operation_id for record in records]
    assert len(set(operations)) == len(operations)
    return operations


def check_settled(storage: ModelStorage, root: Path) -> None:
    """The link is at the highest version and nothing hidden is left but the lock."""
    latest = max(storage.records("trend"), key=lambda record: record.version)
    assert (root / "trend" / "EURUSD_1h_latest").resolve().name == f"EURUSD_1h_v{latest.version}"
    assert [path.name for path in root.rglob(".*")] == [".EURUSD_1h.lock"]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("killed")
    with script("kill", str(root)) as process:
        assert process.wait(60) == 0
    return root


@pytest.fixture
def roots(killed: Path, scenario: str, tmp_path: Path) -> list[Path]:
    """A copy of what every killed writer of the scenario left."""
    copies = shutil.copytree(killed / scenario, tmp_path / "copies", symlinks=True)
    return list(copies.iterdir())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_writer_killed_at_any_step_leaves_all_or_nothing(roots: list[Path], scenario: str) -> None:
    """What readers see is the state before or after, never between; the next save repairs the rest."""
    earlier = {f"old_{number}" for number in range(SCENARIOS[scenario][0])}
    after = earlier | {"new"} if "save" in scenario else earlier - {f"old_{len(earlier) - 1}"}
    assert len(roots) > 10
    seen = set()
    for root in roots:
        storage = ModelStorage(root)
        found = set(check_whole(storage, root))
        assert found in (earlier, after)
        seen.add(frozenset(found))
        storage.save(artifact("new"))
        assert set(check_whole(storage, root)) == found | {"new"}
        check_settled(storage, root)
    assert seen == {frozenset(earlier), frozenset(after)}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_killed_writer_can_be_followed_by_a_delete(roots: list[Path], scenario: str) -> None:
    """Deleting all that is left empties the folder, whatever the killed writer left in it."""
    for root in roots:
        storage = ModelStorage(root)
        if not storage.records():
            storage.save(artifact("one more"))
        for record in storage.records():
            storage.delete(record.name)
        assert list(root.iterdir()) == []


def test_everything_is_synced_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut cannot name what the disk lacks: files and their folder are synced, then renamed."""
    synced: set[int] = set()
    renamed: list[Path] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(handle: int) -> None:
        real_fsync(handle)
        synced.add(os.fstat(handle).st_ino)

    def rename(source: Any, target: Any) -> None:
        if Path(target).name.endswith("_v1"):
            assert {path.stat().st_ino for path in (Path(source), *Path(source).iterdir())} <= synced
            synced.clear()
            renamed.append(Path(target))
        real_rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    path = ModelStorage(tmp_path / "models").save(artifact("op"))
    assert renamed == [Path(path)]
    assert {(tmp_path / "models").stat().st_ino, (tmp_path / "models" / "trend").stat().st_ino} <= synced


def test_many_threads_save_into_one_family(tmp_path: Path) -> None:
    """No model is lost, an operation saved by several threads is there once, numbers have no gap."""
    storage = ModelStorage(tmp_path)
    operations = [f"op_{number % 20}" for number in range(60)]
    with ThreadPoolExecutor(12) as pool:
        paths = list(pool.map(lambda operation: storage.save(artifact(operation)), operations))
    assert sorted(check_whole(storage, tmp_path)) == sorted(set(operations))
    assert [record.version for record in storage.records()] == list(range(1, 21))
    assert {record.path: record.operation_id for record in storage.records()} == dict(
        zip(paths, operations, strict=True)
    )
    check_settled(storage, tmp_path)


def test_several_processes_save_into_one_family(tmp_path: Path) -> None:
    """The lock holds between processes too; all get the same path for the same operation."""
    shared = [f"op_{number}" for number in range(10)]
    plans = [[*shared, *(f"op_{process}_{number}" for number in range(5))] for process in range(3)]
    writers = [script("save", str(tmp_path), *plan) for plan in plans]
    answers = [json.loads(writer.communicate(timeout=60)[0]) for writer in writers]
    storage = ModelStorage(tmp_path)
    by_operation = {record.operation_id: record.path for record in storage.records()}
    assert sorted(check_whole(storage, tmp_path)) == sorted({operation for plan in plans for operation in plan})
    assert all(answer == {key: by_operation[key] for key in answer} for answer in answers)
    check_settled(storage, tmp_path)


def test_saving_deleting_and_reading_at_once(tmp_path: Path) -> None:
    """Families come and go with their folder, locks and links while others write and read; nobody sees half."""
    storage = ModelStorage(tmp_path)

    def come_and_go(worker: int) -> None:
        for number in range(8):
            path = storage.save(artifact(f"op_{worker}_{number}", symbol=f"S{worker % 3}"))
            storage.delete(path)

    def read(_: int) -> None:
        for _ in range(15):
            for record in storage.records():
                try:
                    storage.files(record.name)
                except ModelNotFound:
                    continue

    with ThreadPoolExecutor(9) as pool:
        for done in [*(pool.submit(come_and_go, n) for n in range(6)), *(pool.submit(read, n) for n in range(3))]:
            done.result(60)
    assert list(tmp_path.iterdir()) == []


if __name__ == "__main__":
    configure_logging()
    command, folder, *rest = sys.argv[1:]
    if command == "kill":
        kill_everywhere(Path(folder))
    else:
        save_many(Path(folder), rest)
