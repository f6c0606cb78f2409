"""``openenv-gym play``: play an environment in the terminal, or let a policy play it."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openenv_gym.address import shown_target
from openenv_gym.cli.flags import add_kwargs, positive
from openenv_gym.cli.inspect import add_connection, remote_arguments
from openenv_gym.errors import InvalidRequestError

if TYPE_CHECKING:
    from openenv_gym.cli.playing.table import PlayTable


def add_to(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "play",
        help="play an environment in the terminal, or let a policy play it",
        description="Play an environment in the terminal. Where there are few actions, each has a "
        "key; else actions are typed. With --policy, a policy plays, and what it reached is told.",
    )
    parser.add_argument(
        "target",
        help="what `serve` takes (CartPole-v1, catch, openspiel:GAME, gym:ID, my_env.py:MyEnv), or "
        "the URL of a server",
    )
    add_kwargs(parser)
    parser.add_argument(
        "--policy",
        metavar="NAME",
        help="random, or package.module:function or file.py:function, which takes an observation, "
        "and its info if it has a second argument, and returns an action",
    )
    parser.add_argument(
        "--episodes", type=positive, default=10, metavar="N", help="of a policy (default: 10)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the first episode, each further one has the next (default: 0)",
    )
    parser.add_argument(
        "--fps",
        type=float,
        metavar="N",
        help="steps a second: a policy is shown while it plays, and a person is not waited for",
    )
    parser.add_argument(
        "--render-mode", metavar="MODE", help="ansi or rgb_array (default: the first that there is)"
    )
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="film what is played, as .mp4 or .gif"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the episodes of a policy as one JSON object"
    )
    add_connection(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Play until the person leaves, or all episodes of the policy are over."""
    from openenv_gym.cli.playing.recording import Recording
    from openenv_gym.cli.playing.table import PlayTable

    _check(options)
    with contextlib.ExitStack() as stack:
        env = _made(options)
        stack.callback(env.close)
        recording = None
        if options.record is not None:
            fps = options.fps or env.metadata.get("render_fps")
            recording = Recording(options.record, fps)
            stack.callback(recording.close)
        table = PlayTable(env, shown_target(options.target), options.seed, recording)
        if options.policy is None:
            _person(table, options)
        else:
            _policy(table, options)


def _check(options: argparse.Namespace) -> None:
    if options.json and options.policy is None:
        raise InvalidRequestError("--json tells what a policy reached: add --policy")
    if options.fps is not None and not 0 < options.fps < 1000:
        raise InvalidRequestError(
            f"--fps: expected more than 0 and less than 1000, got {options.fps}"
        )


def _made(options: argparse.Namespace) -> Any:
    """The environment, which renders if somebody looks at it."""
    from openenv_gym.cli.playing.table import rendered_mode

    env = _make(options, options.render_mode)
    is_looked_at = options.policy is None or options.fps is not None
    if options.render_mode is not None or not (is_looked_at or options.record is not None):
        return env
    modes = env.metadata.get("render_modes") or ()
    mode = "rgb_array" if options.record is not None else rendered_mode(modes)
    if mode is None:
        return env
    env.close()
    return _make(options, mode)


def _make(options: argparse.Namespace, mode: str | None) -> Any:
    import gymnasium as gym

    from openenv_gym.cli.targets import target_of

    arguments: dict[str, Any] = {"render_mode": mode, "disable_env_checker": True}
    if "://" in options.target:
        return gym.make("openenv/remote-v0", **remote_arguments(options), **arguments)
    options.target = target_of(options.target)
    if options.target.startswith("openenv/"):
        return gym.make(options.target, **arguments, **options.kwargs)
    return gym.make("openenv/gymnasium-v0", env_id=options.target, **arguments, **options.kwargs)


def _person(table: PlayTable, options: argparse.Namespace) -> None:
    from rich.console import Console

    from openenv_gym.cli.playing.person import play

    console = Console()
    play(table, console, options.fps)
    if table.episodes.played:
        table.episodes.show(console)


def _policy(table: PlayTable, options: argparse.Namespace) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from openenv_gym.cli.playing.policies import policy_of

    policy = policy_of(options.policy, table.env, options.seed)
    console = Console(file=sys.stderr)
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    under_way = bar.add_task(options.policy, total=options.episodes)
    with Live(bar, console=console, transient=True) as live:
        for _ in range(options.episodes):
            table.begin()
            while not table.episode.end:
                table.step(policy(table.obs, table.info))
                if options.fps is not None:
                    live.update(Group(table.title(), table.picture(console.height), bar))
                    time.sleep(1 / options.fps)
            total = table.episodes.to_json()["mean_return"]
            bar.update(under_way, advance=1, description=f"mean return {total:.4g}")
    if options.json:
        print(json.dumps(table.episodes.to_json()))
    else:
        table.episodes.show(Console())
