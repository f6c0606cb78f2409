"""The judgement of one environment, over every transport."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import gymnasium as gym
from gymnasium.spaces.utils import flatdim

from openenv_gym.conformance.parity import (
    NotDeterministicError,
    ParityError,
    check_deterministic,
    play_parity,
)
from openenv_gym.errors import InvalidRequestError
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import Open
from openenv_gym.workers.built_env import build

TRANSPORTS = ("embedded", "binary", "json")
PICTURE_NUMBERS = 10_000
"""An observation of more numbers than this counts as a picture."""

_MAX_REASON = 300

Verdict = Literal["identical", "differs", "nondeterministic", "raises", "stopped", "not built"]


@dataclass(frozen=True, kw_only=True)
class Play:
    """How much is played.

    Attributes:
        seeds: The number of seeds, which are 0, 1 and so on.
        steps: The number of steps for each seed.
        picture_steps: The number of steps for each seed if observations are pictures and travel as
            JSON, which is slow.
        transports: The transports to compare, some of ``TRANSPORTS``.
    """

    seeds: int = 3
    steps: int = 200
    picture_steps: int = 20
    transports: Sequence[str] = TRANSPORTS


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The judgement of one environment over one transport.

    Attributes:
        env_id: The id of the environment, as the caller gave it.
        transport: One of ``TRANSPORTS``, or "in process" if it failed before any transport.
        verdict: The verdict in a word or two, such as ``identical`` or ``not built``.
        family: The group of environments that it belongs to.
        steps: The number of steps that were compared.
        detail: The difference, or why it could not be judged, in one line.
        left_out: The places in infos whose values cannot travel.
    """

    env_id: str
    transport: str = "in process"
    verdict: Verdict
    family: str = ""
    steps: int = 0
    detail: str = ""
    left_out: Sequence[str] = ()

    def __str__(self) -> str:
        """The judgement as one line for users."""
        start = f"{self.env_id}  {self.transport}: {self.verdict.replace('not', 'could not be')}"
        if self.verdict != "identical":
            return f"{start}: {self.detail}"
        lost = f"; left out: {', '.join(self.left_out)}" if self.left_out else ""
        return f"{start}: {self.steps} steps compared{lost}"


def judge(env_id: str, play: Play) -> Iterator[Judgement]:
    """Compare an environment in process with each transport.

    Nothing is raised: an exception of the environment becomes its judgement.

    Args:
        env_id: The name of the environment, as ``serve`` takes it.
        play: How much is played.
    """
    make = partial(_made, env_id)
    try:
        with contextlib.closing(make()) as env:
            family, is_picture = family_of(env.spec), _numbers(env) > PICTURE_NUMBERS
    except Exception as exc:  # an environment may raise anything; the row says it
        yield Judgement(env_id=env_id, verdict="not built", detail=one_line(exc))
        return
    try:
        check_deterministic(make, range(play.seeds), play.steps)
    except NotDeterministicError as exc:
        yield Judgement(
            env_id=env_id, verdict="nondeterministic", family=family, detail=one_line(exc)
        )
        return
    except Exception as exc:  # an environment may raise anything; the row says it
        yield Judgement(env_id=env_id, verdict="raises", family=family, detail=one_line(exc))
        return
    with contextlib.ExitStack() as stack:
        reach = _Reach(env_id, stack)
        for transport in play.transports:
            short = is_picture and transport == "json"
            steps = min(play.steps, play.picture_steps) if short else play.steps
            yield _compare(env_id, family, make, reach, transport, range(play.seeds), steps)


def _made(name: str) -> gym.Env[Any, Any]:
    """Return the environment that a worker would have.

    Raises:
        InvalidRequestError: It has models and no spaces.
    """
    built = build(Open(environment=name))
    if built.description.action is None:
        built.env.close()
        raise InvalidRequestError(
            f"{name} has models of its own; expected an environment with spaces, whose values can "
            "be compared"
        )
    env: gym.Env[Any, Any] = built.env
    return env


class _Reach:
    """Makes remote environments. Its one server starts when it is first needed."""

    def __init__(self, env_id: str, stack: contextlib.ExitStack) -> None:
        self._env_id = env_id
        self._stack = stack
        self._server: ServerProcess | None = None

    def make(self, transport: str) -> gym.Env[Any, Any]:
        arguments: dict[str, Any] = {"on_fault": "raise"}
        if transport != "embedded":
            if self._server is None:
                self._server = self._stack.enter_context(ServerProcess(self._env_id))
            arguments |= {"base_url": self._server.base_url, "codec": transport}
        return gym.make(
            "openenv/gymnasium-v0", env_id=self._env_id, disable_env_checker=True, **arguments
        )


def _compare(
    env_id: str,
    family: str,
    make: Callable[[], gym.Env[Any, Any]],
    reach: _Reach,
    transport: str,
    seeds: range,
    steps: int,
) -> Judgement:
    lost: set[str] = set()
    about: dict[str, Any] = {"env_id": env_id, "family": family, "transport": transport}
    try:
        with contextlib.closing(make()) as local, contextlib.closing(reach.make(transport)) as env:
            compared = play_parity(local, env, seeds, steps, lost)
    except ParityError as exc:
        return Judgement(verdict="differs", detail=one_line(exc), **about)
    except Exception as exc:  # in process it went well
        return Judgement(verdict="differs", detail=f"raises {one_line(exc)}", **about)
    return Judgement(verdict="identical", steps=compared, left_out=sorted(lost), **about)


def _numbers(env: gym.Env[Any, Any]) -> int:
    try:
        return flatdim(env.observation_space)
    except (NotImplementedError, ValueError):  # a space without a fixed size
        return 0


def family_of(spec: Any) -> str:
    """Return the group that an environment belongs to: ``classic_control``, ``ALE``.

    It is the namespace of its id, the folder of one of Gymnasium's own, or the package.
    """
    if spec is None:
        return "other"
    if spec.namespace is not None:
        return str(spec.namespace)
    entry = spec.entry_point if isinstance(spec.entry_point, str) else spec.entry_point.__module__
    parts = entry.partition(":")[0].split(".")
    return parts[2] if parts[:2] == ["gymnasium", "envs"] and len(parts) > 3 else parts[0]


def one_line(exc: BaseException) -> str:
    """Return an exception as one line of limited length."""
    text = " ".join(str(exc).split())
    if not isinstance(exc, (ParityError, NotDeterministicError)):
        text = f"{type(exc).__name__}: {text}"
    return text if len(text) <= _MAX_REASON else text[: _MAX_REASON - 3] + "..."
