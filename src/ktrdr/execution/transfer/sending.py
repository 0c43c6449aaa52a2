"""The host's side: a training leaves its model in the folder of its session, ready to be sent."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ktrdr.contracts.hosts import LARGEST_INLINE, PackedFile, ResultPayload, SeriesNeeded
from ktrdr.contracts.models import ModelArtifact
from ktrdr.contracts.training import TrainingResult
from ktrdr.errors import StorageFailed
from ktrdr.execution.files import fsync_folder, replace_file, storage_failures
from ktrdr.execution.model_files import encode_json
from ktrdr.execution.transfer.packing import pack

STATE, CONTEXT = "model.pt.gz", "context.pt.gz"
SERIES = "series.json"
_DOCUMENTS, _RESULT = "artifact.json", "result.json"


class SessionSink:
    """The ModelSink of a host: `{root}/{operation_id}/` gets the packed files, and last `artifact.json`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def save(self, artifact: ModelArtifact) -> str:
        """Leave the model there, whole or not at all; the answer is the folder."""
        folder = self._root / artifact.operation_id
        with storage_failures("leave the model", folder):
            if not has_model(folder):
                files = {
                    "model_state_dict": pack(artifact.weights["model.pt"], folder / STATE),
                    "context": pack(artifact.context, folder / CONTEXT),
                }
                said = {"documents": artifact.documents, "files": {name: f.model_dump() for name, f in files.items()}}
                replace_file(folder / _DOCUMENTS, encode_json(said, "artifact"))
        return str(folder)


def has_model(folder: Path) -> bool:
    """Whether a training has left its model there."""
    return (folder / _DOCUMENTS).is_file()


def forget_model(folder: Path) -> None:
    """Make room for another training's."""
    with storage_failures("forget a model", folder):
        for name in (_DOCUMENTS, _RESULT, STATE, CONTEXT):
            (folder / name).unlink(missing_ok=True)
        fsync_folder(folder)


def keep_series(folder: Path, series: Sequence[SeriesNeeded]) -> None:
    """Leave word for the training which bars it has to read."""
    with storage_failures("keep the session", folder):
        replace_file(folder / SERIES, json.dumps([one.model_dump() for one in series]).encode())


def keep_result(folder: Path, result: TrainingResult) -> None:
    """Keep what the training returned, which knows of its last steps too."""
    with storage_failures("keep the result", folder):
        replace_file(folder / _RESULT, encode_json(result.model_dump(mode="json"), "result"))


def read_payload(folder: Path, session_id: str, *, largest_inline: int = LARGEST_INLINE) -> ResultPayload:
    """What is sent of the model in that folder; its files are inside when they are small enough together.

    Raises StorageFailed when it cannot be read.
    """
    with storage_failures("read the result", folder):
        try:
            return _payload(folder, session_id, largest_inline)
        except (ValueError, LookupError, TypeError) as error:
            raise StorageFailed(f"the result in {folder} is damaged: {error}") from None


def _payload(folder: Path, session_id: str, largest_inline: int) -> ResultPayload:
    said = json.loads((folder / _DOCUMENTS).read_text(encoding="utf-8"))
    files = {name: PackedFile.model_validate(file) for name, file in said["files"].items()}
    inside: dict[str, Any] = {}
    if sum(file.compressed_size for file in files.values()) <= largest_inline:
        inside = {
            "model_state_dict_b64": base64.b64encode((folder / STATE).read_bytes()).decode("ascii"),
            "context_b64": base64.b64encode((folder / CONTEXT).read_bytes()).decode("ascii"),
        }
    return ResultPayload(
        session_id=session_id,
        config=said["documents"]["config"],
        **files,
        **inside,
        **_result(folder, said["documents"]),
    )


def _result(folder: Path, documents: dict[str, Any]) -> dict[str, Any]:
    """The fields of the TrainingResult; a host that died before it had it finds them in the documents."""
    try:
        result: dict[str, Any] = json.loads((folder / _RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        features = documents["features"]
        names = {"feature_names": features["names"], "feature_importance": features["importance"]}
        kept = {name: documents["metadata"][name] for name in _SUMMARIES}
        return {**documents["metrics"], **names, **kept}
    del result["model_path"]
    return result


_SUMMARIES = ("model_info", "data_summary", "resource_usage", "provenance")
