"""The recipe of an environment on a server: what is served there, and how it is spoken to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from openenv_gym.address import Address
from openenv_gym.client import Connection
from openenv_gym.envs.face import Face, check_known, face_of, opened
from openenv_gym.envs.patience import AUTO, Timeout, patience
from openenv_gym.errors import (
    InvalidRequestError,
    NotOpenEnvError,
    OpenEnvGymError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)
from openenv_gym.protocol import (
    GYMNASIUM_VIEW,
    SUBPROTOCOL,
    VIEW_PARAMETER,
    BinaryMessages,
    ClientSession,
    Open,
    SessionState,
)
from openenv_gym.spaces import Inference, infer
from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.narrowing import schema_of_value
from openenv_gym.spaces.probing import Probed
from openenv_gym.spaces.profiles import UNKNOWN_ACTION, needs_name
from openenv_gym.wire.description import Description
from openenv_gym.wire.outcome import DoneMeans
from openenv_gym.workers.built_env import plain_metadata

if TYPE_CHECKING:
    from openenv_gym.wire.schema_view import SchemaView

Codec = Literal["auto", "binary", "json"]
CODECS: tuple[Codec, ...] = ("auto", "binary", "json")
SCHEMA_KEY = "x-openenv-gym"
"""Under which ``GET /schema`` of our servers carries the description of the environment."""


@dataclass(frozen=True, kw_only=True)
class SpaceOverrides:
    """What the caller knows better than the schemas of a server.

    Attributes:
        action_space: The action space.
        observation_space: The observation space.
        action_key: The field of the action model that holds the action, or several.
        observation_key: The field of the observation model that holds the observation, likewise.
        fixed_action: Fields of the action that are always the same.
        mask_means: What ``action_mask`` holds: ``mask`` or ``indices``.
    """

    action_space: Space | None = None
    observation_space: Space | None = None
    action_key: str | Sequence[str] | None = None
    observation_key: str | Sequence[str] | None = None
    fixed_action: Mapping[str, Any] | None = None
    mask_means: str | None = None

    def keywords(self) -> dict[str, Any]:
        """Return what is here as keyword arguments of ``infer``."""
        return {name: getattr(self, name) for name in SpaceOverrides.__dataclass_fields__}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is overridden."""
        return self == SpaceOverrides()


@dataclass(frozen=True, kw_only=True)
class ServerEndpoint:
    """An environment on a server.

    Attributes:
        address: Of the server.
        request: What the server is expected to serve; an ``environment`` of None takes any.
        codec: ``binary`` for ours, ``json`` for any, ``auto`` for the fastest there is.
        timeout_s: How long to wait for a reply.
        overrides: What the caller knows better.
        options: How the WebSocket is opened; None for the defaults.
        done_means: What a bare ``done`` is, of servers that do not say more.
        check_seeding: Whether the first seeded reset is made twice and compared.
        probes: What probing resets showed, by address, and the schemas that they were made for:
            a server is asked once, by this recipe and by its copies.
        deadlines: What the server said of its deadlines, where it was asked a moment ago; None
            asks when a session begins.
    """

    address: Address
    request: Open = field(default_factory=Open)
    codec: Codec = "auto"
    timeout_s: Timeout = AUTO
    overrides: SpaceOverrides = field(default_factory=SpaceOverrides)
    options: Any = None
    done_means: DoneMeans = "terminated"
    check_seeding: bool = False
    probes: dict[str, tuple[Any, Probed]] = field(default_factory=dict, compare=False, repr=False)
    deadlines: Mapping[str, float] | None = field(default=None, compare=False, repr=False)

    @property
    def identity(self) -> Any:
        """What is equal for endpoints of one environment: where it is served."""
        return self.address

    def open(self) -> tuple[Face, Connection | None]:
        """Ask for the schema; no session is opened, because a server may have only one."""
        schema, description = self.read_schema()
        if self.request.kwargs and (self.codec == "json" or not self._can_binary(description)):
            raise InvalidRequestError(
                f"OpenEnv's JSON protocol cannot say keyword arguments of an environment, got "
                f"{', '.join(self.request.kwargs)}; leave them out, and start the server at "
                f"{self.address} with them"
            )
        if self.codec == "binary" and not self._can_binary(description):
            raise NotOpenEnvError(
                f"codec='binary' needs one of our servers, its own spaces and no overrides, which "
                f"{self.address} or the arguments do not give; use codec='json' or 'auto'"
            )
        if description is not None and self._can_binary(description):
            if self.codec == "json":  # which has no messages for rendering
                description = msgspec.structs.replace(description, render_modes=[])
            self._check(description)
            face = face_of(description, self.request.render_mode)
            return face._replace(check_seeding=self.check_seeding), None
        face = self._face_of(self.infer(schema))
        if self.request.render_mode is not None:
            raise UnsupportedRenderModeError(
                f"OpenEnv's JSON protocol has no rendering, so {face.name} cannot be opened with "
                f"render_mode={self.request.render_mode!r}"
            )
        return face, None

    def _face_of(self, inference: Inference) -> Face:
        """What is known of an environment by its schemas."""
        return Face(
            name=self.request.environment or str(self.address),
            action_space=inference.action_space,
            observation_space=inference.observation_space,
            render_mode=None,
            metadata={"render_modes": []},
            has_action_masks=inference.legal_actions is not None,
            check_seeding=self.check_seeding,
        )

    def connect(self, known: Face | None = None) -> Connection:
        """Return a new session.

        Raises:
            UnknownEnvironmentError: another environment is served than ``known``.
        """
        return self.opener(known)()

    def opener(self, known: Face | None = None) -> Callable[[], Connection]:
        """Ask what is served, and return what makes new sessions of it without asking again.

        Raises:
            UnknownEnvironmentError: another environment is served than ``known``.
        """
        schema, description = self.read_schema()
        timeout_s = patience(self.timeout_s, description.deadlines if description else {})
        if description is not None and self._can_binary(description):
            check_known(known, face_of(description, None), self.address)
            if self.codec != "json":
                return lambda: self._connect_binary(timeout_s)[0]
        inference = self.infer(schema)
        is_inferred = not self._can_binary(description)
        if is_inferred:
            check_known(known, self._face_of(inference), self.address)
        view = self._view(inference, schema)
        return lambda: self._connect_json(view, timeout_s, is_inferred)

    def start(self) -> tuple[Connection, Description]:
        """Return a new binary session and what its environment says of itself.

        Raises:
            NotOpenEnvError: the server is none of ours.
        """
        asked = self.with_deadlines()
        return asked._connect_binary(patience(asked.timeout_s, asked.deadlines or {}))

    def with_deadlines(self) -> ServerEndpoint:
        """Return this recipe with the server's deadlines, which it asks for where they matter."""
        if self.timeout_s != AUTO or self.deadlines is not None:
            return self
        description = self.read_schema()[1]
        return replace(self, deadlines=description.deadlines if description else {})

    def _can_binary(self, description: Description | None) -> bool:
        has_spaces = description is not None and description.action is not None
        return has_spaces and self.overrides.is_empty

    def _connect_binary(self, timeout_s: float | None) -> tuple[Connection, Description]:
        session = ClientSession(BinaryMessages())
        connection = Connection(session, self._transport(SUBPROTOCOL), timeout_s)
        return connection, opened(connection, self.request)

    def _view(self, inference: Inference, schema: dict[str, Any]) -> SchemaView:
        from openenv_gym.wire.schema_view import SchemaView

        return SchemaView(inference, schema["observation"], done_means=self.done_means)

    def _connect_json(
        self, view: SchemaView, timeout_s: float | None, is_inferred: bool
    ) -> Connection:
        from openenv_gym.protocol.json_messages import JsonClientMessages

        session = ClientSession(JsonClientMessages(view, is_inferred), SessionState.READY)
        query = f"?{VIEW_PARAMETER}={GYMNASIUM_VIEW}"
        return Connection(session, self._transport(None, query), timeout_s)

    def _transport(self, subprotocol: str | None, query: str = "") -> Any:
        from openenv_gym.client.websocket import WebSocketOptions, WebSocketTransport

        options = self.options or WebSocketOptions()
        return WebSocketTransport(self.address, subprotocol, options, query)

    def read_schema(self) -> tuple[dict[str, Any], Description | None]:
        """Return the schemas that the server publishes, and what ours says beside them."""
        from openenv_gym.client.http import NoSchema, get_schema
        from openenv_gym.client.websocket import WebSocketOptions

        try:
            schema = get_schema(self.address, self.options or WebSocketOptions())
        except NoSchema as exc:
            return self._schema_of_values(exc), None
        ours = schema.get(SCHEMA_KEY)
        if ours is None:
            return schema, None
        try:
            return schema, msgspec.convert(ours, Description)
        except msgspec.ValidationError as exc:
            raise NotOpenEnvError(
                f"the description of {self.address} is malformed: {exc}; "
                "install the same version of openenv-gym on both sides"
            ) from exc

    def _schema_of_values(self, problem: NotOpenEnvError) -> dict[str, Any]:
        """What a probing reset tells of the schemas, where the server publishes none."""
        try:
            seen = self.probe(None)
        except OpenEnvGymError as exc:
            raise NotOpenEnvError(f"{problem}; a reset over /ws does not help: {exc}") from exc
        return {"action": UNKNOWN_ACTION, "observation": schema_of_value(seen.observation)}

    def probe(self, schema: Any) -> Probed:
        """Return what a probing reset shows, of which there is one for each server.

        Args:
            schema: For which it is made: another one is of another environment.

        Raises:
            OpenEnvGymError: the server has no session free, or refused.
        """
        from openenv_gym.envs.probing import probe_or_remember

        key = str(self.address)
        made_for, seen = self.probes.get(key, (None, None))
        if seen is None or made_for != schema:
            whole = key, json.dumps(schema, sort_keys=True)
            timeout_s = patience(self.timeout_s, {})
            seen = probe_or_remember(whole, lambda: self._transport(None), timeout_s)
            self.probes[key] = schema, seen
        return seen

    def infer(self, schema: dict[str, Any]) -> Inference:
        """Return the spaces that the schemas and the caller's overrides give.

        Where the schemas leave something open, one probing reset is made.

        Raises:
            SpaceError: a field or a space is ambiguous; the message names the override.
            OpenEnvGymError: the probing reset failed.
        """
        from openenv_gym.client.http import get_name
        from openenv_gym.client.websocket import WebSocketOptions

        is_unknown = schema["action"] == UNKNOWN_ACTION
        name = None
        if needs_name(schema["action"]):
            name = get_name(self.address, self.options or WebSocketOptions())
        return infer(
            schema["action"],
            schema["observation"],
            **self.overrides.keywords(),
            probe=lambda: self.probe(None if is_unknown else schema),
            environment=name,
        )

    def _check(self, description: Description) -> None:
        wanted, mode = self.request.environment, self.request.render_mode
        if wanted is not None and wanted != description.environment:
            raise UnknownEnvironmentError(
                f"expected {wanted} at {self.address}, which serves {description.environment}; "
                "start a server for it, or use openenv/remote-v0 to take what is served"
            )
        kwargs = self.request.kwargs
        # What JSON cannot say is compared by the server, when the session begins.
        if kwargs and plain_metadata(kwargs) != description.kwargs:
            raise UnknownEnvironmentError(
                f"expected the arguments that {description.environment} at {self.address} was "
                f"started with, {description.kwargs}, got {kwargs}; start a server with these "
                "(--kwargs)"
            )
        if mode is not None and mode not in description.render_modes:
            raise UnsupportedRenderModeError(
                f"render_mode: {description.environment} at {self.address} renders "
                f"{description.render_modes or 'in no mode'} with codec={self.codec!r}, "
                f"got {mode!r}"
            )
