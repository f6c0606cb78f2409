"""Builds environments that run in another interpreter, which has none of this package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium as gym
import msgspec
from gymnasium import error

from openenv_gym.adapters import gymnasium_host, vector_host
from openenv_gym.adapters.foreign_env import ForeignEnv
from openenv_gym.adapters.guarded_env import GuardedEnv
from openenv_gym.adapters.interpreter_env import EnvThere, go_ahead
from openenv_gym.errors import (
    ConnectionLostError,
    EnvStartError,
    InvalidRequestError,
    UnknownEnvironmentError,
)
from openenv_gym.protocol.events import NO_TIME_LIMIT, Open
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.built_env import BuiltEnv
from openenv_gym.workers.interpreter_process import InterpreterProcess, end_of
from openenv_gym.workers.reports import STDERR_SAYS


class Interpreters:
    """The process of one session's interpreter, which all its environments share.

    It begins with the first environment, begins anew where it has ended, and ends with the last
    environment.

    Args:
        python: The path of the interpreter.
    """

    def __init__(self, python: str) -> None:
        self._python = python
        self._process: InterpreterProcess | None = None
        self._open = 0

    def make(self, request: Open) -> EnvThere:
        """Make an environment there.

        Raises:
            EnvStartError: the interpreter cannot be started.
            Exception: what making it raised there.
        """
        process = self._process
        if process is None or process.has_ended:
            process = self._process = InterpreterProcess(self._python)
        self._open += 1
        try:
            name, limit = request.environment, request.max_episode_steps
            asked = (name, request.kwargs, request.render_mode, limit)
            number, about = process.ask("open", *asked)
        except ConnectionLostError as exc:
            self.leave()
            raise _start_error(request, exc) from exc
        except BaseException:
            self.leave()
            raise
        return EnvThere(process, number, about)

    def leave(self) -> None:
        """Say that an environment is closed, or was never made."""
        self._open -= 1
        if not self._open and self._process is not None:
            self._process.end()
            self._process = None


class InterpreterEnv(ForeignEnv):
    """An environment of another interpreter as a ``gymnasium.Env``.

    Args:
        env: The environment there.
        interpreters: Told when it is closed.
        render_mode: The mode in which it draws.
    """

    def __init__(
        self, env: EnvThere, interpreters: Interpreters, render_mode: str | None = None
    ) -> None:
        super().__init__(env, render_mode=render_mode)
        self._interpreters: Interpreters | None = interpreters

    def close(self) -> None:
        """Close it there; with the last one, the interpreter ends."""
        interpreters, self._interpreters = self._interpreters, None
        if interpreters is None:
            return
        try:
            super().close()
        finally:
            interpreters.leave()


def build(name: str, request: Open) -> BuiltEnv:
    """Build an environment in the interpreter that ``request`` names, or as many as it asks for.

    Args:
        name: The name, as that interpreter is to understand it.
        request: The request, which has ``python``.

    Raises:
        UnknownEnvironmentError: it is not known there.
        EnvStartError: the interpreter cannot be started, or lacks a package.
        InvalidRequestError: models are given, which only a typed environment has.
    """
    if request.models:
        raise InvalidRequestError(
            f"{name}: an environment of another interpreter has spaces; expected no model of its "
            f"actions and its observations, got {', '.join(request.models)}"
        )
    interpreters = Interpreters(str(request.python))
    build_one = partial(_build_one, interpreters)
    if request.num_envs is None:
        return build_one(request)
    return vector_host.host(request, lambda single, place: build_one(single))


def _build_one(interpreters: Interpreters, request: Open) -> BuiltEnv:
    name = str(request.environment)
    there = _made(interpreters, request)
    try:
        env: gym.Env[Any, Any] = InterpreterEnv(there, interpreters, request.render_mode)
    except BaseException:
        there.close()
        interpreters.leave()
        raise
    limit = request.max_episode_steps
    if limit not in (None, NO_TIME_LIMIT) and not there._about["has_own_limit"]:
        env = gym.wrappers.TimeLimit(env, limit)
    built = gymnasium_host.host(env, name)
    about = {"name": name, "description": _summary(there)}
    described = msgspec.structs.replace(built.description, about=about)
    is_ahead = not there._about["specs"]  # actions for specs get another form on their way
    return replace(built, description=described, ahead=_ahead if is_ahead else None)


def _made(interpreters: Interpreters, request: Open) -> EnvThere:
    name = str(request.environment)
    try:
        return interpreters.make(request)
    except error.DependencyNotInstalled as exc:
        raise raised_as(EnvStartError, type(exc))(f"{name}: {exc}") from exc
    except error.UnregisteredEnv as exc:
        raise raised_as(UnknownEnvironmentError, type(exc))(f"{name}: {exc}") from exc
    except LookupError as exc:
        if type(exc).__name__ != "UnknownEnvironment":
            raise
        raise UnknownEnvironmentError(f"{exc} (its interpreter is {request.python})") from exc


def _start_error(request: Open, exc: ConnectionLostError) -> EnvStartError:
    tail = "" if exc.fault is None else exc.fault.stderr_tail
    return EnvStartError(
        f"{request.environment}: {exc}, when it was made. {STDERR_SAYS}{end_of(tail)}",
        fault=exc.fault,
    )


def _summary(there: EnvThere) -> str:
    about = there._about
    title = next((line.strip("# ") for line in about["doc"].splitlines() if line.strip("# ")), "")
    return f"Environment {about['name']} of {there._process.python}: {title or about['name']}"


def _ahead(asked: Sequence[tuple[gym.Env[Any, Any], Any, bool]]) -> None:
    """Have environments of one session go on with one message."""
    go_ahead(
        [
            (_there(env), None if is_reset else action, is_reset)
            for env, action, is_reset in asked
            if not (isinstance(env, GuardedEnv) and env.is_lost)  # another one takes its place
        ]
    )


def _there(env: gym.Env[Any, Any]) -> EnvThere:
    inner: Any = env.unwrapped
    found: EnvThere = inner.foreign
    return found
