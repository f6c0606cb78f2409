"""A shard of one: a session of any server or client, which is reset from here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import concatenate, create_empty_array, iterate

from openenv_gym.endpoints import Answers, warn_of
from openenv_gym.envs.batching import same_step
from openenv_gym.envs.info_batches import Records
from openenv_gym.envs.shard import Shard
from openenv_gym.protocol import BatchResult, Reset, Result, Step
from openenv_gym.recovery import Effect, EpisodeState, Event, FaultPolicy
from openenv_gym.spaces.batch import batch_space
from openenv_gym.spaces.copy_value import copy_value
from openenv_gym.spaces.probing import end_of_reset
from openenv_gym.spaces.rewards import batched_arrays, batched_numbers


class PlainShard(Shard):
    """A session of one environment, of any server or client; it is made with the first reset.

    Args:
        endpoint: Where sessions are made.
        policy: What becomes of faults.
        start: The number of the sub-environment in the whole vector environment.
        answers: What servers said a moment ago, so that each is asked once.
        mode: How episodes begin when they have ended, which is done from here.
    """

    _reply = Result

    def __init__(
        self,
        endpoint: Any,
        policy: FaultPolicy,
        start: int,
        answers: Answers | None = None,
        mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        self.mode = mode
        self._row: Any = None  # the last observation, as it came
        # With SAME_STEP, before the reset is there: the step that ended, and what it observed.
        self._ending: tuple[BatchResult, Any] | None = None
        super().__init__(endpoint, policy, start, answers)

    def _first_contact(self, start: int, answers: Answers | None) -> None:
        self.info, self.connection = self.endpoint.describe(answers)
        self.count = 1
        self._space = batch_space(self.info.observation_space, 1)
        self._action_space = batch_space(self.info.action_space, 1)

    def batched_spaces(self, num_envs: int) -> tuple[Any, Any]:
        """Return the spaces of as many of the one environment."""
        info = self.info
        return batch_space(info.action_space, num_envs), batch_space(
            info.observation_space, num_envs
        )

    def reset_request(self, seed: Any, seeds: Sequence[int | None], options: Any) -> Reset:
        """Return the request; a mask has chosen this shard, and says no more to its session."""
        self._ending = None
        rest = {key: value for key, value in (options or {}).items() if key != "reset_mask"}
        return Reset(seeds[0], rest or None)

    def _step(self, actions: Any) -> Step | Reset:
        self._ending = None
        if self.ended[0] and self.mode is AutoresetMode.NEXT_STEP:
            return Reset()
        return Step(next(iter(iterate(self._action_space, actions))))

    def settle(self, reply: Any) -> BatchResult | None:
        """Return a reply as a batch of one; with ``SAME_STEP``, reset where the episode ended."""
        result = self._batch(reply, is_reset=self._is_reset)
        if self._is_reset:
            self.episode.handle(Event.BEGUN)
            return self._after_ending(result)
        if reply.terminated or reply.truncated:
            self.episode.handle(Event.ENDED)
            if self.mode is AutoresetMode.SAME_STEP:
                return self._reset_in_same_step(result)
        elif self.episode.state is not EpisodeState.LIVE:
            self.episode.handle(Event.STEPPED)
        return result

    def _reset_in_same_step(self, ending: BatchResult) -> BatchResult | None:
        self._ending = ending, self._row
        self.episode.handle(Event.RESET_ASKED, time.monotonic())
        effect = self._send(Reset())
        return None if effect is None else self.carry_out(effect)

    def carry_out(self, effect: Effect) -> BatchResult:
        """Do what the machine says, as any shard."""
        return self._after_ending(super().carry_out(effect))

    def _after_ending(self, fresh: BatchResult) -> BatchResult:
        """The step that ended an episode and began another one, where there was an end."""
        if self._ending is None:
            return fresh
        (ending, row), self._ending = self._ending, None
        return same_step(ending, fresh, [row])

    def _batch(self, reply: Any, *, is_reset: bool) -> BatchResult:
        self._row = reply.obs
        single = self.info.observation_space
        room: Any = create_empty_array(single, 1)
        obs: Any = concatenate(single, (reply.obs,), room)
        info: Records = [(0, reply.info)] if reply.info else []
        if is_reset:
            self._note_end(end_of_reset(reply.terminated or reply.truncated, reply.info))
            return BatchResult(obs, None, None, None, info)
        rewards = self._take_rewards(self._rewards(reply.reward))
        terminations, truncations = np.array([[reply.terminated], [reply.truncated]], np.bool_)
        return BatchResult(obs, rewards, terminations, truncations, info)

    def _rewards(self, reward: Any) -> Any:
        """The reward as a batch of one: a number, or an array of the environment's reward space."""
        if type(reward) is float:
            return np.array([reward])
        paid, space = np.zeros(1, object), self.info.reward_space
        paid[0] = 0.0 if reward is None else reward
        number = self.span.start
        if space is not None and np.shape(paid[0]):
            return batched_arrays(paid, space, number)
        return batched_numbers(paid, number)

    def _note_end(self, end: str) -> None:
        if self.connection is not None:
            self.connection.note_end(end)
        if end:
            warn_of(self.info.name, [end])

    def _seed_of(self, seeds: Sequence[int | None]) -> int | None:
        return seeds[0]

    def _rows(self, obs: Any) -> list[Any]:
        return [copy_value(self._row)]
