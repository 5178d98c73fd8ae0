"""Tables for people, and one line of JSON for machines."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

Results = Mapping[str, Mapping[str, float]]


def add_options(parser: argparse.ArgumentParser, *, jobs: int, of: str, rounds: int) -> None:
    """What every bench is asked that lets targets take turns: `of` says what the jobs are."""
    parser.add_argument("--jobs", type=int, default=jobs, help=of)
    parser.add_argument("--rounds", type=int, default=rounds, help="Times that all targets take their turn")
    parser.add_argument("--targets", nargs="+", metavar="NAME", help="Only these")
    parser.add_argument("--json", action="store_true", help="Print one line of JSON at the end")


def medians(samples: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Each target's median of every figure, over the rounds."""
    return {
        name: {figure: _rounded(statistics.median(one[figure] for one in rounds)) for figure in rounds[0]}
        for name, rounds in samples.items()
    }


def table(
    results: Results, *, ratio_of: str = "", to: str = "", left_out: Mapping[str, str] = MappingProxyType({})
) -> str:
    """A line per target; with `ratio_of`, that figure's ratio to the target `to` in the last column.

    `left_out` says of other targets why they are not there.
    """
    figures = list(dict.fromkeys(figure for one in results.values() for figure in one))
    lines = [["target", *figures]]
    lines += [[name, *[_shown(one.get(figure)) for figure in figures]] for name, one in results.items()]
    if to in results:
        lines[0].append(f"x {to}")
        for line, one in zip(lines[1:], results.values(), strict=True):
            line.append(f"{one[ratio_of] / results[to][ratio_of]:.2f}")
    return "\n".join([_aligned(lines), *[f"{name}: left out, {why}" for name, why in left_out.items()]])


def as_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as lines under the names of their columns."""
    return _aligned([list(columns), *[[_shown(row[name]) for name in columns] for row in rows]])


def as_json(bench: str, results: Results, **facts: Any) -> str:
    """The object of the last line."""
    return json.dumps({"bench": bench, **facts, "results": results})


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rows = [[first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])] for first, *rest in lines]
    return "\n".join("  ".join(row).rstrip() for row in rows)


def _shown(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:,}"


def _rounded(value: float) -> float:
    return round(value) if value >= 100 else round(value, 2)
