"""``from_client``: a client object of OpenEnv as ``gymnasium.Env``.

The client steps, so that whatever it does of its own in ``_step_payload`` and ``_parse_result``
goes on. Its type parameters and the schemas of its server give the spaces.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import gymnasium as gym

from openenv_gym.address import Address
from openenv_gym.client.connection import check_timeout
from openenv_gym.client.driver import ClientDriver, under_sync
from openenv_gym.client.event_loop import EVENT_LOOP
from openenv_gym.client.http import get_name, get_schema
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.envs.client_session import ClientCalls, ClientConnection
from openenv_gym.envs.endpoints import Face, SpaceOverrides
from openenv_gym.envs.faults import OnFault
from openenv_gym.envs.probing import AsItIs
from openenv_gym.envs.registration import checked_done_means
from openenv_gym.envs.remote_env import RemoteEnv
from openenv_gym.errors import (
    InvalidRequestError,
    NotOpenEnvError,
    RemoteEnvError,
    UnreachableError,
    UnsupportedRenderModeError,
)
from openenv_gym.protocol import GetState, Reset, Result, StateReply
from openenv_gym.protocol.json_messages import ClientView
from openenv_gym.spaces import infer
from openenv_gym.spaces.narrowing import schema_of_value
from openenv_gym.spaces.probing import Probed, probed
from openenv_gym.spaces.profiles import UNKNOWN_ACTION, needs_name
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


def from_client(  # noqa: PLR0913 - each has its name
    client: Any,
    base_url: str | None = None,
    *,
    client_kwargs: dict[str, Any] | None = None,
    timeout_s: float | None = None,
    render_mode: str | None = None,
    action_type: Any = None,
    closes_client: bool = True,
    done_means: str = "terminated",
    check_seeding: bool = False,
    on_fault: OnFault = "truncate",
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
        action_type: The class of the actions, for a client that names none, such as one of tools.
        closes_client: Whether ``close`` of the environment closes the client, and with it what it
            started, as a wrapper closes what it wraps.
        done_means: As for ``openenv/remote-v0``.
        check_seeding: As there.
        on_fault: As of :class:`RemoteEnv`.
        **overrides: As there: ``action_key``, ``observation_space`` and the others.

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
            action_type=action_type,
            closes_client=closes_client,
            done_means=done_means,
            check_seeding=check_seeding,
            **overrides,
        ),
        on_fault,
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
        return ClientEndpoint(_own(made, options), **options)
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
    driver = _own(kind(**given), options)
    return ClientEndpoint(driver, recipe=(kind, given, options), **options)


def _own(client: Any, options: dict[str, Any]) -> ClientDriver:
    """The driver of a client that nobody else has."""
    return ClientDriver(client, closes_when_lost=options.get("closes_client", True))


async def _awaited(client: Awaitable[Any]) -> Any:
    return await client


class ClientEndpoint:
    """A client object, and how it is to be played.

    Args:
        driver: Of the client.
        timeout_s: See :func:`from_client`, as the others.
        render_mode: See there.
        action_type: See there.
        closes_client: See there.
        done_means: See there.
        check_seeding: See there.
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
        action_type: Any = None,
        closes_client: bool = True,
        done_means: str = "terminated",
        check_seeding: bool = False,
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
        self._action_type = action_type
        self._closes_client = closes_client
        self._done_means = checked_done_means(done_means)
        self._check_seeding = check_seeding
        self._recipe = recipe
        self._overrides = overrides
        self._view: SchemaView | None = None
        self._probed: Probed | None = None

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
        action, observation, environment = self._schemas(self._driver.address)
        inference = infer(
            action, observation, probe=self._probe, environment=environment, **self._overrides
        )
        self._view = SchemaView(inference, observation, done_means=self._done_means)
        modes = [] if self._render_mode is None else [self._render_mode]
        face = Face(
            name=self._driver.name,
            action_space=inference.action_space,
            observation_space=inference.observation_space,
            render_mode=self._render_mode,
            metadata={"render_modes": modes},
            has_action_masks=inference.legal_actions is not None,
            check_seeding=self._check_seeding,
        )
        return face, self.connect()

    def opener(self, known: Face | None = None) -> Callable[[], ClientConnection]:
        """Return what makes new sessions on the same client."""
        return self.connect

    def connect(self, known: Face | None = None) -> ClientConnection:
        """Return a new session on the same client, which reads what it can."""
        assert self._view is not None, "open() comes first"
        return self._session(self._view, action_maker(self._types().get(ACTION)))

    def _session(self, view: ClientView, make_action: Any) -> ClientConnection:
        calls = ClientCalls(self.client, view, make_action)
        self._driver.begin_session()
        return ClientConnection(
            self._driver, calls, timeout_s=self._timeout_s, closes_client=self._closes_client
        )

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

    def _types(self) -> dict[str, Any]:
        inner = under_sync(self.client)
        own = getattr(inner, "models", None)  # of our client, which may be told them
        types = own if isinstance(own, dict) else type_arguments(type(inner))
        return types if self._action_type is None else {**types, ACTION: self._action_type}

    def _schemas(self, address: Address | None) -> tuple[Schema, Schema, str | None]:
        """The schemas of action and observation, and the name that the server gives to both."""
        served, types = self._served(address), self._types()
        action = merged_schema(schema_of(types.get(ACTION)), served.get("action"))
        observation = merged_schema(schema_of(types.get(OBSERVATION)), served.get("observation"))
        if observation is None:
            observation = self._given_observation() or schema_of_value(self._probe().observation)
        name = None
        if action is not None and address is not None and served and needs_name(action):
            name = get_name(address, self._http_options())
        return UNKNOWN_ACTION if action is None else action, observation, name

    def _given_observation(self) -> Schema | None:
        """The schema of the only field that the caller asks for, where its space is given too."""
        key = self._overrides.get("observation_key")
        is_whole = isinstance(key, str) and "observation_space" in self._overrides
        return {"type": "object", "properties": {key: {}}} if is_whole else None

    def _served(self, address: Address | None) -> dict[str, Any]:
        if address is None:
            return {}
        try:
            return get_schema(address, self._http_options())
        except (NotOpenEnvError, UnreachableError):  # the class may tell enough, or a reset
            return {}

    def _http_options(self) -> WebSocketOptions:
        headers = getattr(under_sync(self.client), "_headers", None) or {}
        return WebSocketOptions(headers=dict(headers))

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy makes a client of its own, of the same class."""
        if self._recipe is None:
            raise InvalidRequestError(
                f"a client that is there cannot be copied or pickled, got a {self._driver.name}; "
                f"make the environment of its class: from_client({self._driver.name}, base_url=...)"
            )
        return _of_class, self._recipe
