"""The picture of a run of ``step``."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cold_start import TARGET_S
from benchmarks.rounds import Result

COLOURS = {"limit": "#9aa5b1", "peer": "#d9893d", "ours": "#2b6cb0"}
KINDS = {"limit": "limits", "peer": "peers", "ours": "openenv-gym"}
INK, PALE_INK = "#1f2933", "#5f6b7a"
LONGEST = 2.0
"""How many times the greatest median the axis is long; a longer whisker leaves the picture."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One case."""

    label: str
    values: Sequence[float]
    colour: str

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def draw(result: Result, cold_s: dict[str, list[float]], footer: str, path: Path) -> None:
    """Draw bars of the medians with whiskers from min to max; says so where it cannot."""
    try:
        import matplotlib as mpl
    except ImportError:
        print(f"no {path.name}: matplotlib is not installed")
        return
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    count = len(result.cases)
    figure, (above, below) = plt.subplots(
        2, figsize=(9, 2.8 + 0.34 * count), height_ratios=[count, 2.2], layout="constrained"
    )
    _draw_steps(above, result)
    _draw_cold_starts(below, cold_s)
    figure.supxlabel(footer, fontsize=7, color=PALE_INK)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_steps(axes: Any, result: Result) -> None:
    from matplotlib.patches import Patch

    bars = [
        Bar(label=case.label, values=result.times_us[case.name], colour=COLOURS[case.kind])
        for case in result.cases
    ]
    _draw_bars(axes, bars, "{:.0f}")
    axes.set_title("One CartPole step: median, minimum and maximum of the rounds", loc="left")
    axes.set_xlabel("µs a step")
    limit = 2 * result.median_us("raw_unix") + result.median_us("in_process")
    place = [case.name for case in result.cases].index("embedded")
    axes.plot([limit, limit], [place - 0.42, place + 0.42], color="black", linewidth=2)
    axes.annotate(
        "  its target: 2 x raw Unix socket + in process",
        (max(limit, *bars[place].values), place),
        va="center",
        fontsize=8,
    )
    handles = [Patch(color=COLOURS[kind], label=label) for kind, label in KINDS.items()]
    axes.legend(handles=handles, loc="upper right", frameon=False)


def _draw_cold_starts(axes: Any, cold_s: dict[str, list[float]]) -> None:
    bars = [
        Bar(label="in process", values=cold_s["in_process"], colour=COLOURS["limit"]),
        Bar(label="embedded", values=cold_s["embedded"], colour=COLOURS["ours"]),
    ]
    _draw_bars(axes, bars, "{:.2f}")
    axes.axvline(TARGET_S, color="black", linewidth=2)
    axes.set_xlim(right=max(axes.get_xlim()[1], 1.1 * TARGET_S))
    axes.set_title("First step from a cold start (black: the target)", loc="left")
    axes.set_xlabel("s")


def _draw_bars(axes: Any, bars: Sequence[Bar], form: str) -> None:
    places = range(len(bars))
    medians = [bar.median for bar in bars]
    whiskers = [
        [bar.median - min(bar.values) for bar in bars],
        [max(bar.values) - bar.median for bar in bars],
    ]
    axes.barh(places, medians, color=[bar.colour for bar in bars], height=0.72)
    axes.errorbar(medians, places, xerr=whiskers, fmt="none", ecolor=INK, capsize=3, linewidth=1)
    for place, median in zip(places, medians, strict=True):
        # A column beside the axes: no whisker runs through a number.
        axes.annotate(
            form.format(median),
            (1.05, place),
            xycoords=("axes fraction", "data"),
            va="center",
            ha="right",
            annotation_clip=False,
        )
    axes.set_yticks(places, [bar.label for bar in bars])
    axes.invert_yaxis()
    longest = max(max(bar.values) for bar in bars)
    axes.set_xlim(0, min(1.03 * longest, LONGEST * max(medians)))
