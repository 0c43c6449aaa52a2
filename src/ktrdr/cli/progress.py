"""The progress of a training on stderr: a live bar in a terminal, sparse lines elsewhere."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

if TYPE_CHECKING:
    from ktrdr.contracts.operations import Operation

STEPS = 12
STAGES = ((1, "Preparing features and labels"), (8, "Training"), (9, "Judging and saving the model"))
"""The steps in three stages, by the first step of each, for a log that is read afterwards."""


class TrainingProgress:
    """Shows each state of an operation; a context manager, so that the bar is put away whatever happens."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._untold = list(STAGES)
        self._live = None if quiet or not console.is_terminal else _live(console)
        self._task = self._live.add_task("Starting", total=1.0, left="") if self._live else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Put the bar away and give the terminal its cursor back."""
        if self._live:
            self._live.stop()

    def show(self, operation: "Operation") -> None:
        """The state now."""
        progress = operation.progress
        if self._quiet:
            return
        if progress is None:
            self._tell(1)
            return
        heading = f"Step {progress.phase.number}/{STEPS} {progress.phase.heading}"
        if self._live and self._task is not None:
            left = "" if progress.eta_seconds is None else f"{progress.eta_seconds:.0f} s left"
            said = f"{heading}\n{numbers(operation)}"  # two lines, so that 80 columns hold it all
            self._live.update(self._task, description=said, completed=progress.fraction, left=left)
        else:
            self._tell(progress.phase.number)

    def _tell(self, step: int) -> None:
        """Every stage that has begun by this step and was not told yet."""
        while self._untold and self._untold[0][0] <= step and not self._live:
            self._console.print(f"{self._untold.pop(0)[1]}…")

    def say(self, message: str) -> None:
        """A line above the bar; also where no progress is shown."""
        self._console.print(message, markup=False, soft_wrap=True)


def numbers(operation: "Operation") -> str:
    """Epoch, losses and accuracy of the newest epoch, as far as they are known."""
    details = operation.progress.details if operation.progress else {}
    if "epoch" not in details:
        return ""
    parts = [f"epoch {details['epoch']}/{details.get('epochs', '?')}"]
    for name, label in (("train_loss", "loss"), ("val_loss", "val"), ("val_accuracy", "acc")):
        if isinstance(details.get(name), float):
            parts.append(f"{label} {details[name]:.3f}")
    return " ".join(parts)


def _live(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=True,
    )
