"""Checkpoints: what a training needs to go on after an epoch, kept in memory and, now and then, in a file.

A file is the sha256 of what follows, and then tensors and plain values as torch writes them, read with
`weights_only=True`.
"""

import hashlib
import io
import json
import pickle
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ktrdr.errors import DataChanged, InvalidName, StorageFailed
from ktrdr.execution.epochs import Epoch
from ktrdr.execution.files import fsync_folder, make_folder, storage_failures, write_synced
from ktrdr.logs import get_logger

FORMAT = "ktrdr-checkpoint/1"
_DIGEST_BYTES = hashlib.sha256().digest_size
_OPERATION = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,100}")  # neither hidden nor on the way up
_UNREADABLE = (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, TypeError, LookupError, AttributeError)
_CHANGES = {"data_digest": "bars are not those", "strategy_digest": "strategy is not the one"}
_log = get_logger("checkpoints")


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingState:
    """A training between two epochs. `weights` and `best_weights` are vectors of all parameters, float32.

    `epochs` are those that have been run; `batch_size` is the one in effect. `best`, `optimizer` and `schedule` are
    state dicts of tensors and plain values; `generators` has the state of each, by its use.
    """

    epochs: tuple[Epoch, ...]
    batch_size: int
    weights: Tensor
    best_weights: Tensor
    best: Mapping[str, float]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    generators: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A state with the provenance of its training: what has to be equal for the same model to come out."""

    state: TrainingState
    provenance: Mapping[str, Any]


class CheckpointFolder:
    """One file for each operation, `{operation_id}.pt`, there whole or not at all, written once in `every` seconds.

    Every method raises InvalidName for an operation id that may not become a file's name.
    """

    def __init__(self, root: Path, *, every: float = 30.0) -> None:
        self._root = root
        self.every = every

    def save(self, operation_id: str, checkpoint: Checkpoint) -> None:
        """Replace the operation's checkpoint. Raises StorageFailed; then the one before is still there."""
        self._write(self._places(operation_id), _encoded(checkpoint))

    def load(self, operation_id: str) -> Checkpoint | None:
        """The operation's checkpoint, its tensors on the CPU; None without one, and for one that cannot be read."""
        place, _ = self._places(operation_id)
        try:
            return _decoded(place.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, *_UNREADABLE) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            _log.warning("the checkpoint cannot be read and is ignored", file=str(place), reason=reason)
            return None

    def note(self, operation_id: str, value: Mapping[str, Any]) -> None:
        """Replace what is noted beside the operation's checkpoint: plain values. Raises StorageFailed."""
        self._write(self._notes(operation_id), json.dumps(value).encode())

    def notes(self, operation_id: str) -> dict[str, Any] | None:
        """What is noted there; None without it, and for what cannot be read."""
        try:
            found = json.loads(self._notes(operation_id)[0].read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def discard(self, operation_id: str) -> None:
        """Remove the operation's checkpoint and notes, and whatever a killed writer left. Raises StorageFailed."""
        with storage_failures("remove a checkpoint", self._root):
            for path in (*self._places(operation_id), *self._notes(operation_id)):
                path.unlink(missing_ok=True)

    def _write(self, places: tuple[Path, Path], content: bytes) -> None:
        place, beside = places
        with storage_failures("write a checkpoint", self._root):
            make_folder(self._root)
            try:
                write_synced(beside, content)
                beside.replace(place)
            except OSError:
                with suppress(OSError):
                    beside.unlink()
                raise
            fsync_folder(self._root)

    def _notes(self, operation_id: str) -> tuple[Path, Path]:
        return self._places(operation_id, "notes.json")

    def _places(self, operation_id: str, kind: str = "pt") -> tuple[Path, Path]:
        """The operation's file and the hidden one beside it in which it is written."""
        if not _OPERATION.fullmatch(operation_id):
            raise InvalidName(
                f"the operation id {operation_id!r} cannot become a file: "
                "use letters, digits, _, - and . (at most 100, no dot first, no two dots in a row)"
            )
        return self._root / f"{operation_id}.{kind}", self._root / f".{operation_id}.{kind}.writing"


class Checkpoints:
    """The checkpoints of one training: the newest state in memory, and now and then in its file.

    Keeping them never fails a training: what the disk refuses is a warning in the log. `clock` gives seconds.
    """

    def __init__(
        self,
        folder: CheckpointFolder,
        operation_id: str,
        provenance: Mapping[str, Any],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._operation_id = operation_id
        self._provenance = provenance
        self._clock = clock
        self._last_try = clock()
        self._unwritten: TrainingState | None = None

    def resume(self) -> TrainingState | None:
        """The state to go on from; None to start from the beginning.

        Raises DataChanged when it was made with other bars or another strategy. One made on another device or with
        other versions is ignored, with a warning: what came of both would be the model of neither.
        """
        checkpoint = self._folder.load(self._operation_id)
        if checkpoint is None:
            return None
        made_with, now = checkpoint.provenance, self._provenance
        changed = [key for key in now if made_with.get(key) != now[key]]
        for key, finding in _CHANGES.items():
            if key in changed:
                raise DataChanged(
                    f"the {finding} that the checkpoint of {self._operation_id} was made with: "
                    f"retry from the start (ktrdr operations retry {self._operation_id} --from start)"
                )
        if changed:
            differences = {key: f"{made_with.get(key)}, now {now[key]}" for key in changed}
            _log.warning("the checkpoint was made elsewhere and is ignored", **differences)
            return None
        _log.info("going on from the checkpoint", epochs=len(checkpoint.state.epochs))
        return checkpoint.state

    def offer(self, state: TrainingState) -> None:
        """Keep the state of an epoch's end, and write it when it is time."""
        self._unwritten = state
        if self._clock() - self._last_try >= self._folder.every:
            self.flush()

    def flush(self) -> None:
        """Write the newest state unless its file has it."""
        if self._unwritten is None:
            return
        self._last_try = self._clock()
        try:
            self._folder.save(self._operation_id, Checkpoint(state=self._unwritten, provenance=self._provenance))
        except (StorageFailed, RuntimeError, MemoryError) as error:
            _log.warning("the checkpoint is not written", reason=str(error))
        else:
            self._unwritten = None

    def discard(self) -> None:
        """Remove the file: the training is complete."""
        self._unwritten = None
        try:
            self._folder.discard(self._operation_id)
        except StorageFailed as error:
            _log.warning("the checkpoint is not removed", reason=str(error))


def _encoded(checkpoint: Checkpoint) -> bytes:
    state = {**vars(checkpoint.state), "epochs": [vars(epoch) for epoch in checkpoint.state.epochs]}
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "provenance": dict(checkpoint.provenance), "state": state}, buffer)
    content = buffer.getbuffer()
    return hashlib.sha256(content).digest() + content


def _decoded(content: bytes) -> Checkpoint:
    """What `_encoded` wrote, tensors on the CPU; one of `_UNREADABLE` when it is nothing of ours."""
    digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("it is damaged")
    written = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    if written["format"] != FORMAT:
        raise ValueError(f"its format is {written['format']}, not {FORMAT}")
    state = {**written["state"], "epochs": tuple(Epoch(**epoch) for epoch in written["state"]["epochs"])}
    return Checkpoint(state=TrainingState(**state), provenance=written["provenance"])
