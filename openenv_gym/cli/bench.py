"""``openenv-gym bench``: how fast an environment or a server is, beside the local environment."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openenv_gym.address import shown_target
from openenv_gym.cli.flags import add_kwargs, positive
from openenv_gym.cli.inspect import add_connection, remote_arguments
from openenv_gym.errors import InvalidRequestError

if TYPE_CHECKING:
    from openenv_gym.cli.measuring import Measured, Ways


def add_to(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "bench",
        help="measure how fast an environment or a server is",
        description="Measure how long a step takes: of one environment, of several in one session, "
        "and of several sessions. Where the environment can be made in this process, that is "
        "measured beside it. Actions are drawn at random and are not part of what is measured.",
    )
    parser.add_argument("target", help="what `serve` takes, which is embedded; or a server's URL")
    add_kwargs(parser)
    parser.add_argument(
        "--batches",
        type=_numbers,
        default="8,64",
        metavar="LIST",
        help="how many environments to step together in one session (default: %(default)s)",
    )
    parser.add_argument(
        "--sessions",
        type=_numbers,
        default="4",
        metavar="LIST",
        help="over how many sessions to spread as many environments (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds", type=float, default=2.0, metavar="S", help="for each row (default: 2)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it, as .png or .svg")
    add_connection(parser)
    parser.set_defaults(run=run)


def _numbers(text: str) -> list[int]:
    return [positive(one) for one in text.split(",") if one]


def run(options: argparse.Namespace) -> None:
    """Print a row for each way, or one JSON object."""
    from openenv_gym.cli.measuring import measure

    if not 0 < options.seconds <= 3600:
        raise InvalidRequestError(f"--seconds: expected up to 3600, got {options.seconds:g}")
    draw = None if options.plot is None else _drawing(options.plot)
    ways = _ways_of_server(options) if "://" in options.target else _ways_of_name(options)
    target = shown_target(options.target)
    rows: list[Measured] = []
    for row in measure(ways, options.batches, options.sessions, options.seconds):
        if not options.json:
            print(_header() if not rows else "", end="")
            print(_line(row), flush=True)
        rows.append(row)
    if options.json:
        print(json.dumps({"target": target, "rows": [asdict(one) for one in rows]}))
    if draw is not None:
        draw(target, rows)


def _ways_of_server(options: argparse.Namespace) -> Ways:
    import gymnasium as gym

    from openenv_gym.cli.measuring import Ways

    how = remote_arguments(options)
    made = gym.make("openenv/remote-v0", **how)
    name = getattr(made.unwrapped, "name", "")
    made.close()
    local = None
    if name in gym.registry:  # a server's word makes no other code run here
        local = lambda: gym.make(name, disable_env_checker=True)  # noqa: E731 - or it stays None
    return Ways(
        one=lambda: gym.make("openenv/remote-v0", disable_env_checker=True, **how),
        many=lambda number, sessions: gym.make_vec(
            "openenv/remote-v0", num_envs=number, shards=sessions, **how
        ),
        local=local,
    )


def _ways_of_name(options: argparse.Namespace) -> Ways:
    import gymnasium as gym

    from openenv_gym.cli.measuring import Ways
    from openenv_gym.cli.targets import target_of
    from openenv_gym.protocol import Open
    from openenv_gym.workers.built_env import build

    name = options.target = target_of(options.target)
    embedded = {"env_id": name, **options.kwargs}
    return Ways(
        one=lambda: gym.make("openenv/gymnasium-v0", disable_env_checker=True, **embedded),
        many=lambda number, sessions: gym.make_vec(
            "openenv/gymnasium-v0", num_envs=number, shards=sessions, **embedded
        ),
        local=lambda: build(Open(name, dict(options.kwargs))).env,
    )


_COLUMNS = ("way", "envs", "sessions", "p50 us", "p90 us", "p99 us", "worst", "steps/s", "reset us")


def _header() -> str:
    return " ".join(f"{one:>9}" for one in _COLUMNS) + "\n"


def _line(row: Measured) -> str:
    reset = "" if row.reset_us is None else f"{row.reset_us:,.0f}"
    times = [f"{one:,.0f}" for one in (*row.percentiles_us.values(), row.worst_us)]
    cells = [row.way, row.num_envs, row.sessions, *times, f"{row.steps_per_second:,.0f}", reset]
    return " ".join(f"{one:>9}" for one in cells)


def _drawing(path: Path) -> Any:
    """What draws into ``path``, asked for before anything is measured.

    Raises:
        InvalidRequestError: its folder is not there, or Matplotlib is not.
    """
    if not path.absolute().parent.is_dir():
        raise InvalidRequestError(f"--plot: there is no folder {path.absolute().parent}")
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise InvalidRequestError("--plot needs Matplotlib: pip install matplotlib") from exc

    def draw(title: str, rows: list[Measured]) -> None:
        figure = Figure(figsize=(8, 0.5 * len(rows) + 1.5), layout="constrained")
        axes = figure.subplots()
        names = [f"{one.way}, {one.num_envs} in {one.sessions}" for one in rows]
        colours = ["tab:grey" if one.way == "local" else "tab:blue" for one in rows]
        bars = axes.barh(names, [one.steps_per_second for one in rows], color=colours)
        axes.bar_label(bars, [f"{one.steps_per_second:,.0f}" for one in rows], padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set(title=title, xlabel="steps a second")
        try:
            figure.savefig(path)
        except (OSError, ValueError) as exc:
            raise InvalidRequestError(f"--plot: {path} cannot be written: {exc}") from exc

    return draw
