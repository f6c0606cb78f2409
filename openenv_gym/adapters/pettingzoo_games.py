"""Finds and makes PettingZoo environments by their names."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from openenv_gym.adapters.pettingzoo_game import AECGame, ParallelGame, PettingZooGame
from openenv_gym.errors import EnvStartError, InvalidRequestError, UnknownEnvironmentError
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.imports import import_module, imported, is_module

_FUNCTIONS = {"parallel": "parallel_env", "aec": "env"}
"""What a module of PettingZoo calls its two interfaces; the one that is preferred comes first."""
_INSTALL = "pip install 'openenv-gym[pettingzoo]'"


def make_game(
    place: str, api: str, render_mode: str | None, kwargs: Mapping[str, Any]
) -> PettingZooGame:
    """Make the environment that ``place`` names.

    Args:
        place: An id of the registry, a module, or a class or a function in a module.
        api: ``"parallel"``, ``"aec"``, or ``"auto"`` for the parallel one where there is one.
        render_mode: A render mode, None for none.
        kwargs: Keyword arguments of the environment.

    Raises:
        UnknownEnvironmentError: there is no such environment, or not with this interface.
        EnvStartError: something is not installed, or what was made is no such environment.
        InvalidRequestError: there is no such interface.
    """
    if api not in ("auto", *_FUNCTIONS):
        raise InvalidRequestError(f"api: expected auto, parallel or aec, got {api!r}")
    pettingzoo = _pettingzoo()
    mode = {} if render_mode is None else {"render_mode": render_mode}
    made = _maker(place, api)(**mode, **kwargs)
    is_parallel = isinstance(made, pettingzoo.ParallelEnv)
    if not is_parallel and not isinstance(made, pettingzoo.AECEnv):
        raise EnvStartError(
            f"pettingzoo:{place}: expected an AECEnv or a ParallelEnv, got an object of type "
            f"{type(made).__qualname__}"
        )
    if not getattr(made, "possible_agents", None):
        made.close()
        raise EnvStartError(
            f"pettingzoo:{place}: expected possible_agents, a list of all agents that there may "
            f"be, and {type(made.unwrapped).__qualname__} has none; there are no spaces without it"
        )
    return ParallelGame(made) if is_parallel else AECGame(made)


def known_ids() -> list[str]:
    """Return the ids of PettingZoo's registry, which those before 1.27 do not have.

    Raises:
        EnvStartError: PettingZoo is not installed.
    """
    _pettingzoo()
    return sorted({env_id for api in _FUNCTIONS for env_id in _registry(api)})


def _pettingzoo() -> Any:
    try:
        import pettingzoo
    except ImportError as exc:
        raise raised_as(EnvStartError, type(exc))(
            f"PettingZoo could not be imported ({exc}); {_INSTALL}"
        ) from exc
    return pettingzoo


def _registry(api: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(_pettingzoo(), f"{api}_registry", {})
    return found


def _maker(place: str, api: str) -> Callable[..., Any]:
    if "/" in place or "-" in place:  # no module is called so
        return _registered(place, api)
    if is_module(place):
        module = import_module(place, f"pettingzoo:{place}")
        return _in_module(module, place, api)
    module, _, name = place.rpartition(".")
    made: Callable[..., Any] = imported(f"{module}:{name}" if module else name, scheme="pettingzoo")
    if not callable(made) or inspect.ismodule(made):
        raise UnknownEnvironmentError(
            f"pettingzoo:{place}: expected a class or a function that makes an AECEnv or a "
            f"ParallelEnv, got {made!r:.80}"
        )
    return made


def _registered(env_id: str, api: str) -> Callable[..., Any]:
    pettingzoo = _pettingzoo()
    if not hasattr(pettingzoo, "spec"):
        raise EnvStartError(
            f"pettingzoo:{env_id}: ids need PettingZoo 1.27 or later, and "
            f"{pettingzoo.__version__} is installed; name the module, as pettingzoo.classic.rps_v2"
        )
    from pettingzoo.env_registry.exceptions import PettingZooRegistryError

    apis = list(_FUNCTIONS) if api == "auto" else [api]
    for each in apis:
        try:
            pettingzoo.spec(each, env_id)
        except PettingZooRegistryError:  # said below, for all interfaces together
            continue
        return partial(_make_registered, each, env_id)
    close = difflib.get_close_matches(env_id, known_ids(), 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    which = "" if api == "auto" else f" with the interface {api}"
    raise UnknownEnvironmentError(
        f"pettingzoo:{env_id}: PettingZoo has registered no such environment{which}{hint}"
    )


def _make_registered(api: str, env_id: str, **kwargs: Any) -> Any:
    from pettingzoo.env_registry.exceptions import FailedToImport

    try:
        return _pettingzoo().make(api, env_id, **kwargs)
    except FailedToImport as exc:
        raise EnvStartError(f"pettingzoo:{env_id}: {exc} ({exc.__cause__})") from exc


def _in_module(module: Any, place: str, api: str) -> Callable[..., Any]:
    names = list(_FUNCTIONS.values()) if api == "auto" else [_FUNCTIONS[api]]
    for name in names:
        if callable(getattr(module, name, None)):
            made: Callable[..., Any] = getattr(module, name)
            return made
    raise UnknownEnvironmentError(
        f"pettingzoo:{place}: expected a module with {' or '.join(names)}, as PettingZoo's own "
        f"have, and {place} has none; name a class or a function in it, as {place}.NAME"
    )
