"""Describes an environment as plain data, by what it has and not by what it is derived from."""

from __future__ import annotations

import inspect
from typing import Any, Iterator

import numpy as np

METHODS = ("reset", "step", "render", "close", "seed")
"""The methods that every user of an environment may ask for."""

SPACES = ("action_space", "observation_space", "reward_space")
SPECS = ("action_spec", "observation_spec", "reward_spec", "discount_spec")

_OF_SPACES = (
    *("low", "high", "n", "nvec", "start", "shape", "dtype", "spaces"),
    *("max_length", "min_length", "character_set", "charset", "feature_space", "stack"),
    *("node_space", "edge_space"),
)
_OF_SPECS = ("shape", "dtype", "minimum", "maximum", "num_values", "string_type", "name")
_OF_REGISTRATION = ("id", "max_episode_steps", "reward_threshold", "nondeterministic")


def describe(env: Any) -> dict[str, Any]:
    """Return what an environment is, as values that travel.

    Returns:
        ``name`` and ``doc`` of the innermost class; ``methods``, for each what it takes by keyword,
        None where that is anything; ``spaces`` and ``specs``, described; ``attributes`` that do not
        change; ``spec``, how it is registered.
    """
    inner = list(layers(env))[-1]
    specs = {name: getattr(env, name, None) for name in SPECS}
    spec = getattr(env, "spec", None)
    return {
        "name": type(inner).__name__,
        "doc": inspect.getdoc(type(inner)) or "",
        "methods": {
            name: parameters(env, name)
            for name in METHODS
            if callable(getattr(env, name, None)) and not (name == "seed" and only_warns(env))
        },
        "spaces": {
            name: described(getattr(env, name), _OF_SPACES)
            for name in SPACES
            if getattr(env, name, None) is not None
        },
        "specs": {
            name: described(spec(), _OF_SPECS) for name, spec in specs.items() if callable(spec)
        },
        "attributes": {
            "metadata": getattr(env, "metadata", None) or {},
            "render_mode": getattr(env, "render_mode", None),
        },
        "spec": {name: getattr(spec, name, None) for name in _OF_REGISTRATION},
    }


def described(value: Any, names: Any) -> Any:
    """Return a space, a spec or a nest of them as a dict of the attributes that it has.

    Args:
        value: The space or spec, or a mapping, a list or a tuple of them; other values are
            returned as they are.
        names: The attributes to look for.
    """
    if not any(hasattr(value, name) for name in ("contains", "validate")):
        if isinstance(value, (list, tuple)):
            make = getattr(value, "_make", type(value))  # of a named tuple
            return make([described(one, names) for one in value])
        if hasattr(value, "items"):
            return {key: described(one, names) for key, one in value.items()}
        return value
    found: dict[str, Any] = {}
    for name in names:
        if hasattr(value, name):
            found[name] = _plain(name, getattr(value, name), names)
    return {"class": type(value).__name__, "attributes": found}


def _plain(name: str, value: Any, names: Any) -> Any:
    if name == "dtype":
        return None if value is None else np.dtype(value).str
    if name == "string_type":
        return value.__name__
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return described(value, names)


def layers(env: Any) -> Iterator[Any]:
    """Yield an environment, what it wraps, what that wraps, and so on."""
    while env is not None:
        yield env
        inner = getattr(env, "__dict__", {}).get("env")
        env = inner if hasattr(inner, "reset") and hasattr(inner, "step") else None


def set_attribute(env: Any, name: str, value: Any, force: bool = True) -> bool:
    """Set an attribute in the outermost layer of an environment that has it.

    Args:
        env: The environment.
        name: The name of the attribute.
        value: The value.
        force: Whether to set an attribute that there is not yet, in the innermost layer.

    Returns:
        Whether it was set.
    """
    every = list(layers(env))
    owners = (layer for layer in every if name in vars(layer) or hasattr(type(layer), name))
    found = next(owners, every[-1] if force else None)
    if found is not None:
        setattr(found, name, value)
    return found is not None


def parameters(env: Any, method: str) -> list[str] | None:
    """Return what a method takes by keyword, None where it takes anything.

    A wrapper that takes anything hands it on to what it wraps.
    """
    names: dict[str, None] = {}
    for layer in layers(env):
        try:
            known = inspect.signature(getattr(layer, method)).parameters.values()
        except (TypeError, ValueError, AttributeError):  # without a signature, or missing
            break
        by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names.update((one.name, None) for one in known if one.kind in by_name)
        if all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in known):
            break
    else:
        return None
    return list(names)


def only_warns(env: Any) -> bool:
    """Return whether the method ``seed`` is that of the base class of gym 0.21, which only warns.

    That of later versions seeds ``np_random``. Wrappers of gym pass a seed on to what they wrap.
    """
    every = list(layers(env))
    base = getattr(type(every[-1]), "seed", None) if every else None
    names = getattr(getattr(base, "__code__", None), "co_names", ())
    return getattr(base, "__module__", "") == "gym.core" and "np_random" not in names
