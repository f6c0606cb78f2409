"""``openenv-gym init``: make a folder of an OpenEnv environment of an environment that exists."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from openenv_gym.cli.flags import add_kwargs


def add_to(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "init",
        help="make a folder of an OpenEnv environment, with models, client, server and tests",
        description="Make a folder of an OpenEnv environment of one that exists: its models as "
        "Python classes, a client, a server, a Dockerfile, openenv.yaml, tests. `openenv-gym "
        "validate`, `openenv validate` and `openenv push` take it as it is.",
    )
    parser.add_argument("folder", type=Path, help="a new folder, whose name is that of the package")
    parser.add_argument(
        "--from",
        dest="target",
        required=True,
        metavar="TARGET",
        help="the environment, as `serve` takes it: CartPole-v1, openspiel:chess, my_pkg:MyEnv, or "
        "my_env.py:MyEnv, which is copied into the folder",
    )
    add_kwargs(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Make the folder, and say what to do next."""
    from openenv_gym.cli.scaffold import planned, write
    from openenv_gym.cli.targets import target_of

    target = target_of(options.target)
    scaffold = planned(options.folder, target, options.kwargs)
    for path in write(scaffold, target):
        print(path)
    print(
        f"\ncd {options.folder}\npip install -e '.[dev]'\npytest\nopenenv-gym validate .\n"
        "server --web      # and look at it: http://127.0.0.1:8000/web"
    )
