"""The command line: one file a command, no logic of its own."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys

import openenv_gym
from openenv_gym.cli import bench, doctor, init, inspect, listing, parity, play, serve, validate
from openenv_gym.errors import OpenEnvGymError

_INTERRUPTED = 128 + signal.SIGINT
"""The exit code that shells give to a command that Ctrl-C ended."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command that ``arguments`` name, and return the exit code."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _run(arguments: list[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="openenv-gym", description="The bridge between OpenEnv and Gymnasium."
    )
    parser.add_argument("--version", action="version", version=openenv_gym.__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    serve.add_to(commands)
    play.add_to(commands)
    listing.add_to(commands)
    inspect.add_to(commands)
    parity.add_to(commands)
    validate.add_to(commands)
    init.add_to(commands)
    bench.add_to(commands)
    doctor.add_to(commands)
    options = parser.parse_args(arguments)
    _find_modules_here()
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OpenEnvGymError as exc:
        print(f"openenv-gym: {exc}", file=sys.stderr)
        return 1
    return 0


def _find_modules_here() -> None:
    """Find modules in the current folder first, as ``python -m`` does: workers follow."""
    with contextlib.suppress(FileNotFoundError):  # the folder was removed
        here = os.getcwd()
        if not {"", here}.intersection(sys.path):
            sys.path.insert(0, here)
