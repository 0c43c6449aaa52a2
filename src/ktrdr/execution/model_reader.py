"""Reads the files of a stored model and verifies them: every size, then every digest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ktrdr.contracts.models import ModelRecord
from ktrdr.errors import ModelCorrupt, ModelNotFound
from ktrdr.execution.files import storage_failures
from ktrdr.execution.model_files import DOCUMENTS, METADATA, SELF_DIGEST, WEIGHTS, Metadata, encode_json, sha256
from ktrdr.execution.model_names import Version


@dataclass(frozen=True, kw_only=True)
class VerifiedModel:
    """One stored version whose files were all there, each with the bytes that were saved.

    `weights` has the bytes of `model.pt` and `model_full.pt`, by file name.
    """

    record: ModelRecord
    weights: Mapping[str, bytes]
    config: dict[str, Any]
    metrics: dict[str, Any]
    features: dict[str, Any]
    metadata: dict[str, Any]


class ModelReader:
    """Reads the files of one version and believes none of them unverified.

    Every method raises ModelCorrupt with the file's name, ModelNotFound when the version is deleted meanwhile, and
    StorageFailed when the system refuses to read.
    """

    def __init__(self, version: Version, folder: Path) -> None:
        self._version = version
        self._folder = folder

    def metadata(self) -> tuple[Metadata, dict[str, Any]]:
        """What the storage wrote, and the whole document."""
        content = self._bytes(METADATA)
        document = self._document(METADATA, content)
        digest = document.pop(SELF_DIGEST, None)
        rest = encode_json(document, "metadata")
        if digest != sha256(rest) or content != encode_json({**document, SELF_DIGEST: digest}, "metadata"):
            raise self._corrupt(METADATA, "does not match its own digest")
        try:
            return Metadata.model_validate(document), document
        except ValidationError as error:
            field = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise self._corrupt(METADATA, f"lacks what this version of KTRDR needs ({field})") from None

    def record(self, *, is_latest: bool) -> ModelRecord:
        """What a list shows. Verifies `metadata.json` and `metrics.json`."""
        stored, _ = self.metadata()
        return self._record(stored, self._json(stored, "metrics"), is_latest=is_latest)

    def everything(self, *, is_latest: bool) -> VerifiedModel:
        """All files, each verified: its size, then its sha256."""
        stored, metadata = self.metadata()
        documents = {name: self._json(stored, name) for name in DOCUMENTS}
        for name in set(stored.files) - set(WEIGHTS) - {f"{name}.json" for name in DOCUMENTS}:
            self._verified(stored, name)
        return VerifiedModel(
            record=self._record(stored, documents["metrics"], is_latest=is_latest),
            weights={name: self._verified(stored, name) for name in WEIGHTS},
            metadata=metadata,
            **documents,
        )

    def _record(self, stored: Metadata, metrics: Mapping[str, Any], *, is_latest: bool) -> ModelRecord:
        test_metrics = metrics.get("test_metrics")
        return ModelRecord(
            name=self._version.name,
            strategy_name=stored.strategy_name,
            version=self._version.number,
            symbols=stored.symbols,
            base_timeframe=stored.base_timeframe,
            operation_id=stored.operation_id,
            created_at=stored.created_at,
            is_latest=is_latest,
            path=str(self._folder),
            test_metrics=test_metrics if isinstance(test_metrics, dict) else {},
        )

    def _json(self, stored: Metadata, name: str) -> dict[str, Any]:
        return self._document(f"{name}.json", self._verified(stored, f"{name}.json"))

    def _verified(self, stored: Metadata, name: str) -> bytes:
        expected = stored.files.get(name)
        if expected is None:
            raise self._corrupt(METADATA, f"has no digest of {name}")
        content = self._bytes(name, expected.size)
        if sha256(content) != expected.sha256:
            raise self._corrupt(name, "does not match its digest")
        return content

    def _bytes(self, name: str, size: int | None = None) -> bytes:
        path = self._folder / name
        with storage_failures(f"read {name}", self._folder):
            try:
                found = path.stat().st_size
                if size is not None and found != size:
                    raise self._corrupt(name, f"has {found} bytes where {size} were saved")
                return path.read_bytes()
            except (FileNotFoundError, IsADirectoryError):
                if not self._folder.exists():
                    raise ModelNotFound(f"the model {self._version.name} was deleted; train it again") from None
                raise self._corrupt(name, "is missing") from None

    def _document(self, name: str, content: bytes) -> dict[str, Any]:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise self._corrupt(name, "is cut off or is not JSON")
        return document

    def _corrupt(self, name: str, finding: str) -> ModelCorrupt:
        model = self._version.name
        return ModelCorrupt(
            f"the model {model} cannot be trusted: {name} {finding}; "
            f"restore the folder from a copy, or delete it (ktrdr models delete {model}) and train again"
        )
