"""The progress of a training on stderr: a live bar in a terminal, sparse lines elsewhere."""

from collections.abc import Callable
from time import monotonic
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

    def __init__(
        self, console: Console, *, quiet: bool = False, every: float = 30.0, clock: Callable[[], float] = monotonic
    ) -> None:
        """Outside a terminal a long training writes its numbers once in `every` seconds."""
        self._console = console
        self._every = every
        self._clock = clock
        self._told_at = clock()
        self._quiet = quiet
        self._untold = list(STAGES)
        self._silent = False
        self._live = None if quiet or not console.is_terminal else _live(console)
        self._task = self._live.add_task("Starting", total=1.0) if self._live else None

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
        if operation.status == "queued":
            place = f", place {operation.queue_position}" if operation.queue_position else ""
            self._describe(f"Waiting in the queue{place}")
            return
        if progress is None:
            self._tell(1)
            return
        if progress.details.get("unreachable"):
            self._unreachable(progress.message)
            return
        self._silent = False
        left = "" if progress.eta_seconds is None else f"{time_left(progress.eta_seconds)} left"
        said = ", ".join(part for part in (numbers(operation), left) if part)
        heading = f"Step {progress.phase.number}/{STEPS} {progress.phase.heading}"
        if not said and progress.message != progress.phase.heading:
            said = progress.message
        self._describe(f"{heading}\n{said}", progress.fraction)  # two lines, so that 80 columns hold it all
        self._tell(progress.phase.number, said)

    def _describe(self, what: str, done: float | None = None) -> None:
        """Beside the bar, where there is one."""
        if self._live and self._task is not None:
            self._live.update(self._task, description=what, completed=done)

    def _unreachable(self, message: str) -> None:
        """The host that trains is silent: said once where nobody watches."""
        self._describe(message.replace("; ", "\n"))
        if not self._live and not self._silent:
            self._console.print(f"  {message}", markup=False, soft_wrap=True)
        self._silent = True

    def _tell(self, step: int, said: str = "") -> None:
        """Every stage that has begun by this step and was not told yet; now and then, how far it is."""
        if self._live:
            return
        while self._untold and self._untold[0][0] <= step:
            self._console.print(f"{self._untold.pop(0)[1]}…")
            self._told_at = self._clock()
        if said and self._clock() - self._told_at >= self._every:
            self._console.print(f"  {said}", soft_wrap=True)
            self._told_at = self._clock()

    def say(self, message: str) -> None:
        """A line above the bar; also where no progress is shown."""
        self._console.print(message, markup=False, soft_wrap=True)


def numbers(operation: "Operation") -> str:
    """Walk of a null test, epoch, losses and accuracy of the newest epoch, as far as they are known."""
    details = operation.progress.details if operation.progress else {}
    parts = [f"walk {details['walk']}/{details.get('walks', '?')}"] if "walk" in details else []
    if "epoch" not in details:
        return " ".join(parts)
    parts.append(f"epoch {details['epoch']}/{details.get('epochs', '?')}")
    for name, label in (("train_loss", "loss"), ("val_loss", "val"), ("val_accuracy", "acc")):
        if isinstance(details.get(name), float):
            parts.append(f"{label} {details[name]:.3f}")
    return " ".join(parts)


def time_left(seconds: float) -> str:
    """`40 s`, `12 min` or `3.5 h`: as exact as an estimate is."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _live(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        BarColumn(bar_width=12),
        TaskProgressColumn(),
        TextColumn("{task.description}"),  # last, so that the bar stays where it is
        console=console,
        transient=True,
    )
