"""``openenv-gym parity``: check that environments are the same remotely as in process."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from openenv_gym.cli.flags import positive
from openenv_gym.errors import InvalidRequestError, OpenEnvGymError
from openenv_gym.texts import escaped


def add_to(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "parity",
        help="compare environments in process and over every transport, to the bit",
        description="Play each environment in process and over each transport, with the same "
        "seeds and actions, and compare all that it says to the bit. The exit code is 1 if "
        "anything differs, or if an environment that was named could not be judged.",
    )
    parser.add_argument(
        "env_ids",
        nargs="*",
        metavar="ENVIRONMENT",
        help="what serve takes: an id (CartPole-v1, module:id, gym:id), a class or a function "
        "(my_env.py:MyEnv), scheme:name",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="every id of gymnasium.registry too, of Atari games only ALE/<Game>-v5",
    )
    count = {"type": positive, "metavar": "N"}
    parser.add_argument("--seeds", default=3, help="how many (default: %(default)s)", **count)
    parser.add_argument("--steps", default=200, help="a seed (default: %(default)s)", **count)
    parser.add_argument(
        "--picture-steps",
        default=20,
        help="a seed of pictures over JSON, which take long (default: %(default)s)",
        **count,
    )
    parser.add_argument(
        "--transports",
        default="embedded,binary,json",
        metavar="LIST",
        help="with commas in between (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs", default=1, help="environments at a time (default: %(default)s)", **count
    )
    parser.add_argument(
        "--timeout-s",
        type=float,
        default=900.0,
        metavar="S",
        help="for one environment (default: %(default)s)",
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write a page of markdown")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print one line for each environment and transport."""
    from openenv_gym.conformance.judge import TRANSPORTS, Play
    from openenv_gym.conformance.page import page
    from openenv_gym.conformance.survey import complaint, registry_ids, survey

    transports = options.transports.split(",")
    unknown = [name for name in transports if name not in TRANSPORTS]
    if unknown:
        raise InvalidRequestError(
            f"--transports: expected some of {', '.join(TRANSPORTS)}, got {', '.join(unknown)!r}"
        )
    listed = registry_ids() if options.all else []
    env_ids = list(dict.fromkeys([*options.env_ids, *listed]))
    if not env_ids:
        raise InvalidRequestError("parity needs the names of environments, or --all")
    play = Play(
        seeds=options.seeds,
        steps=options.steps,
        picture_steps=options.picture_steps,
        transports=transports,
    )
    outcomes = []
    for outcome in survey(env_ids, play, options.timeout_s, options.jobs):
        print(escaped(str(outcome)), flush=True)
        outcomes.append(outcome)
    if options.write is not None:
        command = shlex.join(["openenv-gym", *sys.argv[1:]])
        options.write.write_text(page(outcomes, play, command), encoding="utf-8")
    found = complaint(outcomes, named=options.env_ids)
    if found is not None:
        raise OpenEnvGymError(found)
