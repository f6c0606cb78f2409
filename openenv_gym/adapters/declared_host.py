"""Builds an environment of a scheme that a package declares, by its adapter.

docs/adapters.md says what an adapter is.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from openenv_gym.adapters import module_host
from openenv_gym.errors import EnvStartError, UnknownEnvironmentError
from openenv_gym.protocol.events import Open
from openenv_gym.workers.built_env import BuiltEnv
from openenv_gym.workers.schemes import load_adapter


def build(name: str, request: Open) -> BuiltEnv:
    """Have the adapter of ``scheme:name`` make the environment.

    Args:
        name: The scheme, a colon, and what the adapter takes for a name.
        request: What is asked for: arguments, a render mode, a time limit.

    Raises:
        EnvStartError: the adapter cannot be loaded, or what it makes is no environment.
        UnknownEnvironmentError: there is nothing after the colon.
        UnsupportedRenderModeError: the adapter takes no render mode.
    """
    scheme, _, wanted = name.partition(":")
    make = _maker(load_adapter(scheme), scheme)
    if not wanted:
        raise UnknownEnvironmentError(
            f"expected {scheme}:NAME, got {name!r}; `openenv-gym list` says which names there are"
        )
    return module_host.build_with(partial(make, wanted), name, request)


def _maker(adapter: Any, scheme: str) -> Any:
    make = getattr(adapter, "make", adapter)
    if not callable(make):
        shown = getattr(adapter, "__name__", repr(adapter))
        raise EnvStartError(
            f"{scheme}: expected an adapter, which is a function make(name, **kwargs) that returns "
            f"a gymnasium.Env or a module with such a function, got {shown:.80} without one"
        )
    return make
