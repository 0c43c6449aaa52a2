"""Coverage as a picture: each fuzzy set in a plot of its own, the training rows in grey behind its memberships."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrdr.cli.output import day, percent
from ktrdr.errors import InvalidRequest, StorageFailed

if TYPE_CHECKING:
    from ktrdr.contracts.coverage import CoverageReport, SetCoverage


def write_picture(report: "CoverageReport", path: Path) -> None:
    """Draw every set into a file. Raises InvalidRequest when there is nothing to draw, or to draw with."""
    if not report.sets:
        raise InvalidRequest(f"{report.strategy_name} reads no fuzzy set: there is nothing to draw")
    figure = _figure(len(report.sets))
    where = f"{', '.join(report.symbols)} {report.base_timeframe}, {day(report.start)} to {day(report.end)}"
    figure.suptitle(f"{report.strategy_name}: {report.rows:,} training rows of {where}", fontsize=11)
    for axes, one in zip(figure.axes, report.sets, strict=True):
        _draw(axes, one)
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise StorageFailed(f"cannot write {path}: {error.strerror}") from None


def _figure(plots: int) -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise InvalidRequest("a picture wants matplotlib: pip install 'ktrdr[plot]'") from None
    columns = 1 if plots == 1 else 2
    rows = -(-plots // columns)
    figure = Figure(figsize=(5.5 * columns, 0.4 + 2.8 * rows), layout="constrained")
    for place in range(plots):
        figure.add_subplot(rows, columns, place + 1)
    return figure


def _draw(axes: Any, one: "SetCoverage") -> None:
    """The histogram fills the plot up to its top; the scale is that of the memberships."""
    highest = max(one.counts) or 1
    axes.stairs([count / highest for count in one.counts], one.edges, fill=True, color="0.85", label="training rows")
    for membership in one.memberships:
        axes.plot(one.grid, membership.values, linewidth=1.6, label=f"{membership.name}, {percent(membership.fires)}")
    axes.set_xlim(one.grid[0], one.grid[-1])
    axes.set_ylim(0, 1.4)  # the legend lies above the curves
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("membership", fontsize=8)
    axes.set_xlabel(one.indicator, fontsize=8)
    axes.set_title(f"{one.name} covers {percent(one.covered)}", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, loc="upper center", ncols=3)
