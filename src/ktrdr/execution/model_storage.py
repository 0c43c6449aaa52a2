"""ModelStorage: keeps trained models as numbered folders, each there whole or not at all.

Bytes and JSON only: what the bytes mean is the business of whoever made them. A writer holds the lock of its family
(`.{family}.lock`), works in a hidden folder beside the versions and renames it; readers need no lock.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ktrdr.contracts.models import Content, ModelArtifact, ModelDetails, ModelRecord
from ktrdr.contracts.training import TrainingRequest, TrainingResult
from ktrdr.errors import ModelCorrupt, ModelNotFound
from ktrdr.execution.files import (
    exclusive_lock,
    fsync_folder,
    make_folder,
    remove_tree,
    replace_link,
    storage_failures,
    write_synced,
)
from ktrdr.execution.model_catalog import ModelCatalog
from ktrdr.execution.model_files import METADATA, StoredFile, encode_artifact, encode_metadata, stored_result
from ktrdr.execution.model_names import Family, Version, check_strategy_name, family_name
from ktrdr.execution.model_reader import ModelReader, VerifiedModel
from ktrdr.logs import get_logger

_log = get_logger("model_storage")


class ModelStorage:
    """The models folder: a ModelSink for trainings and a ModelRepository for everybody else.

    Many threads and processes of one machine may use one folder at a time.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._catalog = ModelCatalog(root)

    def check_writable(self) -> None:
        """Find out before a training, not after it, that a model could not be stored: StorageFailed."""
        with storage_failures("store models", self._root):
            make_folder(self._root)
            with tempfile.NamedTemporaryFile(prefix=".probe-", dir=self._root) as probe:
                probe.write(b"probe")
                probe.flush()
                os.fsync(probe.fileno())

    def save(self, artifact: ModelArtifact) -> str:
        """Store it as the next version; the answer is the path of its folder.

        An operation that has a version already gets that one's path, and nothing is written. Raises StorageFailed
        (nothing half-written is left), InvalidName, and TypeError or ValueError for an artifact that is not right.
        """
        family = Family(
            check_strategy_name(artifact.strategy_name), family_name(artifact.symbols, artifact.base_timeframe)
        )
        contents = encode_artifact(artifact)
        folder = self._root / family.strategy
        with storage_failures("save the model", folder):
            make_folder(self._root)
            with self._sole_writer(family):
                version = self._saved_by(artifact.operation_id, family) or self._store(artifact, contents, family)
                fsync_folder(folder)
                fsync_folder(self._root)
        return str(self._place(version))

    def result_of(self, request: TrainingRequest) -> TrainingResult | None:
        """The result that is stored with the model of that operation; None when it has none here."""
        strategy = request.strategy_name
        for version in self._catalog.versions(strategy):
            with suppress(ModelCorrupt, ModelNotFound):
                if self._reader(version).metadata()[0].operation_id == request.operation_id:
                    return stored_result(self.show(version.name))
        return None

    def strategies(self) -> set[str]:
        """The names of the strategies that have a model; no file is opened."""
        return {version.family.strategy for version in self._catalog.versions()}

    def records(self, strategy: str | None = None) -> list[ModelRecord]:
        """Every version, of one strategy or of all; one that cannot be trusted is left out, with a warning."""
        versions = self._catalog.versions(strategy)
        latest = {version.family: version for version in versions}
        records = []
        for version in versions:
            try:
                records.append(self._reader(version).record(is_latest=latest[version.family] == version))
            except ModelCorrupt as error:
                _log.warning("model left out", model=version.name, reason=str(error))
            except ModelNotFound:
                continue  # deleted while we looked
        return records

    def show(self, name: str) -> ModelDetails:
        """The record and the documents of a version, after all files have been verified."""
        model = self.files(name)
        return ModelDetails(
            record=model.record,
            config=model.config,
            metrics=model.metrics,
            features=model.features,
            metadata=model.metadata,
        )

    def files(self, name: str) -> VerifiedModel:
        """Everything that is stored of a version, verified: what a prediction loads.

        Raises ModelNotFound, InvalidRequest, InvalidName, ModelCorrupt and StorageFailed.
        """
        version = self._catalog.find(name)
        return self._reader(version).everything(is_latest=self._is_latest(version))

    def delete(self, name: str) -> ModelRecord:
        """Remove that version, at once for every reader; the link moves to the highest one left.

        The answer is the record as it was. A version that cannot be trusted can be deleted too: its record has no
        symbols. Raises ModelNotFound, InvalidRequest, InvalidName and StorageFailed.
        """
        version = self._catalog.find(name)
        family, place = version.family, self._place(version)
        with storage_failures("delete the model", place.parent), self._sole_writer(family):
            record = self._last_record(version)
            left = [other for other in self._catalog.of_family(family) if other != version]
            self._point_latest(family, left)  # first, so that the link never points to nothing
            place.rename(place.parent / family.hidden("deleting"))
            fsync_folder(place.parent)
        _log.info("model deleted", model=version.name)
        return record

    def _place(self, version: Version) -> Path:
        return self._root / version.family.strategy / version.folder

    def _reader(self, version: Version) -> ModelReader:
        return ModelReader(version, self._place(version))

    def _is_latest(self, version: Version) -> bool:
        return max(self._catalog.of_family(version.family), default=version) == version

    @contextmanager
    def _sole_writer(self, family: Family) -> Iterator[None]:
        """Hold the family's lock; what a killed writer left goes first, and what nobody needs any more at the end."""
        folder = self._root / family.strategy
        with exclusive_lock(folder / family.hidden("lock")):
            self._sweep(family)
            try:
                yield
            finally:
                with suppress(OSError):
                    self._sweep(family)
                versions = self._catalog.of_family(family)
                self._point_latest(family, versions)
                if not versions:
                    with suppress(OSError):
                        (folder / family.hidden("lock")).unlink()
                        folder.rmdir()  # refuses while another family has a model or a lock here

    def _sweep(self, family: Family) -> None:
        """Remove hidden leftovers. Under the lock nobody writes them, so whoever did is gone or done."""
        for purpose in ("saving", "deleting", "link"):
            remove_tree(self._root / family.strategy / family.hidden(purpose))

    def _saved_by(self, operation_id: str, family: Family) -> Version | None:
        for version in reversed(self._catalog.of_family(family)):
            with suppress(ModelCorrupt):
                stored, _ = self._reader(version).metadata()
                if stored.operation_id == operation_id:
                    return version
        return None

    def _store(self, artifact: ModelArtifact, contents: dict[str, Content], family: Family) -> Version:
        hidden = self._root / family.strategy / family.hidden("saving")
        hidden.mkdir()
        files = {}
        for name, content in contents.items():
            written = write_synced(hidden / name, content)
            files[name] = StoredFile(sha256=written.sha256, size=written.size)
        taken = self._catalog.of_family(family)
        version = Version(family, taken[-1].number + 1 if taken else 1)
        created_at = datetime.now(UTC)
        while True:
            write_synced(hidden / METADATA, encode_metadata(artifact, files, version, created_at))
            fsync_folder(hidden)
            try:
                hidden.rename(self._place(version))
            except OSError:
                if not os.path.lexists(self._place(version)):
                    raise
                version = Version(family, version.number + 1)  # somebody put something there, without the lock
            else:
                _log.info("model saved", model=version.name, operation_id=artifact.operation_id)
                return version

    def _point_latest(self, family: Family, versions: list[Version]) -> None:
        """Let the link point to the highest of `versions`; no link when there are none.

        The link is for people and other programs; names are found without it. So one that cannot be moved costs a
        warning, never a model.
        """
        folder = self._root / family.strategy
        link = folder / family.latest
        try:
            if not versions:
                link.unlink(missing_ok=True)
            elif not link.is_symlink() or link.readlink() != Path(versions[-1].folder):
                replace_link(link, versions[-1].folder, beside=folder / family.hidden("link"))
                fsync_folder(folder)
        except OSError as error:
            _log.warning("the link to the latest version is not up to date", link=str(link), reason=error.strerror)

    def _last_record(self, version: Version) -> ModelRecord:
        try:
            return self._reader(version).record(is_latest=self._is_latest(version))
        except ModelCorrupt:
            place = self._place(version)
            return ModelRecord(
                name=version.name,
                strategy_name=version.family.strategy,
                version=version.number,
                symbols=[],
                base_timeframe="",
                operation_id="",
                created_at=datetime.fromtimestamp(place.stat().st_mtime, UTC),
                is_latest=self._is_latest(version),
                path=str(place),
                test_metrics={},
            )
