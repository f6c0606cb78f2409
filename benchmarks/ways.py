"""The ways to an environment that several parts measure: here, served, and over stock OpenEnv."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym

from benchmarks.children import Child
from benchmarks.errors import BenchmarkError
from benchmarks.rounds import Case, Kind, Player
from benchmarks.workload import Played, Workload
from openenv_gym.launchers import ServerProcess

ENVIRONMENT_VARIABLE = "OPENENV_BASE_URL"

Play = Callable[[gym.Env[Any, Any], Workload], Played]
"""Plays a round on an environment, as a training loop would."""


def stay_here() -> None:
    """Forget the variable that would make an embedded environment a remote one."""
    os.environ.pop(ENVIRONMENT_VARIABLE, None)


@contextmanager
def made(make: Callable[[], gym.Env[Any, Any]], play: Play) -> Iterator[Player]:
    env = make()
    try:
        yield lambda workload: play(env, workload)
    finally:
        env.close()


@dataclass(frozen=True, kw_only=True)
class Served:
    """What ``openenv-gym serve`` serves.

    Attributes:
        environment: For the server.
        env_id: For ``gymnasium.make``.
        play: The loop.
    """

    environment: str
    env_id: str
    play: Play

    @contextmanager
    def open(
        self, isolation: str, codec: str = "binary", *, unix: bool = False
    ) -> Iterator[Player]:
        """``openenv-gym serve`` in a process of its own, and our client here."""
        arguments = [f"--isolation={isolation}"]
        with ExitStack() as stack:
            if unix:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="openenv-gym-"))
                arguments.append(f"--uds={folder}/socket")
            server = stack.enter_context(ServerProcess(self.environment, *arguments))
            remote: dict[str, Any] = {"base_url": server.base_url, "codec": codec}
            env = made(lambda: gym.make(self.env_id, **remote), self.play)
            yield stack.enter_context(env)

    def embedded(self) -> AbstractContextManager[Player]:
        return made(lambda: gym.make(self.env_id), self.play)


@contextmanager
def stock(python: Path, name: str, mode: str) -> Iterator[Player]:
    """Stock OpenEnv at both ends of ``benchmarks.stock.<name>``, each a process of ``python``."""
    server_command = [str(python), "-m", "benchmarks.stock.server", name]
    with Child("the stock server", server_command) as server:
        command = [str(python), "-m", "benchmarks.stock.player", name, mode, server.line()]
        with Child("the stock client", command) as client:

            def play_there(workload: Workload) -> Played:
                answer = client.ask(f"{workload.seed} {workload.steps}")
                try:
                    seconds, episodes, last, score = json.loads(answer)
                except ValueError as exc:
                    raise BenchmarkError(f"the stock client said {answer!r}") from exc
                return Played(seconds, episodes, tuple(last), score)

            yield play_there


def stock_cases(python: Path, name: str) -> list[Case]:
    """Return the cases of the stock peer: as a loop that does not await calls it, and awaited."""
    return [
        case("peer", "stock", "stock OpenEnv", lambda: stock(python, name, "sync")),
        case("peer", "stock_async", "stock OpenEnv, awaited", lambda: stock(python, name, "async")),
    ]


def case(
    kind: Kind, name: str, label: str, open_: Callable[[], AbstractContextManager[Player]]
) -> Case:
    return Case(name=name, label=label, kind=kind, open=open_)
