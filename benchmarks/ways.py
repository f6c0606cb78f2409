"""The ways to environments that several parts measure: here, served, and over stock OpenEnv."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.children import Child, answers
from benchmarks.rounds import Player
from benchmarks.workload import Played, Workload
from openenv_gym.launchers import ServerProcess

Play = Callable[[Any, Any], Played]
"""Plays a workload on an environment or a vector environment, as a training loop would."""


@contextmanager
def made(make: Callable[..., Any], play: Play, **options: Any) -> Iterator[Player]:
    """What ``make(**options)`` returns, in this process."""
    env = make(**options)
    try:
        yield lambda workload: play(env, workload)
    finally:
        env.close()


@contextmanager
def served(
    environment: str,
    arguments: list[str],
    make: Callable[..., Any],
    play: Play,
    *,
    unix: bool = False,
    **options: Any,
) -> Iterator[Player]:
    """``openenv-gym serve`` in a process of its own, and our client here."""
    with ExitStack() as stack:
        if unix:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="openenv-gym-"))
            arguments = [*arguments, f"--uds={folder}/socket"]
        server = stack.enter_context(ServerProcess(environment, *arguments))
        yield stack.enter_context(made(make, play, base_url=server.base_url, **options))


@contextmanager
def stock(
    python: Path,
    name: str,
    mode: str,
    sessions: int = 1,
    last: Callable[[list[float]], Any] = tuple,
) -> Iterator[Player]:
    """Stock OpenEnv at both ends of ``benchmarks.stock.<name>``, each a process of ``python``.

    Args:
        python: Has OpenEnv.
        name: Of the environment.
        mode: ``sync``, ``async`` or ``vector``, see :mod:`benchmarks.stock.player`.
        sessions: How many the vector form opens.
        last: Makes of the last observation what is compared.
    """
    with stock_server(python, name, max(sessions, 4)) as server:
        module = [str(python), "-m", "benchmarks.stock.player"]
        with Child("the stock client", [*module, name, mode, server.line(), str(sessions)]) as one:

            def play(workload: Workload) -> Played:
                played = Played(*answers(one, json.dumps(workload)))
                return played._replace(last=last(played.last))

            yield play


def stock_server(python: Path, name: str, sessions: int, home: str | None = None) -> Child:
    """Start a stock server, which prints its URL."""
    command = [str(python), "-m", "benchmarks.stock.server", name, str(sessions)]
    return Child("the stock server", command, environ={"HOME": home} if home else None)
