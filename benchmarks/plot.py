"""The pictures of ``step`` and ``vector``."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import spread
from benchmarks.rounds import Result

COLOURS = {"limit": "#9aa5b1", "peer": "#d9893d", "ours": "#2b6cb0"}
KINDS = {"limit": "limits", "peer": "peers", "ours": "openenv-gym"}
LONGEST = 2.0  # how many times the greatest median an axis is long; a longer whisker leaves it
PALETTE = 64  # colours of a file, which is a third of its size then


def draw_step(
    result: Result, cold_s: Mapping[str, list[float]], cold_target_s: float, footer: str, path: Path
) -> None:
    """Draw bars of the medians with whiskers from min to max."""
    count = len(result.group.cases)
    plots = _plots(path, figsize=(9, 2.8 + 0.34 * count), height_ratios=[count, 2.2])
    if plots is None:
        return
    from matplotlib.patches import Patch

    figure, (above, below) = plots
    times, cases = result.times_us, result.group.cases
    bars = [(case.label, times[case.name], COLOURS[case.kind]) for case in cases]
    _draw_bars(above, bars, "{:.0f}")
    above.set_title("One CartPole step: median, minimum and maximum of the rounds", loc="left")
    above.set_xlabel("µs a step")
    limit = 2 * spread(times["raw_unix"])[0] + spread(times["in_process"])[0]
    place = [case.name for case in cases].index("embedded")
    above.plot([limit, limit], [place - 0.42, place + 0.42], color="black", linewidth=2)
    end, text = max(limit, *times["embedded"]), "  its target: 2 x raw Unix socket + in process"
    above.annotate(text, (end, place), va="center", fontsize=8)
    handles = [Patch(color=COLOURS[kind], label=label) for kind, label in KINDS.items()]
    above.legend(handles=handles, loc="upper right", frameon=False)
    starts = [("in process", cold_s["in_process"], COLOURS["limit"])]
    starts.append(("embedded", cold_s["embedded"], COLOURS["ours"]))
    _draw_bars(below, starts, "{:.2f}")
    below.axvline(cold_target_s, color="black", linewidth=2)
    below.set_xlim(right=max(below.get_xlim()[1], 1.1 * cold_target_s))
    below.set_title("First step from a cold start (black: the target)", loc="left")
    below.set_xlabel("s")
    _save(figure, footer, path)


def _draw_bars(axes: Any, bars: Sequence[tuple[str, list[float], str]], form: str) -> None:
    labels, values, colours = zip(*bars, strict=True)
    places, spreads = range(len(bars)), [spread(one) for one in values]
    medians = [median for median, _, _ in spreads]
    whiskers = [[m - low for m, low, _ in spreads], [high - m for m, _, high in spreads]]
    axes.barh(places, medians, color=colours, height=0.72)
    axes.errorbar(
        medians, places, xerr=whiskers, fmt="none", ecolor="#1f2933", capsize=3, linewidth=1
    )
    for place, median in zip(places, medians, strict=True):
        # A column beside the axes: no whisker runs through a number.
        where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
        axes.annotate(form.format(median), (1.05, place), va="center", ha="right", **where)
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    longest = max(high for _, _, high in spreads)
    axes.set_xlim(0, min(1.03 * longest, LONGEST * max(medians)))


def draw_curve(
    points: Sequence[Any], lines: Sequence[Any], forms: Mapping[str, str], footer: str, path: Path
) -> None:
    """Draw medians, with bands from the slowest to the fastest round, and bytes below them."""
    plots = _plots(path, figsize=(9, 8), height_ratios=[3, 1], sharex=True)
    if plots is None:
        return
    figure, (above, below) = plots
    places = [point.num_envs for point in points]
    for line in lines:
        medians, low, high = zip(*(spread(point.rates(line)) for point in points), strict=True)
        look = {"color": line.colour, "linestyle": line.style, "linewidth": 1.8}
        above.plot(places, medians, marker="o", markersize=4, label=line.label, **look)
        above.fill_between(places, low, high, color=line.colour, alpha=0.12, linewidth=0)
    above.set(xscale="log", yscale="log", ylabel="steps a second, all sub-environments")
    above.set_title("CartPole: steps a second over the number of sub-environments", loc="left")
    for form, label in forms.items():
        colour = next(line.colour for line in lines if (line.form, line.case) == (form, "embedded"))
        sizes = [point.bytes_per_step(form) for point in points]
        below.plot(places, sizes, marker="o", markersize=4, color=colour, label=label)
    below.set(xscale="log", xlabel="sub-environments", ylabel="bytes")
    below.set_ylim(bottom=0)
    below.set_xticks(places, [str(place) for place in places])
    below.minorticks_off()
    below.set_title("Bytes on a WebSocket for one step of one sub-environment", loc="left")
    for axes in (above, below):
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=8)
    _save(figure, footer, path)


def _plots(path: Path, **options: Any) -> Any:
    """Two plots, one above the other; None, and says so, where nothing can be drawn."""
    try:
        import matplotlib as mpl
    except ImportError:
        print(f"no {path.name}: matplotlib is not installed")
        return None
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    return plt.subplots(2, layout="constrained", **options)


def _save(figure: Any, footer: str, path: Path) -> None:
    from matplotlib.pyplot import close
    from PIL import Image

    figure.supxlabel(footer, fontsize=7, color="#5f6b7a")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100)
    close(figure)
    Image.open(drawn).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
