"""The ways to environments that several parts measure: here, served, and over stock OpenEnv."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from benchmarks.children import Child
from benchmarks.rounds import Case, Player, case
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
def stock(python: Path, name: str, mode: str, sessions: int = 1) -> Iterator[Player]:
    """Stock OpenEnv at both ends of ``benchmarks.stock.<name>``, each a process of ``python``.

    Args:
        python: Has OpenEnv.
        name: Of the environment.
        mode: ``sync`` or ``vector``, see :mod:`benchmarks.stock.player`.
        sessions: How many the vector form opens.
    """
    with stock_server(python, name, max(sessions, 4)) as url:
        module = [str(python), "-m", "benchmarks.stock.player"]
        with Child("the stock client", [*module, name, mode, url, str(sessions)]) as client:

            def play(workload: Workload) -> Played:
                played = Played(*json.loads(client.ask(json.dumps(workload))))
                batch = np.array(played.last, np.float32)
                last = digest(batch) if mode == "vector" else tuple(played.last)
                return played._replace(last=last)

            yield play


@contextmanager
def stock_server(python: Path, name: str, sessions: int) -> Iterator[str]:
    """Start a stock server, which has a home folder of its own, and return its URL."""
    command = [str(python), "-m", "benchmarks.stock.server", name, str(sessions)]
    with (
        tempfile.TemporaryDirectory() as home,
        Child("the stock server", command, environ={"HOME": home}) as server,
    ):
        yield server.line()
        server.kill()  # it has nothing to finish


def stock_cases(python: Path | None, name: str, sessions: int = 0, share: int = 1) -> list[Case]:
    """Return the case of the stock peer, if there is a Python that has it.

    Without ``sessions`` it is its synchronous client; with them, as many that are awaited together.
    """
    if python is None:
        return []
    if not sessions:
        return [case("peer", "stock", "stock OpenEnv", stock, python, name, "sync", share=share)]
    label = f"stock OpenEnv, {sessions} session{'s' if sessions > 1 else ''} awaited"
    return [case("peer", "stock", label, stock, python, name, "vector", sessions, share=share)]


def digest(obs: Any) -> int:
    return crc32(np.ascontiguousarray(obs).tobytes())
