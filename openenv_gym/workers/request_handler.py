"""Runs the requests of one session on its environment."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from openenv_gym.errors import (
    EnvStartError,
    InvalidRequestError,
    OpenEnvGymError,
    ProtocolError,
    RemoteEnvError,
    UnsupportedRenderModeError,
    names_shown,
    shown,
)
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol.events import (
    BatchResult,
    Close,
    Closed,
    Failed,
    GetState,
    Open,
    Opened,
    Render,
    Rendered,
    Reply,
    Request,
    Reset,
    Result,
    StateReply,
    Step,
    Tracebacks,
    Use,
    Used,
    failure,
)
from openenv_gym.spaces.check import action_check
from openenv_gym.spaces.rewards import carried_reward, wrong_flags
from openenv_gym.wire.error_codes import brief, without_folders
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.attributes import use
from openenv_gym.workers.built_env import Builder, BuiltEnv, Lender
from openenv_gym.workers.facts import with_facts
from openenv_gym.workers.reports import discreet, traceback_for

_MOST_SAID = 350


class RequestHandler:
    """Owns the environment of one session; every request gets a reply, never an exception.

    Args:
        builder: Makes the environment when the session opens.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._built: BuiltEnv | None = None
        self._check_action: Callable[[Any], Any] = _anything_goes
        self._tracebacks: Tracebacks = "sent"
        self._episode_id: str | None = None
        self._step_count = 0
        self._handlers: dict[type[Any], Callable[[Any], Reply]] = {
            Open: self._open,
            Reset: self._reset,
            Step: self._step,
            GetState: self._state,
            Render: self._render,
            Use: self._use,
            Close: self._close,
        }

    def execute(self, request: Request) -> Reply:
        """Return the reply to ``request``."""
        try:
            return self._handlers[type(request)](request)
        except OpenEnvGymError as exc:
            return self.refused(exc)
        except Exception as exc:  # the border: an environment raises whatever it likes
            return self._env_failure(exc, type(request))

    def refused(self, exc: OpenEnvGymError) -> Failed:
        """Return the reply that says ``exc``, with as much as the client may see."""
        return discreet(exc, self._tracebacks)

    def close(self) -> None:
        """Close the environment where the session ended without a word."""
        if self._built is not None:
            self.execute(Close())

    @property
    def lender(self) -> Lender | None:
        """Lends the socket of the session, where the environment has such a thing."""
        return None if self._built is None else self._built.lender

    def note_steps(self, count: int) -> None:
        """Count steps that were answered elsewhere."""
        self._step_count += count

    @property
    def _there(self) -> BuiltEnv:
        if self._built is None:
            raise ProtocolError("the session has no environment; open one first")
        return self._built

    def _open(self, request: Open) -> Reply:
        self._tracebacks = request.tracebacks
        built = self._builder(request)
        modes = built.description.render_modes
        if request.render_mode is not None and request.render_mode not in modes:
            built.env.close()
            raise UnsupportedRenderModeError(
                f"render_mode: expected one of {modes or 'none at all'} "
                f"for {built.description.environment}, got {shown(request.render_mode)}"
            )
        description = with_facts(built, request)
        if request.tracebacks == "logged":
            description = description.without_folders()
        self._built = built = replace(built, description=description)
        space = description.batched_action_space
        if space is not None:
            self._check_action = action_check(space, keeps_bounds=description.has_models)
        return Opened(description)

    def _reset(self, request: Reset) -> Reply:
        built = self._there
        options = request.options
        if built.description.view == "model":
            named = {} if request.episode_id is None else {"episode_id": request.episode_id}
            options = {**(options or {}), **named, **request.extra}
        elif request.extra:
            raise InvalidRequestError(
                "reset: expected seed, options and episode_id, got "
                f"{names_shown(request.extra)} too; "
                "arguments of a Gymnasium environment go into options"
            )
        obs, info = built.env.reset(seed=request.seed, options=options)
        self._episode_id = request.episode_id or uuid.uuid4().hex
        self._step_count = 0
        if built.description.num_envs is not None:
            return BatchResult(obs, None, None, None, info)
        if built.description.view == "model":  # whose reset may say more than Gymnasium's
            return Result(obs, info.pop("reward", None), info.pop("done", False), False, info)
        return Result(obs, None, False, False, info)

    def _step(self, request: Step) -> Reply:
        built = self._there
        action = self._check_action(request.action)
        obs, reward, terminated, truncated, info = built.env.step(action)
        self._step_count += 1
        if built.description.num_envs is not None:
            return BatchResult(obs, reward, terminated, truncated, info)
        if type(reward) is not float:
            reward = carried_reward(reward)
        try:
            flags = bool(terminated), bool(truncated)
        except (TypeError, ValueError) as exc:
            raise wrong_flags(terminated, truncated) from exc
        return Result(obs, reward, *flags, info)

    def _state(self, request: GetState) -> Reply:
        counted = {"episode_id": self._episode_id, "step_count": self._step_count}
        built = self._there
        shown = built.description.state if self._tracebacks == "logged" else {}
        return StateReply({**counted, **built.state(), **shown})

    def _render(self, request: Render) -> Reply:
        if self._there.description.render_mode is None:
            raise UnsupportedRenderModeError(
                "render: the environment was opened without a render_mode; "
                f"make it with one of {self._there.description.render_modes}"
            )
        return Rendered(self._there.env.render())

    def _use(self, request: Use) -> Reply:
        built = self._there
        return Used(use(built.env, request, built.description))

    def _close(self, request: Close) -> Reply:
        built, self._built = self._built, None
        if built is not None:
            built.env.close()
        return Closed()

    def _env_failure(self, exc: Exception, kind: type[Any]) -> Failed:
        """The reply for an exception of the environment's own code."""
        error = raised_as(EnvStartError if kind is Open else RemoteEnvError, type(exc))
        is_oom = isinstance(exc, MemoryError)
        fault = Fault(kind=FaultKind.OOM) if is_oom else None
        fault_kind = FaultKind.OOM if is_oom else FaultKind.ENV_RAISED
        trace = traceback_for(exc, fault_kind, self._tracebacks)
        where = f"the environment raised {type(exc).__name__} in {kind.__name__.lower()}"
        if self._tracebacks == "logged":
            said = brief(without_folders(str(exc)), _MOST_SAID)  # or the number might be cut off
            return failure(error(f"{where}: {said} ({trace})", fault=fault))
        return failure(error(f"{where}: {exc}", fault=fault), trace)


def _anything_goes(action: Any) -> Any:
    """The check of an environment with models of its own, which check for themselves."""
    return action
