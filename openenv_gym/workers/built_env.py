"""An environment as a worker holds it, and how it is built from its name."""

from __future__ import annotations

import importlib
import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeAlias

import gymnasium as gym

from openenv_gym.errors import InvalidRequestError, UnknownEnvironmentError
from openenv_gym.protocol.events import Open
from openenv_gym.wire.description import Description
from openenv_gym.workers.imports import is_module
from openenv_gym.workers.schemes import is_declared, other_schemes


class Rows(NamedTuple):
    """Steps that were taken, of which nothing more is to be asked.

    Attributes:
        places: Whose they are, by their place among those that were told.
        obs: Their observations, in one array.
        rewards: Their rewards, of dtype ``float64``.
        flags: A byte for each, 1 for terminated and 2 for truncated.
        infos: Their infos; None where all are empty.
    """

    places: list[int]
    obs: Any
    rewards: Any
    flags: bytes
    infos: list[dict[str, Any]] | None


Ahead: TypeAlias = Callable[[Sequence[tuple[Any, Any, bool]]], list[Rows]]
"""Is told the environments that are stepped next, their actions, and which are reset instead.

It returns what it has done already; what is not among that is still to be asked of each.
"""


class Lender(Protocol):
    """Lends the socket of a session to who can answer steps without the worker.

    That is done while an episode goes on. Until the socket is given back, the worker neither reads
    from it nor asks the environment for anything.
    """

    def lend(self, sock: socket.socket) -> int | None:
        """Lend a socket over which the next request is awaited.

        Returns:
            A descriptor that can be read when it is given back; None where it is not lent.
        """

    def take_back(self) -> tuple[int, bool]:
        """Wait until it is given back.

        Returns:
            How many steps were answered, and whether the last one has ended the episode.
        """


@dataclass(frozen=True, kw_only=True)
class BuiltEnv:
    """An environment that a builder made, with its description.

    Attributes:
        env: The environment: a ``gymnasium.Env``, or for a batched session a ``VectorEnv``.
        description: The description that clients get.
        state: Returns the fields of the typed state, without ``episode_id`` and ``step_count``.
        ahead: Is told of many environments what is asked of them next, see :data:`Ahead`; None
            where one message for all saves nothing.
        lender: Lends the socket of the session; None where the worker answers everything.
    """

    env: Any
    description: Description
    state: Callable[[], dict[str, Any]]
    ahead: Ahead | None = None
    lender: Lender | None = None


Builder: TypeAlias = Callable[[Open], BuiltEnv]

# By scheme, the modules to import before workers are forked. The first is the adapter, named by a
# string so that a worker imports no other. The rest it imports inside functions; they start no
# thread and draw no random number. An environment's own module must not be among them, nor an
# adapter of another package.
_SCHEMES: dict[str, tuple[str, ...]] = {
    "gymnasium": ("openenv_gym.adapters.gymnasium_host",),
    "gym": ("openenv_gym.adapters.gym_host", "gym"),
    "openspiel": (
        "openenv_gym.adapters.openspiel_host",
        "pyspiel",
        "open_spiel.python.observation",
    ),
    "environment": (
        "openenv_gym.adapters.module_host",
        "openenv_gym.adapters.environment_host",
    ),
    "vector": ("openenv_gym.adapters.vector_host",),
}
_DECLARED = ("openenv_gym.adapters.declared_host",)
"""The same for any scheme that a package declares."""

_INTERPRETER = "openenv_gym.adapters.interpreter_host"
"""The adapter of what runs in another interpreter, whatever its scheme."""

_ELSEWHERE = ("gymnasium", "gym", "environment")
"""The schemes of what runs in an interpreter without this package."""

_IN_MODULES = ("environment", "vector")
"""The schemes of what is named by its module."""


def modules_to_preload(environment: str) -> tuple[str, ...]:
    """Return the modules that a process imports before it forks workers for ``environment``."""
    scheme, _ = _split(environment)
    return (*_modules(scheme), *_SCHEMES["vector"])


def build(request: Open) -> BuiltEnv:
    """Build the environment that ``request`` names.

    The name is ``CartPole-v1`` or ``gymnasium:CartPole-v1``, ``gym:CartPole-v1`` for an id of the
    package gym, ``openspiel:catch``, ``package.module:Class`` for an environment of any interface
    that a class or a function makes, with ``environment:`` before it where the module registers an
    id of this name too, or ``vector:package.module:factory`` for a vector environment as it is.
    Packages declare further schemes. A name from a network must not come here, since this function
    imports the module that it names.

    Raises:
        UnknownEnvironmentError: there is no such environment.
        EnvStartError: its constructor failed.
        InvalidRequestError: it has spaces, and models are given; or it cannot run in another
            interpreter, and one is given.
    """
    if not request.environment:
        raise UnknownEnvironmentError("expected the name of an environment, got none")
    scheme, name = _split(request.environment)
    if request.python is not None:
        return _in_interpreter(scheme, request)
    if request.num_envs is not None and scheme != "vector":
        return batched(request, lambda single, place: build(single))
    try:
        built: BuiltEnv = _adapter(scheme).build(name, request)
    except UnknownEnvironmentError as exc:
        if other := _other_schemes(request.environment):
            raise type(exc)(f"{exc}. {other}") from exc
        raise
    if request.models and built.description.action is not None:
        built.env.close()
        raise InvalidRequestError(
            f"{request.environment} is no typed environment: its models are made of its spaces; "
            f"expected no {' and no '.join(request.models)} model beside it"
        )
    return built


def _in_interpreter(scheme: str, request: Open) -> BuiltEnv:
    name = request.environment or ""
    if scheme not in _ELSEWHERE:
        raise InvalidRequestError(
            f"python: {name} needs this package where it runs; expected an id of Gymnasium or gym, "
            "module:id, module:Class or module:function for another interpreter; leave python out"
        )
    built: BuiltEnv = importlib.import_module(_INTERPRETER).build(name, request)
    return built


def _split(environment: str) -> tuple[str, str]:
    scheme, _, name = environment.partition(":")
    is_scheme = scheme in _SCHEMES
    if scheme in _IN_MODULES and ":" not in name and is_module(scheme):
        is_scheme = False  # a module of the user's own is called so, and `name` is in it
    if is_scheme:
        return scheme, name
    # A module's name may be a scheme too, as `pettingzoo` is: what a package declares goes first.
    is_word = ":" in environment and "." not in scheme
    return (scheme if is_word and is_declared(scheme) else "gymnasium"), environment


def _other_schemes(environment: str) -> str:
    """Say which schemes there are, where what stands before the colon is none and no module."""
    scheme, colon, _ = environment.partition(":")
    if not colon or not scheme.replace("-", "_").isidentifier() or scheme in _SCHEMES:
        return ""
    if is_declared(scheme) or is_module(scheme):
        return ""
    return other_schemes(scheme, our_schemes())


def our_schemes() -> list[str]:
    """Return the schemes that no package needs to declare."""
    return list(_SCHEMES)


def builder_for(
    factory: Callable[[], Any],
    name: str,
    action_model: type[Any] | None = None,
    observation_model: type[Any] | None = None,
    *,
    is_shared: bool = False,
) -> Builder:
    """Return a builder of the environments that ``factory`` makes in this process.

    Args:
        factory: Returns a ``gymnasium.Env`` or a typed environment, a new one for each session.
        name: The name of the environment that clients see.
        action_model: The action class of a typed environment that does not name its own.
        observation_model: The observation class of a typed environment that does not name its
            own.
        is_shared: Whether all sessions share one object. The end of a session leaves it open.
    """

    def make(request: Open) -> BuiltEnv:
        made = factory()
        if isinstance(made, gym.vector.VectorEnv):
            built: BuiltEnv = _adapter("vector").host_made(made, name, request.num_envs)
        elif request.num_envs is not None:
            if is_shared:
                raise InvalidRequestError(
                    f"{name} is one object, and {request.num_envs} sub-environments were asked "
                    "for; serve a function that makes a new one each time"
                )
            others = [made]
            return batched(request, lambda *_: one(others.pop() if others else factory()))
        else:
            built = one(made)
        return replace(built, env=_LeftOpen(built.env)) if is_shared else built

    def one(made: Any) -> BuiltEnv:
        built: BuiltEnv = _adapter("environment").host(made, name, action_model, observation_model)
        return built

    return make


def build_made(maker: Any, name: str, request: Open) -> BuiltEnv:
    """Build what a class or a function of this process makes, under a name of its own.

    Raises:
        OpenEnvGymError: it makes no environment, or none as it is asked for.
    """
    built: BuiltEnv = _adapter("environment").build_with(maker, name, request)
    return built


def batched(request: Open, build_one: Callable[[Open, int], BuiltEnv]) -> BuiltEnv:
    """Build as many sub-environments as a request asks for, to be stepped in one message.

    Args:
        request: The request, which has ``num_envs``.
        build_one: Builds one sub-environment, given the request for it and its place.
    """
    built: BuiltEnv = _adapter("vector").host(request, build_one)
    return built


class _LeftOpen:
    """An environment that survives the end of a session."""

    def __init__(self, env: Any) -> None:
        self._env = env

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def close(self) -> None:
        """Leave the environment open for its owner."""


def _adapter(scheme: str) -> Any:
    return importlib.import_module(_modules(scheme)[0])


def _modules(scheme: str) -> tuple[str, ...]:
    return _SCHEMES.get(scheme, _DECLARED)


def plain_metadata(metadata: Any) -> dict[str, Any]:
    """Return the part of an environment's ``metadata`` that JSON can write."""
    plain = {}
    for key, value in dict(metadata or {}).items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            continue
        plain[str(key)] = value
    return plain
