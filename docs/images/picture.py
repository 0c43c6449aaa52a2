"""Draws train.svg, the README's picture: trains the bundled strategy in a temporary home and exports what it prints.

python docs/images/picture.py
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
COMMAND = "ktrdr models train strategies/eurusd_momentum.yaml"


def ktrdr(home: str, *arguments: str) -> str:
    environment = {**os.environ, "COLUMNS": "96", "FORCE_COLOR": "1", "KTRDR_HOME": home}
    command = [sys.executable, "-m", "ktrdr", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT).stdout


def main() -> None:
    with TemporaryDirectory() as home:
        ktrdr(home, "data", "import", "examples/data/EURUSD_1h.csv.gz")
        printed = ktrdr(home, *COMMAND.split()[1:]).replace(f"{home}/", "")
    screen = Console(record=True, width=96, file=io.StringIO())
    screen.print(f"[bold green]$[/] [bold]{COMMAND}[/]")
    screen.print(Text.from_ansi(printed))
    drawn = re.sub(
        r"@font-face \{.*?\}\s*", "", screen.export_svg(title="ktrdr"), flags=re.DOTALL
    )  # no fonts from afar
    (ROOT / "docs" / "images" / "train.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
