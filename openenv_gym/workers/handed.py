"""What the process of a user hands to its own embedded worker: functions, and registered ids.

The class in the script that is open has no name that another process could import. So the trainer
writes it into a file without a name, in the form of pickle, and sends the descriptor of this file
together with the socket of the session that builds it. Only who holds the worker's control socket
can do that, and that is the process that started the worker. Nothing of it is a message: a server
has no such file for its workers, and no client can bring one in.

The file has pickles of one stream, so that what functions share stays shared: a :class:`Header`,
each function, the keyword arguments of all functions, and the registered ids, a dict of specs.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym
import msgspec
from gymnasium.envs.registration import EnvSpec

from openenv_gym.errors import EnvStartError, InvalidRequestError
from openenv_gym.protocol.events import Open
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.built_env import BuiltEnv, batched, build, build_made


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the file begins with.

    Attributes:
        names: What the functions are called, each function once; none where an id is built.
        places: The indices in ``names`` of the functions of the sub-environments.
        first_env: The number of the first one in the whole vector environment.
    """

    names: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    first_env: int = 0


@dataclass(frozen=True, kw_only=True)
class Handed:
    """What was handed over.

    Attributes:
        header: What belongs to which sub-environment.
        functions: The functions, in the order of the header's names.
        kwargs: The keyword arguments of all functions.
        specs: The ids that the process has registered.
    """

    header: Header
    functions: Sequence[Callable[..., Any]] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    specs: dict[str, EnvSpec] = field(default_factory=dict)


class HandedBuilder:
    """Builds what was handed over.

    Args:
        load: Returns what was handed over. It is called when the session opens, so that what goes
            wrong is the answer to that.
    """

    def __init__(self, load: Callable[[], Handed]) -> None:
        self._load = load
        self._spaces: tuple[Any, Any] | None = None  # of the first one

    @classmethod
    def of_file(cls, fd: int) -> HandedBuilder:
        """Return the builder of what a file has, which is read and closed."""
        with open(fd, "rb") as file:
            file.seek(0)
            return cls(partial(_read, file.read()))

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse to be sent elsewhere: what a forked worker inherits is of this process.

        Raises:
            InvalidRequestError: Always.
        """
        raise InvalidRequestError(
            "an environment whose worker is forked (context='fork') cannot be copied or pickled, "
            "since its functions need not be; make it with context='spawn'"
        )

    def __call__(self, request: Open) -> BuiltEnv:
        """Build what the request asks for.

        Raises:
            EnvStartError: something cannot be unpickled here, or makes no environment.
        """
        handed = self._load()
        self._load = lambda: handed  # what it was read from is not needed any more
        if handed.functions:
            request = msgspec.structs.replace(request, kwargs=handed.kwargs)
        with _registered(handed.specs):
            if request.num_envs is None:
                return self._build_one(handed, request, 0)
            return batched(request, partial(self._build_one, handed))

    def _build_one(self, handed: Handed, request: Open, place: int) -> BuiltEnv:
        """Build the sub-environment at a place of the session, also where it begins anew."""
        with _registered(handed.specs):
            if not handed.functions:
                return build(request)
            number = handed.header.places[place]
            built = build_made(handed.functions[number], handed.header.names[number], request)
        try:
            self._check_spaces(built, handed.header.first_env + place)
        except BaseException:
            built.env.close()
            raise
        return built

    def _check_spaces(self, built: BuiltEnv, number: int) -> None:
        is_typed = built.description.action is None  # and has models in place of spaces
        spaces = (None, None) if is_typed else (built.env.action_space, built.env.observation_space)
        if self._spaces is None:
            self._spaces = spaces
        for side, expected, got in zip(
            ("action", "observation"), self._spaces, spaces, strict=True
        ):
            if expected != got:
                raise EnvStartError(
                    f"sub-environment {number}, of {built.description.environment}: expected the "
                    f"{side} space of the first one, {expected or 'that of its models'}, got "
                    f"{got or 'that of its models'}; all functions have to make environments of "
                    "the same spaces"
                )


@contextlib.contextmanager
def _registered(specs: dict[str, EnvSpec]) -> Iterator[None]:
    """Have some ids in Gymnasium's registry for a while."""
    before = {env_id: gym.registry.get(env_id) for env_id in specs}
    gym.registry.update(specs)
    try:
        yield
    finally:
        for env_id, spec in before.items():
            if spec is not None:
                gym.registry[env_id] = spec
            else:
                gym.registry.pop(env_id, None)


def refuse(said: str, **kwargs: Any) -> Any:
    """Say why an id that was registered cannot be made; it is the entry point in its place.

    Raises:
        EnvStartError: Always.
    """
    raise EnvStartError(said)


def _read(data: bytes) -> Handed:
    """Unpickle what a file has."""
    load = pickle.Unpickler(io.BytesIO(data)).load
    header: Header = load()
    return Handed(
        header=header,
        functions=[_loaded(load, name) for name in header.names],
        kwargs=_loaded(load, "the keyword arguments"),
        specs=_loaded(load, "the registered ids"),
    )


def _loaded(load: Callable[[], Any], name: str) -> Any:
    try:
        return load()
    except Exception as exc:  # imports and reducers of the user run whatever code they like
        raise raised_as(EnvStartError, type(exc))(
            f"{name} was sent to the worker (process {os.getpid()}), and cannot be read there: "
            f"{type(exc).__name__}: {exc}; what it needs has to be importable in a new process of "
            f"{sys.executable} in the folder {os.getcwd()}, or has to be made inside the function"
        ) from exc
