"""From YAML text to a validated Strategy, or to every mistake in it with its line."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ktrdr.errors import InvalidStrategy, Problem
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.mistakes import problems_of
from ktrdr.texts import LONGEST_STRATEGY

DEEPEST, MOST_VALUES = 30, 50_000
"""Levels of nesting, and values once every alias (`*name`) is written out: a short text can name billions."""


def read_strategy(text: str, source: str) -> Strategy:
    """The strategy written in `text` (YAML 1.2); raises InvalidStrategy with all its mistakes."""
    document = _parse(text, source)
    try:
        return Strategy.model_validate(plain(document))
    except ValidationError as error:
        raise InvalidStrategy(source, problems_of(error, document)) from None


def restore_strategy(resolved: dict[str, Any]) -> Strategy:
    """The strategy from its resolved form, as stored with an operation or a model."""
    try:
        return Strategy.model_validate(resolved)
    except ValidationError as error:
        name = str(resolved.get("name", "the stored strategy"))
        raise InvalidStrategy(name, problems_of(error, resolved)) from None


def resolved(strategy: Strategy) -> dict[str, Any]:
    """The strategy as plain JSON values with every default filled in; restoring it gives an equal strategy."""
    return strategy.model_dump(mode="json")


def _parse(text: str, source: str) -> CommentedMap:
    if len(text) > LONGEST_STRATEGY:
        raise InvalidStrategy(source, [_problem(None, f"{len(text):,} characters", f"at most {LONGEST_STRATEGY:,}")])
    yaml = YAML(typ="rt")
    yaml.version = (1, 2)
    try:
        document = yaml.load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        found = (error.problem or "no YAML").splitlines()[0]
        expected = "write each key once" if "duplicate key" in found else "write valid YAML 1.2 (spaces, no tabs)"
        raise InvalidStrategy(source, [_problem(line, found, expected)]) from None
    except RecursionError:
        raise InvalidStrategy(source, [_too_deep()]) from None
    except (YAMLError, ValueError) as error:
        raise InvalidStrategy(source, [_problem(None, str(error).splitlines()[0], "write valid YAML 1.2")]) from None
    except Exception:  # noqa: BLE001 - the parser trips over an alias that merges itself, for one
        raise InvalidStrategy(source, [_problem(None, "no YAML that can be read", "write valid YAML 1.2")]) from None
    if not isinstance(document, CommentedMap):
        raise InvalidStrategy(source, [_problem(1, "no mapping of keys", "start with name: my_strategy")])
    _check_size(document, source)
    return document


def _check_size(document: CommentedMap, source: str) -> None:
    """Refuse what is nested too deeply, or large once its aliases are written out; looks at no more than that."""
    level, count = [document], 0
    for _ in range(DEEPEST):
        count += len(level)
        if count > MOST_VALUES:
            found = f"more than {MOST_VALUES:,} values"
            raise InvalidStrategy(source, [_problem(None, found, "write fewer, and no alias that repeats many")])
        level = [*islice((value for node in level for value in _inside(node)), MOST_VALUES + 1)]
    if level:
        raise InvalidStrategy(source, [_too_deep()])


def _inside(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _too_deep() -> Problem:
    return _problem(None, "nested too deeply", f"at most {DEEPEST} levels")


def _problem(line: int | None, found: str, expected: str) -> Problem:
    return Problem(path="", line=line, found=found, expected=expected)


def plain(node: Any) -> Any:
    """ruamel's annotated values as plain ones; keys become texts."""
    if isinstance(node, (CommentedMap, dict)):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, (CommentedSeq, list)):
        return [plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node
