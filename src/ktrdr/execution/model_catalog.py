"""Which versions lie in the models folder, and which one of them a name means."""

import difflib
import os
from pathlib import Path

from ktrdr.errors import InvalidName, InvalidRequest, ModelNotFound
from ktrdr.execution.files import storage_failures
from ktrdr.execution.model_names import Family, Version, check_strategy_name, is_model_part, is_strategy_name


class ModelCatalog:
    """Lists versions by the names of their folders, and finds one by what a person calls it. Opens no file."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def versions(self, strategy: str | None = None) -> list[Version]:
        """Every version there is, of one strategy or of all, by strategy, family and number."""
        names = self._folders(self._root) if strategy is None else [check_strategy_name(strategy)]
        return sorted(version for name in names if is_strategy_name(name) for version in self._of_strategy(name))

    def of_family(self, family: Family) -> list[Version]:
        """The versions of one family, lowest first."""
        return [version for version in self.versions(family.strategy) if version.family == family]

    def find(self, name: str) -> Version:
        """The version that `name` means, as ModelRepository says.

        Raises ModelNotFound, InvalidRequest for a strategy with several families, and InvalidName.
        """
        readings = [parts for parts in (tuple(name.split("/")), self._path_parts(name)) if _is_clean(parts)]
        for parts in readings:
            found = self._named(*parts)
            if found:
                return found
        if not readings:
            raise InvalidName(
                f"{name!r} is neither the name of a model, STRATEGY/SYMBOL_TIMEFRAME_vN, "
                f"nor the path of a model's folder in {self._root}"
            )
        raise self._not_found(name)

    def _named(self, strategy: str, rest: str | None = None) -> Version | None:
        versions = self.versions(strategy)
        if rest is None:
            families = sorted({version.family.name for version in versions})
            if len(families) > 1:
                choices = " or ".join(f"{strategy}/{family}" for family in families)
                raise InvalidRequest(f"the strategy {strategy} has several models: say {choices}")
            return max(versions, default=None)
        exact = next((version for version in versions if version.folder == rest), None)
        return exact or max((version for version in versions if version.family.answers_to(rest)), default=None)

    def _path_parts(self, name: str) -> tuple[str, ...]:
        """The parts of `name` below the models folder when it is read as a path; a link at its end is not followed."""
        path = Path(name)
        try:
            return (path.parent.resolve() / path.name).relative_to(self._root.resolve()).parts
        except (ValueError, OSError, RuntimeError):  # elsewhere, or no path at all
            return ()

    def _not_found(self, name: str) -> ModelNotFound:
        versions = self.versions()
        if not versions:
            return ModelNotFound(
                f"there is no model {name!r}, nor any other: train one with ktrdr models train STRATEGY"
            )
        families = {version.family for version in versions}
        choices = [version.name for version in versions]
        choices += [f"{family.strategy}/{family.name}" for family in families]
        choices += {family.strategy for family in families}
        close = difflib.get_close_matches(name, sorted(choices), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "ktrdr models list shows those there are"
        return ModelNotFound(f"there is no model {name!r}: {hint}")

    def _of_strategy(self, strategy: str) -> list[Version]:
        found = (Version.read(strategy, folder) for folder in self._folders(self._root / strategy))
        return [version for version in found if version]

    def _folders(self, folder: Path) -> list[str]:
        with storage_failures("list models", folder):
            try:
                with os.scandir(folder) as entries:
                    return [entry.name for entry in entries if entry.is_dir()]
            except FileNotFoundError:
                return []


def _is_clean(parts: tuple[str, ...]) -> bool:
    return 1 <= len(parts) <= 2 and is_strategy_name(parts[0]) and all(is_model_part(part) for part in parts[1:])
