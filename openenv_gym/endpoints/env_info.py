"""What is known of an environment before its first reset, and who tells it.

An endpoint says where an environment is. It holds names and numbers, never a socket, so that an
environment can be copied, sent to another process, and connected anew. It has two verbs: it
describes what is there, and it connects to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import gymnasium as gym

from openenv_gym.address import Address
from openenv_gym.client import Connection
from openenv_gym.endpoints.options import ConnectOptions
from openenv_gym.errors import (
    ConnectionLostError,
    EnvStartError,
    InvalidRequestError,
    ProtocolError,
    UnknownEnvironmentError,
)
from openenv_gym.faults import FaultKind
from openenv_gym.protocol import Open, Opened
from openenv_gym.protocol.limits import MAX_MESSAGE_BYTES, most_reply_bytes
from openenv_gym.spaces import Inference
from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.size import least_bytes
from openenv_gym.texts import quoted
from openenv_gym.wire.description import Description

CLOSE_TIMEOUT_S = 5.0
_MOST_WARNINGS, _MOST_SENTENCE = 20, 2000

Connection_co = TypeVar("Connection_co", bound=Connection | None, covariant=True)


@dataclass(frozen=True, kw_only=True)
class EnvInfo:
    """What an environment has that does not change.

    Attributes:
        name: Its name, for people.
        action_space: The space of the actions, of one sub-environment where there are many.
        observation_space: The space of the observations, likewise.
        reward_space: The space of array rewards, likewise; None where rewards are numbers.
        render_mode: The mode that it was opened with.
        metadata: Gymnasium's metadata.
        has_action_masks: Whether infos carry ``legal_actions``.
        check_seeding: Whether seeds are checked before the first seeded reset.
        warnings: What of its spaces is a guess or has no bound, for whoever makes it.
        keeps_bounds: Whether floats in actions have to be within the bounds of their space, as a
            JSON schema asks. A session in binary leaves these bounds to the environment.
        description: What a worker or a server of ours says of it; None where others serve it.
        seeded: Whether seeds are passed on; False where a server or worker of ours says that the
            environment's own reset takes none.
    """

    name: str
    action_space: Space
    observation_space: Space
    reward_space: Space | None = None
    render_mode: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    has_action_masks: bool = False
    check_seeding: bool = False
    warnings: tuple[str, ...] = ()
    keeps_bounds: bool = True
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


def warn_of(name: str, warnings: Iterable[str]) -> None:
    """Warn whoever makes an environment of what is not sure, once for each sentence.

    Args:
        name: The name of the environment.
        warnings: The sentences, some of which may be the same.
    """
    sentences = list(dict.fromkeys(warnings))
    more = len(sentences) - _MOST_WARNINGS
    if more > 0:
        sentences[_MOST_WARNINGS:] = [f"{more} more warnings are left out"]
    for sentence in sentences:
        gym.logger.warn(f"{quoted(name)}: {quoted(sentence, _MOST_SENTENCE)}".replace("%", "%%"))


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


def info_of(
    description: Description, request: Open, options: ConnectOptions, *, is_binary: bool
) -> EnvInfo:
    """Return what a worker or a server of ours says of its environment.

    Args:
        description: What it says.
        request: What was asked for.
        options: How it is reached.
        is_binary: Whether its session is in binary, and not in JSON.

    Raises:
        UnknownEnvironmentError: the environment has models of its own, and no spaces; or it is a
            vector environment, and a single one was asked for.
    """
    check_single(description, request)
    action_space, observation_space = description.action_space, description.observation_space
    if action_space is None or observation_space is None:
        raise UnknownEnvironmentError(
            f"{description.environment} has models of its own and no Gymnasium spaces; "
            "use openenv/remote-v0 with a base_url, or OpenEnvClient"
        )
    return EnvInfo(
        name=quoted(description.environment),
        action_space=action_space,
        observation_space=observation_space,
        reward_space=description.reward_space,
        render_mode=request.render_mode,
        metadata={**description.metadata, "render_modes": description.render_modes},
        has_action_masks=description.has_action_masks,
        check_seeding=options.check_seeding,
        warnings=tuple(description.warnings),
        keeps_bounds=description.has_models or not is_binary,
        description=description,
        seeded=description.seeded,
    )


def check_single(description: Description, request: Open) -> None:
    """Pass, unless a vector environment is there and a single one was asked for.

    Raises:
        UnknownEnvironmentError: it is so.
    """
    if description.num_envs is not None and request.num_envs is None:
        raise UnknownEnvironmentError(
            f"{description.environment} is a vector environment; use gymnasium.make_vec, which "
            "steps all its sub-environments in one message"
        )


def check_lengths(description: Description, limits: tuple[int, int]) -> None:
    """Pass if actions and observations fit into messages, in binary.

    Args:
        description: What the environment is like, with all its sub-environments.
        limits: The longest message that the peer takes, and the longest that is taken from it.

    Raises:
        InvalidRequestError: one does not; the message says which limit is to be raised.
    """
    spaces = description.batched_action_space, description.batched_observation_space
    for space, limit, (kind, higher) in zip(spaces, limits, _LIMITS, strict=True):
        needed = 0 if space is None else least_bytes(space)
        if needed > limit:
            way_out = (
                "no message is longer" if limit == MAX_MESSAGE_BYTES else f"raise it: {higher}"
            )
            raise InvalidRequestError(
                f"{kind} of {description.environment} (x{description.num_envs or 1}): expected "
                f"messages of at most {limit} bytes, got {needed}; {way_out}; or spread many "
                "sub-environments over more sessions (shards=)"
            )


_LIMITS = (
    ("actions", "serve --max-message-bytes"),
    ("observations", "options=WebSocketOptions(max_message_bytes=...)"),
)
"""What the limits hold for, in their order, and how each is raised."""


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
    try:
        if (space := reply.description.batched_observation_space) is not None:
            most = most_reply_bytes(space, in_json=False, num_envs=request.num_envs)
            connection.bound_replies(most)
        check_lengths(reply.description, connection.limits)
    except BaseException:
        connection.close(CLOSE_TIMEOUT_S)
        raise
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
