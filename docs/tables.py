"""Writes the tables of settings and of indicators into their pages, from the classes: `python docs/tables.py`."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from pydantic_core import PydanticUndefined

from ktrdr.execution.indicators.base import Indicator
from ktrdr.execution.indicators.library import INDICATORS
from ktrdr.execution.indicators.talib_facts import FUNCTIONS, description
from ktrdr.execution.indicators.talib_functions import talib_function
from ktrdr.settings import Settings

DOCS = Path(__file__).parent


def settings() -> str:
    """One row a setting, in the order of the class."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default in (None, []) else f"`{default}`"
        rows.append(f"| `KTRDR_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


def indicators() -> str:
    """One row for each of KTRDR's indicators, by family."""
    rows = ["| type | parameters (default) | outputs | meaning |", "|---|---|---|---|"]
    for kind in INDICATORS:
        meaning = (kind.__doc__ or "").strip().split("\n")[0]
        rows.append(f"| {_names(kind)} | {_parameters(kind)} | {_outputs(kind)} | {_cell(meaning)} |")
    return "\n".join(rows) + "\n"


def functions() -> str:
    """One row for each other function of TA-Lib, by TA-Lib's groups."""
    groups: dict[str, list[str]] = {}
    for name, function in FUNCTIONS.items():
        groups.setdefault(description(function)["group"], []).append(name)
    parts = []
    for group, names in groups.items():
        rows = [f"### {group}\n", "| type | parameters (default) | outputs | meaning |", "|---|---|---|---|"]
        for name in sorted(names):
            kind, meaning = talib_function(name), description(FUNCTIONS[name])["display_name"]
            rows.append(f"| `{name}` | {_parameters(kind)} | {_outputs(kind)} | {_cell(meaning)} |")
        parts.append("\n".join(rows) + "\n")
    return "\n" + "\n".join(parts) + "\n"


def _names(kind: type[Indicator]) -> str:
    return ", ".join(f"`{name}`" for name in get_args(kind.model_fields["type"].annotation))


def _parameters(kind: type[Indicator]) -> str:
    shown = []
    for name, field in kind.model_fields.items():
        if name in ("type", *kind.without_effect) or (name in Indicator.model_fields and name != "source"):
            continue
        default = "" if field.default in (None, PydanticUndefined) else f" ({field.default})"
        others = [spelling for spelling in kind.spellings(name) if spelling != name]
        also = f", also {', '.join(f'`{spelling}`' for spelling in others)}" if others else ""
        shown.append(f"`{name}`{default}{also}")
    spellings = {spelling for name in kind.model_fields for spelling in kind.spellings(name)}
    shown += [f"`{key}`" for key in kind.known_keys() if key not in spellings]
    return "; ".join(sorted(shown, key=lambda one: one.startswith("`source`")))


def _outputs(kind: type[Indicator]) -> str:
    units: dict[str, list[str]] = {}
    for name, unit in kind.outputs.items():
        barred = " (no input)" if name in kind.needs_future else ""
        units.setdefault(unit, []).append(f"`{name}`{barred}")
    return "; ".join(f"{', '.join(names)}: {unit}" for unit, names in units.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "settings.md": {"settings": settings},
    "indicators.md": {"indicators": indicators, "functions": functions},
}


def page(name: str) -> str:
    """The page with its tables as they have to be, each between two marks."""
    text = (DOCS / name).read_text(encoding="utf-8")
    for mark, table in TABLES[name].items():
        begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + table() + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    for name in TABLES:
        (DOCS / name).write_text(page(name), encoding="utf-8")
