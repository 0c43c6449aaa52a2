"""The files of one stored model as bytes: two of weights, three documents, tables where there are any, and the metadata
that vouch for them.

`metadata.json` has the size and sha256 of all the others, and a sha256 of itself.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ConfigDict

from ktrdr.contracts.models import Content, ModelArtifact, ModelDetails
from ktrdr.contracts.training import TrainingResult
from ktrdr.contracts.values import Value
from ktrdr.execution.model_names import Version

WEIGHTS = ("model.pt", "model_full.pt")
DOCUMENTS = ("config", "metrics", "features")
METADATA = "metadata.json"
SELF_DIGEST = "metadata_sha256"


class StoredFile(Value):
    """What a file was when it was saved; `size` in bytes."""

    sha256: str
    size: int


class Metadata(Value):
    """The part of `metadata.json` that the storage itself writes and relies on."""

    model_config = ConfigDict(extra="ignore")

    name: str
    strategy_name: str
    version: int
    symbols: list[str]
    base_timeframe: str
    operation_id: str
    created_at: datetime
    files: dict[str, StoredFile]


def encode_artifact(artifact: ModelArtifact) -> dict[str, Content]:
    """What goes into every file of the artifact but `metadata.json`, by name.

    Raises ValueError when a file is missing or unknown and TypeError for a value that JSON has no place for
    (a NumPy scalar, for one): bugs of whoever made the artifact.
    """
    if set(artifact.weights) != set(WEIGHTS) or set(artifact.documents) - {"metadata"} != set(DOCUMENTS):
        raise ValueError(
            f"an artifact has the weights {', '.join(WEIGHTS)} and the documents {', '.join(DOCUMENTS)}, metadata; "
            f"this one has {', '.join([*artifact.weights, *artifact.documents])}"
        )
    weights = {name: artifact.weights[name] for name in WEIGHTS}
    documents = {f"{name}.json": encode_json(artifact.documents[name], name) for name in DOCUMENTS}
    return weights | documents | dict(artifact.tables)


def encode_metadata(
    artifact: ModelArtifact, files: Mapping[str, StoredFile], version: Version, created_at: datetime
) -> bytes:
    """`metadata.json`: what the artifact says of itself, then what the storage knows, which wins."""
    stored = Metadata(
        name=version.name,
        strategy_name=artifact.strategy_name,
        version=version.number,
        symbols=list(artifact.symbols),
        base_timeframe=artifact.base_timeframe,
        operation_id=artifact.operation_id,
        created_at=created_at,
        files=dict(files),
    ).model_dump(mode="json")
    said = {key: value for key, value in artifact.documents.get("metadata", {}).items() if key not in stored}
    document = {**stored, **said}
    document.pop(SELF_DIGEST, None)
    return encode_json({**document, SELF_DIGEST: sha256(encode_json(document, "metadata"))}, "metadata")


def encode_json(document: Mapping[str, Any], name: str) -> bytes:
    """The document as people read it: indented, keys in their order, a number that is none as null."""
    text = json.dumps(_plain(document, name), indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", errors="surrogatepass")


def _plain(value: Any, where: str) -> Any:
    if type(value).__module__.partition(".")[0] == "numpy":
        raise TypeError(f"{where} is a {type(value).__module__}.{type(value).__name__}: convert it to a plain value")
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_key(key, where): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"{where} is a {type(value).__name__}: convert it to a plain value")


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str) or type(key).__module__ == "numpy":
        raise TypeError(f"{where} has the key {key!r}, which is no plain text: convert it with str()")
    return key


def sha256(content: bytes) -> str:
    """The digest in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def stored_result(model: ModelDetails) -> TrainingResult:
    """The TrainingResult that the documents of a stored model tell, as its training returned it."""
    parts = ("model_info", "data_summary", "resource_usage", "provenance")
    return TrainingResult(
        model_path=model.record.path,
        **{name: model.metrics[name] for name in ("training_metrics", "test_metrics", "per_symbol_metrics")},
        feature_names=model.features["names"],
        feature_importance=model.features["importance"],
        **{name: model.metadata[name] for name in parts},
    )
