"""The walks that a null test has done, kept beside its checkpoint: one that was stopped goes on behind them."""

from collections.abc import Mapping
from typing import Any

from ktrdr.errors import StorageFailed
from ktrdr.execution.checkpoints import CheckpointFolder
from ktrdr.logs import get_logger

_log = get_logger("null test")

Walk = Mapping[str, Any]
"""Number, seed and scores of a walk, or the `error` for which there are none."""


class KeptWalks:
    """The walks of one operation. Without a folder they are kept in memory alone; a disk that takes nothing is a
    warning in the log."""

    def __init__(self, folder: CheckpointFolder | None, operation_id: str, made_with: Mapping[str, Any]) -> None:
        """`made_with` is what has to be equal for walks to belong together."""
        self._folder = folder
        self._operation_id = operation_id
        self._made_with = dict(made_with)
        self.walks: list[Walk] = []

    def resume(self) -> None:
        """Take up the walks of an earlier attempt; those of other bars, or of another strategy, are left."""
        found = None if self._folder is None else self._folder.notes(self._operation_id)
        if found is not None and found.get("made_with") == self._made_with:
            self.walks = list(found["walks"])
            _log.info("going on with the walks of an earlier attempt", walks=len(self.walks))

    def add(self, walk: Walk) -> None:
        self.walks.append(walk)
        if self._folder is None:
            return
        try:
            self._folder.note(self._operation_id, {"made_with": self._made_with, "walks": self.walks})
        except StorageFailed as error:
            _log.warning("the walk is not kept", reason=str(error))
