"""What a player of an OpenSpiel game sees, as a value of a Gymnasium space.

Games written in C++ write their tensors into a buffer of ours. This saves a Python float per entry
(40 microseconds of 41 in chess) and gives the same numbers. Games written in Python have observers
whose parts make up the tensor, as pyspiel joins them. Each read makes a new observer, because that
of python_dynamic_routing keeps what it read before, of any player and episode.
"""

from __future__ import annotations

import math
import string
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from gymnasium import spaces

from openenv_gym.errors import InvalidRequestError

Observe = Literal["info_state", "observation", "string", "dict"]
"""The forms of an observation: two tensors, a text, or all that the game has."""

MAX_TEXT = 1 << 16
# Beside ASCII, the games print frames, cards, and the escape character of colours.
CHARSET = "".join(
    [
        *(string.printable, "\x1b", "♠♡♢♣♤♥♦♧"),
        *map(chr, range(0x2500, 0x2580)),
        *map(chr, range(0x1F0A0, 0x1F100)),
    ]
)

_SOURCES = {
    "info_state": ("provides_information_state_tensor", "information_state_tensor_shape"),
    "observation": ("provides_observation_tensor", "observation_tensor_shape"),
}


class ObservationReader(ABC):
    """Reads what a player sees.

    Attributes:
        space: The Gymnasium space of the values that are read.
    """

    space: spaces.Space[Any]

    @abstractmethod
    def read(self, state: Any, player: int) -> Any:
        """Return a new value of :attr:`space`."""


class TensorReader(ObservationReader):
    """Reads one of the two tensors.

    Args:
        game: The game, a ``pyspiel.Game``.
        kind: The name of the tensor, ``info_state`` or ``observation``.
        shaped: Whether the array has the game's own shape; else it has one axis.
    """

    def __init__(self, game: Any, kind: str, shaped: bool = False) -> None:
        from open_spiel.python.observation import INFO_STATE_OBS_TYPE, make_observation

        self._arguments = game, kind, shaped
        shape = tensor_shape(game, kind) or ()
        self._shape = shape if shaped else (math.prod(shape),)
        self._game = game
        self._type = INFO_STATE_OBS_TYPE if kind == "info_state" else None
        # Values are never negative, but in 17 games they exceed 1.
        self.space = spaces.Box(0.0, np.inf, self._shape, np.float32)
        self._is_flat = len(self._shape) == 1
        self._tensor: Any = None
        if not hasattr(game, "make_py_observer"):
            observer = make_observation(game, self._type)
            self._tensor = observer.tensor
            # Skips the Python function around it, if this version of OpenSpiel allows that.
            self._write = getattr(observer, "_observation", observer).set_from

    def read(self, state: Any, player: int) -> Any:
        """Return a new ``float32`` array."""
        if self._tensor is not None:
            self._write(state, player)
            tensor = self._tensor.copy()
        else:
            observer = self._game.make_py_observer(self._type)
            observer.set_from(state, player)
            parts = [np.ravel(part) for part in observer.dict.values()]
            tensor = np.concatenate(parts, dtype=np.float32)
        return tensor if self._is_flat else tensor.reshape(self._shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorReader, self._arguments  # the buffer itself cannot be copied or pickled


class TextReader(ObservationReader):
    """Reads what a player sees as text.

    Args:
        game: The game, a ``pyspiel.Game``.
    """

    def __init__(self, game: Any) -> None:
        self.space = spaces.Text(MAX_TEXT, min_length=0, charset=CHARSET)
        self._method = text_method(game)

    def read(self, state: Any, player: int) -> Any:
        """Return a string."""
        return getattr(state, self._method)(player) if self._method else str(state)


class AllReader(ObservationReader):
    """Reads all forms that the game has, as a dict.

    Args:
        parts: The reader of each key of the dict.
    """

    def __init__(self, parts: dict[str, ObservationReader]) -> None:
        self._parts = parts
        self.space = spaces.Dict([(key, part.space) for key, part in parts.items()])

    def read(self, state: Any, player: int) -> Any:
        """Return a dict with each form."""
        return {key: part.read(state, player) for key, part in self._parts.items()}


def tensor_shape(game: Any, kind: str) -> tuple[int, ...] | None:
    """Return the shape of a tensor, None if the game has none."""
    provides, shape_of = _SOURCES[kind]
    if not getattr(game.get_type(), provides):
        return None
    # Two games written in Python claim to have one, but give it no axes.
    return tuple(getattr(game, shape_of)()) or None


def has_empty_tensor(game: Any) -> bool:
    """Return whether the parameters of a game make a tensor empty."""
    shapes = [tensor_shape(game, kind) for kind in _SOURCES]
    return any(shape is not None and min(shape) <= 0 for shape in shapes)


def text_method(game: Any) -> str | None:
    """Return the method of a state that gives a player's text, "" for the text of the state.

    It is None if the text would show the player what is hidden.
    """
    kind = game.get_type()
    if kind.provides_information_state_string:
        return "information_state_string"
    if kind.provides_observation_string:
        return "observation_string"
    return "" if kind.information.name == "PERFECT_INFORMATION" else None


def forms_of(game: Any) -> list[str]:
    """Return which forms of an observation the game has, the richest for learning first."""
    forms = [kind for kind in _SOURCES if tensor_shape(game, kind) is not None]
    return [*forms, "string"] if text_method(game) is not None else forms


def make_reader(game: Any, observation: Observe | None, shaped: bool) -> ObservationReader:
    """Return the reader of a form of observation.

    Args:
        game: The game, a ``pyspiel.Game``.
        observation: The form. None takes the information state tensor; if the game has none, the
            observation tensor; and if it has neither, text.
        shaped: Whether tensors keep the game's own shape.

    Raises:
        InvalidRequestError: There is no such form, or the game does not have it.
    """
    forms = forms_of(game)
    makers: dict[str, Callable[[], ObservationReader]] = {
        "info_state": lambda: TensorReader(game, "info_state", shaped),
        "observation": lambda: TensorReader(game, "observation", shaped),
        "string": lambda: TextReader(game),
        "dict": lambda: AllReader({form: makers[form]() for form in forms}),
    }
    if observation is None:
        return makers[forms[0]]()
    if observation not in makers:
        raise InvalidRequestError(
            f"observation is one of {', '.join(get_args(Observe))}; got {observation!r}."
        )
    if observation != "dict" and observation not in forms:
        raise InvalidRequestError(
            f"The game {game.get_type().short_name!r} has no observation of the form "
            f"{observation!r}; it has: {', '.join([*forms, 'dict'])}."
        )
    return makers[observation]()
