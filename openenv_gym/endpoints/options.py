"""How an environment is reached and read, wherever it is: one object, made of keyword arguments."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args

import gymnasium as gym

from openenv_gym.client.connection import check_timeout
from openenv_gym.credentials import Token, given_token
from openenv_gym.errors import InvalidRequestError
from openenv_gym.recovery import OnFault, fault_policy
from openenv_gym.spaces.descriptor import Space, to_descriptor
from openenv_gym.wire.outcome import DoneMeans

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from openenv_gym.client.websocket import WebSocketOptions

T = TypeVar("T", bound="DataclassInstance")
Codec = Literal["auto", "binary", "json"]
CODECS: tuple[Codec, ...] = get_args(Codec)
Timeout: TypeAlias = float | Literal["auto"] | None
AUTO: Literal["auto"] = "auto"
DEFAULT_TIMEOUT_S = 60.0
BEYOND_S = 5.0
"""How much longer than the server a client waits."""
_LONGEST_S = 1e6  # beyond what a socket can be told

OVERRIDES = (
    "action_space",
    "observation_space",
    "action_key",
    "observation_key",
    "fixed_action",
    "mask_means",
    "flatten",
)
"""The options that say more of the spaces than the schemas of a server do."""

SPACES = OVERRIDES[:2]

NAMED_OPTIONS = ("codec", "timeout_s", "check_seeding", "on_fault")
"""The options of an environment that is named, beside ``options``."""


@dataclass(frozen=True, kw_only=True)
class ConnectOptions:
    """How an environment is reached, and how what its server says is read.

    ``gymnasium.make`` and ``make_vec`` take these as keyword arguments, by the same names.

    Attributes:
        codec: What is spoken with a server: ``"binary"`` with ours, ``"json"`` with any,
            ``"auto"`` the fastest that it knows.
        timeout_s: How long to wait for a reply, in seconds; None for ever; ``"auto"`` for 60, and
            with a server of ours for longer than that lets an environment take, so that it tells
            what was too slow.
        token: The secret that opens the server; unless given, the password in its URL, and where
            there is none either, the value of the variable ``OPENENV_GYM_TOKEN``.
        options: How a WebSocket is opened, a ``WebSocketOptions``: headers, TLS, limits.
        done_means: Whether a bare ``done`` is ``"terminated"`` (unless given) or ``"truncated"``.
        check_seeding: ``True`` plays some steps before the first seeded reset, twice with its seed
            and once with another, and warns where seeds do not mean what they should.
        on_fault: What becomes of a fault: ``"truncate"`` ends the episode, ``"raise"`` raises; or
            a ``FaultPolicy``.
        action_space: The space of the actions; a ``Dict`` whose keys are fields takes these fields.
        observation_space: The space of the observations, likewise.
        action_key: The field of the action, by name or by path (``"arguments.query"``); a list of
            them gives a ``Dict``.
        observation_key: The field of the observation, likewise.
        fixed_action: Fields of the action that are the same in every step.
        mask_means: Whether ``action_mask`` is a ``"mask"`` of zeros and ones, or the
            ``"indices"`` of legal actions.
        flatten: Whether observations are one row of numbers, and actions choices or floats in one
            row, as Stable-Baselines3 takes them.

    Raises:
        InvalidRequestError: ``codec``, ``timeout_s``, ``token``, ``options``, ``done_means`` or
            ``on_fault`` makes no sense.
    """

    codec: Codec = "auto"
    timeout_s: Timeout = AUTO
    token: str | Token | None = None
    options: WebSocketOptions | None = None
    done_means: DoneMeans = "terminated"
    check_seeding: bool = False
    on_fault: OnFault = "truncate"
    action_space: Space | None = None
    observation_space: Space | None = None
    action_key: str | Sequence[str] | None = None
    observation_key: str | Sequence[str] | None = None
    fixed_action: Mapping[str, Any] | None = None
    mask_means: str | None = None
    flatten: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        fault_policy(self.on_fault)
        if self.codec not in CODECS:
            close = difflib.get_close_matches(str(self.codec), CODECS, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InvalidRequestError(
                f"codec: expected one of {', '.join(CODECS)}, got {self.codec!r}{hint}"
            )
        if self.timeout_s != AUTO:
            check_timeout(self.timeout_s)
        object.__setattr__(self, "token", given_token(self.token))  # which no text shows
        if not _opens_websockets(self.options):
            raise InvalidRequestError(
                "options: expected a WebSocketOptions, such as WebSocketOptions(headers={...}), "
                f"got a {type(self.options).__name__}"
            )
        if self.done_means not in get_args(DoneMeans):
            raise InvalidRequestError(
                f"done_means: expected 'terminated' or 'truncated', got {self.done_means!r}"
            )

    @property
    def websocket(self) -> WebSocketOptions:
        """How a WebSocket is opened."""
        from openenv_gym.client.websocket import WebSocketOptions

        return self.options or WebSocketOptions()

    def overrides(self) -> dict[str, Any]:
        """Return what is said of the spaces, as keyword arguments of ``infer``."""
        return {name: getattr(self, name) for name in OVERRIDES}

    @property
    def has_overrides(self) -> bool:
        """Whether anything is said of the spaces."""
        said = self.overrides().values()
        return any(value is not None and value is not False for value in said)


def take(
    kind: type[T], arguments: Mapping[str, Any], names: Iterable[str] | None = None
) -> tuple[T, dict[str, Any]]:
    """Make a dataclass of those keyword arguments that are fields of it.

    Args:
        kind: The dataclass, such as :class:`ConnectOptions`.
        arguments: Keyword arguments.
        names: The fields that may be among them, all unless given.

    Returns:
        The object, and the keyword arguments that are left.

    Raises:
        InvalidRequestError: a value makes no sense.
    """
    known = [field.name for field in fields(kind)] if names is None else names
    taken = {name: arguments[name] for name in known if name in arguments}
    rest = {name: value for name, value in arguments.items() if name not in taken}
    return kind(**taken), rest


def take_named(
    arguments: Mapping[str, Any], *, has_server: bool = False
) -> tuple[ConnectOptions, dict[str, Any]]:
    """Take the options of an environment that is named; the rest are arguments of its own.

    An environment may have an argument ``options`` itself, so only a ``WebSocketOptions`` and None
    are taken for ours. So may it have an argument ``token``, which is ours where there is a server.

    Args:
        arguments: Keyword arguments.
        has_server: Whether the environment is on a server.

    Raises:
        InvalidRequestError: a value makes no sense.
    """
    is_ours = _opens_websockets(arguments.get("options"))
    names = (
        *NAMED_OPTIONS,
        *(["options"] if is_ours else []),
        *(["token"] if has_server else []),
    )
    options, rest = take(ConnectOptions, arguments, names)
    # A space travels as its descriptor, of which the worker makes a space again.
    for name in (side for side in SPACES if isinstance(rest.get(side), gym.Space)):
        rest[name] = to_descriptor(rest[name])
    return options, rest


def _opens_websockets(options: Any) -> bool:
    """Whether this is a ``WebSocketOptions``, or None for the default ones."""
    if options is None:
        return True
    from openenv_gym.client.websocket import WebSocketOptions

    return isinstance(options, WebSocketOptions)


def reply_timeout(timeout_s: Timeout, deadlines: Mapping[str, float]) -> float | None:
    """Return how long to wait for a reply, in seconds; None for ever.

    >>> reply_timeout("auto", {"start": 120.0, "reset": 120.0, "step": 60.0})
    125.0

    Args:
        timeout_s: What the caller asked for.
        deadlines: What a server says that it limits; empty where it limits nothing.
    """
    if timeout_s != AUTO:
        return timeout_s
    if not deadlines:
        return DEFAULT_TIMEOUT_S
    if not {"start", "reset", "step"} <= set(deadlines):
        return None  # its operator wants no limit there
    return min(max(deadlines.values()) + BEYOND_S, _LONGEST_S)
