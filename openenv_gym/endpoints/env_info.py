"""What is known of an environment before its first reset, and who tells it.

An endpoint says where an environment is. It holds names and numbers, never a socket, so that an
environment can be copied, sent to another process, and connected anew. It has two verbs: it
describes what is there, and it connects to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from openenv_gym.address import Address
from openenv_gym.client import Connection
from openenv_gym.errors import (
    ConnectionLostError,
    EnvStartError,
    ProtocolError,
    UnknownEnvironmentError,
)
from openenv_gym.faults import FaultKind
from openenv_gym.protocol import Open, Opened
from openenv_gym.spaces import Inference
from openenv_gym.spaces.descriptor import Space
from openenv_gym.wire.description import Description

Connection_co = TypeVar("Connection_co", bound=Connection | None, covariant=True)


@dataclass(frozen=True, kw_only=True)
class EnvInfo:
    """What an environment has that does not change.

    Attributes:
        name: Its name, for people.
        action_space: The space of the actions, of one sub-environment where there are many.
        observation_space: The space of the observations, likewise.
        render_mode: The mode that it was opened with.
        metadata: Gymnasium's metadata.
        has_action_masks: Whether infos carry ``legal_actions``.
        check_seeding: Whether the first seeded reset is made twice and compared.
        description: What a worker or a server of ours says of it; None where others serve it.
        seeded: Whether seeds are passed on; False where a server or worker of ours says that the
            environment's own reset takes none.
    """

    name: str
    action_space: Space
    observation_space: Space
    render_mode: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    has_action_masks: bool = False
    check_seeding: bool = False
    description: Description | None = None
    seeded: bool = True


class Described(NamedTuple, Generic[Connection_co]):
    """What an endpoint has found.

    Attributes:
        info: What the environment is like.
        connection: A session of it; from ``describe`` None where it could tell without one.
    """

    info: EnvInfo
    connection: Connection_co


@dataclass(kw_only=True)
class Answer:
    """What a server says of itself under ``/schema``.

    Attributes:
        schema: The JSON schemas of ``action``, ``observation`` and ``state``.
        description: What a server of ours says beside them; None for others.
        inference: What the schemas mean, and the options with which that was inferred; None until
            somebody has asked.
    """

    schema: dict[str, Any]
    description: Description | None
    inference: tuple[object, Inference] | None = None


Answers: TypeAlias = dict[Address, Answer]
"""What servers said a moment ago, by their address.

A server may be replaced at any time, so endpoints ask it anew for each session. Where several
sessions are made at once, the caller gives all these calls the same dict: an endpoint reads there
what was said, and writes there what it has asked. The caller does not keep the dict for later.
"""


class Endpoint(Protocol):
    """Where an environment is: describes it, and connects to it."""

    def describe(self, answers: Answers | None = None) -> Described[Connection | None]:
        """Find out what is there.

        Args:
            answers: What servers said a moment ago, see :data:`Answers`.

        Returns:
            What it is, and the session where finding out took one: of an embedded environment, of
            sub-environments that are stepped together, and of a client object.

        Raises:
            OpenEnvGymError: nobody answers, or what is there is of no use.
        """

    def connect(
        self, known: EnvInfo | None = None, answers: Answers | None = None
    ) -> Described[Connection]:
        """Make a new session.

        Args:
            known: What the environment was like, where its spaces are in use already.
            answers: What servers said a moment ago, see :data:`Answers`.

        Returns:
            What the session's environment is like, and the session.

        Raises:
            UnknownEnvironmentError: another environment than ``known`` is served there.
            OpenEnvGymError: the session cannot be made.
        """


def check_known(known: EnvInfo | None, found: EnvInfo, where: object) -> None:
    """Pass if an environment is the one that was there before: its spaces are in use.

    Raises:
        UnknownEnvironmentError: its spaces or its name are others.
    """
    if known is None or _identity(known) == _identity(found):
        return
    raise UnknownEnvironmentError(
        f"expected {_told(known)}, as before, at {where}, got {_told(found)}; start the server "
        "with what it served, or make a new environment"
    )


def _identity(info: EnvInfo) -> tuple[str, Space, Space]:
    return info.name, info.action_space, info.observation_space


def _told(info: EnvInfo) -> str:
    return f"{info.name} (actions {info.action_space}, observations {info.observation_space})"


def info_of(description: Description, render_mode: str | None) -> EnvInfo:
    """Return what a worker or a server of ours says of its environment.

    Args:
        description: What it says.
        render_mode: The mode with which the environment is opened.

    Raises:
        UnknownEnvironmentError: the environment has models of its own, and no spaces.
    """
    action_space, observation_space = description.action_space(), description.observation_space()
    if action_space is None or observation_space is None:
        raise UnknownEnvironmentError(
            f"{description.environment} has models of its own and no Gymnasium spaces; "
            "use openenv/remote-v0 with a base_url, or OpenEnvClient"
        )
    return EnvInfo(
        name=description.environment,
        action_space=action_space,
        observation_space=observation_space,
        render_mode=render_mode,
        metadata={**description.metadata, "render_modes": description.render_modes},
        has_action_masks=description.has_action_masks,
        description=description,
        seeded=description.seeded,
    )


def opened(connection: Connection, request: Open) -> Description:
    """Open an environment over a connection, and return what it says of itself.

    Raises:
        EnvStartError: the environment took its process with it.
    """
    try:
        reply = connection.request(request)
    except BaseException as exc:
        connection.abandon()
        if isinstance(exc, ConnectionLostError) and _has_killed(exc):
            raise _start_error(request, exc) from exc
        raise
    if not isinstance(reply, Opened):
        raise ProtocolError(f"expected an environment to open, got a {type(reply).__name__}")
    return reply.description


def peer_never_read(exc: ConnectionLostError) -> bool:
    """Whether a Unix socket broke before its peer had read what was sent, which acted on nothing.

    The kernel tells: reading ends with an end of file where the peer had read everything, and with
    a reset where it had not.
    """
    return isinstance(exc.__cause__, (BrokenPipeError, ConnectionResetError))


def _has_killed(exc: ConnectionLostError) -> bool:
    """Whether the environment took its process with it while it was built."""
    ended = (FaultKind.WORKER_DIED, FaultKind.OOM)
    return exc.fault is not None and exc.fault.kind in ended and not peer_never_read(exc)


def _start_error(request: Open, exc: ConnectionLostError) -> EnvStartError:
    name = request.environment or "the environment"
    tail = "" if exc.fault is None else exc.fault.stderr_tail
    said = f"; end of stderr:\n{tail}" if tail else ""
    return EnvStartError(
        f"{name} ended its process while it was built: {exc}{said}", fault=exc.fault
    )
