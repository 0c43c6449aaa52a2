"""How long a user waits: `ktrdr --help` against importing typer and rich, a training against importing torch.

python -m benchmarks startup
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import interleaved, python, show

ROOT = Path(__file__).parents[1]


def ktrdr(*arguments: str, home: str = ".") -> None:
    command = [sys.executable, "-m", "ktrdr", "--home", home, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


def main() -> None:
    ratios = [
        interleaved(
            "ktrdr --help", lambda: ktrdr("--help"), "import typer, rich", python("import typer, rich.console")
        ),
    ]
    with TemporaryDirectory() as home:
        ktrdr("data", "import", str(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz"), home=home)
        strategy = str(ROOT / "strategies" / "eurusd_momentum.yaml")
        ratios.append(
            interleaved(
                "ktrdr models train",
                lambda: ktrdr("models", "train", strategy, home=home),
                "import torch",
                python("import torch"),
                half_width=0.05,
                at_most=20,
            )
        )
    show("startup", ratios)


if __name__ == "__main__":
    main()
