"""A trained model on its way: what arrives is what was sent, or nothing is kept and the answer says why."""

import base64
import dataclasses
import gzip
import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import ROOT

from ktrdr.contracts.hosts import PackedFile, ResultPayload
from ktrdr.contracts.models import ModelArtifact
from ktrdr.contracts.training import TrainingRequest, TrainingResult
from ktrdr.errors import StorageFailed, TransferCorrupt, WrongModel
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.executor import TrainingExecutor
from ktrdr.execution.files import write_content
from ktrdr.execution.model_storage import ModelStorage
from ktrdr.execution.strategy.reading import read_strategy, resolved
from ktrdr.execution.transfer.packing import PIECE, pack, pieces, unpack
from ktrdr.execution.transfer.receiving import ResultReceiver
from ktrdr.execution.transfer.sending import (
    CONTEXT,
    STATE,
    SessionSink,
    forget_model,
    has_model,
    keep_result,
    read_payload,
)

OPERATION = "train-1"
FILES = {"model_state_dict": STATE, "context": CONTEXT}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """A training of two epochs: what was asked for, what its sink was handed and what it returned."""

    request: TrainingRequest
    artifact: ModelArtifact
    result: TrainingResult

    @property
    def state(self) -> dict[str, torch.Tensor]:
        return loaded(self.artifact.weights["model.pt"])

    @property
    def context(self) -> dict[str, Any]:
        return loaded(self.artifact.context)


class Shelf:
    """The source of one series, and the sink that keeps the artifact."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.artifact: ModelArtifact | None = None

    def load(self, symbol: str, timeframe: str, **_: Any) -> Bars:
        return self.bars

    def save(self, artifact: ModelArtifact) -> str:
        self.artifact = artifact
        return "shelf"


@pytest.fixture(scope="module")
def trained() -> Trained:
    shelf = Shelf(read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0])
    text = (ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8")
    strategy = resolved(read_strategy(text, "test"))
    strategy["training"]["epochs"] = 2
    request = TrainingRequest(
        operation_id=OPERATION, strategy_name="eurusd_momentum", strategy=strategy, execution_mode="host", host="gpu1"
    )
    result = TrainingExecutor(shelf, shelf).execute(request, lambda *_, **__: None, lambda: False)
    assert shelf.artifact is not None
    return Trained(request=request, artifact=shelf.artifact, result=result)


@pytest.fixture
def session(tmp_path: Path, trained: Trained) -> Path:
    """The folder of a session whose training has ended."""
    folder = tmp_path / "sessions" / OPERATION
    folder.mkdir(parents=True)
    assert SessionSink(folder.parent).save(trained.artifact) == str(folder)
    keep_result(folder, trained.result.model_copy(update={"model_path": str(folder)}))
    return folder


@pytest.fixture
def storage(tmp_path: Path) -> ModelStorage:
    return ModelStorage(tmp_path / "models")


@pytest.fixture
def receiver(tmp_path: Path, storage: ModelStorage) -> Iterator[ResultReceiver]:
    """Whatever it receives, it leaves nothing in its scratch."""
    yield ResultReceiver(storage, tmp_path / "incoming")
    assert list((tmp_path / "incoming").glob("*")) == []


def loaded(content: Any) -> Any:
    file = io.BytesIO()
    write_content(content, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


def saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def over_the_wire(payload: ResultPayload) -> ResultPayload:
    return ResultPayload.model_validate_json(payload.model_dump_json())


def sent(folder: Path, **options: Any) -> ResultPayload:
    return over_the_wire(read_payload(folder, OPERATION, **options))


def with_file(payload: ResultPayload, name: str, content: bytes) -> ResultPayload:
    """The payload with other bytes as one of its files, in all honesty about digest and size."""
    packed = gzip.compress(content)
    said = PackedFile(sha256=hashlib.sha256(content).hexdigest(), size=len(content), compressed_size=len(packed))
    return payload.model_copy(update={name: said, f"{name}_b64": base64.b64encode(packed).decode()})


def six_files(path: str) -> dict[str, Any]:
    """A stored model: bytes, and the metadata but for what says when and how long."""
    files: dict[str, Any] = {file.name: file.read_bytes() for file in Path(path).iterdir()}
    metadata = json.loads(files["metadata.json"])
    for name in ("created_at", "metadata_sha256"):
        del metadata[name]
    return files | {"metadata.json": metadata}


def expected(content: bytes, packed: bytes) -> PackedFile:
    return PackedFile(sha256=hashlib.sha256(content).hexdigest(), size=len(content), compressed_size=len(packed))


def cut(content: bytes, size: int) -> Iterable[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


@settings(max_examples=50)
@given(st.binary(max_size=2_000), st.integers(1, 300), st.integers(1, 700))
def test_what_is_packed_is_unpacked(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, times: int, piece: int
) -> None:
    """Whatever it is, and in whatever pieces it comes."""
    folder, content = tmp_path_factory.mktemp("packed"), content * times
    said = pack(content, folder / "packed")
    packed = b"".join(pieces(folder / "packed"))
    assert said == expected(content, packed)
    assert gzip.decompress(packed) == content
    unpack(cut(packed, piece), folder / "plain", said)
    assert (folder / "plain").read_bytes() == content


def test_files_larger_than_a_piece_are_packed_piece_by_piece(tmp_path: Path) -> None:
    """Equal content gives equal bytes, however it is handed over."""
    content = np.random.default_rng(1).bytes(PIECE + 17) + bytes(2 * PIECE)
    said = pack(content, tmp_path / "whole")
    again = pack(
        lambda file: [file.write(content[start:][:100_000]) for start in range(0, len(content), 100_000)],
        tmp_path / "pieces",
    )
    assert (said.sha256, said.size) == (again.sha256, again.size) == (hashlib.sha256(content).hexdigest(), len(content))
    for name, packed in (("whole", said), ("pieces", again)):
        unpack(pieces(tmp_path / name), tmp_path / "plain", packed)
        assert (tmp_path / "plain").read_bytes() == content


CONTENT = np.random.default_rng(2).bytes(3_000) + bytes(3_000)
PACKED = gzip.compress(CONTENT)
KNOWN = expected(CONTENT, PACKED)

DAMAGED = {
    "nothing at all": (b"", KNOWN),
    "cut": (PACKED[:-100], KNOWN),
    "cut within its end": (PACKED[:-1], KNOWN),
    "something behind": (PACKED + b"x", KNOWN),
    "another one behind": (PACKED + gzip.compress(b""), KNOWN),
    "no gzip": (b"x" + PACKED, KNOWN),
    "zlib, no gzip": (b"x\x9c" + PACKED[10:], KNOWN),
    "another one of its size": (gzip.compress(CONTENT[::-1]), KNOWN),
    "one byte more than it should": (gzip.compress(CONTENT + b"x"), KNOWN),
    "a larger size said": (PACKED, KNOWN.model_copy(update={"size": 6_001})),
    "a smaller size said": (PACKED, KNOWN.model_copy(update={"size": 5_999})),
    "no size said": (PACKED, KNOWN.model_copy(update={"size": 0})),
    "a bomb": (gzip.compress(bytes(50_000_000)), KNOWN),
}


@pytest.mark.parametrize("piece", [7, 1 << 20])
@pytest.mark.parametrize("what", DAMAGED)
def test_what_is_not_as_expected_is_refused(tmp_path: Path, what: str, piece: int) -> None:
    """And never more is written than was expected."""
    packed, said = DAMAGED[what]
    with pytest.raises(TransferCorrupt):
        unpack(cut(packed, piece), tmp_path / "plain", said)
    assert (tmp_path / "plain").stat().st_size <= said.size


@settings(max_examples=200)
@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_flipped_byte_changes_nothing_or_is_found(
    tmp_path_factory: pytest.TempPathFactory, at: int, flip: int
) -> None:
    """Some bytes of a header mean nothing, and deflate can say one thing in two ways: what counts is what came out."""
    plain, packed = tmp_path_factory.mktemp("flipped") / "plain", bytearray(PACKED)
    packed[at] ^= flip
    try:
        unpack([bytes(packed)], plain, KNOWN)
    except TransferCorrupt:
        assert plain.stat().st_size <= KNOWN.size
        assert at not in range(4, 10)
    else:
        assert plain.read_bytes() == CONTENT


@pytest.mark.parametrize("how", ["inline", "as files", "by a host that died before it had the result"])
def test_a_received_model_is_the_one_that_a_local_training_stores(
    tmp_path: Path, trained: Trained, session: Path, storage: ModelStorage, receiver: ResultReceiver, how: str
) -> None:
    """All six files: the weights byte by byte, and the documents. The result is the training's own."""
    fetched = {name: session / file for name, file in FILES.items()} if how == "as files" else None
    if "died" in how:
        (session / "result.json").unlink()
    payload = sent(session, **{"largest_inline": 0} if fetched else {})
    assert (payload.model_state_dict_b64 is None) == (payload.context_b64 is None) == bool(fetched)
    result = receiver.receive(trained.request, payload, fetched)

    local = six_files(ModelStorage(tmp_path / "local").save(trained.artifact))
    received = six_files(str(result.model_path))
    seconds = [one["metadata.json"].pop("resource_usage") for one in (local, received)]
    assert received == local
    assert len(received) == 6
    assert received["model.pt"] == saved(trained.state)
    assert (seconds[0] == seconds[1]) == ("died" in how)  # the result knows of the last steps too
    if "died" not in how:
        assert result == trained.result.model_copy(update={"model_path": result.model_path})
    assert storage.result_of(trained.request) == result


def test_received_again_it_is_the_same_version(
    trained: Trained, session: Path, storage: ModelStorage, receiver: ResultReceiver
) -> None:
    """One after the other, and at once."""
    payload = sent(session)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: receiver.receive(trained.request, payload), range(5)))
    results.append(receiver.receive(trained.request, payload))
    assert len({result.model_path for result in results}) == 1
    assert [record.operation_id for record in storage.records()] == [OPERATION]


def changed_state(change: Callable[[dict[str, Any]], object]) -> Callable[[Trained, ResultPayload], ResultPayload]:
    def changed(trained: Trained, payload: ResultPayload) -> ResultPayload:
        state = dict(trained.state)
        change(state)
        return with_file(payload, "model_state_dict", saved(state))

    return changed


def changed_context(change: Callable[[dict[str, Any]], object]) -> Callable[[Trained, ResultPayload], ResultPayload]:
    def changed(trained: Trained, payload: ResultPayload) -> ResultPayload:
        context = trained.context
        change(context)
        return with_file(payload, "context", saved(context))

    return changed


def state_of(content: bytes) -> Callable[[Trained, ResultPayload], ResultPayload]:
    return lambda _, payload: with_file(payload, "model_state_dict", content)


def first(state: dict[str, Any]) -> str:
    return next(name for name, tensor in state.items() if tensor.dim() == 2)


def another_strategy(context: dict[str, Any]) -> None:
    strategy = json.loads(context["strategy"])
    strategy["training"]["seed"] += 1
    context["strategy"] = json.dumps(strategy)


def claiming(name: str, size: int) -> Callable[[Trained, ResultPayload], ResultPayload]:
    def claim(_: Trained, payload: ResultPayload) -> ResultPayload:
        return payload.model_copy(update={name: getattr(payload, name).model_copy(update={"size": size})})

    return claim


def provenance(**changes: str) -> Callable[[Trained, ResultPayload], ResultPayload]:
    return lambda _, payload: payload.model_copy(update={"provenance": {**payload.provenance, **changes}})


WRONG: dict[str, Callable[[Trained, ResultPayload], ResultPayload]] = {
    "other feature names": lambda _, payload: payload.model_copy(update={"feature_names": payload.feature_names[::-1]}),
    "fewer feature names": lambda _, payload: payload.model_copy(update={"feature_names": []}),
    "the digest of another strategy": provenance(strategy_digest="0" * 64),
    "no provenance": lambda _, payload: payload.model_copy(update={"provenance": {}}),
    "the digest of other bars": provenance(data_digest="0" * 64),
    "a context of another strategy": changed_context(another_strategy),
    "a context of other bars": changed_context(lambda context: context.update(data_digest="0" * 64)),
    "a context without its judge": changed_context(lambda context: context.pop("judge")),
    "a context of an odd kind": changed_context(lambda context: context.update(judge="many")),
    "a context that is no strategy": changed_context(lambda context: context.update(strategy='{"name": 3}')),
    "a context that is no JSON": changed_context(lambda context: context.update(strategy="{")),
    "another shape": changed_state(lambda state: state.update({first(state): state[first(state)].T.contiguous()})),
    "another dtype": changed_state(lambda state: state.update({first(state): state[first(state)].double()})),
    "a half": changed_state(lambda state: state.update({first(state): state[first(state)].half()})),
    "a missing tensor": changed_state(lambda state: state.pop(first(state))),
    "an extra tensor": changed_state(lambda state: state.update(extra=torch.zeros(1))),
    "no tensors": changed_state(lambda state: state.clear()),
    "a number for a tensor": changed_state(lambda state: state.update({first(state): 1.0})),
    "names that are none": changed_state(lambda state: state.update({1: torch.zeros(1)})),
    "a tensor": state_of(saved(torch.zeros(3))),
    "a list": state_of(saved([1, 2])),
    "a plain pickle": state_of(pickle.dumps({"a": 1})),
    "a zip of nothing": state_of(b"PK\x05\x06" + bytes(18)),
    "noise": state_of(b"noise" * 10),
    "nothing": state_of(b""),
    "a state dict larger than its model": claiming("model_state_dict", 1 << 22),
    "a context larger than any": claiming("context", (1 << 30) + 1),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_whole_but_no_such_model_is_refused(
    trained: Trained, session: Path, storage: ModelStorage, receiver: ResultReceiver, what: str
) -> None:
    """Nothing is stored, and the right one is still taken afterwards."""
    payload = sent(session)
    with pytest.raises(WrongModel):
        receiver.receive(trained.request, WRONG[what](trained, payload))
    assert storage.records() == []
    assert receiver.receive(trained.request, payload).model_path is not None


def test_the_model_of_another_strategy_is_refused(
    trained: Trained, session: Path, storage: ModelStorage, receiver: ResultReceiver
) -> None:
    """Even where only its seed is another one."""
    strategy = {**trained.request.strategy, "training": {**trained.request.strategy["training"], "seed": 7}}
    other = trained.request.model_copy(update={"strategy": strategy})
    with pytest.raises(WrongModel, match="another strategy than eurusd_momentum"):
        receiver.receive(other, sent(session))
    assert storage.records() == []


class Evil:
    """Does something when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("name", FILES)
def test_nothing_that_a_host_sends_is_run(
    tmp_path: Path, trained: Trained, session: Path, receiver: ResultReceiver, name: str
) -> None:
    """A pickle is a program; only tensors and plain values are read."""
    evil = Evil(tmp_path / "touched")
    for content in (saved(evil), saved({"a": evil}), pickle.dumps(evil)):
        with pytest.raises(WrongModel):
            receiver.receive(trained.request, with_file(sent(session), name, content))
    assert not (tmp_path / "touched").exists()


def with_pickle(content: bytes, program: bytes) -> bytes:
    """What torch has written, with another pickle in it."""
    written, other = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(other, "w", zipfile.ZIP_STORED) as archive:
        for entry in written.infolist():
            archive.writestr(entry.filename, program if entry.filename.endswith("data.pkl") else written.read(entry))
    return other.getvalue()


@pytest.fixture(scope="module")
def weights(trained: Trained) -> bytes:
    """What torch writes of them, once: it does not write the same bytes every time."""
    return saved(trained.state)


@settings(max_examples=150)
@given(data=st.data())
def test_no_pickle_breaks_the_receiver(
    tmp_path_factory: pytest.TempPathFactory,
    trained: Trained,
    honest: ResultPayload,
    weights: bytes,
    data: st.DataObject,
) -> None:
    """One that was damaged before it was sent, or made by chance: a wrong model, or one that fits."""
    program = zipfile.ZipFile(io.BytesIO(weights)).read("archive/data.pkl")
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(program) - 1))
        program = program[:at] + data.draw(st.binary(max_size=3)) + program[at + data.draw(st.integers(0, 3)) :]
    else:
        program = b"\x80\x02" + data.draw(st.binary(max_size=30)) + b"."
    kept = Kept()
    payload = with_file(honest, "model_state_dict", with_pickle(weights, program))
    try:
        ResultReceiver(kept, tmp_path_factory.getbasetemp() / "chance").receive(trained.request, payload)
    except WrongModel:
        assert kept.artifacts == []
    else:
        assert loaded(kept.artifacts[0].weights["model.pt"]).keys() == trained.state.keys()


class Kept:
    """The sink of a receiver whose models nobody needs."""

    def __init__(self) -> None:
        self.artifacts: list[ModelArtifact] = []

    def save(self, artifact: ModelArtifact) -> str:
        self.artifacts.append(artifact)
        return "kept"


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> ResultPayload:
    """The payload of the training, as it is sent."""
    folder = tmp_path_factory.mktemp("sessions") / OPERATION
    folder.mkdir()
    SessionSink(folder.parent).save(trained.artifact)
    return sent(folder)


CORRUPT: dict[str, dict[str, Any]] = {
    "no base64": {"context_b64": "?"},
    "another compression": {"compression": "zstd"},
    "no file": {"context_b64": None},
    "a cut file": {"model_state_dict_b64": base64.b64encode(PACKED[:50]).decode()},
    "another file": {"model_state_dict_b64": base64.b64encode(PACKED).decode()},
}


@pytest.mark.parametrize("what", CORRUPT)
def test_what_was_lost_on_the_way_is_told_from_a_wrong_model(
    trained: Trained, session: Path, storage: ModelStorage, receiver: ResultReceiver, what: str
) -> None:
    """It may be sent again."""
    payload = sent(session)
    with pytest.raises(TransferCorrupt):
        receiver.receive(trained.request, payload.model_copy(update=CORRUPT[what]))
    assert storage.records() == []


def test_a_fetched_file_that_is_cut_is_refused(
    trained: Trained, session: Path, storage: ModelStorage, receiver: ResultReceiver
) -> None:
    payload = sent(session, largest_inline=0)
    (session / STATE).write_bytes((session / STATE).read_bytes()[:-10])
    with pytest.raises(TransferCorrupt):
        receiver.receive(trained.request, payload, {name: session / file for name, file in FILES.items()})
    assert storage.records() == []


def test_what_the_backends_disk_refuses_is_no_fault_of_the_host(
    tmp_path: Path, trained: Trained, session: Path, storage: ModelStorage
) -> None:
    """It is told as what it is, so that the host tries again."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageFailed, match="cannot receive a model"):
        ResultReceiver(storage, tmp_path / "file").receive(trained.request, sent(session))
    (tmp_path / "models").write_text("mine")
    with pytest.raises(StorageFailed):
        ResultReceiver(storage, tmp_path / "incoming").receive(trained.request, sent(session))
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_model_is_left_once_and_whole(session: Path, trained: Trained) -> None:
    """A second save changes nothing; without its last file there is none; forgotten it makes room for another."""
    before = {file.name: file.stat().st_mtime_ns for file in session.iterdir()}
    SessionSink(session.parent).save(dataclasses.replace(trained.artifact, weights={"model.pt": b"other"}))
    assert {file.name: file.stat().st_mtime_ns for file in session.iterdir()} == before
    (session / "other").touch()
    assert has_model(session)
    forget_model(session)
    assert not has_model(session)
    assert [file.name for file in session.iterdir()] == ["other"]
    with pytest.raises(StorageFailed):
        read_payload(session, OPERATION)
    forget_model(session)


def test_files_go_inside_only_while_they_are_small_together(session: Path) -> None:
    sizes = [(session / file).stat().st_size for file in FILES.values()]
    inside = [read_payload(session, OPERATION, largest_inline=sum(sizes) + more) for more in (0, -1)]
    assert [payload.context_b64 is not None for payload in inside] == [True, False]
    assert [inside[1].model_state_dict.compressed_size, inside[1].context.compressed_size] == sizes
