"""A remote environment as ``gymnasium.Env``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import data_equivalence
from numpy.typing import NDArray

from openenv_gym.address import parse_address
from openenv_gym.client import Connection
from openenv_gym.endpoints import Endpoint, ServerEndpoint
from openenv_gym.envs.faults import (
    CLOSE_TIMEOUT_S,
    OnFault,
    Restarts,
    fault_kind,
    fault_policy,
    info_of,
    kept,
    without_frames,
)
from openenv_gym.errors import (
    ConnectionLostError,
    OpenEnvGymError,
    ProtocolError,
    RequestTimeoutError,
    ResetNeededError,
    TransportError,
)
from openenv_gym.protocol import Render, Rendered, Reset, Result, Step
from openenv_gym.spaces.check import action_check
from openenv_gym.wire.fault_info import FAULT_KEY, restart_info, seed_after_fault

_OWN_ATTRIBUTES = frozenset(
    {
        *("name", "spec", "metadata", "render_mode", "action_space", "observation_space"),
        *("action_masks", "np_random", "np_random_seed", "reward_range"),
    }
)
_ELSEWHERE = (
    ": the environment lives in another process, and its own attributes can neither be read nor "
    "set from here; pass arguments when it is made, or options to reset()"
)


class RemoteEnv(gym.Env[Any, Any]):
    """An environment that runs in another process or on another machine.

    Observations, rewards, flags and infos are those that the environment would give in process,
    bit for bit. An episode lives on one session; a fault ends it, as truncated, and the next
    ``reset`` begins a new session. Until there was one reset and one step, faults are raised.

    Args:
        source: The URL of a server, or the recipe of any other place.
        on_fault: ``truncate``; ``raise`` raises every fault; or a ``FaultPolicy``.

    Attributes:
        action_masks: Method that returns the legal actions as a boolean array of shape
            ``(action_space.n,)``; it exists only where the environment tells them, because
            sb3-contrib asks by its existence.

    Raises:
        AddressError: the URL has no form of an address.
        UnreachableError: nobody answers there.
        NotOpenEnvError: who answers is no OpenEnv server.
        SpaceError: the spaces cannot be inferred from the server's schemas.
        EnvStartError: the environment could not be built.
    """

    action_masks: Callable[[], NDArray[np.bool_]]

    def __init__(self, source: str | Endpoint, on_fault: OnFault = "truncate") -> None:
        self._policy = fault_policy(on_fault)
        self._endpoint: Endpoint = (
            ServerEndpoint(address=parse_address(source)) if isinstance(source, str) else source
        )
        self._legal_actions: list[int] = []
        self._info, self._connection = info, _ = self._endpoint.describe()
        self.name = info.name
        self._restarts = Restarts(self._policy, info.name)
        self._base_seed: int | None = None
        self._last_obs: Any = None
        self._last_frame: Any = None
        self._fault: OpenEnvGymError | None = None
        self._is_soft = False  # until there was a reset and a step
        self.action_space = info.action_space
        self.observation_space = info.observation_space
        self._check_action = action_check(info.action_space)
        self.render_mode = info.render_mode
        self.metadata = info.metadata
        self._has_action_masks = info.has_action_masks
        self._check_seeding = info.check_seeding
        if info.has_action_masks:
            self.action_masks = self._masks

    @property
    def endpoint(self) -> Endpoint:
        """The recipe: where the environment is, and how a session is made."""
        return self._endpoint

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, as in Gymnasium.

        A session that was lost, or whose episode ended in a fault, is made anew: a reset acts on
        nothing that was lost with it. Its seed is then ``seed``, or else derived from the last
        seed that was given.

        Raises:
            TransportError: the connection cannot be made, or broke, before the first step.
            RemoteEnvError: the environment raised, before the first step.
            EnvCrashLoopError: it was made anew as often, or waited for as long, as it may.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._base_seed = self._restarts.seed = seed
        request = Reset(seed, options)
        usable = self._usable()
        if usable is not None:
            try:
                return self._first(usable, request)
            except OpenEnvGymError as exc:
                if not self._may_begin_anew(exc):
                    raise
        if self._fault is None:  # there was no session yet, or it was closed, or is not softened
            self._connection = self._endpoint.connect(self._info).connection
            return self._first(self._connection, request)
        return self._restarts.renew(lambda: self._begin_anew(seed, options), self._fault)

    def _usable(self) -> Connection | None:
        """The session, unless it is broken or its episode ended in a fault."""
        connection = self._connection
        is_lost = connection is None or connection.is_broken or self._fault is not None
        return None if is_lost else connection

    def _may_begin_anew(self, exc: OpenEnvGymError) -> bool:
        """Whether a reset that ended in ``exc`` is made again, on a new session."""
        if isinstance(exc, ConnectionLostError):
            gym.logger.warn(f"{self}: the connection was lost; making a new one")
        elif not self._is_soft or fault_kind(exc) is None:
            return False
        self._note(without_frames(exc))
        return True

    def _begin_anew(
        self, seed: int | None, options: dict[str, Any] | None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode on a new session."""
        self._part()
        incarnation = self._restarts.incarnation
        if seed is None:
            seed = self._restarts.seed = seed_after_fault(self._base_seed, 0, incarnation)
        self._connection = self._endpoint.connect(self._info).connection
        try:
            obs, info = self._first(self._connection, Reset(seed, options))
        except OpenEnvGymError as exc:
            self._note(exc)
            raise
        self._fault = None
        return obs, {**info, FAULT_KEY: restart_info(incarnation, seed)}

    def _note(self, exc: OpenEnvGymError) -> None:
        """Keep a fault, and end a worker of ours that hangs: others may wait for it, too."""
        self._fault = exc if self._is_soft else None
        if self._is_soft and isinstance(exc, RequestTimeoutError) and self._connection is not None:
            self._connection.kill_peer()

    def _part(self) -> None:
        """Leave the session: a slot of the server may be free only then."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.end_session(CLOSE_TIMEOUT_S)

    def _first(self, connection: Connection, request: Reset) -> tuple[Any, dict[str, Any]]:
        result = self._exchange(connection, request)
        if self._check_seeding and request.seed is not None:
            self._check_seeding = False
            again = self._exchange(connection, request)
            if not data_equivalence(result.obs, again.obs):
                gym.logger.warn(
                    f"{self}: two resets with the seed {request.seed} gave different observations; "
                    "the server ignores seeds, so no run on it can be repeated"
                )
            result = again
        if self._policy.is_soft:
            self._last_obs = kept(result.obs)
        return result.obs, result.info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Act, as in Gymnasium; a reward that the server left out is 0.

        A fault returns a copy of the last observation, no reward, ``truncated``, and an info whose
        ``openenv`` says what happened.

        Raises:
            InvalidActionError: ``action`` is not in the action space; nothing was sent.
            ResetNeededError: there is no episode; nothing was sent.
            TransportError: the connection broke in the first step; ``reset`` makes a new one.
            RemoteEnvError: the environment raised in the first step.
        """
        connection = self._connection
        if connection is None:
            raise ResetNeededError("step before the first reset; call reset() to begin an episode")
        self._check_action(action)
        if not self._policy.is_soft:
            return _step_tuple(self._exchange(connection, Step(action)))
        if self._fault is not None:
            raise ResetNeededError(
                "step after the end of the episode, in a fault; call reset() to begin the next one"
            )
        self._restarts.actions.append(kept(action))
        was_broken = connection.is_broken
        try:
            result = self._exchange(connection, Step(action))
        except OpenEnvGymError as exc:
            kind = fault_kind(exc)
            if kind is None or not self._is_soft:
                raise
            self._note(without_frames(exc))
            said = info_of(exc, kind, self._restarts.incarnation, False if was_broken else None)
            return self._last_obs, 0.0, False, True, {FAULT_KEY: said}
        self._is_soft = True
        self._last_obs = kept(result.obs)
        return _step_tuple(result)

    def render(self) -> Any:
        """Return what the environment renders in its ``render_mode``, as in Gymnasium.

        Without a render mode there is nothing to return but a warning, as in Gymnasium. After a
        fault there is nobody who renders: the last picture is returned again.

        Raises:
            ResetNeededError: there is no connection yet.
            TransportError: the connection broke, and there was no picture, or no step yet.
        """
        if self.render_mode is None:
            gym.logger.warn(f"{self}: render() without a render_mode; name one in gymnasium.make")
            return None
        if self._connection is None:
            raise ResetNeededError("render before the first reset; call reset() first")
        if self._fault is not None and self._last_frame is not None:
            return kept(self._last_frame)
        try:
            reply = self._connection.request(Render())
        except TransportError:
            if not self._is_soft or self._last_frame is None:
                raise
            return kept(self._last_frame)  # the next step tells the fault
        if not isinstance(reply, Rendered):
            raise ProtocolError(f"expected a picture, got a {type(reply).__name__}")
        self._last_frame = reply.frame
        return reply.frame

    def close(self) -> None:
        """End the session, within a few seconds; may be called twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(CLOSE_TIMEOUT_S)

    def _exchange(self, connection: Connection, request: Reset | Step) -> Result:
        reply = connection.request(request)
        if type(reply) is not Result:
            raise ProtocolError(f"expected an observation, got a {type(reply).__name__}")
        if self._has_action_masks:
            self._legal_actions = reply.info.get("legal_actions", [])
        return reply

    def _masks(self) -> NDArray[np.bool_]:
        """The legal actions as a boolean array of shape ``(n,)``."""
        space: Any = self.action_space  # a Discrete, where there are masks
        mask = np.zeros(int(space.n), dtype=np.bool_)
        mask[self._legal_actions] = True
        return mask

    def __getattr__(self, name: str) -> Any:
        """Say of what is not here that it may be there."""
        where = "" if name.startswith("_") else _ELSEWHERE
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{where}")

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute that this class has; others would change nothing, in silence."""
        if name not in _OWN_ATTRIBUTES and not name.startswith("_"):
            raise AttributeError(f"cannot set {name!r} of {self}{_ELSEWHERE}")
        super().__setattr__(name, value)

    def __del__(self) -> None:
        """Close the socket of an environment that nobody closed; its session ends with it."""
        connection: Connection | None = self.__dict__.get("_connection")
        if connection is not None:
            connection.abandon()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles hold the recipe: the copy opens a session of its own."""
        return type(self), (self._endpoint, self._policy), {"spec": self.spec}

    def __str__(self) -> str:
        """Like ``<RemoteEnv CartPole-v1>``."""
        return f"<{type(self).__name__} {self.name}>"


def _step_tuple(result: Result) -> tuple[Any, float, bool, bool, dict[str, Any]]:
    reward = 0.0 if result.reward is None else result.reward
    return result.obs, reward, result.terminated, result.truncated, result.info
