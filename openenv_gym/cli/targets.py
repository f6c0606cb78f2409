"""What a person types as the name of an environment, and the name that it stands for."""

from __future__ import annotations

import sys

import gymnasium as gym
from gymnasium import error
from gymnasium.envs.registration import find_highest_version, get_env_id, parse_env_id

from openenv_gym.envs.registration import NAMESPACE


def target_of(text: str) -> str:
    """Return the name of the environment that ``text`` stands for, and tell where it is another.

    An id of the namespace ``openenv/`` stands for the environment behind it, which would otherwise
    be served through a bridge to itself. A name without its version stands for the newest version,
    as ``gymnasium.make`` has it. A game of OpenSpiel needs no scheme where Gymnasium has nothing of
    its name. Everything else is its own name.

    Args:
        text: What was typed: ``openenv/catch-v0``, ``CartPole``, ``catch``.
    """
    name = next((one for one in (_behind(text), _newest(text), _game(text)) if one), text)
    if name != text:
        print(f"openenv-gym: {text} is {name}", file=sys.stderr)
    return name


def _behind(text: str) -> str | None:
    """What an id of the namespace makes, if that has a name."""
    spec = gym.registry.get(text)
    if spec is None or spec.namespace != NAMESPACE:
        return None
    game = spec.kwargs.get("game")
    return spec.kwargs.get("env_id") if game is None else f"openspiel:{game}"


def _newest(text: str) -> str | None:
    """The newest version of what is named without a version."""
    try:
        namespace, name, version = parse_env_id(text)
    except error.Error:  # no id, but perhaps a class in a file
        return None
    newest = find_highest_version(namespace, name)
    if version is not None or newest is None or text in gym.registry:
        return None
    found: str = get_env_id(namespace, name, newest)
    return _behind(found) or found


def _game(text: str) -> str | None:
    """The game of OpenSpiel that is named as in the namespace, or by its short name."""
    if text in gym.registry:
        return None
    short = f"{NAMESPACE}/{text}"
    return _behind(short) or _behind(f"{short}-v0")
