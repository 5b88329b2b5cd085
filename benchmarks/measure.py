"""Samples and what is said of them: medians with their spread, and tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows under a title; cells are text already."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        """Write it in Markdown, its columns aligned, so that it reads on a terminal too."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[at]) for line in lines) for at in range(len(self.columns))]

        def write(cells: Sequence[str]) -> str:
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            return f"| {' | '.join(padded)} |"

        rule = f"| {' | '.join('-' * width for width in widths)} |"
        return "\n".join([write(self.columns), rule, *map(write, self.rows)])


@dataclass(frozen=True)
class Section:
    """What one benchmark found.

    Attributes:
        data: The same as the tables, and more, as JSON has it.
    """

    name: str
    data: Mapping[str, Any]
    tables: Sequence[Table] = field(default_factory=list)


def spread(samples: Iterable[float]) -> dict[str, float]:
    """Return the median and the quartiles of samples, and their number."""
    ordered = sorted(samples)
    low, middle, high = (
        statistics.quantiles(ordered, n=4, method="inclusive")
        if len(ordered) > 1
        else (ordered[0],) * 3
    )
    return {
        "median": round(middle, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "runs": len(ordered),
    }


def shown(found: Mapping[str, float], digits: int = 1) -> str:
    """Write a spread: the median, and the quartiles in brackets."""
    return f"{found['median']:.{digits}f} ({found['low']:.{digits}f}-{found['high']:.{digits}f})"


def percentile(samples: Sequence[float], percent: int) -> float:
    """Return a percentile of samples."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def interleaved[Key](
    runs: int, subjects: Iterable[Key], measure: Callable[[Key], float]
) -> dict[Key, list[float]]:
    """Measure subjects in turn, so that what disturbs the machine disturbs them all alike."""
    samples: dict[Key, list[float]] = {subject: [] for subject in subjects}
    for _ in range(runs):
        for subject, found in samples.items():
            found.append(measure(subject))
    return samples
