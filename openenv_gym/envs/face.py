"""What is known of an environment before its first reset, and what tells it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from openenv_gym.client import Connection
from openenv_gym.errors import (
    ConnectionLostError,
    EnvStartError,
    ProtocolError,
    UnknownEnvironmentError,
)
from openenv_gym.faults import FaultKind
from openenv_gym.protocol import Open, Opened
from openenv_gym.spaces.descriptor import Space
from openenv_gym.wire.description import Description


class Face(NamedTuple):
    """What a ``RemoteEnv`` must know before the first reset.

    Attributes:
        name: For people.
        action_space: Of the environment.
        observation_space: Of the environment.
        render_mode: The one that it was opened with.
        metadata: Gymnasium's.
        has_action_masks: Whether infos carry ``legal_actions``.
        check_seeding: Whether the first seeded reset is made twice and compared.
    """

    name: str
    action_space: Space
    observation_space: Space
    render_mode: str | None
    metadata: dict[str, Any]
    has_action_masks: bool
    check_seeding: bool = False


class Endpoint(Protocol):
    """Tells the face of an environment, and connects to it."""

    def open(self) -> tuple[Face, Connection | None]:
        """Return the face, and the connection where finding out made one."""

    def connect(self, known: Face | None = None) -> Connection:
        """Return a new session.

        Args:
            known: The face that the environment had; where somebody else may have been put in its
                place meanwhile, who has another one is refused.
        """


def check_known(known: Face | None, found: Face, where: object) -> None:
    """Pass if an environment is the one that was there before: its spaces are in use.

    Raises:
        UnknownEnvironmentError: its spaces or its name are others.
    """
    if known is None or known[:3] == found[:3]:
        return
    raise UnknownEnvironmentError(
        f"expected {_told(known)}, as before, at {where}, got {_told(found)}; start the server "
        "with what it served, or make a new environment"
    )


def _told(face: Face) -> str:
    return f"{face.name} (actions {face.action_space}, observations {face.observation_space})"


def face_of(description: Description, render_mode: str | None) -> Face:
    """Return the face of what a worker or a server of ours says of its environment.

    Args:
        description: It.
        render_mode: The one that it is opened with.

    Raises:
        UnknownEnvironmentError: it has models of its own, and no spaces.
    """
    action_space, observation_space = description.action_space(), description.observation_space()
    if action_space is None or observation_space is None:
        raise UnknownEnvironmentError(
            f"{description.environment} has models of its own and no Gymnasium spaces; "
            "use openenv/remote-v0 with a base_url, or OpenEnvClient"
        )
    return Face(
        name=description.environment,
        action_space=action_space,
        observation_space=observation_space,
        render_mode=render_mode,
        metadata={**description.metadata, "render_modes": description.render_modes},
        has_action_masks=description.has_action_masks,
    )


def opened(connection: Connection, request: Open) -> Description:
    """Open an environment over a connection, and return what it says of itself.

    Raises:
        EnvStartError: it took its process with it.
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


def was_unread(exc: ConnectionLostError) -> bool:
    """Whether a Unix socket broke before its peer had read what was sent, which acted on nothing.

    The kernel tells: the end of what was read is an end of file, and that of what was not a reset.
    """
    return isinstance(exc.__cause__, (BrokenPipeError, ConnectionResetError))


def _has_killed(exc: ConnectionLostError) -> bool:
    """Whether the environment took its process with it while it was built."""
    kinds = (FaultKind.WORKER_DIED, FaultKind.OOM)
    is_told = exc.fault is not None and exc.fault.kind in kinds
    return is_told and not was_unread(exc)


def _start_error(request: Open, exc: ConnectionLostError) -> EnvStartError:
    name = request.environment or "the environment"
    tail = "" if exc.fault is None else exc.fault.stderr_tail
    said = f"; end of stderr:\n{tail}" if tail else ""
    what = f"{name} ended its process while it was built: {exc}{said}"
    return EnvStartError(what, fault=exc.fault)
