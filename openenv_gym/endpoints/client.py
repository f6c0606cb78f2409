"""A client object of OpenEnv as an endpoint.

The client steps, so that whatever it does of its own in ``_step_payload`` and ``_parse_result``
goes on. Its type parameters and the schemas of its server give the spaces.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Sequence
from dataclasses import fields
from typing import Any

import gymnasium as gym

from openenv_gym.address import Address
from openenv_gym.client import Connection
from openenv_gym.client.driver import ClientDriver, under_sync
from openenv_gym.client.event_loop import EVENT_LOOP
from openenv_gym.client.http import get_name, get_schema
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.endpoints.client_session import ClientCalls, ClientConnection
from openenv_gym.endpoints.env_info import Answers, Described, EnvInfo
from openenv_gym.endpoints.options import OVERRIDES, ConnectOptions, take
from openenv_gym.endpoints.probing import AsItIs
from openenv_gym.errors import (
    InvalidRequestError,
    NotOpenEnvError,
    RemoteEnvError,
    SpaceError,
    UnreachableError,
    UnsupportedRenderModeError,
)
from openenv_gym.protocol import GetState, Reset, Result, StateReply
from openenv_gym.protocol.json_messages import ClientView
from openenv_gym.spaces import infer
from openenv_gym.spaces.narrowing import schema_of_value
from openenv_gym.spaces.probing import Probed, probed
from openenv_gym.spaces.profiles import UNKNOWN_ACTION, needs_name
from openenv_gym.spaces.tools import ListedTool, tools_in
from openenv_gym.wire.client_schemas import (
    ACTION,
    OBSERVATION,
    Schema,
    action_maker,
    merged_schema,
    plain,
    schema_of,
    type_arguments,
)
from openenv_gym.wire.schema_view import SchemaView

_ITS_OWN = ("codec", "options", "token")
"""The options that a client brings with it."""


def client_endpoint(
    client: Any,
    base_url: str | None = None,
    *,
    client_kwargs: dict[str, Any] | None = None,
    **arguments: Any,
) -> ClientEndpoint:
    """Return the endpoint of :func:`openenv_gym.from_client`, which takes the same arguments.

    Raises:
        InvalidRequestError: ``client`` is no client, or an argument makes no sense.
        UnsupportedRenderModeError: the client cannot render.
    """
    if isinstance(client, type):
        return _of_class(client, {"base_url": base_url, **(client_kwargs or {})}, arguments)
    if base_url is not None or client_kwargs:
        raise InvalidRequestError(
            "base_url and client_kwargs are for a client's class, which is made with them; got a "
            f"{type(client).__name__}, which has its own"
        )
    if isinstance(client, Awaitable):
        made = EVENT_LOOP.submit(_awaited(client)).result()
        return ClientEndpoint(made, is_own=True, **arguments)
    if isinstance(client, gym.Env):
        raise InvalidRequestError(
            f"expected an OpenEnv client, got {client}, which is a gymnasium.Env already"
        )
    return ClientEndpoint(client, **arguments)


def client_endpoints(clients: Sequence[Any], **arguments: Any) -> list[ClientEndpoint]:
    """Return the endpoints of several clients, none of which may be there twice.

    Raises:
        InvalidRequestError: There is no client, or one is there twice.
    """
    if not clients:
        raise InvalidRequestError("expected at least one session, got none")
    endpoints = [client_endpoint(client, **arguments) for client in clients]
    if len({id(under_sync(endpoint.client)) for endpoint in endpoints}) < len(endpoints):
        raise InvalidRequestError(
            "expected a client for each sub-environment, got one twice: each plays one session; "
            "make as many, or give its class as often: [EchoEnv] * 4"
        )
    return endpoints


def _of_class(kind: type[Any], given: dict[str, Any], arguments: dict[str, Any]) -> ClientEndpoint:
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        raise InvalidRequestError(
            f"expected the address of a server beside the class {kind.__name__}: "
            f"from_client({kind.__name__}, base_url='http://host:port')"
        )
    recipe = (kind, given, arguments)
    return ClientEndpoint(kind(**given), is_own=True, recipe=recipe, **arguments)


async def _awaited(client: Awaitable[Any]) -> Any:
    return await client


class ClientEndpoint:
    """A client object, and how it is to be played.

    Args:
        client: The client.
        is_own: Whether nobody else has the client, so that it is closed when it is lost.
        recipe: The client's class, its arguments and the ones here, where a copy can be made.
        render_mode: Gymnasium's mode, for a client with a method ``render``.
        action_type: The class of the actions, for a client that names none.
        closes_client: Whether closing a session closes the client.
        **arguments: Options of :class:`ConnectOptions`; a reply is waited for as long as the
            client does unless ``timeout_s`` is given.

    Raises:
        InvalidRequestError: an argument makes no sense.
        UnsupportedRenderModeError: the client cannot render.
    """

    def __init__(
        self,
        client: Any,
        *,
        is_own: bool = False,
        recipe: Any = None,
        render_mode: str | None = None,
        action_type: Any = None,
        closes_client: bool = True,
        **arguments: Any,
    ) -> None:
        driver = ClientDriver(client, closes_when_lost=is_own and closes_client)
        names = [one.name for one in fields(ConnectOptions) if one.name not in _ITS_OWN]
        given = {"timeout_s": None, **arguments}
        self.options, unknown = take(ConnectOptions, given, names)
        if unknown:
            raise InvalidRequestError(
                f"from_client takes {', '.join(OVERRIDES)} beside the arguments of its own, got "
                f"{', '.join(unknown)}"
            )
        if render_mode is not None and not callable(getattr(driver.client, "render", None)):
            raise UnsupportedRenderModeError(
                f"{driver.name} has no method render(), so that it cannot be opened with "
                f"render_mode={render_mode!r}"
            )
        self._driver = driver
        self._recipe = recipe
        self._render_mode = render_mode
        self._action_type = action_type
        self._closes_client = closes_client
        self._found: tuple[EnvInfo, SchemaView] | None = None
        self._probed: Probed | None = None

    @property
    def client(self) -> Any:
        """The client object."""
        return self._driver.client

    def describe(self, answers: Answers | None = None) -> Described[Connection]:
        """Infer the spaces, and return them with a session that connects in its first reset.

        Raises:
            SpaceError: the spaces cannot be inferred; the message names the override.
            UnreachableError: a client that starts its server could not do so.
        """
        if self._driver.address is None and hasattr(self.client, "connect"):
            self._driver.connect()  # only then has it a server that could be asked
        action, observation, environment = self._schemas(self._driver.address)
        overrides = self.options.overrides()
        inference = infer(
            action,
            observation,
            probe=self._probe,
            list_tools=self._tools,
            environment=environment,
            **overrides,
        )
        info = EnvInfo(
            name=self._driver.name,
            action_space=inference.action_space,
            observation_space=inference.observation_space,
            render_mode=self._render_mode,
            metadata={"render_modes": [] if self._render_mode is None else [self._render_mode]},
            has_action_masks=inference.legal_actions is not None,
            check_seeding=self.options.check_seeding,
            warnings=inference.warnings,
        )
        self._found = info, SchemaView(inference, observation, done_means=self.options.done_means)
        return self.connect()

    def connect(
        self, known: EnvInfo | None = None, answers: Answers | None = None
    ) -> Described[Connection]:
        """Return a new session on the same client, which is the only environment that it has."""
        if self._found is None:
            return self.describe()
        info, view = self._found
        return Described(info, self._session(view, action_maker(self._types().get(ACTION))))

    def _session(self, view: ClientView, make_action: Any) -> ClientConnection:
        calls = ClientCalls(self.client, view, make_action)
        timeout_s: Any = self.options.timeout_s
        self._driver.begin_session()
        return ClientConnection(self._driver, calls, timeout_s, closes_client=self._closes_client)

    def _probe(self) -> Probed:
        """Reset the client once; its session goes on with the first reset of the environment."""
        if self._probed is None:
            session = self._session(AsItIs(), dict)
            reply, state = session.request(Reset()), None
            if callable(getattr(self.client, "state", None)):
                with contextlib.suppress(RemoteEnvError, InvalidRequestError):
                    state = session.request(GetState())
            data = reply.obs if isinstance(reply, Result) else None
            self._probed = probed(data, state.state if isinstance(state, StateReply) else None)
        return self._probed

    def _tools(self) -> list[ListedTool]:
        """The tools that the client lists, after a reset: only then its session is there."""
        if not callable(getattr(self.client, "list_tools", None)):
            raise SpaceError(f"{self._driver.name} has no method list_tools()")
        self._probe()
        timeout_s: Any = self.options.timeout_s
        listed = self._driver.begin("list_tools").result(timeout_s)
        tools = tools_in({"tools": plain(listed)})
        if tools is None:
            raise SpaceError(f"list_tools() of {self._driver.name} returned {listed!r:.80}")
        return tools

    def _types(self) -> dict[str, Any]:
        inner = under_sync(self.client)
        own = getattr(inner, "models", None)  # of our client, which may be told them
        types = own if isinstance(own, dict) else type_arguments(type(inner))
        return types if self._action_type is None else {**types, ACTION: self._action_type}

    def _schemas(self, address: Address | None) -> tuple[Schema, Schema, str | None]:
        """The schemas of action and observation, and the name that the server gives to both."""
        inner = under_sync(self.client)
        http = getattr(inner, "_options", None)  # of our client; OpenEnv's have headers alone
        if not isinstance(http, WebSocketOptions):
            http = WebSocketOptions(headers=dict(getattr(inner, "_headers", {}) or {}))
        served: Schema = {}
        if address is not None:
            # Without them the class may tell enough, or a reset.
            with contextlib.suppress(NotOpenEnvError, UnreachableError):
                served = get_schema(address, http)
        types = self._types()
        action = merged_schema(schema_of(types.get(ACTION)), served.get("action"))
        observation = merged_schema(schema_of(types.get(OBSERVATION)), served.get("observation"))
        if observation is None:
            observation = self._given_observation() or schema_of_value(self._probe().observation)
        name = None
        if action is not None and address is not None and served and needs_name(action):
            name = get_name(address, http)
        return UNKNOWN_ACTION if action is None else action, observation, name

    def _given_observation(self) -> Schema | None:
        """The schema of the only field that the caller asks for, where its space is given too."""
        key, space = self.options.observation_key, self.options.observation_space
        is_whole = isinstance(key, str) and space is not None
        return {"type": "object", "properties": {key: {}}} if is_whole else None

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy makes a client of its own, of the same class."""
        if self._recipe is None:
            raise InvalidRequestError(
                f"a client that is there cannot be copied or pickled, got a {self._driver.name}; "
                f"make the environment of its class: from_client({self._driver.name}, base_url=...)"
            )
        return _of_class, self._recipe
