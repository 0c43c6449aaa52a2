"""Writes the table of settings into docs/settings.md, from the Settings class: `python docs/tables.py`."""

from pathlib import Path

from ktrdr.settings import Settings

PAGE = Path(__file__).with_name("settings.md")
BEGIN, END = "<!-- settings -->\n", "<!-- end of settings -->"


def table() -> str:
    """One row a setting, in the order of the class."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default in (None, []) else f"`{default}`"
        rows.append(f"| `KTRDR_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """The page with its table as it has to be."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
