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
from ktrdr.execution.strategy.older import places

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
    rows = error.errors(include_url=False)
    problems = [_problem(row, document) for row in rows if not _follows(row, rows)]
    unique = {(problem.path, problem.found): problem for problem in problems}
    found = sorted(unique.values(), key=lambda problem: problem.line or 0)
    more = len(found) - MOST_TOLD
    if more > 0:
        found[MOST_TOLD:] = [Problem(path="", line=None, found=f"{more:,} more mistakes", expected="mend these first")]
    return found


def _follows(row: ErrorDetails, rows: Sequence[ErrorDetails]) -> bool:
    """Whether a list or mapping is too short only because a mistake in it has left nothing over."""
    loc = row["loc"]
    inner = (other["loc"] for other in rows if other is not row)
    return row["type"] == "too_short" and any(len(one) > len(loc) and one[: len(loc)] == loc for one in inner)


def _problem(row: ErrorDetails, document: Mapping[str, Any]) -> Problem:
    found, expected = _told(row)
    inside = _PATH_IN_MESSAGE.match(found)
    if inside:  # a mistake between sections names its own key
        path, line = _locate(_keys(inside[1]), document)
        path, found = path or inside[1], inside[2]
    else:
        path, line = _locate(row["loc"], document, missing=row["type"] == "missing")
    return Problem(path=path, line=line, found=found, expected=expected)


def _keys(path: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in path.split(".")]


def _locate(loc: Sequence[int | str], document: Any, *, missing: bool = False) -> tuple[str, int | None]:
    """The path as written in the file (without pydantic's union tags) and the line of its last key there.

    The last key of a `missing` one is not in the file. Of several places that older files use, it is the one that the
    file has.
    """
    found = [_follow(place, document, missing=missing) for place in places(loc)]
    _, path, line = max(found, key=lambda one: one[0])
    return path, line


def _follow(loc: Sequence[int | str], document: Any, *, missing: bool) -> tuple[int, str, int | None]:
    """How many keys of a place the file has, their path, and the line of the last of them."""
    node, path, line, held = document, [], None, 0
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if _holds(node, part):
            line = _line(node, part) or line
            node = node[part]
            held += 1
        elif not (missing and last) or part == "memberships":
            continue
        path.append(str(part))
    return held, ".".join(path), line


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
        return "unknown key", _nearest_key(str(row["loc"][-1]), row["loc"][:-1])
    if kind in ("literal_error", "union_tag_invalid"):
        choices = re.findall(r"'([^']+)'", str(context.get("expected", context.get("expected_tags", ""))))
        word = context.get("tag", given)
        return repr(word) if not isinstance(word, str) else word, _nearest(str(word), choices)
    if kind == "union_tag_not_found":
        return "missing", f"add the key {context.get('discriminator', 'type')}"
    return _shown(given), _EXPECTED.get(kind, row["msg"].removeprefix("Input should be ").replace("Input should ", ""))


def _shown(given: Any) -> str:
    text = "nothing" if given is None else repr(given)
    return text if len(text) <= 60 else text[:57] + "…"


def _nearest_key(word: str, loc: Sequence[int | str]) -> str:
    known = known_keys(loc)
    close = _close(word, [*known, *known_keys(loc, older=True)])
    listed = f"known here: {', '.join(known)}" if known else "remove it"
    return f"did you mean {close}? {listed}" if close else listed


def _nearest(word: str, choices: Sequence[str]) -> str:
    close, listed = _close(word, choices), f"one of {', '.join(choices)}"
    if len(choices) > MANY:
        listed = f"there are {len(choices)} names; docs/indicators.md lists them"
    return f"did you mean {close}? {listed}" if close else listed


def _close(word: str, choices: Sequence[str]) -> str | None:
    """The choice that is spelled almost alike, else one that the word has in it, or that has the word in it."""
    alike = difflib.get_close_matches(word.lower(), choices, n=1, cutoff=0.6)
    if alike:
        return alike[0]
    parts = set(word.lower().split("_"))
    inside = [choice for choice in choices if choice in parts or word.lower() in choice.split("_")]
    return inside[0] if inside else None


def known_keys(loc: Sequence[int | str], *, older: bool = False) -> list[str]:
    """The keys that may stand at a place in the grammar, [] where any may; or those that `older` files use there."""
    kinds: list[Any] = [Strategy]
    for part in loc:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    models = [model for kind in kinds for model in _models(kind)]
    keys = [key for model in models for key in (model.older_keys() if older else model.known_keys())]
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
