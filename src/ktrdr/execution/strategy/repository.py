"""StrategyFiles: the strategy files of a folder, resolved for the floors above."""

import difflib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ktrdr.contracts.strategies import (
    GivenStrategy,
    StrategyDetails,
    StrategyInput,
    StrategyOverrides,
    StrategyRepository,
    StrategySummary,
)
from ktrdr.errors import Conflict, InvalidRequest, InvalidStrategy, StrategyNotFound
from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.mistakes import problems_of
from ktrdr.execution.strategy.reading import read_strategy, resolved
from ktrdr.texts import read_strategy_file

SUFFIXES = (".yaml", ".yml")


class StrategyFiles:
    """Implements `contracts.strategies.StrategyRepository` on a folder of YAML files."""

    def __init__(self, folder: Path, *, trained: Callable[[], Collection[str]] = tuple) -> None:
        """`trained` tells the names of the strategies that have a model."""
        self.folder = folder
        self._trained = trained

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a file: its keys in every spelling. What sections have to agree on it cannot say."""
        schema = Strategy.model_json_schema()
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "KTRDR strategy"}

    def summaries(self) -> list[StrategySummary]:
        """Every file of the folder, by name; one that cannot be read says why."""
        trained = self._trained()
        return sorted((self._summary(path, trained) for path in self._paths()), key=lambda summary: summary.name)

    def read(self, name: str, overrides: StrategyOverrides | None = None) -> StrategyDetails:
        """The strategy of that `name`, else of that file stem; two files with one name are refused."""
        strategies = self._readable()
        named = [path for path, strategy in strategies.items() if strategy.name == name]
        if len(named) > 1:
            listed = " and ".join(path.name for path in named)
            raise Conflict(f"{listed} both have the name {name}: rename one of the strategies")
        stems = [path for path in self._paths() if path.stem == name]
        if not named and not stems:
            raise StrategyNotFound(self._not_found(name, [strategy.name for strategy in strategies.values()]))
        return self.read_file((named or stems)[0], overrides)

    def read_file(self, path: Path, overrides: StrategyOverrides | None = None) -> StrategyDetails:
        return self.read_text(read_strategy_file(path), str(path), overrides)

    def read_text(self, text: str, source: str, overrides: StrategyOverrides | None = None) -> StrategyDetails:
        strategy = with_overrides(read_strategy(text, source), overrides)
        return StrategyDetails(
            name=strategy.name,
            source=source,
            text=text,
            resolved=resolved(strategy),
            symbols=list(strategy.symbols),
            timeframes=list(strategy.timeframes),
            base_timeframe=strategy.base_timeframe,
            start_date=strategy.training_data.start_date,
            end_date=strategy.training_data.end_date,
            feature_names=strategy.feature_names,
            inputs=[_input(column) for column in strategy.columns()],
            series=strategy.series(),
            notices=strategy.notices(),
        )

    def _paths(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if path.suffix in SUFFIXES and path.is_file())

    def _readable(self) -> dict[Path, Strategy]:
        strategies = {}
        for path in self._paths():
            try:
                strategies[path] = read_strategy(path.read_text(encoding="utf-8"), str(path))
            except (InvalidStrategy, OSError, UnicodeDecodeError):
                continue
        return strategies

    def _summary(self, path: Path, trained: Collection[str]) -> StrategySummary:
        try:
            strategy = read_strategy(path.read_text(encoding="utf-8"), str(path))
        except (InvalidStrategy, OSError, UnicodeDecodeError) as error:
            first = error.problems[0] if isinstance(error, InvalidStrategy) else error
            return StrategySummary(name=path.stem, path=str(path), error=str(first))
        return StrategySummary(
            name=strategy.name,
            path=str(path),
            description=strategy.description,
            symbols=list(strategy.symbols),
            timeframes=list(strategy.timeframes),
            labels=strategy.training.labels.source,
            model=strategy.model.type,
            trained=strategy.name in trained,
        )

    def _not_found(self, name: str, known: list[str]) -> str:
        close = difflib.get_close_matches(name, known, n=1)
        if close:
            return f"there is no strategy {name} in {self.folder}: did you mean {close[0]}?"
        listed = ", ".join(sorted(known)) or "none"
        return f"there is no strategy {name} in {self.folder} (there: {listed}); give a path for a file elsewhere"


def _input(column: FeatureColumn) -> StrategyInput:
    function = column.membership
    return StrategyInput(
        name=column.name,
        timeframe=column.timeframe,
        indicator=column.reference,
        source=column.source,
        fuzzy_set=column.fuzzy_set,
        type=None if function is None else function.model_dump()["type"],
        parameters=[] if function is None else list(function.parameters),
        normalization=column.normalization,
    )


def read_given(
    strategies: StrategyRepository, given: GivenStrategy, overrides: StrategyOverrides | None = None
) -> StrategyDetails:
    """The strategy that is asked for by its name or handed in as text."""
    if given.strategy_text is not None:
        return strategies.read_text(given.strategy_text, given.source, overrides)
    return strategies.read(given.strategy_name or "", overrides)


def with_overrides(strategy: Strategy, overrides: StrategyOverrides | None) -> Strategy:
    """The strategy with what a caller changed for one training, validated anew."""
    changes = overrides.model_dump(exclude_none=True) if overrides else {}
    if not changes:
        return strategy
    document = _changed(resolved(strategy), changes)
    try:
        return Strategy.model_validate(document)
    except ValidationError as error:
        told = "; ".join(
            f"{problem.path}: {problem.found}, {problem.expected}" for problem in problems_of(error, document)
        )
        raise InvalidRequest(f"what was asked for does not fit the strategy {strategy.name}: {told}") from None


def _changed(document: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    data = dict(document["training_data"])
    if "symbols" in changes:
        symbols = changes["symbols"]
        many = {"mode": "multi_symbol", "list": symbols}
        data["symbols"] = {"mode": "single", "symbol": symbols[0]} if len(symbols) == 1 else many
    if "timeframes" in changes:
        names = changes["timeframes"]
        base = data["timeframes"].get("base_timeframe")
        kept = {"base_timeframe": base} if base in names else {}
        data["timeframes"] = {"mode": "multi_timeframe", "list": names, **kept}
    for key in ("start_date", "end_date"):
        if key in changes:
            data[key] = changes[key]
    training = {**document["training"], **{key: changes[key] for key in ("seed", "null_test") if key in changes}}
    return {**document, "training_data": data, "training": training}
