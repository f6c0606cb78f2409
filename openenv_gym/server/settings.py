"""What a server is told when it starts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import msgspec

from openenv_gym.codecs import pack_freeform
from openenv_gym.errors import InvalidRequestError, UnknownEnvironmentError
from openenv_gym.protocol import Open
from openenv_gym.workers.built_env import Builder, build
from openenv_gym.workers.forked import can_fork
from openenv_gym.workers.process import available_cores

Isolation = Literal["process", "thread", "inline"]
ISOLATIONS: tuple[Isolation, ...] = get_args(Isolation)
StartMethod = Literal["forkserver", "spawn"]
START_METHODS: tuple[StartMethod, ...] = get_args(StartMethod)
DEADLINES = ("start", "reset", "step", "close")


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What a server serves, and how.

    Attributes:
        environment: The name that workers build, or a name for what ``builder`` builds.
        kwargs: Keyword arguments of its constructor.
        builder: Makes the environment where it lives in this process.
        isolation: ``process``, a worker process for each session; ``thread``, a thread for each
            session; ``inline``, on the event loop. The last two are for trusted environments: a
            crash is the server's, and a step that hangs inline hangs everybody.
        start_method: How a worker process begins: ``forkserver``, as a fork of a process that has
            imported what workers need; ``spawn``, as a new interpreter, which is the default where
            the platform cannot do the former.
        workers: How many worker processes wait for a session, so that it begins at once.
        max_sessions: How many sessions there may be at a time.
        http_idle_s: A session over plain HTTP that was not used for so long gives way when
            there is no free one, because HTTP has no way to notice that its client has left.
        resume_grace_s: How long a binary session whose connection was lost is kept for its client
            to take it up again, in seconds; 0 ends it at once.
        max_body_bytes: Of an HTTP request.
        max_num_envs: How many sub-environments a session may have.
        attributes: The names of attributes and methods of the environment that clients may read,
            set and call.
        step_timeout_s: How long a worker may take for a step, or for anything else that is none of
            the following; it is killed then. None and 0 are no limit, here as for the others.
        reset_timeout_s: Likewise for a reset, and for a step of a batched session, which may hold
            resets.
        start_timeout_s: Likewise for building the environment.
        close_timeout_s: Likewise for closing it.
        memory_limit_mb: How large the address space of a worker process may become, in MiB; None
            and 0 are no limit.
    """

    environment: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    builder: Builder = build
    isolation: Isolation = "process"
    start_method: StartMethod = field(default_factory=lambda: START_METHODS[not can_fork()])
    workers: int = 1
    max_sessions: int = 64
    http_idle_s: float = 600.0
    resume_grace_s: float = 60.0
    max_body_bytes: int = 16 * 2**20
    max_num_envs: int = 1024
    attributes: Sequence[str] = ()
    step_timeout_s: float | None = 60.0
    reset_timeout_s: float | None = 120.0
    start_timeout_s: float | None = 120.0
    close_timeout_s: float | None = 5.0
    memory_limit_mb: float | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            InvalidRequestError: a number or the isolation is out of range.
        """
        if self.isolation not in ISOLATIONS:
            raise InvalidRequestError(
                f"isolation: expected one of {', '.join(ISOLATIONS)}, got {self.isolation!r}"
            )
        if self.start_method not in START_METHODS:
            raise InvalidRequestError(
                f"start_method: expected one of {', '.join(START_METHODS)}, "
                f"got {self.start_method!r}"
            )
        if self.start_method == "forkserver" and not can_fork():
            raise InvalidRequestError(
                "start_method: expected spawn on this platform, got forkserver, which needs "
                "Linux 5.3 or later"
            )
        if not isinstance(self.kwargs, Mapping):
            raise InvalidRequestError(f"kwargs: expected a mapping, got {self.kwargs!r:.80}")
        names = self.attributes
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise InvalidRequestError(f"attributes: expected a list of names, got {names!r:.80}")
        if self.max_sessions < 1 or self.workers < 0:
            raise InvalidRequestError(
                "expected max_sessions of at least 1 and workers of at least 0, "
                f"got {self.max_sessions} and {self.workers}"
            )
        if not 0 <= (self.memory_limit_mb or 0) < math.inf:
            raise InvalidRequestError(
                "memory_limit_mb: expected MiB, or None or 0 for no limit, "
                f"got {self.memory_limit_mb!r}"
            )
        check_seconds("resume_grace_s", self.resume_grace_s, "0 for none")
        for name in DEADLINES:
            field_name = f"{name}_timeout_s"
            check_seconds(field_name, getattr(self, field_name) or 0, "None or 0 for no limit")

    @property
    def deadlines(self) -> dict[str, float]:
        """What clients are told: how long each kind of request may take, where that is limited."""
        if self.isolation != "process":  # which alone can be killed
            return {}
        limits = {name: getattr(self, f"{name}_timeout_s") for name in DEADLINES}
        return {name: limit for name, limit in limits.items() if limit}

    @property
    def shards(self) -> int:
        """Over how many sessions one client is told to spread its sub-environments.

        One for each core, where a session has a process of its own; but no client is told to take
        more than a quarter of the sessions.
        """
        if self.isolation != "process":
            return 1
        return max(1, min(available_cores(), self.max_sessions // 4))

    @property
    def is_named(self) -> bool:
        """Whether workers make the environment by its name, with what a client asks for."""
        return self.builder is build

    def admit(self, request: Open) -> Open:
        """Return what a worker is to open for a client that asks for ``request``.

        Only the environment named at start can be opened, with the arguments named at start; a
        client chooses the render mode and the time limit.

        Raises:
            UnknownEnvironmentError: the client asks for another environment, or other arguments.
        """
        served = self.environment
        if request.environment not in (None, served):
            raise UnknownEnvironmentError(
                f"expected {served}, which is served here, got {request.environment}; "
                "start a server for it"
            )
        if request.kwargs and not _are_same(dict(request.kwargs), dict(self.kwargs)):
            raise UnknownEnvironmentError(
                f"expected the arguments that {served} was started with, {dict(self.kwargs)}, "
                f"got {request.kwargs}; start a server with these (--kwargs)"
            )
        if request.num_envs is not None and not 1 <= request.num_envs <= self.max_num_envs:
            raise InvalidRequestError(
                f"num_envs: expected 1 to {self.max_num_envs}, the most that this server allows, "
                f"got {request.num_envs}; spread them over more sessions or servers"
            )
        return msgspec.structs.replace(
            request,
            environment=served,
            kwargs=dict(self.kwargs),
            attributes=list(self.attributes),
        )


def check_seconds(name: str, value: float, otherwise: str) -> None:
    """Pass if ``value`` is a time.

    Args:
        name: Of what it is.
        value: In seconds, 0 included.
        otherwise: What else there is, such as "0 for none".

    Raises:
        InvalidRequestError: it is negative, endless or no number.
    """
    if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise InvalidRequestError(f"{name}: expected seconds, or {otherwise}, got {value!r}")


def _are_same(asked: dict[str, Any], served: dict[str, Any]) -> bool:
    try:
        return asked == served
    except ValueError:  # there are arrays among them, which do not say with one word
        return pack_freeform(asked) == pack_freeform(served)
