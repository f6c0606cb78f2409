"""Holds environments, and does with them what is asked."""

from __future__ import annotations

import sys
import traceback
from typing import Any, Sequence

import numpy as np

from .columns import column_of, values_of
from .describing import describe, layers
from .lent import Actions, Given, LentSocket, received
from .making import is_registered, make
from .plain import PlainSteps
from .survey import survey
from .values import can_travel

REQUESTS = frozenset(
    {"about", "survey", "open", "step", "go_on", "lend", "call", "get", "set", "close"}
)

_VECTOR = (
    "it is a vector environment; expected one of a single episode, which is made as often as needed"
)


class Host:
    """The environments of one process, by their number.

    Each request is a tuple: the name of a method, one of :data:`REQUESTS`, and its arguments. Each
    reply is a pair: True and what the method returned, or False and what it raised, as :func:`said`
    tells it.

    Args:
        lending: The descriptor of the socket over which that of a session comes.
    """

    def __init__(self, lending: int) -> None:
        self._envs: dict[int, Any] = {}
        self._made = 0
        self._lending = lending
        self._lent: LentSocket | None = None

    def answer(self, request: Sequence[Any]) -> tuple[bool, Any]:
        """Return the reply to a request."""
        try:
            if request[0] not in REQUESTS:
                raise ValueError(f"expected a request, got {request[0]!r}")
            return True, getattr(self, request[0])(*request[1:])
        except Exception as exc:  # an environment raises whatever it likes
            return False, said(exc)

    def about(self) -> dict[str, Any]:
        """Return what this interpreter is."""
        return {"python": sys.version.split()[0], "numpy": np.__version__}

    def survey(self) -> dict[str, Any]:
        """Return what can be served here."""
        return survey()

    def open(self, name: str, kwargs: dict[str, Any], render_mode: Any, limit: Any) -> Any:
        """Make an environment; return its number, and what it is."""
        env = make(name, kwargs, render_mode, limit)
        if hasattr(env, "num_envs"):
            raise TypeError(f"{name}: {_VECTOR}")
        self._made += 1
        self._envs[self._made] = env
        about = describe(env)
        about["has_own_limit"] = is_registered(name)
        return self._made, about

    def step(self, number: int, action: Any) -> Any:
        """Step an environment."""
        return self._envs[number].step(action)

    def go_on(self, asked: Sequence[Any], form: Any) -> tuple[Any, ...]:
        """Step or reset environments one after the other.

        Args:
            asked: A column of the number, the action, whether it is to be reset, and whether a
                plain step of it may be told as one, of each.
            form: The form of observations of plain steps.

        Returns:
            The places of the plain steps that end no episode, among what was asked; their
            observations as one array, their rewards as another, and a column of their infos; and a
            column of the replies of the others.
        """
        plain, others = PlainSteps(form), []
        places, rows, rewards, infos = [], [], [], []
        for place, (number, action, is_reset, may_be_plain) in enumerate(values_of(asked)):
            reply = self._gone_on(number, action, is_reset)
            step = plain.step_of(reply[1]) if may_be_plain and reply[0] else None
            if step is None or step[2] or step[3]:
                others.append(reply)
                continue
            places.append(place)
            rows.append(step[0])
            rewards.append(step[1])
            infos.append(step[4])
        arrays = np.array(places, np.int32), np.array(rows, plain.dtype), np.array(rewards)
        return (*arrays, column_of(infos), column_of(others))

    def _gone_on(self, number: int, action: Any, is_reset: bool) -> tuple[bool, Any]:
        env = self._envs[number]
        try:
            return True, env.reset() if is_reset else env.step(action)
        except Exception as exc:  # as above
            return False, said(exc)

    def lend(self, number: int, actions: Any, form: Any) -> Given:
        """Answer plain steps over the socket of the session until it is to be given back.

        Args:
            number: The number of the only environment of the session.
            actions: The form of actions.
            form: The form of observations of plain steps.
        """
        if self._lent is None:
            self._lent = LentSocket(received(self._lending))
        step = self._envs[number].step
        count, is_over, outcome = self._lent.answer(step, Actions(actions), PlainSteps(form))
        if outcome is not None and not outcome[0]:
            outcome = False, said(outcome[1])
        return count, is_over, outcome

    def call(self, number: int, path: str, args: Any, kwargs: Any) -> Any:
        """Call a method of an environment."""
        return self._found(number, path)(*args, **kwargs)

    def get(self, number: int, path: str) -> tuple[str, Any]:
        """Return what an attribute is: a ``value``, a ``method``, or an ``object`` of a class."""
        found = self._found(number, path)
        if can_travel(found):
            return "value", found
        return ("method", None) if callable(found) else ("object", type(found).__name__)

    def set(self, number: int, name: str, value: Any) -> None:
        """Set an attribute in the outermost layer that has it, else in the innermost."""
        every = list(layers(self._envs[number]))
        owner = [one for one in every if name in vars(one) or hasattr(type(one), name)]
        setattr((owner or every[-1:])[0], name, value)

    def close(self, number: int) -> None:
        """Close an environment, if it can be closed, and forget it."""
        env = self._envs.pop(number)
        if hasattr(env, "close"):
            env.close()

    def close_all(self) -> None:
        """Close what is open."""
        for number in list(self._envs):
            self.close(number)

    def _found(self, number: int, path: str) -> Any:
        first, *rest = path.split(".")
        for layer in layers(self._envs[number]):  # wrappers do not hand on every name
            if hasattr(layer, first):
                found = getattr(layer, first)
                break
        else:
            raise AttributeError(f"{self._envs[number]!r} has no attribute {first!r}")
        for part in rest:
            found = getattr(found, part)
        return found


def said(exc: BaseException) -> tuple[list[str], Any, str, str]:
    """Return an exception as values: its classes, its arguments, its text and its traceback."""
    kinds = [kind.__name__ for kind in type(exc).__mro__]
    args = exc.args if all(map(can_travel, exc.args)) else (str(exc),)
    trace = traceback.format_exception(type(exc), exc, exc.__traceback__)
    return kinds, args, str(exc), "".join(trace)
