"""A server that is checked: what its schemas give, its sessions, and how an episode is played."""

from __future__ import annotations

import contextlib
import copy
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np

from openenv_gym.address import Address
from openenv_gym.conformance.difference import first_difference
from openenv_gym.conformance.validation.checks import NotCheckedError
from openenv_gym.conformance.validation.options import ValidationOptions
from openenv_gym.conformance.validation.wire import (
    FullError,
    HttpSide,
    RefusedAction,
    WireSession,
    wire_session,
)
from openenv_gym.endpoints import ConnectOptions, ServerEndpoint
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.spaces import Inference, infer
from openenv_gym.wire.error_codes import CAPACITY_REACHED
from openenv_gym.wire.schema_view import SchemaView

SEED = 7
_MOST_TRIES = 20
_REPLAYS = 4
_MOST_PLAN_S = 5.0
"""How long an episode takes that is played more than once, where steps are slow."""
_VOLATILE = frozenset({"metadata"})
"""What of a reply may differ between equal episodes: OpenEnv gives metadata no meaning."""

_ANY_OBSERVATION = {"type": "object", "properties": {"anything": {"type": "number"}}}

Data = dict[str, Any]
Choose = Callable[[Data], Mapping[str, Any]]


@dataclass(kw_only=True)
class Played:
    """What was played.

    Attributes:
        actions: The actions, as JSON.
        replies: The data of the reply to the reset, and to each action; a ``RefusedAction`` where
            that was an error.
    """

    actions: list[Mapping[str, Any]] = field(default_factory=list)
    replies: list[Data] = field(default_factory=list)

    @property
    def observed(self) -> list[tuple[str, Data]]:
        """The replies that are observations, each with when it came."""
        return [
            (f"after step {number}" if number else "after a reset", data)
            for number, data in enumerate(self.replies)
            if not isinstance(data, RefusedAction)
        ]

    @property
    def is_over(self) -> bool:
        """Whether the last reply says that the episode has ended."""
        return bool(self.replies) and self.replies[-1].get("done") is True


class Served:
    """A server that is checked.

    Args:
        address: Where it is.
        options: How it is checked.
        connect: How it is reached, and what is known of its spaces.
    """

    def __init__(
        self, address: Address, options: ValidationOptions, connect: ConnectOptions
    ) -> None:
        self.address = address
        self.options = options
        self.http = HttpSide(address, connect.websocket, options.timeout_s)
        self._connect = connect
        self._is_full = False

    @cached_property
    def schemas(self) -> dict[str, Any]:
        """The JSON schemas of action, observation and state.

        Raises:
            NotCheckedError: there are none.
        """
        body = self.http.ask("GET", "/schema").body
        if not isinstance(body, dict) or not all(
            isinstance(body.get(side), dict) for side in ("action", "observation")
        ):
            raise NotCheckedError("there are no schemas, see http.schema")
        return body

    @cached_property
    def inference(self) -> Inference:
        """The spaces that the schemas give.

        Raises:
            NotCheckedError: they give none.
        """
        endpoint = ServerEndpoint(address=self.address, options=self._connect)
        try:
            return endpoint.infer(endpoint.ask())
        except OpenEnvGymError as exc:
            raise NotCheckedError(f"the spaces are not known: {exc}") from exc

    @cached_property
    def acting(self) -> Inference:
        """The action space at least, for which nothing of the observation has to be known.

        Raises:
            NotCheckedError: it is not known either.
        """
        try:
            return self.inference
        except NotCheckedError as exc:
            if not all(_is_model(self.schemas[side]) for side in ("action", "observation")):
                raise
            action = self.schemas["action"]
            fields = [name for name in action.get("properties", {}) if name != "metadata"]
            required = [name for name in fields if name in action.get("required", [])]
            for key in (None, required or fields):
                with contextlib.suppress(OpenEnvGymError):
                    return infer(action, _ANY_OBSERVATION, action_key=key)
            raise exc

    @cached_property
    def view(self) -> SchemaView:
        """Writes actions and reads observations by the spaces."""
        return SchemaView(self.inference, self.schemas["observation"])

    @property
    def is_annotated(self) -> bool:
        """Whether the server itself says its spaces, so that nothing was inferred."""
        return "x-gymnasium-space" in str(self.schemas["observation"])

    @contextlib.contextmanager
    def connected(self) -> Iterator[WireSession]:
        """Open a connection, on which nothing has been said."""
        with wire_session(self.address, self._connect.websocket, self.options.timeout_s) as one:
            yield one

    @contextlib.contextmanager
    def session(
        self, seed: int | None = SEED, *, wait_s: float | None = None, **arguments: Any
    ) -> Iterator[tuple[WireSession, Data]]:
        """Open a session and reset it; yield it and the data of the reply.

        Args:
            seed: The seed of the reset; None for none.
            wait_s: How long to wait for a free session, in seconds: a server may still be busy
                with the end of the last one. Unless given, it is waited as long as a server may
                take for that, but only if no session has been waited for in vain before.
            **arguments: Further arguments of the reset.

        Raises:
            BrokenError: the server does not answer as it should.
            FullError: it has no free session.
        """
        seeded = arguments if seed is None else {"seed": seed, **arguments}
        if wait_s is None:
            wait_s = 0.0 if self._is_full else self.options.free_timeout_s
        with contextlib.ExitStack() as stack:
            try:
                opened = self._opened(stack, seeded, time.monotonic() + wait_s)
            except FullError:
                self._is_full = wait_s >= self.options.free_timeout_s
                raise
            yield opened

    def _opened(
        self, stack: contextlib.ExitStack, arguments: Data, deadline_s: float
    ) -> tuple[WireSession, Data]:
        while True:
            with contextlib.ExitStack() as attempt:
                try:
                    one = attempt.enter_context(self.connected())
                    reply = one.request({"type": "reset", "data": arguments})
                    if is_full(reply):
                        raise FullError(str(reply["data"].get("message")), one.evidence)
                except FullError:
                    if time.monotonic() > deadline_s:
                        raise
                    time.sleep(0.05)
                    continue
                data = one.data_of(reply, "observation")
                stack.push(attempt.pop_all())
                return one, data

    def chooser(self, seed: int = SEED) -> Choose:
        """Return a function from the data of the last reply to the next action, as JSON.

        Raises:
            NotCheckedError: there are neither actions nor an action space.
        """
        if self.options.actions:
            given = itertools.cycle(self.options.actions)
            return lambda data: next(given)
        view, rng = (
            SchemaView(self.acting, self.schemas["observation"]),
            np.random.default_rng(seed),
        )
        space: Any = copy.deepcopy(self.acting.action_space)
        space.seed(seed)

        def choose(data: Data) -> Data:
            choices = self._legal(data) if isinstance(space, gym.spaces.Discrete) else None
            if choices:
                return view.dump_action(space.start + np.int64(rng.choice(choices)))
            return view.dump_action(space.sample())

        return choose

    def _legal(self, data: Data) -> Any:
        """Return the legal actions of an observation, None where it does not say them."""
        try:
            return self.view.load_result(data).info.get("legal_actions")
        except (OpenEnvGymError, NotCheckedError):  # other checks say it
            return None

    def played(
        self, seed: int | None = SEED, *, plan: Sequence[Mapping[str, Any]] | None = None
    ) -> Played:
        """Play an episode in a session of its own, as :meth:`play`."""
        with self.session(seed) as (one, data):
            return self.play(one, data, plan=plan)

    def change(self, episode: Played) -> str | None:
        """Play the actions of an episode again, in sessions of their own with the same seed.

        Returns:
            The first difference to the episode. None if there is none in as many sessions as it
            takes to be sure: an environment that ignores seeds may have few ways to begin.
        """
        again = (self.played(plan=episode.actions) for _ in range(_REPLAYS))
        found = (difference(episode, other) for other in again)
        return next((one for one in found if one is not None), None)

    def advance(self, one: WireSession, data: Data, choose: Choose | None = None) -> Data:
        """Play one step, with the first of some actions that the server takes.

        Args:
            one: The session.
            data: The data of the last observation.
            choose: Chooses actions; a new chooser unless given.

        Raises:
            BrokenError: the server does not answer as it should.
            NotCheckedError: it took none of the actions.
        """
        choose = choose or self.chooser()
        for _ in range(_MOST_TRIES):
            told = one.step(choose(data))
            if not isinstance(told, RefusedAction):
                return told
        raise NotCheckedError(
            f"the server refused {_MOST_TRIES} actions; name some that it takes with --action"
        )

    def play(
        self,
        one: WireSession,
        first: Data,
        *,
        plan: Sequence[Mapping[str, Any]] | None = None,
        steps: int | None = None,
    ) -> Played:
        """Play from the reply to a reset until the episode ends, or the plan does.

        Args:
            one: The session.
            first: The data of the reply to the reset.
            plan: The actions; unless given they are chosen.
            steps: The most steps, for which ``timeout_s`` has to be enough; those of the plan, or
                ``plan_steps``, unless given.

        Raises:
            BrokenError: the server does not answer as it should.
            NotCheckedError: no actions are known.
        """
        episode, seen = Played(replies=[first]), first
        if plan is None:
            choose, most = self.chooser(), steps or self.options.plan_steps
        else:
            left = iter(plan)
            choose, most = (lambda data: next(left)), len(plan)
        deadline_s = time.monotonic() + (_MOST_PLAN_S if steps is None else self.options.timeout_s)
        while len(episode.actions) < most and not episode.is_over:
            if plan is None and time.monotonic() > deadline_s:
                break
            episode.actions.append(choose(seen))
            episode.replies.append(one.step(episode.actions[-1]))
            if not isinstance(episode.replies[-1], RefusedAction):
                seen = episode.replies[-1]
        return episode


def _is_model(schema: Any) -> bool:
    """Return whether a schema has the form of a model's, whatever its fields are."""
    return isinstance(schema.get("properties", {}), dict) and all(
        isinstance(name, str) for name in _items(schema.get("required", []))
    )


def _items(data: Any) -> list[Any]:
    return data if isinstance(data, list) else [data]


def is_full(reply: Any) -> bool:
    """Return whether a reply says that the server has no free session."""
    data = reply.get("data") if isinstance(reply, dict) and reply.get("type") == "error" else None
    return isinstance(data, dict) and data.get("code") == CAPACITY_REACHED


def difference(expected: Played, actual: Played) -> str | None:
    """Return the first difference between two episodes, None if there is none.

    Metadata does not count: OpenEnv gives it no meaning, and servers write times into it.
    """
    replies = zip(expected.replies, actual.replies, strict=False)
    for number, (left, right) in enumerate(replies):
        where = "reply to the reset" if number == 0 else f"reply to step {number}"
        found = first_difference(_stable(left), _stable(right), f"{where}: $")
        if found is not None:
            return found
    lengths = len(expected.replies), len(actual.replies)
    if lengths[0] != lengths[1]:
        return f"expected {lengths[0] - 1} steps until the end, got {lengths[1] - 1}"
    return None


def _stable(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    stable = {name: item for name, item in data.items() if name not in _VOLATILE}
    observation = stable.get("observation")
    return (
        {**stable, "observation": _stable(observation)} if isinstance(observation, dict) else stable
    )
