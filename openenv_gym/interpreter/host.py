"""Holds environments, and does with them what is asked."""

from __future__ import annotations

import sys
import traceback
from typing import Any, Sequence

import numpy as np

from .columns import column_of, values_of
from .describing import describe, layers, set_attribute
from .lent import Actions, Given, LentSocket, received
from .making import is_registered, make
from .plain import plain_steps
from .survey import survey
from .values import can_travel

REQUESTS = frozenset(
    {"about", "survey", "open", "step", "go_on", "lend", "call", "get", "set", "close"}
)

STEP, RESET, STEP_PLAINLY = range(3)
"""What an environment does that goes on with others. A plain step is told without what is usual."""

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

    def go_on(self, numbers: Any, actions: Any, modes: bytes, form: Any) -> tuple[Any, ...]:
        """Step or reset environments one after the other.

        Args:
            numbers: The number of each, an array.
            actions: A column of the action of each.
            modes: A byte for each that says what it does, :data:`STEP`, :data:`RESET` or
                :data:`STEP_PLAINLY`.
            form: The form of observations of plain steps.

        Returns:
            The places of those that were stepped plainly, an array, None for all; their
            observations and rewards, an array each; their flags as bytes, 1 for terminated and 2
            for truncated; a column of their infos, None where all are empty; and a column of the
            replies of the others, as :meth:`answer` has them, None where there are none.
        """
        plain = plain_steps(form)
        places: list[int] = []
        rows: list[Any] = []
        rewards: list[float] = []
        flags = bytearray()
        infos: list[Any] = []
        others: list[tuple[bool, Any]] = []
        for place, (number, action) in enumerate(zip(numbers.tolist(), values_of(actions))):
            env, mode = self._envs[number], modes[place]
            try:
                result = env.reset() if mode == RESET else env.step(action)
            except Exception as exc:  # as above
                others.append((False, said(exc)))
                continue
            step = plain.step_of(result) if mode == STEP_PLAINLY else None
            if step is None:
                others.append((True, result))
                continue
            places.append(place)
            rows.append(step[0])
            rewards.append(step[1])
            flags.append(step[2] + 2 * step[3])
            infos.append(step[4])
        return (
            np.array(places, np.int32) if others else None,
            np.array(rows, plain.dtype),
            np.array(rewards, np.float64),
            bytes(flags),
            column_of(infos) if any(infos) else None,
            column_of(others) if others else None,
        )

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
        count, is_over, outcome = self._lent.answer(step, Actions(actions), plain_steps(form))
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

    def set(self, number: int, name: str, value: Any, force: bool) -> bool:
        """Set an attribute, see :func:`set_attribute`; return whether it was set."""
        return set_attribute(self._envs[number], name, value, force)

    def close(self, number: int) -> None:
        """Close an environment, if it can be closed, and forget it."""
        env = self._envs.pop(number)
        if hasattr(env, "close"):
            env.close()

    def close_all(self) -> None:
        """Close what is open; print why one cannot be closed, and go on."""
        for number in list(self._envs):
            is_well, value = self.answer(("close", number))
            if not is_well:
                print(value[-1], file=sys.stderr)

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
