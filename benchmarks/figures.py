"""Figures of any part as JSON and as cells of a table."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.rounds import Ratio
from benchmarks.tables import Table


def json_text(value: dict[str, Any]) -> str:
    """Return JSON whose lists of numbers are on one line each."""
    text = json.dumps(value, indent=1) + "\n"
    return re.sub(r"\[[\s\d.,]+\]", lambda match: " ".join(match[0].split()), text)


def summary(unit: str, values: Sequence[float], digits: int) -> dict[str, Any]:
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        unit: [round(value, digits) for value in values],
    }


def ratio_json(ratio: Ratio, times: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {
        "name": ratio.name,
        "formula": ratio.formula,
        "over": dict(ratio.over),
        "under": dict(ratio.under),
        "at_most": ratio.at_most,
        "at_least": ratio.at_least,
        "hit": ratio.hit(times),
        **summary("per_round", ratio.per_round(times), digits=4),
    }


def ratio_table(ratios: Sequence[Ratio], times: Mapping[str, Sequence[float]]) -> Table:
    rows = []
    for ratio in ratios:
        values = ratio.per_round(times)
        span = f"{min(values):.2f} to {max(values):.2f}"
        median = f"{statistics.median(values):.2f}"
        rows.append([ratio.formula, median, span, ratio.target, verdict(ratio.hit(times))])
    heads = ["ratio of each round", "median", "min to max", "target", ""]
    return Table(heads=heads, rows=rows, texts=1)


def verdict(hit: bool | None) -> str:
    return "" if hit is None else "hit" if hit else "missed"


def listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
