"""Where marks of a chart stand: positions in percent of its width, so that a chart is as wide as its place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` onto `start` to `end`."""

    low: float
    high: float
    start: float = 0.0
    end: float = 100.0

    def __call__(self, value: float | None) -> float:
        """The position of a value; those outside stand at the end."""
        if value is None or self.high == self.low:
            return self.start
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 3)

    def span(self, first: float | None, second: float | None) -> float:
        """How far apart two values stand."""
        return round(abs(self(second) - self(first)), 3)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values along the scale, both ends included where they are round."""
        width = self.high - self.low
        if width <= 0:
            return [self.low]
        power = 10.0 ** math.floor(math.log10(width / most))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if width / (power * factor) <= most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(step * place, 10) for place in range(first, last + 1)]


def scale(values: Iterable[float | None], start: float = 0.0, end: float = 100.0, least: float = 1.0) -> Scale:
    """From zero (or below, where values are) to a round number above the largest value."""
    known = [value for value in values if value is not None]
    top, bottom = max([*known, 0]), min([*known, 0])
    if top - bottom < least:
        top = bottom + least
    step = Scale(bottom, top).ticks(4)
    width = step[1] - step[0] if len(step) > 1 else top - bottom
    return Scale(math.floor(bottom / width) * width, math.ceil(top / width - 1e-9) * width, start, end)


def around(values: Iterable[float | None]) -> Scale:
    """Differences, with zero in the middle."""
    reach = max([abs(value) for value in values if value is not None] + [1e-9])
    return Scale(-1.05 * reach, 1.05 * reach, 1, 99)


def fixed(low: float, high: float, start: float = 0.0, end: float = 100.0) -> Scale:
    """A scale whose ends are known."""
    return Scale(low, high, start, end)


def bands(count: int, gap: float = 0.25) -> tuple[list[float], float]:
    """Left edges and width of `count` bars side by side, in percent."""
    if count == 0:
        return [], 0.0
    step = 100 / count
    return [round(step * (place + gap / 2), 3) for place in range(count)], round(step * (1 - gap), 3)


def some(count: int, most: int) -> list[int]:
    """Places of at most `most` labels, evenly among `count`."""
    if count == 0:
        return []
    every = max(1, math.ceil(count / most))
    return list(range(every // 2 if every > 1 else 0, count, every))


def shade(value: float | None, top: float, steps: int = 9) -> int:
    """Which of `steps` shades a cell has; 0 for nothing."""
    if not value or top <= 0 or value <= 0:
        return 0
    return max(1, min(steps, math.ceil(steps * value / top)))


def pairs(rows: Sequence[dict[str, object]], column: str) -> list[tuple[int, int]]:
    """Neighbours to join by a line: places of rows that hold a value, each with the next that does."""
    places = [place for place, row in enumerate(rows) if row[column] is not None]
    return list(itertools.pairwise(places))


def tree(rows: Sequence[dict[str, Any]], deepest: int = 4) -> list[tuple[dict[str, Any], int]]:
    """Referred customers with their depth, each below whoever brought them to the one at the first depth."""
    first = [row for row in rows if row["depth"] == 1]
    ordered = []
    for one in first:
        below = [row for row in rows if row["depth"] > 1 and row["via_customer_id"] == one["referred_customer_id"]]
        ordered += [one, *sorted(below, key=lambda row: row["depth"])]
    return [(row, min(row["depth"], deepest)) for row in ordered]
