"""The curve of ``vector`` as a picture."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.plot import PALE_INK
from benchmarks.vector_curve import Point

GREY, BLUE, ORANGE = "#9aa5b1", "#2b6cb0", "#d9893d"


class Line(NamedTuple):
    """One way to step; its place in a :class:`Point` and how it is drawn."""

    form: str
    case: str
    label: str
    colour: str
    style: str


LINES = (
    Line("native", "raw_tcp", "raw TCP, as many bytes", "black", ":"),
    Line("native", "in_process", "vector form, in process", GREY, "-"),
    Line("native", "embedded", "vector form, embedded", BLUE, "-"),
    Line("native", "ws", "vector form, WebSocket", BLUE, "--"),
    Line("sync", "in_process", "SyncVectorEnv, in process", "#c9b79c", "-"),
    Line("sync", "embedded", "one after the other, embedded", ORANGE, "-"),
    Line("sync", "ws", "one after the other, WebSocket", ORANGE, "--"),
)


def rates(point: Point, line: Line) -> list[float]:
    """Steps of a sub-environment in a second, of each round."""
    return [1e6 / time_us for time_us in getattr(point, line.form).times_us[line.case]]


def draw(points: Sequence[Point], footer: str, path: Path) -> None:
    """Draw medians, with bands from the slowest to the fastest round; says so where it cannot."""
    try:
        import matplotlib as mpl
    except ImportError:
        print(f"no {path.name}: matplotlib is not installed")
        return
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, (above, below) = plt.subplots(
        2, figsize=(9, 8), height_ratios=[3, 1], sharex=True, layout="constrained"
    )
    _draw_rates(above, points)
    _draw_bytes(below, points)
    figure.supxlabel(footer, fontsize=7, color=PALE_INK)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_rates(axes: Any, points: Sequence[Point]) -> None:
    places = [point.num_envs for point in points]
    for line in LINES:
        values = [rates(point, line) for point in points]
        medians = [statistics.median(rounds) for rounds in values]
        look = {"color": line.colour, "linestyle": line.style, "linewidth": 1.8}
        axes.plot(places, medians, marker="o", markersize=4, label=line.label, **look)
        lowest, highest = [min(rounds) for rounds in values], [max(rounds) for rounds in values]
        axes.fill_between(places, lowest, highest, color=line.colour, alpha=0.12, linewidth=0)
    axes.set(xscale="log", yscale="log", ylabel="steps a second, all sub-environments")
    axes.set_title("CartPole: steps a second over the number of sub-environments", loc="left")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)


def _draw_bytes(axes: Any, points: Sequence[Point]) -> None:
    places = [point.num_envs for point in points]
    for form, colour in (("native", BLUE), ("sync", ORANGE)):
        sizes = [sum(getattr(point, f"{form}_bytes")) / point.num_envs for point in points]
        label = "vector form" if form == "native" else "one after the other"
        axes.plot(places, sizes, marker="o", markersize=4, color=colour, label=label)
    axes.set(xscale="log", xlabel="sub-environments", ylabel="bytes")
    axes.set_ylim(bottom=0)
    axes.set_xticks(places, [str(place) for place in places])
    axes.minorticks_off()
    axes.set_title("Bytes on a WebSocket for one step of one sub-environment", loc="left")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
