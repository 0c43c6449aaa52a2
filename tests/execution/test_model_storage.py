"""ModelStorage keeps every model whole, numbered and verified, and finds it by what a person calls it."""

import dataclasses
import errno
import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from ktrdr.contracts.models import ModelArtifact, ModelRepository, ModelSink
from ktrdr.errors import InvalidName, InvalidRequest, KtrdrError, ModelCorrupt, ModelNotFound, StorageFailed
from ktrdr.execution.model_storage import ModelStorage

SIX = ["config.json", "features.json", "metadata.json", "metrics.json", "model.pt", "model_full.pt"]


def artifact(operation_id: str = "op_1", **changes: Any) -> ModelArtifact:
    made = ModelArtifact(
        operation_id=operation_id,
        strategy_name="trend",
        symbols=("EURUSD",),
        base_timeframe="1h",
        weights={"model.pt": f"weights of {operation_id}".encode(), "model_full.pt": b"\x00\xff" * 500},
        documents={
            "config": {"model": {"type": "mlp", "layers": [64, 32]}},
            "metrics": {"test_metrics": {"accuracy": 0.5}, "training_metrics": {"epochs": 3}},
            "features": {"names": ["rsi_low", "rsi_high"]},
            "metadata": {"seed": 42, "name": "not this one"},
        },
    )
    return dataclasses.replace(made, **changes)


def with_document(name: str, document: dict[str, Any]) -> ModelArtifact:
    return artifact(documents={**artifact().documents, name: document})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home" / "models"


@pytest.fixture
def storage(root: Path) -> ModelStorage:
    return ModelStorage(root)


def names(storage: ModelStorage) -> list[str]:
    return [record.name for record in storage.records()]


def visible(root: Path) -> list[str]:
    """Everything below the root but lock files."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.suffix != ".lock")


def test_it_is_the_sink_and_the_repository_of_the_contracts(storage: ModelStorage) -> None:
    """mypy sees what this says at run time: one class stands behind both seams."""
    sink: ModelSink = storage
    repository: ModelRepository = storage
    assert sink is repository


def test_a_saved_model_is_a_folder_of_six_files(storage: ModelStorage, root: Path) -> None:
    """The folder is the one the specification draws, and the link is relative."""
    path = storage.save(artifact())
    assert path == str(root / "trend" / "EURUSD_1h_v1")
    assert sorted(file.name for file in Path(path).iterdir()) == SIX
    assert (root / "trend" / "EURUSD_1h_latest").readlink() == Path("EURUSD_1h_v1")
    assert Path(path, "model.pt").read_bytes() == b"weights of op_1"
    assert Path(path, "config.json").read_text().startswith('{\n  "model": {')


def test_what_is_saved_comes_back(storage: ModelStorage) -> None:
    """files() and show() give the bytes and documents that went in; the storage's own words win in the metadata."""
    storage.save(artifact())
    model, details = storage.files("trend"), storage.show("trend")
    assert model.weights == artifact().weights
    for name in ("config", "metrics", "features"):
        assert getattr(model, name) == getattr(details, name) == artifact().documents[name]
    assert model.metadata == details.metadata
    assert (model.metadata["seed"], model.metadata["name"]) == (42, "trend/EURUSD_1h_v1")
    assert sorted(model.metadata["files"]) == sorted(set(SIX) - {"metadata.json"})
    record = details.record
    assert (record.version, record.symbols, record.base_timeframe) == (1, ["EURUSD"], "1h")
    assert (record.operation_id, record.is_latest, record.test_metrics) == ("op_1", True, {"accuracy": 0.5})
    assert record.created_at.tzinfo is not None
    assert storage.records() == [record]


def test_saving_an_operation_twice_answers_the_same(storage: ModelStorage, root: Path) -> None:
    """A repeat writes nothing, also when later versions exist."""
    first = storage.save(artifact("op_1"))
    storage.save(artifact("op_2"))
    before = visible(root)
    assert storage.save(artifact("op_1")) == first
    assert visible(root) == before


def test_versions_count_up_and_the_link_follows(storage: ModelStorage, root: Path) -> None:
    """Ten and more versions sort by number, not by text, and exactly one is the latest."""
    for number in range(1, 12):
        storage.save(artifact(f"op_{number}"))
    records = storage.records("trend")
    assert [record.version for record in records] == list(range(1, 12))
    assert [record.is_latest for record in records] == [False] * 10 + [True]
    assert (root / "trend" / "EURUSD_1h_latest").readlink() == Path("EURUSD_1h_v11")


def test_several_symbols_share_a_folder_name_and_the_metadata_tells_them(storage: ModelStorage) -> None:
    """`multi_{timeframe}`; symbols with underscores come back as they were."""
    assert storage.save(artifact(symbols=("EURUSD", "GBPUSD"))).endswith("multi_1h_v1")
    assert storage.save(artifact("op_2", symbols=("BRK_B_1d_v7",))).endswith("BRK_B_1d_v7_1h_v1")
    assert [record.symbols for record in storage.records()] == [["BRK_B_1d_v7"], ["EURUSD", "GBPUSD"]]


def test_delete_moves_the_link_and_never_reuses_a_lower_number(storage: ModelStorage, root: Path) -> None:
    """The link goes to the highest left; a gap stays a gap; with the last model everything goes."""
    for number in (1, 2, 3):
        storage.save(artifact(f"op_{number}"))
    deleted = storage.delete("trend/EURUSD_1h_v2")
    assert (deleted.name, deleted.is_latest) == ("trend/EURUSD_1h_v2", False)
    assert storage.save(artifact("op_4")).endswith("_v4")
    assert storage.delete("trend/EURUSD_1h_latest").is_latest
    assert (root / "trend" / "EURUSD_1h_latest").readlink() == Path("EURUSD_1h_v3")
    storage.delete("trend")
    storage.delete("trend")
    assert list(root.iterdir()) == []
    assert storage.records() == []


def test_delete_leaves_other_families_alone(storage: ModelStorage, root: Path) -> None:
    """The strategy's folder stays while another symbol has a model in it."""
    storage.save(artifact())
    storage.save(artifact("op_2", symbols=("GBPUSD",)))
    storage.delete("trend/EURUSD_1h")
    assert names(storage) == ["trend/GBPUSD_1h_v1"]
    assert not (root / "trend" / "EURUSD_1h_latest").is_symlink()
    assert not (root / "trend" / ".EURUSD_1h.lock").exists()


@pytest.mark.parametrize("taken", ["folder", "file"])
def test_a_place_that_is_taken_is_passed_over(storage: ModelStorage, root: Path, taken: str, monkeypatch: Any) -> None:
    """Something that appears at the next number after it was chosen costs that number, nothing else."""
    real = os.rename

    def rename(source: Any, target: Any) -> None:
        place = root / "trend" / "EURUSD_1h_v1"
        if Path(target) == place and not place.exists():
            (place / "x").mkdir(parents=True) if taken == "folder" else place.write_text("x")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    assert storage.save(artifact()).endswith("EURUSD_1h_v2")
    assert storage.files("trend/EURUSD_1h_v2").metadata["version"] == 2


def test_leftovers_of_a_killed_writer_are_swept(storage: ModelStorage, root: Path) -> None:
    """Hidden folders are no models, and the next save of their family removes them, and only its own."""
    for hidden in (".EURUSD_1h.saving", ".EURUSD_1h.deleting", ".EURUSD_1h.x_1d.saving"):
        (root / "trend" / hidden / "deep").mkdir(parents=True)
    (root / "trend" / ".EURUSD_1h.link").symlink_to("nowhere")
    assert storage.records() == []
    storage.save(artifact())
    hidden_left = [path.name for path in (root / "trend").iterdir() if path.name.startswith(".")]
    assert sorted(hidden_left) == [".EURUSD_1h.lock", ".EURUSD_1h.x_1d.saving"]


@pytest.mark.parametrize("file", SIX)
def test_a_flipped_byte_is_found(storage: ModelStorage, file: str) -> None:
    """Whichever byte of whichever file: the error names the file and the model."""
    path = Path(storage.save(artifact()), file)
    content = path.read_bytes()
    for index in {0, len(content) // 3, len(content) // 2, len(content) - 1}:
        path.write_bytes(content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :])
        with pytest.raises(ModelCorrupt, match=rf"trend/EURUSD_1h_v1 .*{file}.*train again"):
            storage.files("trend")
    path.write_bytes(content)
    assert storage.files("trend")


@pytest.mark.parametrize("file", SIX)
@pytest.mark.parametrize("harm", ["missing", "cut off", "longer"])
def test_a_file_that_is_not_whole_is_found(storage: ModelStorage, file: str, harm: str) -> None:
    """show() refuses too, and the model can still be deleted."""
    path = Path(storage.save(artifact()), file)
    content = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-5] if harm == "cut off" else content + b" ")
    with pytest.raises(ModelCorrupt, match=file):
        storage.show("trend")
    assert storage.delete("trend").name == "trend/EURUSD_1h_v1"
    assert storage.records() == []


@pytest.mark.parametrize("content", [b"", b'{"name": "tre', b"[]", b"\xff\xfe", b"[" * 100_000, b"{}"])
def test_the_list_leaves_out_what_cannot_be_trusted(storage: ModelStorage, content: bytes) -> None:
    """A version without good metadata is logged and skipped; the others are listed."""
    storage.save(artifact("op_1"))
    Path(storage.save(artifact("op_2")), "metadata.json").write_bytes(content)
    with capture_logs() as logs:
        assert names(storage) == ["trend/EURUSD_1h_v1"]
    assert [(line["log_level"], line["model"]) for line in logs] == [("warning", "trend/EURUSD_1h_v2")]
    with pytest.raises(ModelCorrupt, match=r"metadata\.json"):
        storage.show("trend")
    assert storage.save(artifact("op_3")).endswith("_v3")


def test_metadata_of_another_shape_is_refused(storage: ModelStorage) -> None:
    """Metadata that vouch for themselves but lack a field, or the digest of a file, are no reason to believe a file."""
    from ktrdr.execution.model_files import SELF_DIGEST, encode_json, sha256

    path = Path(storage.save(artifact()), "metadata.json")
    whole = json.loads(path.read_bytes())
    whole.pop(SELF_DIGEST)
    less = {**whole, "files": {"model.pt": whole["files"]["model.pt"]}}
    for document, message in (({"name": "x"}, "strategy_name"), (less, r"no digest of config\.json")):
        path.write_bytes(encode_json({**document, SELF_DIGEST: sha256(encode_json(document, ""))}, ""))
        with pytest.raises(ModelCorrupt, match=message):
            storage.show("trend")


def test_numbers_that_are_none_become_null(storage: ModelStorage) -> None:
    """NaN and infinities, however deep, are null in the file."""
    odd = {"a": float("nan"), "b": [float("inf"), (1.5, -float("inf"))], "c": {"d": None, "e": True, "f": "ü"}}
    path = storage.save(with_document("config", odd))
    expected = {"a": None, "b": [None, [1.5, None]], "c": {"d": None, "e": True, "f": "ü"}}
    assert json.loads(Path(path, "config.json").read_bytes()) == expected
    assert storage.show("trend").config == expected


@pytest.mark.parametrize(
    "value", [np.float64(1), np.float32(1), np.int64(1), np.bool_(True), np.str_("x"), np.ones(2), {1}, b"x", {1: 2}]
)
def test_a_value_without_a_place_in_json_is_the_callers_bug(storage: ModelStorage, root: Path, value: Any) -> None:
    """TypeError says where it stands, before anything is written."""
    with pytest.raises(TypeError, match=r"metrics\.f1"):
        storage.save(with_document("metrics", {"f1": value}))
    assert not root.exists()


@pytest.mark.parametrize("wrong", [{"weights": {"model.pt": b""}}, {"documents": {"config": {}}}])
def test_an_artifact_with_other_files_is_the_callers_bug(storage: ModelStorage, root: Path, wrong: Any) -> None:
    """ValueError, before anything is written."""
    with pytest.raises(ValueError, match=r"model_full\.pt"):
        storage.save(artifact(**wrong))
    assert not root.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"strategy_name": name}
            for name in ("", ".", "..", "../up", "a/b", ".hidden", "a b", "a..b", "x" * 101, "é")
        ),
        *({"symbols": (symbol,)} for symbol in ("", "../up", "EUR/USD", ".x", "a\0b", "a\n", "x" * 65)),
        *({"base_timeframe": timeframe} for timeframe in ("", "1h/..", "h", "_latest", "1h_v2")),
        {"symbols": ()},
    ],
)
def test_a_name_that_cannot_be_a_folder_is_refused(storage: ModelStorage, root: Path, wrong: Any) -> None:
    """InvalidName, before any path is touched."""
    with pytest.raises(InvalidName):
        storage.save(artifact(**wrong))
    assert not root.exists()


class TestNames:
    """What a person may call a model."""

    @pytest.fixture
    def storage(self, root: Path) -> ModelStorage:
        made = ModelStorage(root)
        for number in (1, 2):
            made.save(artifact(f"a{number}"))
            made.save(artifact(f"b{number}", strategy_name="swing", symbols=("^GSPC",), base_timeframe="1d"))
        made.save(artifact("c", strategy_name="swing"))
        return made

    @pytest.mark.parametrize(
        ("name", "version"),
        [
            ("trend", 2),
            ("trend/EURUSD_1h", 2),
            ("trend/EURUSD_1h_latest", 2),
            ("trend/EURUSD_1h_v1", 1),
            ("{root}/trend/EURUSD_1h_v1", 1),
            ("{root}/trend/EURUSD_1h_v1/", 1),
            ("{root}/trend/EURUSD_1h_latest", 2),
            ("{root}/trend", 2),
            ("models/trend/EURUSD_1h_v1", 1),
            ("models/trend", 2),
            ("./models/trend/../trend/EURUSD_1h_v1", 1),
        ],
    )
    def test_a_name_finds_its_version(
        self, storage: ModelStorage, root: Path, name: str, version: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A name may leave out what is clear, and the path of a folder works from anywhere."""
        monkeypatch.chdir(root.parent)
        assert storage.show(name.format(root=root)).record.name == f"trend/EURUSD_1h_v{version}"

    def test_the_latest_is_found_without_its_link(self, storage: ModelStorage, root: Path) -> None:
        """A link that is stale, missing or not a link misleads nobody."""
        link = root / "trend" / "EURUSD_1h_latest"
        link.unlink()
        link.symlink_to("EURUSD_1h_v1")
        assert storage.show("trend/EURUSD_1h_latest").record.version == 2
        link.unlink()
        assert storage.show("trend/EURUSD_1h_latest").record.version == 2
        (link / "in the way").mkdir(parents=True)
        with capture_logs() as logs:
            assert storage.save(artifact("a3")).endswith("_v3")
        assert "warning" in [line["log_level"] for line in logs]

    def test_an_ambiguous_name_lists_the_choices(self, storage: ModelStorage) -> None:
        """A strategy with two families is not enough."""
        with pytest.raises(InvalidRequest, match=r"say swing/EURUSD_1h or swing/\^GSPC_1d"):
            storage.show("swing")

    @pytest.mark.parametrize("name", ["trend/EURUSD_1h_v9", "trend/EURUSD_4h", "tren", "trnd/EURUSD_1h_v1", "Trend"])
    def test_a_name_nearly_right_gets_a_suggestion(self, storage: ModelStorage, name: str) -> None:
        """The sentence names what is close."""
        with pytest.raises(ModelNotFound, match=r"did you mean .*trend"):
            storage.show(name)

    def test_a_name_of_nothing_says_where_to_look(self, storage: ModelStorage, tmp_path: Path) -> None:
        """With models: the list. Without: how to train one."""
        with pytest.raises(ModelNotFound, match="ktrdr models list"):
            storage.delete("zzz")
        with pytest.raises(ModelNotFound, match="ktrdr models train"):
            ModelStorage(tmp_path / "none").show("zzz")

    @pytest.mark.parametrize(
        "name",
        ["", "/", "..", "../../etc/passwd", "trend/..", "/etc", "a b", "a\0b", "trend/a/b", "trend/" + "x" * 300],
    )
    def test_a_name_leads_nowhere_else(self, storage: ModelStorage, name: str) -> None:
        """InvalidName for what is neither a name nor a folder of ours."""
        with pytest.raises(InvalidName):
            storage.show(name)

    def test_other_things_in_the_folder_are_no_models(self, storage: ModelStorage, root: Path) -> None:
        """Files, foreign folders and versions written otherwise are passed over."""
        before = names(storage)
        (root / "notes.txt").write_text("x")
        (root / "not a strategy").mkdir()
        (root / "trend" / "EURUSD_1h_v01").mkdir()
        (root / "trend" / "EURUSD_1h_v7").write_text("x")
        assert names(storage) == before


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def write(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", write)
        yield


@contextmanager
def small_files(_: pytest.MonkeyPatch) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("limit", "message"), [(full_disk, "disk is full"), (small_files, "larger than")])
@pytest.mark.parametrize("earlier", [0, 1])
def test_a_full_disk_leaves_nothing_half_written(
    storage: ModelStorage, root: Path, limit: Callable[..., Any], message: str, earlier: int, monkeypatch: Any
) -> None:
    """StorageFailed with one sentence; the earlier model is as it was; with room again the save works."""
    big = artifact("big", weights={"model.pt": b"x" * 300_000, "model_full.pt": b""})
    if earlier:
        storage.save(artifact())
    root.mkdir(parents=True, exist_ok=True)
    before = visible(root)
    with limit(monkeypatch), pytest.raises(StorageFailed, match=message) as caught:
        storage.save(big)
    assert "\n" not in str(caught.value)
    assert visible(root) == before
    assert storage.save(big).endswith(f"_v{earlier + 1}")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_what_the_system_refuses_is_said_in_one_sentence(storage: ModelStorage, code: int, monkeypatch: Any) -> None:
    """Every refusal of the system, at saving, deleting and checking, is a StorageFailed that says what to do."""
    storage.save(artifact())

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "rename", refuse)
    monkeypatch.setattr(os, "fsync", refuse)
    for action in (lambda: storage.save(artifact("op_2")), lambda: storage.delete("trend"), storage.check_writable):
        with pytest.raises(StorageFailed, match=r"^cannot .+: .+(try again|another (one|folder))$"):
            action()
    assert names(storage) == ["trend/EURUSD_1h_v1"]
    assert storage.files("trend/EURUSD_1h_latest").record.is_latest


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """Found before a training by check_writable(), and by everything else too."""
    (tmp_path / "models").write_text("x")
    storage = ModelStorage(tmp_path / "models")
    for action in (storage.check_writable, storage.records, lambda: storage.save(artifact())):
        with pytest.raises(StorageFailed, match="move it away"):
            action()
    below = ModelStorage(tmp_path / "models" / "deeper")
    for action in (below.check_writable, lambda: below.save(artifact())):
        with pytest.raises(StorageFailed):
            action()


@pytest.mark.parametrize("obstacle", ["file", "dangling link"])
def test_something_in_the_place_of_a_strategy(storage: ModelStorage, root: Path, obstacle: str) -> None:
    """Neither a file nor a link to nothing makes a save wait or fail without a sentence."""
    root.mkdir(parents=True)
    (root / "trend").write_text("x") if obstacle == "file" else (root / "trend").symlink_to("nowhere")
    with pytest.raises(StorageFailed, match="stands where a folder has to be"):
        storage.save(artifact())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(storage: ModelStorage, root: Path) -> None:
    """check_writable() says so."""
    root.mkdir(parents=True)
    root.chmod(0o500)
    with pytest.raises(StorageFailed, match="permission"):
        storage.check_writable()


def test_check_writable_leaves_only_the_folder(storage: ModelStorage, root: Path) -> None:
    """The root is created with its parents, the probe is gone."""
    storage.check_writable()
    storage.check_writable()
    assert list(root.iterdir()) == []


def test_a_model_deleted_while_it_is_read(storage: ModelStorage, monkeypatch: Any) -> None:
    """A reader that loses the race hears that the model is gone, not that it is corrupt; a list just lacks it."""
    from ktrdr.execution.model_catalog import ModelCatalog

    storage.save(artifact())
    versions = ModelCatalog(storage._root).versions()
    storage.delete("trend")
    monkeypatch.setattr(ModelCatalog, "versions", lambda *_: versions)
    with pytest.raises(ModelNotFound, match="was deleted"):
        storage.files("trend")
    assert storage.records() == []
    with pytest.raises(KtrdrError):
        storage.delete("trend")
