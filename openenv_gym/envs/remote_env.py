"""A remote environment as ``gymnasium.Env``."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from openenv_gym.client import Connection
from openenv_gym.endpoints import Endpoint, endpoint_of, warn_of
from openenv_gym.envs.asking import attribute, generator_of, is_atari
from openenv_gym.envs.begin_anew import CLOSE_TIMEOUT_S, begin_anew
from openenv_gym.envs.exclusive import ExclusiveUse, exclusive
from openenv_gym.envs.seeding import SeedCheck
from openenv_gym.envs.spec import shown_spec
from openenv_gym.errors import (
    ConnectionLostError,
    OpenEnvGymError,
    ProtocolError,
    ResetNeededError,
    TransportError,
)
from openenv_gym.protocol import Render, Rendered, Reset, Result, Step, Use, Used
from openenv_gym.protocol.events import check_seeds
from openenv_gym.recovery import (
    KEPT_ACTIONS,
    Do,
    Effect,
    Episode,
    EpisodeState,
    Event,
    OnFault,
    Restarts,
    fault_policy,
)
from openenv_gym.spaces.check import action_check
from openenv_gym.spaces.copy_value import copy_value
from openenv_gym.spaces.legal_actions import mask_of
from openenv_gym.spaces.probing import end_of_reset
from openenv_gym.wire.fault_info import FAULT_KEY, restart_info

_OWN_ATTRIBUTES = frozenset(
    {
        "name",
        "spec",
        "metadata",
        "render_mode",
        "action_space",
        "observation_space",
        "reward_space",
        "action_masks",
        "np_random",
        "np_random_seed",
        "reward_range",
    }
)
_ELSEWHERE = (
    ": the environment lives in another process, and its own attributes cannot be {} from here; "
    "pass arguments when it is made, or options to reset()"
)


class RemoteEnv(gym.Env[Any, Any]):
    """An environment that runs in another process or on another machine.

    Observations, rewards, flags and infos are those that the environment would give in process,
    bit for bit. An episode lives on one session; a fault ends it, as truncated, and the next
    ``reset`` begins a new session. Until there was one reset and one step, faults are raised.

    Args:
        source: The URL of a server, or the recipe of any other place.
        on_fault: ``truncate``; ``raise`` raises every fault; or a ``FaultPolicy``.
        token: The secret that opens the server, as ``make`` takes it, where ``source`` is a URL.

    Attributes:
        action_masks: Method that returns the legal actions as a boolean array of shape
            ``(action_space.n,)``; it exists only where the environment tells them, because
            sb3-contrib asks by its existence.
        reward_space: The space of array rewards, as those of MO-Gymnasium; it exists only where
            the environment has one.

    Raises:
        AddressError: the URL has no form of an address.
        UnreachableError: nobody answers there.
        AuthenticationError: the server wants another token.
        NotOpenEnvError: who answers is no OpenEnv server.
        SpaceError: the spaces cannot be inferred from the server's schemas.
        EnvStartError: the environment could not be built.
    """

    action_masks: Callable[[], NDArray[np.bool_]]
    reward_space: gym.Space[Any]

    def __init__(
        self, source: str | Endpoint, on_fault: OnFault = "truncate", *, token: str | None = None
    ) -> None:
        self._use = ExclusiveUse()  # what another thread asks must not change the episode's state
        self._policy = fault_policy(on_fault)
        self._endpoint = endpoint_of(source, token)
        self._legal_actions: list[int] = []
        self._info, self._connection = info, _ = self._endpoint.describe()
        self._answered: dict[tuple[str, str], Any] = {}  # last, of attributes and of methods
        self.name = info.name
        warn_of(info.name, info.warnings)
        self._actions: deque[Any] = deque(maxlen=KEPT_ACTIONS)
        self._restarts = Restarts(self._policy, info.name, last_actions=self._actions.copy)
        self._episode = Episode(self._policy, [self._restarts])
        self._last_obs: Any = None
        self._last_frame: Any = None
        self._nothing: Any = 0.0  # the last reward that was no number
        self.action_space = info.action_space
        self.observation_space = info.observation_space
        self._check_action = action_check(info.action_space, keeps_bounds=info.keeps_bounds)
        self.render_mode = info.render_mode
        self.metadata = info.metadata
        self._has_action_masks = info.has_action_masks
        self._seeds = SeedCheck(info)
        if info.has_action_masks:
            self.action_masks = self._masks
        if info.reward_space is not None:
            self.reward_space = info.reward_space

    @staticmethod
    def from_function(
        function: Callable[..., Any],
        *,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        **arguments: Any,
    ) -> RemoteEnv:
        """Return what a class or a function makes, embedded; it may be of no module.

        Args:
            function: Makes a ``gymnasium.Env`` or a typed environment, a new one in each call.
            render_mode: Gymnasium's mode, an argument of the function.
            max_episode_steps: Gymnasium's time limit.
            **arguments: ``timeout_s``, ``check_seeding``, ``on_fault`` and ``context``, as
                ``RemoteVectorEnv.from_functions`` has them; the others are those of the function.

        Raises:
            InvalidRequestError: An argument makes no sense, or the function cannot be pickled.
            EnvStartError: The function raised, or made no environment.
        """
        from openenv_gym.envs.from_function import env_of

        return env_of(
            function, render_mode=render_mode, max_episode_steps=max_episode_steps, **arguments
        )

    @property
    def endpoint(self) -> Endpoint:
        """The recipe: where the environment is, and how a session is made."""
        return self._endpoint

    @exclusive
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, as in Gymnasium.

        A session that was lost, or whose episode ended in a fault, is made anew: a reset acts on
        nothing that was lost with it. Its seed is then ``seed``, or else derived from the last
        seed that was given.

        Raises:
            TransportError: The connection cannot be made, or broke, before the first step.
            RemoteEnvError: The environment raised, before the first step.
            EnvCrashLoopError: It was made anew as often, or waited for as long, as it may.
        """
        check_seeds(seed)
        if seed is not None and self._seeds.is_asked:
            self._seeds.look_at(self, seed, options)
        super().reset(seed=seed)
        self._restarts.take_seed(seed, seed)
        effect = self._episode.handle(Event.RESET_ASKED, time.monotonic(), seeds=[seed])
        connection = self._connection
        if effect.do is Do.PASS and connection is not None and not connection.is_broken:
            try:
                return self._begun(connection, Reset(seed, options))
            except OpenEnvGymError as exc:
                effect = self._reset_failed(exc)
                if effect.do is Do.RAISE:
                    raise self._episode.take_error()  # noqa: B904 - it is this one
        if effect.do is Do.BEGIN_ANEW or effect.do is Do.RAISE:
            make = partial(self._begin_anew, options)
            return begin_anew(self._episode, effect, make)
        # There was no session yet, or it was closed, or an interrupt has broken it.
        return self._begun(self._connect(), Reset(seed, options))

    def _begun(self, connection: Connection, request: Reset) -> tuple[Any, dict[str, Any]]:
        first = self._first(connection, request)
        self._episode.handle(Event.BEGUN)
        return first

    def _reset_failed(self, exc: OpenEnvGymError) -> Effect:
        """What is to be done when a reset on the session that there was has failed."""
        if not isinstance(exc, ConnectionLostError):
            return self._episode.failed(exc, time.monotonic())
        gym.logger.warn(f"{self}: the connection was lost; making a new one")
        return self._episode.handle(Event.GONE, time.monotonic(), exc)

    def _connect(self) -> Connection:
        self._connection = made = self._endpoint.connect(self._info).connection
        return made

    def _begin_anew(
        self, options: dict[str, Any] | None, seeds: Sequence[int | None]
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode on a new session."""
        connection, self._connection = self._connection, None
        if connection is not None:  # a slot of the server may be free only then
            connection.end_session(CLOSE_TIMEOUT_S)
        obs, info = self._first(self._connect(), Reset(seeds[0], options))
        said = restart_info(self._restarts.incarnation, seeds[0])
        return obs, {**info, FAULT_KEY: said}

    def _first(self, connection: Connection, request: Reset) -> tuple[Any, dict[str, Any]]:
        result = self._exchange(connection, request)
        if request.seed is not None and is_atari(self._info.description):
            self._np_random = generator_of(result.info) or self._np_random
        end = end_of_reset(result.terminated or result.truncated, result.info)
        connection.note_end(end)
        if end:
            warn_of(self.name, [end])
        if self._policy.is_soft:
            self._last_obs = copy_value(result.obs)
        return result.obs, result.info

    @exclusive
    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Act, as in Gymnasium; a reward that the server left out is 0.

        The reward is a Python float, or the array that the environment pays. A fault returns a copy
        of the last observation, no reward, ``truncated``, and an info whose ``openenv`` says what
        happened.

        Raises:
            InvalidActionError: ``action`` is not in the action space; nothing was sent.
            ResetNeededError: There is no episode; nothing was sent.
            TransportError: The connection broke in the first step; ``reset`` makes a new one.
            RemoteEnvError: The environment raised in the first step.
            SpaceError: A reward or a flag of the environment cannot be carried.
        """
        connection = self._connection
        if connection is None:
            raise ResetNeededError("step before the first reset; call reset() to begin an episode")
        action = self._check_action(action)
        episode = self._episode
        if episode.state is not EpisodeState.LIVE:
            effect = episode.handle(Event.STEP_ASKED)
            if effect.do is Do.RAISE:
                raise episode.take_error()
        if self._policy.is_soft:
            self._actions.append(copy_value(action))
        try:
            result = self._exchange(connection, Step(action))
        except OpenEnvGymError as exc:
            effect = episode.failed(exc, time.monotonic())
            if effect.do is Do.RAISE:
                raise episode.take_error()  # noqa: B904 - it is this one
            return self._last_obs, self._unpaid(), False, True, {FAULT_KEY: effect.infos[0]}
        if result.terminated or result.truncated:
            episode.handle(Event.ENDED)
        elif episode.state is not EpisodeState.LIVE:
            episode.handle(Event.STEPPED)
        if self._policy.is_soft:
            self._last_obs = copy_value(result.obs)
        paid = result.reward
        reward = paid if type(paid) is float else self._other_reward(paid)
        return result.obs, reward, result.terminated, result.truncated, result.info

    def _other_reward(self, reward: Any) -> Any:
        """The reward where it is no number, or was left out."""
        self._nothing = self._unpaid() if reward is None else reward
        return self._nothing

    def _unpaid(self) -> Any:
        """No reward, in the form of those that the environment pays."""
        is_array = isinstance(self._nothing, np.ndarray)
        return np.zeros_like(self._nothing) if is_array else 0.0

    @exclusive
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
        if self._episode.is_lost and self._last_frame is not None:
            return copy_value(self._last_frame)
        try:
            reply = self._connection.request(Render())
        except TransportError:
            is_unproven = self._episode.state is EpisodeState.UNPROVEN
            if is_unproven or self._last_frame is None:
                raise
            return copy_value(self._last_frame)  # the next step tells the fault
        if not isinstance(reply, Rendered):
            raise ProtocolError(f"expected a picture, got a {type(reply).__name__}")
        self._last_frame = reply.frame
        return reply.frame

    def close(self) -> None:
        """End the session, within a few seconds; may be called twice."""
        connection, self._connection = self._connection, None
        self._episode.handle(Event.CLOSED)
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
        return mask_of(self._legal_actions, int(space.n))

    def __getattr__(self, name: str) -> Any:
        """Read what is not here where the environment lives, if that is allowed there.

        A session begins where there is none yet.

        Raises:
            AttributeError: There is none of this name, or it may not be read.
        """
        info = self.__dict__.get("_info")  # not there before the environment was described
        described = None if info is None else info.description
        is_private = name.startswith("_") and (described is None or not described.may_use(name))
        if described is None or is_private:
            where = "" if is_private else _ELSEWHERE.format("read")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{where}")
        return attribute(name, self, described, self._ask)

    @exclusive
    def _ask(self, request: Use) -> Any:
        """Return what the environment answers; after a fault, what it answered last."""
        if self._connection is None:
            self._connect()
        assert self._connection is not None
        key, is_plain = (request.name, request.how), not (request.args or request.kwargs)
        try:
            reply = self._connection.request(request)
        except TransportError:
            # As of a picture: the next step tells the fault, or has told it.
            is_known = is_plain and key in self._answered
            if not is_known or self._episode.state is EpisodeState.UNPROVEN:
                raise
            return copy_value(self._answered[key])
        if type(reply) is not Used or len(reply.values) != 1:
            raise ProtocolError(f"expected an answer to {request.name}, got {reply!r:.80}")
        if self._policy.is_soft and is_plain:
            self._answered[key] = copy_value(reply.values[0])
        return reply.values[0]

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute that this class has; others would change nothing, in silence."""
        if name not in _OWN_ATTRIBUTES and not name.startswith("_"):
            raise AttributeError(f"cannot set {name!r} of {self}{_ELSEWHERE.format('set')}")
        if name == "spec":
            value = shown_spec(value, self._endpoint, self._info.description)
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
