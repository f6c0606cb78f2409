"""What a server is told when it starts: two frozen records of settings.

Each field says beside its default what it is, how its text is read and what its limits are
(:mod:`openenv_gym.server.setting`). The flags of ``openenv-gym serve`` are made of that, so that a
new setting is one field here and nothing elsewhere.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import msgspec
from gymnasium.error import NameNotFound

from openenv_gym.codecs import pack_freeform
from openenv_gym.errors import InvalidRequestError, UnknownEnvironmentError, shown
from openenv_gym.protocol import Open
from openenv_gym.protocol.events import Tracebacks
from openenv_gym.protocol.limits import MAX_MESSAGE_BYTES
from openenv_gym.server.setting import check, setting
from openenv_gym.server.tokens import Tokens, tokens_of
from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.size import json_size, least_bytes
from openenv_gym.wire.arguments import refusal_of_arguments
from openenv_gym.wire.description import Description
from openenv_gym.wire.error_codes import without_folders
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.built_env import Builder, build, plain_metadata
from openenv_gym.workers.forked import can_fork
from openenv_gym.workers.interpreter_paths import interpreter_path
from openenv_gym.workers.process import available_cores

Isolation = Literal["process", "thread", "inline"]
StartMethod = Literal["forkserver", "spawn"]
HttpSessionsMode = Literal["optional", "required"]
DEADLINES = ("start", "reset", "step", "close")

_LAST_PORT = 65_535
_USUAL_BYTES = 16 * 2**20
_JSON_GROWTH = 8
"""How much longer numbers may be as text: a boolean has up to 6 characters, a float32 23."""

_WHO_MAY_ASK = (
    (
        "allow_origins",
        re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@*\s]+"),
        "origins as browsers say them, such as https://example.org or http://localhost:3000",
    ),
    (
        "allow_hosts",
        re.compile(r"[\w.-]+"),
        "names without scheme and port, such as games.example",
    ),
)
"""What the names of these settings look like, and how that is told."""


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in ``text``.

    Raises:
        InvalidRequestError: there is none.
    """
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise InvalidRequestError(f"expected a JSON object, got {text!r}: {exc}") from exc
    if not isinstance(value, dict):
        raise InvalidRequestError(f"expected a JSON object, got {text!r}")
    return value


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Where and how a server of ours listens.

    Raises:
        InvalidRequestError: a value is none that its field may have.
    """

    host: str = setting("127.0.0.1", "interface")
    port: int = setting(8000, "TCP port, 0 for a free one")
    uds: str | None = setting(None, "listen on this Unix socket instead", metavar="PATH")
    uds_mode: str = setting(
        "0600", "who may use the Unix socket, as chmod says it: 0660 for a group", metavar="MODE"
    )
    tls_cert: str | None = setting(
        None, "speak TLS, with the certificates in this PEM file", metavar="PATH"
    )
    tls_key: str | None = setting(
        None, "the private key of --tls-cert, if it is not in the same file", metavar="PATH"
    )
    drain_timeout_s: float = setting(
        25.0, "seconds that a server which is to end waits for what is under way", "not at all"
    )
    header_timeout_s: float | None = setting(
        10.0,
        "seconds until a client that does not send the headers of a request is cut off; as long "
        "may the handshake of TLS take",
        "no limit",
    )
    keep_alive_s: float = setting(
        5.0, "seconds until a connection is closed that has no request", "at once"
    )
    write_timeout_s: float | None = setting(
        30.0, "seconds until a client that leaves its answers unread is cut off", "no limit"
    )
    ping_interval_s: float | None = setting(20.0, "seconds between pings", "no pings")
    ping_timeout_s: float | None = setting(
        120.0, "seconds until a client that does not answer a ping is taken for gone", "never"
    )
    log_level: str = setting(
        "warning",
        "how much the server logs",
        choices=("critical", "error", "warning", "info", "debug"),
    )
    # Of who started this server and ends it with itself; the address is written there, not printed.
    lifeline: int | None = setting(None, argparse.SUPPRESS, parse=int)

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check(self)
        if not 0 <= self.port <= _LAST_PORT:
            raise InvalidRequestError(
                f"port: expected 0 for a free one, or a number up to {_LAST_PORT}, got {self.port}"
            )
        if re.fullmatch("0?[0-7]{3}", self.uds_mode) is None:
            raise InvalidRequestError(
                f"uds_mode: expected three octal digits such as 0660, got {self.uds_mode!r:.80}"
            )
        if self.tls_key is not None and self.tls_cert is None:
            raise InvalidRequestError("tls_key: expected tls_cert beside it, got none")


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What a server serves, and how.

    Raises:
        InvalidRequestError: a value is none that its field may have.
    """

    environment: str = setting(
        says="a Gymnasium id (CartPole-v1, module:id), openspiel:GAME, gym:ID for an id of the old "
        "gym, a class or a function that makes an environment (my_env.py:MyEnv, "
        "package.module:Class), or what an adapter makes (scheme:name)"
    )
    # Makes the environment where it lives in this process; `environment` is only its name then.
    builder: Builder = setting(lambda: build)
    isolation: Isolation = setting(
        "process",
        "where a session lives; thread and inline are unsafe, for trusted environments only: "
        "one that crashes ends the server, one that hangs is never ended",
        choices=get_args(Isolation),
    )
    start_method: StartMethod = setting(
        lambda: "forkserver" if can_fork() else "spawn",
        "how a worker process begins: forked by a process that has imported what it needs, "
        "or as a new interpreter (default: forkserver where the platform has it)",
        choices=get_args(StartMethod),
    )
    max_num_envs: int = setting(1024, "sub-environments of one session")
    workers: int = setting(1, "worker processes that wait for a session, so that it begins at once")
    max_sessions: int = setting(64, "sessions at a time")
    web: bool = setting(False, "have a page at /web, on which people look and play")
    python: str | None = setting(
        None,
        "another interpreter, in which the environment runs: its path, the folder of a venv, or a "
        "recipe as uv:gym==0.26.2,numpy<2; it needs numpy, and not this package",
        metavar="PATH",
    )
    kwargs: Mapping[str, Any] = setting(
        dict, "keyword arguments of the environment", parse=json_object, metavar="JSON"
    )
    action_model: str | None = setting(
        None,
        "class of the actions of an OpenEnv environment, package.module:Class, where its step "
        "does not name it",
        metavar="CLASS",
    )
    observation_model: str | None = setting(None, "the same for its observations", metavar="CLASS")
    attributes: Sequence[str] = setting(
        (),
        "attributes and methods of the environment that clients may read, set and call, "
        "with commas between; none unless given",
        parse=_names,
        metavar="NAMES",
    )
    memory_limit_mb: float | None = setting(
        None, "MiB that the address space of a worker may take", "no limit", parse=float
    )
    start_timeout_s: float | None = setting(
        120.0, "seconds until a worker that builds an environment is killed", "no limit"
    )
    reset_timeout_s: float | None = setting(
        120.0, "the same for a reset, and for a step of several sub-environments", "no limit"
    )
    step_timeout_s: float | None = setting(60.0, "the same for a step and all else", "no limit")
    close_timeout_s: float | None = setting(5.0, "the same for closing the environment", "no limit")
    resume_grace_s: float = setting(
        60.0, "seconds that a session whose connection was lost is kept for its client", "none"
    )
    max_message_bytes: int | None = setting(
        None,
        "bytes of the longest message, or body of an HTTP request, that is taken (default: 16 MiB, "
        "or what the actions of the environment need)",
        "the default",
        parse=int,
    )
    allow_origins: Sequence[str] = setting(
        (), "let pages of this origin use the server", metavar="ORIGIN", is_repeated=True
    )
    allow_hosts: Sequence[str] = setting(
        (), "a further name by which clients reach the server", metavar="NAME", is_repeated=True
    )
    token: str | None = setting(
        None,
        "the secret that clients have to show; a list of processes shows it, and that of the "
        "variable OPENENV_GYM_TOKEN it does not",
        metavar="TOKEN",
        is_secret=True,
    )
    token_file: str | None = setting(
        None, "a file of tokens, one in a line, alone or as 'name: token'", metavar="PATH"
    )
    insecure_no_auth: bool = setting(
        False, "let everybody on the network use the server, without a token"
    )
    http_sessions: HttpSessionsMode = setting(
        "optional",
        "whether a request over HTTP or MCP has to name its session; others share one",
        choices=get_args(HttpSessionsMode),
    )
    expose_tracebacks: bool | None = setting(
        None,
        "show clients the tracebacks and the stderr of environments; else a number by which the "
        "log has them (default: where the server listens on the loopback interface or a Unix "
        "socket)",
        is_switch=True,
    )
    body_timeout_s: float | None = setting(
        30.0, "seconds that the body of an HTTP request may take", "no limit"
    )
    first_message_timeout_s: float | None = setting(
        10.0, "seconds until a WebSocket is closed on which its client says nothing", "no limit"
    )
    # HTTP has no way to notice that its client has left.
    http_idle_s: float = setting(
        600.0,
        "seconds that a session over HTTP or MCP stays unused until it gives way to a new one "
        "where no other is free",
        "at once",
    )

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check(self)
        if self.start_method == "forkserver" and not can_fork():
            raise InvalidRequestError(
                "start_method: expected spawn on this platform, got forkserver, which needs "
                "Linux 5.3 or later"
            )
        if not isinstance(self.kwargs, Mapping):
            raise InvalidRequestError(f"kwargs: expected a mapping, got {self.kwargs!r:.80}")
        for name in ("attributes", "allow_origins", "allow_hosts"):
            names = getattr(self, name)
            if isinstance(names, str) or not all(isinstance(one, str) for one in names):
                raise InvalidRequestError(f"{name}: expected a list of names, got {names!r:.80}")
        for name, pattern, expected in _WHO_MAY_ASK:
            for one in getattr(self, name):
                if pattern.fullmatch(one) is None:
                    raise InvalidRequestError(f"{name}: expected {expected}, got {one!r:.80}")
        if self.models and not self.is_named:
            raise InvalidRequestError(
                "action_model and observation_model belong to an environment that is named; "
                "create_app takes the classes of another one as action_cls and observation_cls"
            )
        if self.python is not None and not self.is_named:
            raise InvalidRequestError(
                "python: expected none with an environment that is given as a class or object, "
                "which lives in this process; name it: 'package.module:Class'"
            )
        self._check_numbers()

    def _check_numbers(self) -> None:
        if (self.max_message_bytes or 0) > MAX_MESSAGE_BYTES:
            raise InvalidRequestError(
                f"max_message_bytes: expected at most {MAX_MESSAGE_BYTES}, which is what a worker "
                f"takes, got {self.max_message_bytes}"
            )
        if min(self.max_sessions, self.max_num_envs) < 1 or self.workers < 0:
            raise InvalidRequestError(
                "expected max_sessions and max_num_envs of at least 1 and workers of at least 0, "
                f"got {self.max_sessions}, {self.max_num_envs} and {self.workers}"
            )

    @cached_property
    def tokens(self) -> Tokens:
        """What opens the server, as it was when it was asked for first.

        Raises:
            InvalidRequestError: There is a token that can be none, or no file of tokens.
        """
        return tokens_of(self.token, self.token_file)

    @property
    def deadlines(self) -> dict[str, float]:
        """How long each kind of request may take in seconds, where that is limited.

        Clients are told these.
        """
        if self.isolation != "process":  # which alone can be killed
            return {}
        limits = {name: getattr(self, f"{name}_timeout_s") for name in DEADLINES}
        return {name: limit for name, limit in limits.items() if limit}

    def takes_bytes(self, action: Space | None) -> int:
        """Return how long a message a client may send, in bytes, where one action is of a space.

        Unless it was said at start, every action that fits its space may be sent, alone or for as
        many sub-environments as a session may have, in JSON too.
        """
        if self.max_message_bytes:
            return self.max_message_bytes
        if action is None:
            return _USUAL_BYTES
        longest = json_size(action)
        each = least_bytes(action) * _JSON_GROWTH if longest is None else longest.bytes
        return max(_USUAL_BYTES, min(each * self.max_num_envs, MAX_MESSAGE_BYTES))

    @property
    def shards(self) -> int:
        """Over how many sessions one client is told to spread its sub-environments.

        The number is one for each core, where a session has a process of its own; but no client
        is told to take more than a quarter of the sessions.
        """
        if self.isolation != "process":
            return 1
        return max(1, min(available_cores(), self.max_sessions // 4))

    @property
    def tracebacks(self) -> Tracebacks:
        """What becomes of the tracebacks of environments."""
        return "both" if self.expose_tracebacks else "logged"

    @property
    def is_named(self) -> bool:
        """Whether workers make the environment by its name, with what a client asks for."""
        return self.builder is build

    @property
    def models(self) -> dict[str, str]:
        """The places of the models that are given, by their side."""
        given = {"action": self.action_model, "observation": self.observation_model}
        return {side: place for side, place in given.items() if place is not None}

    def has_arguments(
        self, asked: Mapping[str, Any], defaults: Mapping[str, Any], *, is_plain: bool = False
    ) -> bool:
        """Whether an environment that is made with arguments is the one that is served.

        Args:
            asked: The keyword arguments.
            defaults: Those with which the environment is registered.
            is_plain: Whether ``asked`` has nothing that JSON cannot write, which is compared later.
        """
        served = plain_metadata(self.kwargs) if is_plain else self.kwargs
        return _are_same({**defaults, **asked}, {**defaults, **served})

    def admit(self, request: Open, told: Description | None = None) -> Open:
        """Return what a worker is to open for a client that asks for ``request``.

        Only the environment named at start can be opened, with the arguments named at start; a
        client chooses the render mode and the time limit.

        Args:
            request: What the client asks for.
            told: What the environment says of itself, None where that is not known yet.

        Raises:
            UnknownEnvironmentError: the client asks for another environment, or other arguments.
            InvalidRequestError: the client asks for too many sub-environments, or for an
                interpreter.
        """
        served = self.environment if self.expose_tracebacks else without_folders(self.environment)
        if request.environment not in (None, served, self.environment):
            raise raised_as(UnknownEnvironmentError, NameNotFound)(
                f"expected {served}, which is served here, got {request.environment}; "
                "start a server for it"
            )
        defaults = {} if told is None else told.defaults
        if request.kwargs and not self.has_arguments(request.kwargs, defaults):
            raise refusal_of_arguments(request.kwargs, served, told)
        if request.num_envs is not None and not 1 <= request.num_envs <= self.max_num_envs:
            raise InvalidRequestError(
                f"num_envs: expected 1 to {self.max_num_envs}, the most that this server allows "
                f"(--max-num-envs), got {request.num_envs}; spread them over more "
                "sessions or servers"
            )
        if request.python is not None:
            raise InvalidRequestError(
                "python: expected no interpreter in a request, since a server is started with its "
                f"own (serve --python), got {shown(request.python)}"
            )
        part = request.part
        if part is not None:  # a session here has what was counted above, and no more
            part = msgspec.structs.replace(part, is_wanted=True)
        return msgspec.structs.replace(
            request,
            part=part,
            environment=self.environment,
            kwargs=dict(self.kwargs),
            attributes=list(self.attributes),
            models=self.models,
            python=None if self.python is None else interpreter_path(self.python),
            tracebacks=self.tracebacks,
        )


def _are_same(asked: dict[str, Any], served: dict[str, Any]) -> bool:
    try:
        return asked == served
    except ValueError:  # arrays among them have no single truth value
        return pack_freeform(asked) == pack_freeform(served)
