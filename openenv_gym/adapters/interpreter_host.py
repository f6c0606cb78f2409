"""Builds environments that run in another interpreter, which has none of this package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium as gym
import msgspec
from gymnasium import error

from openenv_gym.adapters import foreign_host, vector_host
from openenv_gym.adapters.foreign_env import ForeignEnv
from openenv_gym.adapters.foreign_spaces import SIDES
from openenv_gym.adapters.guarded_env import GuardedEnv
from openenv_gym.adapters.interpreter_env import AskedEnv, EnvThere, InterpreterLender, go_ahead
from openenv_gym.adapters.interpreter_forms import action_form_of, plain_form_of
from openenv_gym.errors import (
    ConnectionLostError,
    EnvStartError,
    InvalidRequestError,
    UnknownEnvironmentError,
)
from openenv_gym.interpreter.host import RESET, STEP, STEP_PLAINLY
from openenv_gym.interpreter.plain import Form
from openenv_gym.protocol.events import NO_TIME_LIMIT, Open
from openenv_gym.spaces import from_descriptor
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.built_env import BuiltEnv, Rows
from openenv_gym.workers.interpreter_process import InterpreterProcess, end_of
from openenv_gym.workers.reports import STDERR_SAYS

_NO_FORM: Form = ("|u1", ())
"""Stands for the form where no step may be plain."""


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
        **arguments: Further arguments of :class:`ForeignEnv`.
    """

    def __init__(self, env: EnvThere, interpreters: Interpreters, **arguments: Any) -> None:
        super().__init__(env, **arguments)
        self._interpreters: Interpreters | None = interpreters

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """Set an attribute there, as in any object that is adapted."""
        is_set: bool = self.foreign._process.ask("set", self.foreign._number, name, value, force)
        return is_set

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
    name, spaces = str(request.environment), _spaces_of(request)
    others = {key: value for key, value in request.kwargs.items() if key not in spaces}
    there = _made(interpreters, msgspec.structs.replace(request, kwargs=others))
    mode = request.render_mode
    try:
        env: gym.Env[Any, Any] = InterpreterEnv(there, interpreters, render_mode=mode, **spaces)
    except BaseException:
        try:
            there.close()
        finally:
            interpreters.leave()
        raise
    limit = request.max_episode_steps
    if limit not in (None, NO_TIME_LIMIT) and not there._about["has_own_limit"]:
        env = gym.wrappers.TimeLimit(env, limit)
    built = foreign_host.host(env, name, _summary(there))
    if there._about["specs"]:  # actions for specs get another form on their way
        return built
    plain, actions = plain_form_of(env.observation_space), action_form_of(env.action_space)
    lender = None
    if type(env) is InterpreterEnv and plain is not None and actions is not None:
        lender = InterpreterLender(there, actions, plain)
    return replace(built, ahead=partial(_ahead, plain), lender=lender)


def _spaces_of(request: Open) -> dict[str, gym.Space[Any]]:
    """Return the spaces that are given by hand; a constructor there could do nothing with ours.

    Raises:
        SpaceError: A descriptor makes no sense.
    """
    given = {side: request.kwargs.get(side) for side in SIDES}
    return {
        side: from_descriptor(space) if isinstance(space, dict) else space
        for side, space in given.items()
        if isinstance(space, dict | gym.Space)
    }


def _made(interpreters: Interpreters, request: Open) -> EnvThere:
    name = str(request.environment)
    try:
        return interpreters.make(request)
    except error.DependencyNotInstalled as exc:
        raise raised_as(EnvStartError, type(exc))(f"{name}: {exc}") from exc
    except ImportError as exc:
        raise raised_as(EnvStartError, type(exc))(
            f"{name}: what it needs cannot be imported by {request.python}: {exc}. Install it "
            f"there: {request.python} -m pip install ..., or name an interpreter that has it"
        ) from exc
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


def _ahead(form: Form | None, asked: Sequence[tuple[Any, Any, bool]]) -> list[Rows]:
    """Have environments of one session go on with one message."""
    told = []
    for place, (env, action, is_reset) in enumerate(asked):
        is_guarded = type(env) is GuardedEnv
        is_live = not is_guarded or env.is_live
        if not is_live and env.is_lost:  # another one takes its place
            continue
        inner = env.env if is_guarded else env
        # What counts steps, or waits for a first one, is to be told of each.
        is_plain = is_live and form is not None and type(inner) is InterpreterEnv
        mode = RESET if is_reset else STEP_PLAINLY if is_plain else STEP
        there = inner.foreign if is_plain else env.unwrapped.foreign
        told.append(AskedEnv(place, there, action, mode))
    return go_ahead(told, form or _NO_FORM) if told else []
