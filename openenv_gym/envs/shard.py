"""A shard: one session of a vector environment, and the sub-environments that live in it.

There are two kinds. A session of ours has many sub-environments, which its worker steps and
resets in one message: :class:`~openenv_gym.envs.batched_shard.BatchedShard`. Any other session has
one, and is reset from here; it is a batch of one:
:class:`~openenv_gym.envs.plain_shard.PlainShard`. Both answer as a ``SyncVectorEnv`` of their
sub-environments does.

A shard decides nothing about faults. It tells the machine of :mod:`openenv_gym.recovery` what
happened, and does what the machine says. What it has to wait for, because something is begun anew,
comes after all others were asked: so :meth:`Shard.ask_step` and :meth:`Shard.ask_reset` return the
effect, and :meth:`Shard.carry_out` does it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate

from openenv_gym.client import Connection
from openenv_gym.endpoints import Answers, EnvInfo
from openenv_gym.envs.batching import as_step, same_step, unpaid, with_restarts
from openenv_gym.envs.begin_anew import CLOSE_TIMEOUT_S, begin_anew
from openenv_gym.envs.info_batches import Records
from openenv_gym.errors import (
    ConnectionLostError,
    OpenEnvGymError,
    ProtocolError,
    RequestTimeoutError,
)
from openenv_gym.protocol import BatchResult, Request, Reset, Step
from openenv_gym.recovery import (
    KEPT_ACTIONS,
    Do,
    Effect,
    Episode,
    EpisodeState,
    Event,
    FaultPolicy,
    Restarts,
)
from openenv_gym.spaces.copy_value import copy_value
from openenv_gym.wire.fault_info import FAULT_KEY, restart_info

_LIVE, _UNTOLD = EpisodeState.LIVE, EpisodeState.UNTOLD


class Shard(ABC):
    """What both kinds have in common.

    Args:
        endpoint: Where sessions are made.
        policy: What becomes of faults.
        start: The number of the first sub-environment in the whole vector environment.
        answers: What servers said a moment ago, so that each is asked once.

    Attributes:
        endpoint: Where sessions are made.
        info: What is known of the environment.
        connection: The session; None before the first one.
        span: The numbers of the sub-environments in the whole vector environment.
        count: How many sub-environments there are.
        episode: The machine of recovery.
        mode: How episodes begin when they have ended; None where nobody says.
        obs: What the sub-environments observed last, as a batch; None before the first reset.
        ended: Whether the last step ended the episode of each: a view of the vector environment's
            own array, of shape ``(count,)`` and dtype ``bool``.
        ready: What there is to tell without asking the session; else None.
        gives_core_away: Whether the client sleeps at once when it waits for this shard.
        has_all: Whether it took the sub-environments of all others too: a vector form of the
            environment's own was found, and nobody had asked that it be split.
    """

    info: EnvInfo
    connection: Connection | None
    count: int
    mode: AutoresetMode | None
    _reply: type[Any]  # what the session answers to resets and steps
    _space: Any  # of the batched observation
    _action_space: Any  # of the batched action

    def __init__(
        self, endpoint: Any, policy: FaultPolicy, start: int, answers: Answers | None = None
    ) -> None:
        self.endpoint = endpoint
        self.obs: Any = None
        self.ended: Any = None
        self.ready: BatchResult | None = None
        self.gives_core_away = False
        self.has_all = False
        self._policy = policy
        self._is_soft = policy.is_soft
        self._begun_s = 0.0
        self._options: dict[str, Any] | None = None  # of the reset that is asked for
        self._paid: Any = np.zeros(0)  # the last rewards, whose form those of a fault have
        self._actions: deque[Any] = deque(maxlen=KEPT_ACTIONS)
        self._first_contact(start, answers)
        self.span = slice(start, start + self.count)
        self.episode = Episode(
            policy,
            [
                Restarts(
                    policy,
                    f"sub-environment {start + place} of {self.info.name}",
                    start + place,
                    partial(_last_actions, self._actions, self._action_space, place),
                )
                for place in range(self.count)
            ],
        )

    @abstractmethod
    def _first_contact(self, start: int, answers: Answers | None) -> None:
        """Find out what is there: set ``info``, ``connection``, ``count``, ``mode``, spaces."""

    @property
    def session(self) -> Connection:
        """The session, where there is one for sure."""
        assert self.connection is not None
        return self.connection

    @property
    def is_under_way(self) -> bool:
        """Whether there is something that is to be collected."""
        connection = self.connection
        return self.ready is not None or (connection is not None and connection.is_under_way)

    @abstractmethod
    def batched_spaces(self, num_envs: int) -> tuple[Any, Any]:
        """Return the action and the observation space of ``num_envs`` sub-environments."""

    # Asking.

    def take_seeds(
        self, seeds: Sequence[int | None], bases: Sequence[int | None], mask: Any = None
    ) -> None:
        """Keep the seeds that the caller gave in a reset.

        Args:
            seeds: The seed of each sub-environment.
            bases: What the seeds of each after faults are derived from.
            mask: Which sub-environments are reset; None for all.
        """
        for place, one in enumerate(self.episode.restarts):
            if mask is None or mask[place]:
                one.take_seed(seeds[place], bases[place])

    def ask_step(self, actions: Any) -> Effect | None:
        """Send a step, or the reset that takes its place.

        Args:
            actions: A batch of ``count`` actions.

        Returns:
            What is to be carried out before there is an answer, None where it was sent.

        Raises:
            OpenEnvGymError: It could not be sent, which is no fault.
        """
        self._options = None
        if self._is_soft:
            self._actions.append(copy_value(actions))
        request: Request = self._step(actions)
        if self.episode.state is not _LIVE:
            is_reset = self.episode.is_lost or type(request) is Reset
            event = Event.RESET_ASKED if is_reset else Event.STEP_ASKED
            effect = self.episode.handle(event, time.monotonic())
            if effect.do is not Do.PASS:
                return effect
        return self._send(request)

    def ask_reset(
        self,
        seeds: Sequence[int | None],
        request: Reset,
        mask: Any = None,
        answers: Answers | None = None,
    ) -> Effect | None:
        """Send a reset.

        Args:
            seeds: The seed of each sub-environment.
            request: What is sent.
            mask: Which sub-environments are reset, ``bool`` of shape ``(count,)``; None for all.
            answers: What servers said a moment ago, where a session has to be made.

        Returns:
            What is to be carried out before there is an answer; None where it was sent, or the
            shard is lost and its next step tells so.

        Raises:
            OpenEnvGymError: No session can be had, or it could not be sent, which is no fault.
        """
        is_part = mask is not None and bool((~mask & ~self.ended).any())
        options = request.options or {}
        self._options = {k: v for k, v in options.items() if k != "reset_mask"} or None
        event = Event.PART_RESET_ASKED if is_part else Event.RESET_ASKED
        effect = self.episode.handle(event, time.monotonic(), seeds=seeds)
        if self.episode.state is _UNTOLD:
            return None
        if effect.do is Do.PASS and not is_part and self._is_gone():
            lost = ConnectionLostError(
                f"the session of sub-environments {self.span.start} to {self.span.stop - 1} of "
                f"{self.info.name} was lost"
            )
            effect = self.episode.handle(Event.GONE, time.monotonic(), lost)
            if effect.do is Do.CONNECT:
                self.abandon()
                self.connect(answers)
                return self._send(request)
        return effect if effect.do is not Do.PASS else self._send(request, is_aside=is_part)

    def _send(self, request: Request, *, is_aside: bool = False) -> Effect | None:
        self._is_aside = is_aside
        self._is_reset = type(request) is Reset
        self._begun_s = time.monotonic()
        try:
            self.session.begin(request)
        except OpenEnvGymError as exc:
            effect = self.episode.failed(exc, self._begun_s, is_aside=is_aside)
            if effect.do is Do.RAISE:
                raise self.episode.take_error()  # noqa: B904 - it is this one
            return None if effect.do is Do.PASS else effect
        return None

    # Answers.

    def finish(self, waited_s: float = 0.0, expected: type[Any] | None = None) -> Any:
        """Return the reply to what was sent.

        Args:
            waited_s: How long another shard that was asked at the same time was waited for in
                vain, in seconds. That time was this one's, too, so it is not given once more.
            expected: The type of the reply, where the request is neither a reset nor a step.

        Raises:
            RequestTimeoutError: No reply came in time.
            ProtocolError: The reply is of another type.
            OpenEnvGymError: The connection broke, or the session failed.
        """
        connection = self.connection
        assert connection is not None
        if waited_s and not connection.has_reply():
            timeout_s = connection.timeout_s
            if timeout_s is not None and timeout_s <= waited_s:
                raise self.time_out(
                    f"no answer within {timeout_s:g} s, nor from others that were asked at the "
                    "same time; the connection was closed, and reset() makes a new one"
                )
        reply = connection.finish()
        expected = expected or self._reply
        if type(reply) is not expected:
            raise ProtocolError(f"expected a {expected.__name__}, got a {type(reply).__name__}")
        return reply

    def time_out(self, text: str) -> RequestTimeoutError:
        """Break with a session that has had its time to answer, and return the error."""
        self.session.kill_peer()
        self.session.give_up()
        return RequestTimeoutError(text)

    @abstractmethod
    def settle(self, reply: Any) -> BatchResult | None:
        """Return what a reply means to the caller; None where another request is under way now.

        Raises:
            EnvCrashLoopError: A sub-environment faults too often.
        """

    def fail(self, exc: OpenEnvGymError) -> Effect:
        """Return what is to be done after the failure of a request."""
        return self.episode.failed(exc, time.monotonic(), is_aside=self._is_aside)

    def carry_out(self, effect: Effect) -> BatchResult:
        """Do what the machine says, and return what the caller is told.

        Raises:
            EnvCrashLoopError: It was begun anew as often, or waited for as long, as it may.
            OpenEnvGymError: A mistake of the caller shows only now.
        """
        if effect.do is not Do.TRUNCATE:
            return begin_anew(self.episode, effect, self._begin_anew)
        ending = self._truncation(effect)
        if self.mode is not AutoresetMode.SAME_STEP:
            return ending
        effect = self.episode.handle(Event.RESET_ASKED, time.monotonic())
        rows = self._rows(ending.obs)
        return same_step(ending, begin_anew(self.episode, effect, self._begin_anew), rows)

    def _truncation(self, effect: Effect) -> BatchResult:
        """The step in which the session was lost."""
        records: Records = [(i, {FAULT_KEY: said}) for i, said in enumerate(effect.infos)]
        ends = np.zeros(self.count, np.bool_)
        return BatchResult(copy_value(self.obs), self.unpaid(), ends, ~ends, records)

    def unpaid(self) -> Any:
        """Return rewards of nothing, in the form of those that were paid last."""
        return unpaid(self.count, self._paid)

    def _take_rewards(self, rewards: Any) -> Any:
        """Return rewards; where nothing is paid, in the form of those that were paid before."""
        if rewards.ndim == 1 and self._paid.ndim > 1 and not rewards.any():
            return self.unpaid()
        self._paid = rewards
        return rewards

    def _begin_anew(self, seeds: Sequence[int | None]) -> BatchResult:
        """Make a new session, and return its reset as the step that it is for other shards."""
        if self.connection is not None:  # a slot of the server may be free only then
            self.connection.end_session(CLOSE_TIMEOUT_S)
        self.connect()
        self.session.begin(Reset(self._seed_of(seeds), self._options))
        result = self._batch(self.finish(), is_reset=True)
        said = [
            (place, restart_info(one.incarnation, one.seed))
            for place, one in enumerate(self.episode.restarts)
        ]
        return as_step(with_restarts(result, said), self.unpaid())

    # What the kinds do in their own ways.

    @abstractmethod
    def reset_request(self, seed: Any, seeds: Sequence[int | None], options: Any) -> Reset:
        """Return the request of a reset.

        Args:
            seed: The seed that the caller gave to the vector environment.
            seeds: The seed of each sub-environment of this shard.
            options: The options of Gymnasium, with this shard's part of ``reset_mask``.
        """

    @abstractmethod
    def _step(self, actions: Any) -> Step | Reset:
        """The request for a step."""

    @abstractmethod
    def _batch(self, reply: Any, *, is_reset: bool) -> BatchResult:
        """What a reply says, as a batch; without rewards and flags where it is of a reset."""

    @abstractmethod
    def _rows(self, obs: Any) -> list[Any]:
        """What each sub-environment observed last, of the batch of these."""

    @abstractmethod
    def _seed_of(self, seeds: Sequence[int | None]) -> Any:
        """What a reset takes that gives each sub-environment its seed."""

    # The session.

    def connect(self, answers: Answers | None = None) -> None:
        """Make a session, in place of the one that there was.

        Args:
            answers: What servers said a moment ago.

        Raises:
            UnknownEnvironmentError: Another environment is there now: the spaces are in use.
            OpenEnvGymError: No session can be had.
        """
        self.info, self.connection = self._recipe().connect(self.info, answers)
        if self.gives_core_away:
            self.sleep_at_once()

    def _recipe(self) -> Any:
        return self.endpoint

    def sleep_at_once(self) -> None:
        """Give the core away from now on while this shard is waited for."""
        self.gives_core_away = True
        if self.connection is not None:
            self.connection.sleep_at_once()

    def _is_gone(self) -> bool:
        return self.connection is None or self.connection.is_gone()

    def left_s(self) -> float | None:
        """Return how long a session that owes a reply may take yet, in seconds; None for ever."""
        timeout_s = self.session.timeout_s
        return None if timeout_s is None else self._begun_s + timeout_s - time.monotonic()

    def give_up(self) -> None:
        """Forget what is under way; a session that owes a reply is broken with."""
        self.ready = None
        if self.connection is not None and self.connection.is_under_way:
            self.connection.give_up()

    def close(self, timeout_s: float) -> None:
        """End the session within ``timeout_s`` seconds; the next reset makes another one."""
        self.obs = None
        self.episode.handle(Event.CLOSED)
        if self.connection is not None:
            self.connection.close(timeout_s)

    def abandon(self) -> None:
        """Close the socket without a word; the session ends with it."""
        if self.connection is not None:
            self.connection.abandon()


def _last_actions(batches: Iterable[Any], space: Any, place: int) -> list[Any]:
    """The last actions of one sub-environment; no method, which would keep the shard alive."""
    return [list(iterate(space, batch))[place] for batch in batches]


def same_spaces(one: EnvInfo, other: EnvInfo) -> bool:
    """Return whether two environments have equal spaces."""
    mine, theirs = one.description, other.description
    if mine is not None and theirs is not None:
        described = (mine.action, mine.observation), (theirs.action, theirs.observation)
        if described[0] == described[1]:  # which is quicker for large spaces
            return True
    # Labels may differ: an environment that a class makes has none of those of a registered id.
    return (one.action_space, one.observation_space) == (
        other.action_space,
        other.observation_space,
    )
