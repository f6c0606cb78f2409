"""The shards of a vector environment, asked together.

All are asked before any answer is waited for, so that they work at the same time. All that were
asked are waited for, whatever happens to one of them, so that no late reply is ever taken for the
answer to another request. What takes time, because something is begun anew, comes after all
others were asked.

Which shards owe a reply, their connections know; nothing else counts them.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from openenv_gym.endpoints import Answers, warn_of
from openenv_gym.envs.batched_shard import BatchedShard
from openenv_gym.envs.begin_anew import CLOSE_TIMEOUT_S
from openenv_gym.envs.plain_shard import PlainShard
from openenv_gym.envs.shard import Shard
from openenv_gym.envs.shard_recipes import is_batched
from openenv_gym.errors import (
    InvalidRequestError,
    OpenEnvGymError,
    RequestTimeoutError,
    ResetNeededError,
)
from openenv_gym.protocol import BatchResult, Use, Used
from openenv_gym.recovery import Do, Effect, FaultPolicy
from openenv_gym.workers.process import available_cores

_SHORTEST_CLOSE_S = 0.1
_MORE_CLOSING_S = 3.0
"""How long those have together whose turn comes when one that hangs has used up the time."""
_NO_TIME_S = 0.001


class Uses(NamedTuple):
    """What some sub-environments were asked beside resets and steps.

    Attributes:
        places: Where in the answer the values of each shard belong.
        total: How many values there are.
        errors: Why some could not be asked.
    """

    places: dict[Shard, list[int]]
    total: int
    errors: dict[Shard, OpenEnvGymError]


class Shards(list[Shard]):
    """The shards of one vector environment, in the order of their sub-environments."""

    @classmethod
    def open(
        cls, endpoints: Iterable[Any], policy: FaultPolicy, mode: Any, answers: Answers
    ) -> Shards:
        """Return a shard for each endpoint.

        Args:
            endpoints: Where the sessions are.
            policy: What becomes of faults.
            mode: Gymnasium's ``AutoresetMode``, for shards of one.
            answers: What servers said a moment ago.

        Raises:
            OpenEnvGymError: A session cannot be had; those that were made are given up.
        """
        shards = cls()
        start = 0
        try:
            for endpoint in endpoints:
                shard: Shard
                if is_batched(endpoint):
                    shard = BatchedShard(endpoint, policy, start, answers)
                else:
                    shard = PlainShard(endpoint, policy, start, answers, mode)
                shards.append(shard)
                start = shard.span.stop
                if shard.has_all:
                    break
        except BaseException:
            shards.abandon()
            raise
        warn_of(shards[0].info.name, [w for shard in shards for w in shard.info.warnings])
        if len(shards) >= available_cores():
            # Every core has a shard to work for. A client that looked again for replies would take
            # one from a worker, or from the server that has yet to pass on what was sent.
            for shard in shards:
                if isinstance(shard, BatchedShard):
                    shard.sleep_at_once()
        return shards

    @property
    def is_under_way(self) -> bool:
        """Whether there is something that is to be collected."""
        # In each step, so without a generator, and without a call for each shard.
        for shard in self:
            connection = shard.connection
            is_asked = connection is not None and connection.is_under_way
            if is_asked or shard.ready is not None:
                return True
        return False

    def ask(self, asked: Mapping[Shard, Callable[[], Effect | None]]) -> None:
        """Ask shards, and only then carry out what takes time, while the others work.

        Args:
            asked: What asks each, and returns what is to be carried out before it answers.

        Raises:
            OpenEnvGymError: One cannot be asked, which is no fault.
        """
        later: list[tuple[Shard, Effect]] = []
        try:
            for shard, ask in asked.items():
                effect = ask()
                if effect is not None:
                    later.append((shard, effect))
            for shard, effect in later:
                shard.ready = shard.carry_out(effect)
        except OpenEnvGymError:
            self.drain()
            raise

    def collect(self, shards: Iterable[Shard]) -> dict[Shard, BatchResult]:
        """Return what there is to tell of some shards, in their order.

        Raises:
            OpenEnvGymError: The first failure that is no fault, when all have answered.
        """
        results: dict[Shard, BatchResult] = {}
        waiting = list(shards)
        while waiting:
            replies, errors = _receive(waiting)
            effects = _fail(errors) if errors else {}
            waiting = []
            for shard, reply in replies.items():
                result = shard.settle(reply)
                if result is not None:
                    results[shard] = result
                else:
                    waiting.append(shard)  # a second request, in the same step
            for shard, effect in effects.items():
                if effect.do is not Do.PASS:
                    results[shard] = shard.carry_out(effect)
        for shard in shards:
            if shard.ready is not None:
                results[shard], shard.ready = shard.ready, None
        return results if len(results) < 2 else {s: results[s] for s in shards if s in results}

    def wait(self, count: int) -> list[Shard]:
        """Wait for shards with ``count`` sub-environments, or for all that are under way.

        One that has not answered in time has failed, and that is what there is to tell of it.

        Raises:
            RequestTimeoutError: One has not answered in time, which is no fault yet.
        """
        ready = {one for one in self if one.ready is not None}
        waiting = [one for one in self if one.is_under_way and one not in ready]
        while waiting and sum(one.count for one in ready) < count:
            poll = select.poll()
            numbers = {shard.session.fileno(): shard for shard in waiting}
            for descriptor in numbers:
                poll.register(descriptor, select.POLLIN)
            limits = [limit for shard in waiting if (limit := shard.left_s()) is not None]
            events = poll.poll(max(0.0, 1000 * min(limits)) if limits else None)
            ready |= {numbers[descriptor] for descriptor, _ in events}
            waiting = [one for one in waiting if one not in ready]
            late = [one for one in waiting if (one.left_s() or 1) <= 0]
            for shard in late:
                text = (
                    f"no answer from {len(late)} shards within {shard.session.timeout_s:g} s; "
                    "their connections were closed, and reset() makes new ones"
                )
                effects = _fail({shard: shard.time_out(text)})
                shard.ready = shard.carry_out(effects[shard])
                ready.add(shard)
                waiting.remove(shard)
        return [one for one in self if one in ready]

    def use(self, request: Use) -> list[Any]:
        """Read, set or call something of some sub-environments, or of all.

        Args:
            request: What to do; its numbers are those of all shards together.

        Returns:
            What each answers, in the order of the numbers.

        Raises:
            InvalidRequestError: The number of values to set is not that of the sub-environments.
            OpenEnvGymError: The first one that a shard answers with, when all have answered.
        """
        return self.finish_use(self.begin_use(request))

    def begin_use(self, request: Use) -> Uses:
        """Send what :meth:`use` asks; :meth:`finish_use` returns the answers.

        Raises:
            InvalidRequestError: The number of values to set is not that of the sub-environments.
        """
        numbers = list(range(self[-1].span.stop)) if request.numbers is None else request.numbers
        values = request.args if request.how == "set" else None
        if values is not None and len(values) != len(numbers):
            raise InvalidRequestError(
                f"{request.name}: expected {len(numbers)} values, one for each sub-environment, "
                f"or one that is no list, got {len(values)}"
            )
        places: dict[Shard, list[int]] = {}
        for shard in self:
            span = range(shard.span.start, shard.span.stop)
            if own := [place for place, number in enumerate(numbers) if number in span]:
                places[shard] = own
        requests = {
            shard: msgspec.structs.replace(
                request,
                args=request.args if values is None else [values[place] for place in own],
                numbers=[numbers[place] - shard.span.start for place in own],
            )
            for shard, own in places.items()
        }
        return Uses(places, len(numbers), self._begin(requests))

    def _begin(self, requests: Mapping[Shard, Use]) -> dict[Shard, OpenEnvGymError]:
        """Send to shards; return the errors of those to which it could not be sent."""
        errors: dict[Shard, OpenEnvGymError] = {}
        try:
            for shard, request in requests.items():
                if shard.connection is None:
                    raise ResetNeededError(f"{request.how} before the first reset; call reset()")
                try:
                    shard.connection.begin(request)
                except OpenEnvGymError as exc:
                    errors[shard] = exc
        except BaseException:
            self.forget()
            raise
        return errors

    def finish_use(self, uses: Uses) -> list[Any]:
        """Return what each sub-environment answers, in the order of the numbers.

        Raises:
            OpenEnvGymError: The first one that a shard answers with, when all have answered.
        """
        try:
            replies, failed = _receive(uses.places, Used)
        except BaseException:
            self.forget()
            raise
        errors = {**uses.errors, **failed}
        if errors:
            uses.errors.clear()  # what is raised has this frame, which must not have what is raised
            failed.clear()
            raise errors.pop(next(iter(errors)))
        answers: list[Any] = [None] * uses.total
        for shard, used in replies.items():
            for place, value in zip(uses.places[shard], used.values, strict=True):
                answers[place] = value
        return answers

    def answer_within(self, timeout_s: float) -> bool:
        """Return whether all that owe a reply begin to answer within ``timeout_s`` seconds."""
        end_s = time.monotonic() + timeout_s
        for shard in self:
            if shard.connection is not None and shard.connection.is_under_way:
                poll = select.poll()
                poll.register(shard.connection.fileno(), select.POLLIN)
                if not poll.poll(1000 * max(0.0, end_s - time.monotonic())):
                    return False
        return True

    def drain(self) -> None:
        """Take what shards owe yet, for nobody: their sessions can be used again then."""
        _receive(self)
        for shard in self:
            shard.ready = None

    def forget(self) -> None:
        """Forget what is under way; who owes a reply yet is broken with."""
        for shard in self:
            shard.give_up()

    def close(self) -> None:
        """End the sessions, within a few seconds together."""
        end_s = time.monotonic() + CLOSE_TIMEOUT_S
        for shard in self:
            left_s = end_s - time.monotonic()
            shortest_s = _SHORTEST_CLOSE_S if left_s > -_MORE_CLOSING_S else _NO_TIME_S
            shard.close(max(shortest_s, left_s))

    def abandon(self) -> None:
        """Close the sockets without a word; the sessions end with them."""
        for shard in self:
            shard.abandon()

    def with_numbers(self, env_id: Sequence[int]) -> list[Shard]:
        """Return the shards of some sub-environments.

        Args:
            env_id: The numbers of all sub-environments of each of these shards, in order.

        Raises:
            InvalidRequestError: They are not whole shards, or one is under way.
        """
        shards = [one for one in self if one.span.start in env_id]
        whole = [number for one in shards for number in range(one.span.start, one.span.stop)]
        if env_id != whole or any(shard.is_under_way for shard in shards):
            raise InvalidRequestError(
                "env_id: expected the numbers of whole shards that are not under way, in order, as "
                f"recv() gave them, got {str(env_id)[:80]}"
            )
        return shards


def _receive(
    shards: Iterable[Shard], expected: type[Any] | None = None
) -> tuple[dict[Shard, Any], dict[Shard, OpenEnvGymError]]:
    """Return the reply of each shard that owes one, and the errors of those that failed."""
    replies: dict[Shard, Any] = {}
    errors: dict[Shard, OpenEnvGymError] = {}
    waited_s = 0.0
    for shard in shards:
        connection = shard.connection
        if connection is None or not connection.is_under_way:
            continue
        try:
            replies[shard] = shard.finish(waited_s, expected)
        except OpenEnvGymError as exc:
            errors[shard] = exc
            if isinstance(exc, RequestTimeoutError):
                waited_s = max(waited_s, connection.timeout_s or 0.0)
    return replies, errors


def _fail(errors: dict[Shard, OpenEnvGymError]) -> dict[Shard, Effect]:
    """Return what is to be done about errors; they are forgotten where one is raised.

    Raises:
        OpenEnvGymError: The first one that is no fault.
    """
    effects = {shard: shard.fail(error) for shard, error in errors.items()}
    raising = [shard.episode for shard, effect in effects.items() if effect.do is Do.RAISE]
    if raising:
        errors.clear()
        for other in raising[1:]:
            other.take_error()
        raise raising[0].take_error()
    return effects
