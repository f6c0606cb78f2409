"""What a person may do now, and the action that a typed line stands for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces as gs

from openenv_gym.codecs import json_codec
from openenv_gym.errors import InvalidActionError, OpenEnvGymError
from openenv_gym.spaces.check import action_check
from openenv_gym.spaces.labels import labels_of

_MOST_NAMED = 100_000


def names_of(env: gym.Env[Any, Any]) -> list[str] | None:
    """Return the names of the actions of a ``Discrete``, None of another space or of very many.

    They are the labels of the space; or what Atari calls them; or their numbers.
    """
    space = env.action_space
    if not isinstance(space, gs.Discrete) or space.n > _MOST_NAMED:
        return None
    labels = list(labels_of(space))
    if not labels:
        labels = _told(env, "get_action_meanings")
    if len(labels) != space.n:
        return [str(space.start + one) for one in range(int(space.n))]
    return [one.lower() for one in labels]


def legal_names(env: gym.Env[Any, Any], names: Sequence[str], legal: Sequence[int]) -> list[str]:
    """Return what the legal actions are called in this state, where the environment tells it."""
    told = _told(env, "legal_action_names")
    return told if len(told) == len(legal) else [names[one] for one in legal]


def _told(env: gym.Env[Any, Any], method: str) -> list[str]:
    """What a method of the environment answers; nothing where it has none, or a server hides it."""
    try:
        return list(env.get_wrapper_attr(method)())
    except (AttributeError, OpenEnvGymError):
        return []


def legal_of(env: gym.Env[Any, Any], info: dict[str, Any]) -> list[int] | None:
    """Return the positions of the legal actions of a ``Discrete``, None for other spaces."""
    space = env.action_space
    if not isinstance(space, gs.Discrete):
        return None
    mask = info.get("action_mask")
    if mask is not None and len(mask) == space.n and np.any(mask):
        return [int(one) for one in np.flatnonzero(mask)]
    return list(range(int(space.n)))


def typed_action(text: str, space: Any) -> Any:
    """Return the action that ``text`` stands for.

    Args:
        text: The text itself for a ``Text``; numbers with spaces or commas in between for an array
            of one axis; else JSON.
        space: The action space.

    Raises:
        InvalidActionError: It is no action, or not one of this space.
    """
    if isinstance(space, gs.Text):
        action: Any = text
    else:
        action = json_codec(space).from_json(_data(text, space), "action")
    return action_check(space)(action)


def _data(text: str, space: Any) -> Any:
    shape = getattr(space, "shape", None)
    is_row = shape and len(shape) == 1 and not text.startswith("[")
    try:
        return json.loads(f"[{','.join(text.replace(',', ' ').split())}]" if is_row else text)
    except ValueError as exc:
        raise InvalidActionError(f"expected {form_of(space)}, got {text!r:.80}") from exc


def form_of(space: Any) -> str:
    """Say in words how an action of ``space`` is typed."""
    if isinstance(space, gs.Discrete):
        return f"a number from {space.start} to {space.start + space.n - 1}"
    if isinstance(space, gs.Text):
        return "a text"
    if isinstance(space, gs.Box) and len(space.shape) == 1:
        lows, highs = space.low.tolist(), space.high.tolist()
        labels = labels_of(space) or [""] * len(lows)
        each = [
            f"{name} {low:g} to {high:g}".strip()
            for name, low, high in zip(labels, lows, highs, strict=True)
        ]
        return f"{len(lows)} numbers ({', '.join(each)})" if len(each) > 1 else f"{each[0]}"
    return f"JSON of an action of {space}"[:200]
