"""Pydantic's errors told as a user's mistakes: the key's path, its line, what was found and what would be right."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ktrdr.errors import Problem
from ktrdr.execution.component import Section
from ktrdr.execution.strategy.grammar import Strategy

_PATH_IN_MESSAGE = re.compile(rf"^((?:{'|'.join(Strategy.model_fields)})(?:\.[A-Za-z0-9_-]+)*): (.*)$", re.DOTALL)

MOST_TOLD = 100

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "tuple_type": "a list",
    "list_type": "a list",
    "too_short": "at least one entry",
}

MANY = 60
"""More choices than a message lists."""


def problems_of(error: ValidationError, document: Mapping[str, Any]) -> list[Problem]:
    """Every mistake, in the order of the lines; of very many the first, and how many more there are."""
    problems = [_problem(row, document) for row in error.errors(include_url=False)]
    unique = {(problem.path, problem.found): problem for problem in problems}
    found = sorted(unique.values(), key=lambda problem: problem.line or 0)
    more = len(found) - MOST_TOLD
    if more > 0:
        found[MOST_TOLD:] = [Problem(path="", line=None, found=f"{more:,} more mistakes", expected="mend these first")]
    return found


def _problem(row: ErrorDetails, document: Mapping[str, Any]) -> Problem:
    path, line = _locate(row["loc"], document, missing=row["type"] == "missing")
    found, expected = _told(row)
    inside = _PATH_IN_MESSAGE.match(found)
    if inside:  # a mistake between sections names its own key
        path, line = _locate(tuple(_keys(inside[1])), document)
        found = inside[2]
    return Problem(path=path, line=line, found=found, expected=expected)


def _keys(path: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in path.split(".")]


def _locate(loc: Sequence[int | str], document: Any, *, missing: bool = False) -> tuple[str, int | None]:
    """The path as written in the file (without pydantic's union tags) and the line of its last key there.

    The last key of a `missing` one is not in the file.
    """
    node, path, line = document, [], None
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if _holds(node, part):
            line = _line(node, part) or line
            node = node[part]
        elif not (missing and last) or part == "memberships":
            continue
        path.append(str(part))
    return ".".join(path), line


def _holds(node: Any, part: int | str) -> bool:
    if isinstance(node, Mapping):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)


def _line(node: Any, part: int | str) -> int | None:
    marks = getattr(node, "lc", None)
    if marks is None or not marks.data or part not in marks.data:
        return None
    return int(marks.data[part][0]) + 1


def _told(row: ErrorDetails) -> tuple[str, str]:
    kind, context, given = row["type"], row.get("ctx", {}), row.get("input")
    if kind == "refused":
        return str(context["found"]), str(context["expected"])
    if kind == "missing":
        return "missing", "it is required"
    if kind == "extra_forbidden":
        return "unknown key", _nearest(str(row["loc"][-1]), known_keys(row["loc"][:-1]))
    if kind in ("literal_error", "union_tag_invalid"):
        choices = re.findall(r"'([^']+)'", str(context.get("expected", context.get("expected_tags", ""))))
        word = context.get("tag", given)
        return repr(word) if not isinstance(word, str) else word, _nearest(str(word), choices, what="one of")
    if kind == "union_tag_not_found":
        return "missing", f"add the key {context.get('discriminator', 'type')}"
    return _shown(given), _EXPECTED.get(kind, row["msg"].removeprefix("Input should be ").replace("Input should ", ""))


def _shown(given: Any) -> str:
    text = "nothing" if given is None else repr(given)
    return text if len(text) <= 60 else text[:57] + "…"


def _nearest(word: str, choices: Sequence[str], what: str = "known here:") -> str:
    close = difflib.get_close_matches(word.lower(), choices, n=1, cutoff=0.6)
    listed = f"{what} {', '.join(choices)}" if choices else "remove it"
    if len(choices) > MANY:
        listed = f"there are {len(choices)} names; docs/indicators.md lists them"
    return f"did you mean {close[0]}? {listed}" if close else listed


def known_keys(loc: Sequence[int | str]) -> list[str]:
    """The keys that may stand at a place in the grammar, [] where any may."""
    kinds: list[Any] = [Strategy]
    for part in loc:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    keys = [key for kind in kinds for model in _models(kind) for key in model.known_keys()]
    return list(dict.fromkeys(keys))


def _inside(kind: Any, part: int | str) -> list[Any]:
    """The annotations one step further in: a field, an element, or the member of a union that the tag names."""
    models = _models(kind)
    tagged = [model for model in models if part in _tags(model)]
    if tagged and len(models) >= 1 and not any(part in model.model_fields for model in models):
        return [model.tagged(part) for model in tagged]
    fields = [
        model.model_fields[name].annotation
        for model in models
        for name in model.model_fields
        if part in model.spellings(name)
    ]
    if fields:
        return fields
    return [argument for origin, argument in _elements(kind) if origin]


def _models(kind: Any) -> list[type[Section]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind] if issubclass(kind, Section) else []
    if get_origin(kind) in (dict, list, tuple):
        return []
    return [model for argument in get_args(kind) for model in _models(argument)]


def _elements(kind: Any) -> list[tuple[bool, Any]]:
    if get_origin(kind) in (dict, list, tuple):
        return [(True, get_args(kind)[1 if get_origin(kind) is dict else 0])]
    return [element for argument in get_args(kind) for element in _elements(argument)]


def _tags(model: type[Section]) -> tuple[Any, ...]:
    for name in ("type", "source"):
        if name in model.model_fields:
            return get_args(model.model_fields[name].annotation)
    return ()
