"""Slow readings of definitions that several tests compare with."""

import numpy as np

from ktrdr.execution.labels.base import BUY, SELL

Point = tuple[int, int, int]
"""Bar, the leg that begins there (BUY at a low), bar of the confirmation."""


def slow_turning_points(close: np.ndarray, size: np.ndarray) -> tuple[list[Point], int | None]:
    """Every confirmed turning point, searched by brute force at each close; and the running extreme."""
    points: list[Point] = []
    while True:
        found = next_point(close, size, points[-1] if points else None)
        if found is None:
            break
        points.append(found)
    if not points:
        return points, None
    index, kind, _ = points[-1]
    leg = [bar for bar in range(index + 1, len(close)) if np.isfinite(close[bar]) and np.isfinite(size[bar])]
    return points, best(close, leg, kind)


def best(close: np.ndarray, leg: list[int], kind: int) -> int:
    """The first bar of an up leg's highest close, or of a down leg's lowest."""
    return max(leg, key=lambda bar: close[bar]) if kind == BUY else min(leg, key=lambda bar: close[bar])


def next_point(close: np.ndarray, size: np.ndarray, last: Point | None) -> Point | None:
    """The first close that lies the extreme's own size beyond the extreme of its leg, or beyond the low or high of all
    closes when there is no leg yet."""
    usable = [bar for bar in range(len(close)) if np.isfinite(close[bar]) and np.isfinite(size[bar])]
    if last is None:
        for now in usable:
            seen = [bar for bar in usable if bar <= now]
            low, high = best(close, seen, SELL), best(close, seen, BUY)
            if close[now] > close[low] and close[now] >= close[low] * (1.0 + size[low]):
                return low, BUY, now
            if close[now] < close[high] and close[now] <= close[high] * (1.0 - size[high]):
                return high, SELL, now
        return None
    index, kind, confirmed = last
    for now in usable:
        if now <= confirmed:
            continue
        at = best(close, [bar for bar in usable if index < bar < now], kind)
        if kind == BUY and close[now] < close[at] and close[now] <= close[at] * (1.0 - size[at]):
            return at, SELL, now
        if kind == SELL and close[now] > close[at] and close[now] >= close[at] * (1.0 + size[at]):
            return at, BUY, now
    return None
