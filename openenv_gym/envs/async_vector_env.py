"""A drop-in for Gymnasium's ``AsyncVectorEnv``: its arguments and methods, on embedded workers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import AlreadyPendingCallError, ClosedEnvironmentError, NoAsyncCallError
from gymnasium.vector import AutoresetMode

from openenv_gym.endpoints.handing import check_functions
from openenv_gym.envs.exclusive import exclusive
from openenv_gym.envs.from_functions import function_endpoints
from openenv_gym.envs.remote_vector_env import RemoteVectorEnv
from openenv_gym.envs.shard_recipes import default_shards
from openenv_gym.envs.shards import Uses
from openenv_gym.errors import InvalidRequestError, RequestTimeoutError
from openenv_gym.protocol import Use

_RESET, _STEP, _CALL = "reset", "step", "call"


class WaitTimeoutError(RequestTimeoutError, multiprocessing.TimeoutError):
    """The answer did not come within the time that a call was given."""


class AsyncVectorEnv(RemoteVectorEnv):
    """Sub-environments that functions make, as Gymnasium's ``AsyncVectorEnv`` has them.

    The differences are those of every environment of this package. A worker steps many
    sub-environments in one message. A fault ends the episodes of those that have it, and training
    goes on. Functions are not called in this process. An action that is not in its space is refused
    before anything is sent.

    Args:
        env_fns: The makers of the sub-environments, one for each. Their spaces have to be equal.
        shared_memory: Whether Gymnasium would share memory; nothing depends on it here.
        copy: Whether Gymnasium would copy observations; what a step returns is new either way.
        context: ``"fork"`` for workers that are forked from this process, and inherit the
            functions; None, ``"spawn"`` or ``"forkserver"`` for new interpreters, which are sent
            them.
        daemon: Whether Gymnasium's workers would end with this process; ours do, and may have
            children.
        worker: None.
        observation_mode: ``"same"``.
        autoreset_mode: Gymnasium's mode.
        max_concurrency: How many sub-environments step at the same time: no more workers than that.
        **arguments: Further arguments of :meth:`RemoteVectorEnv.from_functions`, such as
            ``on_fault`` and ``shards``. Where sub-environments wait more than they compute,
            ``shards=len(env_fns)`` lets all of them wait at the same time.

    Raises:
        InvalidRequestError: An argument is not honoured here, or a function cannot be pickled.
        EnvStartError: A function raised, made no environment, or one of other spaces.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as Gymnasium has it
        self,
        env_fns: Sequence[Callable[[], gym.Env[Any, Any]]],
        shared_memory: bool = True,
        copy: bool = True,
        context: str | None = None,
        daemon: bool = True,
        worker: Callable[..., None] | None = None,
        observation_mode: str | gym.Space[Any] = "same",
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_concurrency: int | None = None,
        **arguments: Any,
    ) -> None:
        _check_honoured(worker, observation_mode)
        arguments = {**arguments, "autoreset_mode": autoreset_mode, "context": context}
        check_functions(env_fns)
        if max_concurrency is not None:
            arguments["shards"] = _shards_within(
                max_concurrency, arguments.get("shards"), len(env_fns)
            )
        endpoints, options = function_endpoints(env_fns, arguments)
        super().__init__(endpoints, on_fault=options.on_fault)
        self.env_fns = env_fns
        self.shared_memory = shared_memory
        self.copy = copy
        self.context = context
        self.daemon = daemon
        self.worker = worker
        self.observation_mode = observation_mode
        self.max_concurrency = max_concurrency

    _pending = ""
    """The call whose answers are to be waited for."""

    _asked: Any = None
    """What that call needs then."""

    @property
    def np_random_seed(self) -> Any:
        """The seed of each sub-environment's generator."""
        return self.get_attr("np_random_seed")

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, as :meth:`RemoteVectorEnv.reset` does, but not after ``close``."""
        self._check_free("reset_async")
        return super().reset(seed=seed, options=options)

    @exclusive
    def reset_async(
        self,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Begin an episode; :meth:`reset_wait` returns its first observations.

        Raises:
            ClosedEnvironmentError: It was closed.
            AlreadyPendingCallError: Another call is to be waited for.
        """
        self._check_free("reset_async")
        mask = (options or {}).get("reset_mask")
        try:
            self._asked = self._ask_reset(seed, options, mask), mask
        except BaseException:
            self._shards.forget()
            raise
        self._pending = _RESET

    @exclusive
    def reset_wait(self, timeout: float | None = None) -> tuple[Any, dict[str, Any]]:
        """Return what :meth:`reset_async` has begun, as ``reset`` does.

        Args:
            timeout: How long to wait, in seconds. The sessions that have not answered then are
                given up.

        Raises:
            ClosedEnvironmentError: It was closed.
            NoAsyncCallError: There was no ``reset_async``.
            WaitTimeoutError: It took longer, which is ``multiprocessing.TimeoutError`` too.
        """
        asked, mask = self._take_pending(_RESET, timeout)
        try:
            return self._take_first(self._shards.collect(asked), mask)
        except BaseException:
            self._shards.forget()
            raise

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Act in all sub-environments, as :meth:`RemoteVectorEnv.step` does."""
        if self.closed or self._pending:
            self._check_free("step_async")
        return super().step(actions)

    def step_async(self, actions: Any) -> None:
        """Send the actions; :meth:`step_wait` returns what comes of them.

        Raises:
            ClosedEnvironmentError: It was closed.
            AlreadyPendingCallError: Another call is to be waited for.
        """
        self._check_free("step_async")
        super().step_async(actions)
        self._pending = _STEP

    def step_wait(self, timeout: float | None = None) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Return what came of the actions that :meth:`step_async` sent, as ``step`` does.

        Args:
            timeout: How long to wait, in seconds, as in :meth:`reset_wait`.

        Raises:
            ClosedEnvironmentError: It was closed.
            NoAsyncCallError: There was no ``step_async``.
            WaitTimeoutError: It took longer, which is ``multiprocessing.TimeoutError`` too.
        """
        self._take_pending(_STEP, timeout)
        return super().step_wait()

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of each sub-environment, or read an attribute, as Gymnasium has it."""
        self._check_free("call_async")
        if name == "render" and not (args or kwargs):
            return self.render() or ()
        return super().call(name, *args, **kwargs)

    @exclusive
    def call_async(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        """Ask what :meth:`call` asks; :meth:`call_wait` returns the answers.

        Raises:
            ClosedEnvironmentError: It was closed.
            AlreadyPendingCallError: Another call is to be waited for.
        """
        self._check_free("call_async")
        self._asked = self._shards.begin_use(Use(name, "call", list(args), kwargs))
        self._pending = _CALL

    @exclusive
    def call_wait(self, timeout: float | None = None) -> tuple[Any, ...]:
        """Return what each sub-environment answered to :meth:`call_async`.

        Args:
            timeout: How long to wait, in seconds, as in :meth:`reset_wait`.

        Raises:
            ClosedEnvironmentError: It was closed.
            NoAsyncCallError: There was no ``call_async``.
            WaitTimeoutError: It took longer, which is ``multiprocessing.TimeoutError`` too.
        """
        uses: Uses = self._take_pending(_CALL, timeout)
        return tuple(self._shards.finish_use(uses))

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of each sub-environment, as Gymnasium has it."""
        self._check_free("set_attr")
        super().set_attr(name, values)

    def close_extras(
        self, timeout: float | None = None, terminate: bool = False, **kwargs: Any
    ) -> None:
        """End the sessions; the workers are shared with other environments, and stay.

        Args:
            timeout: How long to wait for a call that is pending, in seconds; None for as long as
                it may take.
            terminate: Whether nothing is waited for.
            **kwargs: Nothing that is known here.
        """
        pending, self._pending = self._pending, ""
        if pending:
            gym.logger.warn(
                f"Calling `close` while waiting for a pending call to `{pending}` to complete."
            )
            if not terminate and (timeout is None or self._shards.answer_within(timeout)):
                self._shards.drain()
        if terminate:
            self._shards.abandon()
        super().close_extras()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles hold the recipes, and the functions as the workers are sent them."""
        (endpoints, _, policy, _), state = super().__reduce__()[1:]
        names = ("shared_memory", "copy", "context", "daemon", "worker", "observation_mode")
        own = {name: getattr(self, name) for name in (*names, "max_concurrency")}
        return _again, (type(self), endpoints, policy), {**state, **own, "env_fns": ()}

    def _check_free(self, call: str) -> None:
        """Pass if nothing is to be waited for."""
        self._check_open()
        if self._pending:
            raise AlreadyPendingCallError(
                f"Calling `{call}` while waiting for a pending call to `{self._pending}` to "
                f"complete; call {self._pending}_wait() first",
                self._pending,
            )

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedEnvironmentError(
                f"Trying to operate on `{type(self).__name__}`, after a call to `close()`; make a "
                "new one"
            )

    def _take_pending(self, call: str, timeout_s: float | None) -> Any:
        """Wait for the answers of a call; return what was kept for it."""
        self._check_open()
        if self._pending != call:
            raise NoAsyncCallError(
                f"Calling `{call}_wait` without any prior call to `{call}_async`.", call
            )
        self._pending, asked, self._asked = "", self._asked, None
        if timeout_s is not None and not self._shards.answer_within(timeout_s):
            self._shards.forget()
            raise WaitTimeoutError(
                f"The call to `{call}_wait` has timed out after {timeout_s} second(s). The "
                "sessions that had not answered were given up; reset() begins others"
            )
        return asked


def _again(kind: type[AsyncVectorEnv], endpoints: Any, policy: Any) -> AsyncVectorEnv:
    envs = kind.__new__(kind)
    RemoteVectorEnv.__init__(envs, endpoints, on_fault=policy)
    return envs


def _check_honoured(worker: Any, observation_mode: Any) -> None:
    """Refuse what only workers of Gymnasium's own can do."""
    if worker is not None:
        raise InvalidRequestError(
            f"worker: expected None, got {worker!r}; the workers are ours, so put what yours does "
            "into a wrapper of the sub-environments"
        )
    if not isinstance(observation_mode, str) or observation_mode != "same":
        raise InvalidRequestError(
            f"observation_mode: expected 'same', got {observation_mode!r}; give all "
            "sub-environments equal spaces, as with gymnasium.wrappers.TransformObservation(env, "
            "func, observation_space)"
        )


def _shards_within(most: Any, shards: int | None, num_envs: int) -> int:
    if isinstance(most, bool) or not isinstance(most, (int, np.integer)) or most < 1:
        raise InvalidRequestError(f"max_concurrency: expected a number from 1, got {most!r}")
    return min(int(most), default_shards(num_envs) if shards is None else shards)
