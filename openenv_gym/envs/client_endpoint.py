"""``from_client``: a client object of OpenEnv as ``gymnasium.Env``.

The client steps, so that whatever it does of its own in ``_step_payload`` and ``_parse_result``
goes on. Its type parameters and the schemas of its server give the spaces.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import gymnasium as gym

from openenv_gym.address import Address
from openenv_gym.client.connection import check_timeout
from openenv_gym.client.driver import ClientDriver, under_sync
from openenv_gym.client.event_loop import EVENT_LOOP
from openenv_gym.envs.client_session import ClientCalls, ClientConnection
from openenv_gym.envs.endpoints import Face, SpaceOverrides
from openenv_gym.envs.remote_env import RemoteEnv
from openenv_gym.errors import (
    InvalidRequestError,
    NotOpenEnvError,
    SpaceError,
    UnreachableError,
    UnsupportedRenderModeError,
)
from openenv_gym.spaces import infer
from openenv_gym.wire.client_schemas import (
    ACTION,
    OBSERVATION,
    Schema,
    action_maker,
    merged_schema,
    schema_of,
    type_arguments,
)
from openenv_gym.wire.schema_view import SchemaView


def from_client(
    client: Any,
    base_url: str | None = None,
    *,
    client_kwargs: dict[str, Any] | None = None,
    timeout_s: float | None = None,
    render_mode: str | None = None,
    closes_client: bool = True,
    **overrides: Any,
) -> RemoteEnv:
    """Return the environment that an OpenEnv client plays, as ``gymnasium.Env``.

    The client connects with the first reset, unless it is connected already or starts its server
    itself. A client of either generation of OpenEnv will do, asynchronous or ``.sync()``.

    Args:
        client: A client, what ``from_docker_image`` and ``from_env`` return (awaited here), or a
            client's class. Only an environment of a class can be copied and pickled.
        base_url: Of the server, for a class.
        client_kwargs: Further arguments of the class.
        timeout_s: How long to wait for a reply beside the client's own timeout, in seconds.
        render_mode: Gymnasium's, for a client with a method ``render``.
        closes_client: Whether ``close`` of the environment closes the client, and with it what it
            started, as a wrapper closes what it wraps.
        **overrides: As for ``openenv/remote-v0``.

    Raises:
        InvalidRequestError: ``client`` is no client, is connected in an event loop that runs, or
            an argument makes no sense.
        SpaceError: the spaces cannot be inferred; the message names the override.
        UnsupportedRenderModeError: the client cannot render.
    """
    return RemoteEnv(
        client_endpoint(
            client,
            base_url,
            client_kwargs=client_kwargs,
            timeout_s=timeout_s,
            render_mode=render_mode,
            closes_client=closes_client,
            **overrides,
        )
    )


def client_endpoint(
    client: Any,
    base_url: str | None = None,
    *,
    client_kwargs: dict[str, Any] | None = None,
    **options: Any,
) -> ClientEndpoint:
    """Return the recipe of :func:`from_client`, which takes the same arguments."""
    if isinstance(client, type):
        return _of_class(client, {"base_url": base_url, **(client_kwargs or {})}, options)
    if base_url is not None or client_kwargs:
        raise InvalidRequestError(
            "base_url and client_kwargs are for a client's class, which is made with them; got a "
            f"{type(client).__name__}, which has its own"
        )
    if isinstance(client, Awaitable):
        made = EVENT_LOOP.submit(_awaited(client)).result()
        return ClientEndpoint(ClientDriver(made, closes_when_lost=True), **options)
    if isinstance(client, gym.Env):
        raise InvalidRequestError(
            f"expected an OpenEnv client, got {client}, which is a gymnasium.Env already"
        )
    return ClientEndpoint(ClientDriver(client), **options)


def client_endpoints(clients: Sequence[Any], **arguments: Any) -> list[ClientEndpoint]:
    """Return the recipes of several clients, none of which may be there twice.

    Raises:
        InvalidRequestError: one is.
    """
    endpoints = [client_endpoint(client, **arguments) for client in clients]
    if len({id(under_sync(endpoint.client)) for endpoint in endpoints}) < len(endpoints):
        raise InvalidRequestError(
            "expected a client for each sub-environment, got one twice: each plays one session; "
            "make as many, or give its class as often: [EchoEnv] * 4"
        )
    return endpoints


def _of_class(
    kind: type[Any], arguments: dict[str, Any], options: dict[str, Any]
) -> ClientEndpoint:
    given = {name: value for name, value in arguments.items() if value is not None}
    if not given:
        raise InvalidRequestError(
            f"expected the address of a server beside the class {kind.__name__}: "
            f"from_client({kind.__name__}, base_url='http://host:port')"
        )
    driver = ClientDriver(kind(**given), closes_when_lost=True)
    return ClientEndpoint(driver, recipe=(kind, given, options), **options)


async def _awaited(client: Awaitable[Any]) -> Any:
    return await client


class ClientEndpoint:
    """A client object, and how it is to be played.

    Args:
        driver: Of the client.
        timeout_s: See :func:`from_client`, as the others.
        render_mode: See there.
        closes_client: See there.
        recipe: The client's class, its arguments and these options, where there is one.
        **overrides: See there.

    Raises:
        InvalidRequestError: an argument makes no sense.
        UnsupportedRenderModeError: the client cannot render.
    """

    def __init__(
        self,
        driver: ClientDriver,
        *,
        timeout_s: float | None = None,
        render_mode: str | None = None,
        closes_client: bool = True,
        recipe: Any = None,
        **overrides: Any,
    ) -> None:
        check_timeout(timeout_s)
        known = SpaceOverrides.__dataclass_fields__
        if unknown := [name for name in overrides if name not in known]:
            raise InvalidRequestError(
                f"from_client takes {', '.join(known)} beside the arguments of its own, got "
                f"{', '.join(unknown)}"
            )
        if render_mode is not None and not callable(getattr(driver.client, "render", None)):
            raise UnsupportedRenderModeError(
                f"{driver.name} has no method render(), so that it cannot be opened with "
                f"render_mode={render_mode!r}"
            )
        self._driver = driver
        self._timeout_s = timeout_s
        self._render_mode = render_mode
        self._closes_client = closes_client
        self._recipe = recipe
        self._overrides = overrides
        self._view: SchemaView | None = None

    @property
    def identity(self) -> Any:
        """What is equal for endpoints of one environment: each client has its own."""
        return id(self)

    @property
    def client(self) -> Any:
        """The client object."""
        return self._driver.client

    def open(self) -> tuple[Face, ClientConnection]:
        """Return the face, and a session that connects with its first reset.

        Raises:
            SpaceError: the spaces cannot be inferred; the message names the override.
            UnreachableError: a client that starts its server could not do so.
        """
        if self._driver.address is None and hasattr(self.client, "connect"):
            self._driver.connect()  # only then has it a server that could be asked
        action, observation = self._schemas(self._driver.address)
        inference = infer(action, observation, **self._overrides)
        self._view = SchemaView(inference, observation)
        modes = [] if self._render_mode is None else [self._render_mode]
        face = Face(
            name=self._driver.name,
            action_space=inference.action_space,
            observation_space=inference.observation_space,
            render_mode=self._render_mode,
            metadata={"render_modes": modes},
            has_action_masks=False,
        )
        return face, self.connect()

    def connect(self) -> ClientConnection:
        """Return a new session on the same client."""
        assert self._view is not None, "open() comes first"
        calls = ClientCalls(self.client, self._view, action_maker(self._types().get(ACTION)))
        return ClientConnection(
            self._driver, calls, timeout_s=self._timeout_s, closes_client=self._closes_client
        )

    def _types(self) -> dict[str, Any]:
        inner = under_sync(self.client)
        own = getattr(inner, "models", None)  # of our client, which may be told them
        return own if isinstance(own, dict) else type_arguments(type(inner))

    def _schemas(self, address: Address | None) -> tuple[Schema, Schema]:
        """The schemas of action and observation: of the client's classes, and of its server."""
        served, failure = self._served(address)
        types, schemas = self._types(), []
        for side, variable in (("action", ACTION), ("observation", OBSERVATION)):
            schema = merged_schema(schema_of(types.get(variable)), served.get(side)) or self._named(
                side
            )
            if schema is None:
                raise SpaceError(
                    f"{self._driver.name} names no class for its {side}, and its server tells no "
                    f"schema; pass {side}_space= and {side}_key="
                ) from failure
            schemas.append(schema)
        return schemas[0], schemas[1]

    def _named(self, side: str) -> Schema | None:
        """A schema of the only field that the caller names, whose space the caller gives."""
        key, space = self._overrides.get(f"{side}_key"), self._overrides.get(f"{side}_space")
        if key is None or space is None:
            return None
        return {"type": "object", "properties": {key: {}}}

    def _served(self, address: Address | None) -> tuple[dict[str, Any], Exception | None]:
        from openenv_gym.client.http import get_schema
        from openenv_gym.client.websocket import WebSocketOptions

        if address is None:
            return {}, None
        headers = getattr(under_sync(self.client), "_headers", None) or {}
        try:
            return get_schema(address, WebSocketOptions(headers=dict(headers))), None
        except (NotOpenEnvError, UnreachableError) as exc:
            return {}, exc

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy makes a client of its own, of the same class."""
        if self._recipe is None:
            raise InvalidRequestError(
                f"a client that is there cannot be copied or pickled, got a {self._driver.name}; "
                f"make the environment of its class: from_client({self._driver.name}, base_url=...)"
            )
        return _of_class, self._recipe
