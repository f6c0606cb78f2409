"""The sessions of a vector environment: ask some, and take what they answer.

Every request owes a reply, and a session has one under way at a time. Where one fails, what the
others owe is taken all the same, so that no late reply is taken for another.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np

from openenv_gym.client import Connection
from openenv_gym.endpoints import Answers, Described, EnvInfo
from openenv_gym.envs.faults import CLOSE_TIMEOUT_S
from openenv_gym.envs.shard_recipes import Shard
from openenv_gym.errors import (
    InvalidRequestError,
    OpenEnvGymError,
    ProtocolError,
    RequestTimeoutError,
)
from openenv_gym.protocol import BatchResult, Result, Use, Used
from openenv_gym.wire.description import Description
from openenv_gym.workers.process import available_cores

_SHORTEST_CLOSE_S = 0.1
_MORE_CLOSING_S = 3.0
"""How long those have together whose turn comes when one that hangs has used up the time."""
_NO_TIME_S = 0.001


class Sessions:
    """Sessions that are asked together.

    Args:
        reply: What each answers to resets and steps.

    Attributes:
        under_way: Those that owe a reply.
    """

    def __init__(self, reply: type[Result] | type[BatchResult]) -> None:
        self.under_way: list[int] = []
        self._connections: list[Connection] = []
        self._begun_s: dict[int, float] = {}
        self._reply = reply

    def begin(self, requests: Mapping[int, Any]) -> None:
        """Send to some, each of which owes a reply then; or to none, where one refuses."""
        failures = self.begin_each(requests)
        if failures:
            self.collect([i for i in requests if i not in failures])
            raise next(iter(failures.values()))

    def begin_each(self, requests: Mapping[int, Any]) -> dict[int, OpenEnvGymError]:
        """Send to some, and return the errors of those that do not owe a reply then."""
        failures: dict[int, OpenEnvGymError] = {}
        try:
            for i, request in requests.items():
                try:
                    self._connections[i].begin(request)
                    self.under_way.append(i)
                    self._begun_s[i] = time.monotonic()
                except OpenEnvGymError as exc:
                    failures[i] = exc
        except BaseException:
            self.give_up(self.under_way)
            raise
        return failures

    def exchange(
        self, requests: Mapping[int, Any], expected: type[Any] | None = None
    ) -> dict[int, Any]:
        """Send to some, and return what they answer, in their order.

        Args:
            requests: To whom, what.
            expected: The reply, where it is none to a reset or a step.

        Raises:
            OpenEnvGymError: that of the first one that failed, when all have answered.
        """
        results, failures = self.exchange_each(requests, expected)
        if failures:
            raise next(iter(failures.values()))
        return results

    def exchange_each(
        self, requests: Mapping[int, Any], expected: type[Any] | None = None
    ) -> tuple[dict[int, Any], dict[int, OpenEnvGymError]]:
        """Send to some; return what they answer, in their order, and the errors of the others.

        Args:
            requests: To whom, what.
            expected: As of :meth:`exchange`.
        """
        try:
            refused = self.begin_each(requests)
            results, failures = self.collect(self.under_way, expected)
        except BaseException:  # an interrupt: what is owed yet is not waited for
            self.give_up(self.under_way)
            raise
        return results, {**refused, **failures}

    def collect(
        self, numbers: Sequence[int], expected: type[Any] | None = None
    ) -> tuple[dict[int, Any], dict[int, OpenEnvGymError]]:
        """Return what some answer, in their order, and the errors of those that failed.

        Args:
            numbers: Of those who owe a reply.
            expected: As of :meth:`exchange`.
        """
        results: dict[int, Any] = {}
        failures: dict[int, OpenEnvGymError] = {}
        waited_s = 0.0
        try:
            for i in list(numbers):
                try:
                    reply = self._finish(i, waited_s)
                    if not isinstance(reply, expected or self._reply):
                        name = (expected or self._reply).__name__
                        raise ProtocolError(f"expected a {name}, got a {type(reply).__name__}")
                    results[i] = reply
                except OpenEnvGymError as exc:
                    failures[i] = exc
                    if isinstance(exc, RequestTimeoutError):
                        waited_s = max(waited_s, self._connections[i].timeout_s or 0.0)
                if i in self.under_way:  # another thread may have given it up, to close it
                    self.under_way.remove(i)
        except BaseException:  # an interrupt: what the others owe is not waited for
            self.give_up(self.under_way)
            raise
        return results, failures

    def _finish(self, number: int, waited_s: float) -> Any:
        """The reply of a session, others of which were waited for in vain for ``waited_s``."""
        # Who was given its time while others were waited for is not given it again.
        connection = self._connections[number]
        timeout_s = connection.timeout_s
        if timeout_s is None or timeout_s > waited_s or connection.has_reply():
            return connection.finish()
        connection.kill_peer()
        connection.give_up()
        raise RequestTimeoutError(
            f"no answer within {timeout_s:g} s, nor from others that were asked at the same time; "
            "the connection was closed, and reset() makes a new one"
        )

    def has_reply(self, number: int) -> bool:
        """Whether a session that owes a reply has begun to answer."""
        return self._connections[number].has_reply()

    def close(self) -> None:
        """End the sessions, within a few seconds together."""
        self.give_up(self.under_way)
        end_s = time.monotonic() + CLOSE_TIMEOUT_S
        for connection in self._connections:
            left_s = end_s - time.monotonic()
            shortest_s = _SHORTEST_CLOSE_S if left_s > -_MORE_CLOSING_S else _NO_TIME_S
            connection.close(max(shortest_s, left_s))

    def is_gone(self, number: int) -> bool:
        """Whether a session is known to be lost."""
        return self._connections[number].is_gone()

    def kill(self, number: int) -> None:
        """Kill the worker of a session that hangs, where it is one of this process."""
        self._connections[number].kill_peer()

    def abandon(self) -> None:
        """Close the sockets without a word; the sessions end with them."""
        for connection in self._connections:
            connection.abandon()

    def give_up(self, numbers: Sequence[int]) -> None:
        """Break with those whose answers are not waited for."""
        for i in list(numbers):
            self._connections[i].give_up()
            self.under_way.remove(i)


class ShardSessions(Sessions):
    """Batched sessions, one for each shard.

    Args:
        shards: Where they are.
        restarts: How often a sub-environment that raised may be made anew in one reset; None lets
            it fail the step of its shard.
        answers: What servers said a moment ago.

    Attributes:
        infos: What is known of each.
        counts: How many sub-environments each has.
        ranges: The numbers of these: the first, and the one after the last.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        restarts: int | None = None,
        answers: Answers | None = None,
    ) -> None:
        super().__init__(BatchResult)
        self.shards = list(shards)
        self._restarts = restarts
        self.infos: list[EnvInfo] = []
        together = {} if answers is None else answers
        try:
            first = 0
            for shard in shards:
                count = shard.request.num_envs or 1
                recovery = self._first_recovery(first, count)
                info, connection = self._start(shard, recovery, None, together)
                first += count
                self._connections.append(connection)
                self.infos.append(info)
        except BaseException:
            self.abandon()
            raise
        self.counts = [description.num_envs or 0 for description in self.descriptions]
        ends = list(accumulate(self.counts))
        self.ranges = list(zip([0, *ends], ends, strict=False))

    @property
    def descriptions(self) -> list[Description]:
        """What each says of its environment."""
        return [info.description for info in self.infos if info.description is not None]

    def __len__(self) -> int:
        return len(self.shards)

    def request(self, shard: int, request: Any) -> Any:
        """Return the reply of one shard."""
        return self._connections[shard].request(request)

    def use(self, request: Use) -> list[Any]:
        """Read, set or call something of some sub-environments, or of all.

        Args:
            request: Its numbers are those of all shards together.

        Returns:
            What each answers, in the order of the numbers.

        Raises:
            InvalidRequestError: there are more or fewer values to set than sub-environments.
        """
        total = sum(self.counts)
        numbers = list(range(total)) if request.numbers is None else request.numbers
        values = request.args if request.how == "set" else None
        if values is not None and len(values) != len(numbers):
            raise InvalidRequestError(
                f"{request.name}: expected {len(numbers)} values, one for each sub-environment, "
                f"or one that is no list, got {len(values)}"
            )
        places: dict[int, list[int]] = {}
        requests: dict[int, Use] = {}
        for i, (start, stop) in enumerate(self.ranges):
            own = [place for place, number in enumerate(numbers) if start <= number < stop]
            if own:
                places[i] = own
                requests[i] = msgspec.structs.replace(
                    request,
                    args=request.args if values is None else [values[place] for place in own],
                    numbers=[numbers[place] - start for place in own],
                )
        answers: list[Any] = [None] * len(numbers)
        for i, used in self.exchange(requests, Used).items():
            for place, value in zip(places[i], used.values, strict=True):
                answers[place] = value
        return answers

    def wait(self, count: int) -> list[int]:
        """Wait for shards with at least ``count`` sub-environments, or all that are under way.

        Args:
            count: How many sub-environments.

        Raises:
            RequestTimeoutError: some have not answered in time, however many others have.
        """
        ready: list[int] = []
        while sum(self.counts[i] for i in ready) < count and len(ready) < len(self.under_way):
            waiting = {self._connections[i].fileno(): i for i in self.under_way if i not in ready}
            poll = select.poll()
            for descriptor in waiting:
                poll.register(descriptor, select.POLLIN)
            left_s = min(self._left_s(i) for i in waiting.values())
            events = poll.poll(None if left_s == math.inf else max(0.0, 1000 * left_s))
            ready += [waiting[descriptor] for descriptor, _ in events]
            self._refuse_late([i for i in waiting.values() if i not in ready])
        return sorted(ready)

    def _left_s(self, number: int) -> float:
        """How long a session that owes a reply may take yet."""
        timeout_s = self._connections[number].timeout_s
        if timeout_s is None:
            return math.inf
        return self._begun_s[number] + timeout_s - time.monotonic()

    def _refuse_late(self, waiting: Sequence[int]) -> None:
        late = [i for i in waiting if self._left_s(i) <= 0]
        if not late:
            return
        timeout_s = self._connections[late[0]].timeout_s
        for i in late:
            self._connections[i].kill_peer()
        self.give_up(late)
        raise RequestTimeoutError(
            f"no answer from {len(late)} shards within {timeout_s:g} s; their connections were "
            "closed, and reset() makes new ones"
        )

    def shards_with(self, env_id: Any) -> list[int]:
        """Return the shards of some sub-environments.

        Args:
            env_id: The numbers of all those of each shard, in order.

        Raises:
            InvalidRequestError: they are not whole shards, or one is under way.
        """
        numbers = np.asarray(env_id).tolist()
        shards = [i for i, (start, _) in enumerate(self.ranges) if start in numbers]
        whole = [number for i in shards for number in range(*self.ranges[i])]
        if numbers != whole or any(i in self.under_way for i in shards):
            raise InvalidRequestError(
                "env_id: expected the numbers of whole shards that are not under way, in order, as "
                f"recv() gave them, got {str(numbers)[:80]}"
            )
        return shards

    def _start(
        self,
        shard: Shard,
        recovery: dict[str, Any] | None,
        known: EnvInfo | None,
        answers: Answers | None = None,
    ) -> Described[Connection]:
        request = msgspec.structs.replace(shard.request, recovery=recovery)
        info, connection = replace(shard, request=request).connect(known, answers)
        if len(self.shards) >= available_cores():
            # Every core has a shard to work for. Who looked again for replies would take one from
            # a worker, or from the server that has yet to pass on what was sent.
            connection.sleep_at_once()
        return Described(info, connection)

    def renew(self, number: int, recovery: dict[str, Any] | None) -> None:
        """Make a session anew, whatever has become of the old one.

        Raises:
            UnknownEnvironmentError: it is of another environment: the spaces are in use.
        """
        self._connections[number].end_session(CLOSE_TIMEOUT_S)
        info, connection = self._start(self.shards[number], recovery, self.infos[number])
        self._connections[number], self.infos[number] = connection, info

    def is_native(self, number: int) -> bool:
        """Whether a session has a vector form of the environment's own."""
        description, request = self.descriptions[number], self.shards[number].request
        is_made = description.has_vector_form and request.vectorization != "sync"
        is_next_step = description.autoreset_mode == "NextStep"
        return description.environment.startswith("vector:") or (is_made and is_next_step)

    def _first_recovery(self, first: int, count: int) -> dict[str, Any] | None:
        """That of sub-environments that were not made anew yet."""
        if self._restarts is None:
            return None
        return recovery_of(first, [0] * count, [None] * count, self._restarts)


def recovery_of(
    first_env: int,
    incarnations: Sequence[int],
    base_seeds: Sequence[int | None],
    restarts: int,
) -> dict[str, Any]:
    """Return what a worker needs to keep its sub-environments going, as ``Open`` has it.

    Args:
        first_env: The number of the first one in the whole vector environment.
        incarnations: How often each was made anew already.
        base_seeds: What the seeds of each after faults are derived from.
        restarts: How often one may be made anew in one reset.
    """
    return {
        "first_env": first_env,
        "incarnations": list(incarnations),
        "base_seeds": list(base_seeds),
        "restarts": restarts,
    }
