"""The typed client of any OpenEnv server: pydantic models in and out, blocking.

>>> from openenv_gym import Action, Observation, OpenEnvClient, State
>>> class EchoAction(Action):
...     message: str
>>> class EchoObservation(Observation):
...     echoed: str = ""
>>> class EchoClient(OpenEnvClient[EchoAction, EchoObservation, State]):
...     pass
"""

from __future__ import annotations

import typing
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ValidationError

from openenv_gym.address import Address
from openenv_gym.client.connection import Connection, check_timeout
from openenv_gym.client.server_address import server_address
from openenv_gym.client.transports import open_transport
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.errors import (
    InvalidActionError,
    NotOpenEnvError,
    ProtocolError,
    shown,
)
from openenv_gym.protocol import ClientSession, GetState, Reset, Result, SessionState, StateReply
from openenv_gym.protocol.events import Step
from openenv_gym.protocol.json_messages import JsonClientMessages
from openenv_gym.wire.error_codes import brief
from openenv_gym.wire.models import Action, Observation, State, StepResult, type_parameters
from openenv_gym.wire.schema_view import LoadedResult

ActT = TypeVar("ActT", bound=BaseModel)
ObsT = TypeVar("ObsT", bound=BaseModel)
StateT = TypeVar("StateT", bound=BaseModel)

DEFAULT_TIMEOUT_S = 60.0
_CLOSE_TIMEOUT_S = 5.0

_BASE_MODELS: dict[str, type[BaseModel]] = {
    "ActT": Action,
    "ObsT": Observation,
    "StateT": State,
}


class _Payloads:
    """A view that hands payloads through: the hooks of the client read and write them."""

    def dump_action(self, value: dict[str, Any]) -> dict[str, Any]:
        return value

    def load_result(self, data: dict[str, Any], *, is_first: bool = False) -> LoadedResult:
        # A typed client may step on after the end: whether that is legal is the server's to say.
        return LoadedResult(data, None, terminated=False, truncated=False, info={})


class OpenEnvClient(Generic[ActT, ObsT, StateT]):
    """A session on an OpenEnv server, ours or any other.

    A subclass names its models as type parameters and needs nothing else; the hooks
    :meth:`_step_payload`, :meth:`_parse_result` and :meth:`_parse_state` may be overridden
    where a server's JSON differs from its models. The connection is made by the first request;
    one that broke is made anew by :meth:`reset` alone, because the episode was lost with it.

    Args:
        base_url: ``http://host:port``, ``https://…``, ``ws://…``, ``wss://…`` or
            ``unix:///path``.
        timeout_s: How long to wait for a reply, in seconds; None for ever.
        options: How the WebSocket is opened.
        token: The secret that opens the server; unless given, the password in ``base_url``, and
            where there is none either, the value of the variable ``OPENENV_GYM_TOKEN``.
        models: The action, observation and state class, as :func:`openenv_gym.typed_models`
            makes them, for a client without type parameters.

    Raises:
        AddressError: ``base_url`` has no form of an address.
        InvalidRequestError: ``timeout_s`` is no time to wait, or ``token`` can be none.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
        options: WebSocketOptions | None = None,
        token: str | None = None,
        models: tuple[type[ActT], type[ObsT], type[StateT]] | None = None,
    ) -> None:
        self._address = server_address(base_url, token)
        check_timeout(timeout_s)
        self._timeout_s = timeout_s
        self._options = options
        self._connection: Connection | None = None
        self._models = {**_BASE_MODELS, **type_parameters(type(self))}
        if models is not None:
            self._models.update(zip(_BASE_MODELS, models, strict=True))

    @property
    def address(self) -> Address:
        """The address of the server."""
        return self._address

    @property
    def models(self) -> dict[str, type[BaseModel]]:
        """The action, observation and state class, by the names of the type parameters."""
        return dict(self._models)

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> StepResult[ObsT]:
        """Begin an episode.

        Args:
            seed: The name of the episode, for servers whose environment takes one.
            episode_id: Name of the episode.
            **kwargs: What else the environment's own ``reset`` takes.

        Raises:
            TransportError: the server cannot be reached, or the connection broke.
            AuthenticationError: the server wants another token.
            OpenEnvGymError: the server refused, or failed.
        """
        if self._connection is not None and self._connection.is_broken:
            self._connection = None
        return self._result(Reset(seed, None, episode_id, kwargs))

    def step(self, action: ActT) -> StepResult[ObsT]:
        """Act.

        Raises:
            ResetNeededError: there is no episode.
            InvalidActionError: the server's environment has no such action.
            TransportError: the connection broke.
        """
        return self._result(Step(self._step_payload(action)))

    def state(self) -> StateT:
        """Return what the server knows about the episode."""
        reply = self._connect().request(GetState())
        if not isinstance(reply, StateReply):
            raise ProtocolError(f"expected a state, got a {type(reply).__name__}")
        return self._parse_state(reply.state)

    def close(self) -> None:
        """End the session, within a few seconds; the next request begins another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(_CLOSE_TIMEOUT_S)

    def __enter__(self) -> Self:
        self._connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _step_payload(self, action: ActT) -> dict[str, Any]:
        """Return the JSON fields of ``action``; ``metadata`` travels only where there is some.

        Raises:
            InvalidActionError: ``action`` is not of this client's action class.
        """
        if not isinstance(action, self._models["ActT"]):
            raise InvalidActionError(
                f"expected a {self._models['ActT'].__name__}, got {shown(action)} "
                f"({type(action).__name__})"
            )
        payload = action.model_dump(mode="json")
        if not payload.get("metadata", True):
            del payload["metadata"]
        return payload

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[ObsT]:
        """Return the typed result in the ``data`` of an observation message."""
        observation = payload.get("observation")
        if not isinstance(observation, dict):
            raise NotOpenEnvError(
                f"$.data.observation: expected an object, got {shown(observation)}"
            )
        reward, done = payload.get("reward"), payload.get("done") or False
        if not isinstance(done, bool):
            raise NotOpenEnvError(f"$.data.done: expected true, false or null, got {shown(done)}")
        model = self._models["ObsT"]
        beside = {"reward": reward, "done": done}
        known = {key: value for key, value in beside.items() if key in model.model_fields}
        return StepResult(
            observation=typing.cast(ObsT, _validate(model, {**observation, **known})),
            reward=reward,
            done=done,
            metadata=payload.get("metadata"),
        )

    def _parse_state(self, payload: dict[str, Any]) -> StateT:
        """Return the typed state in the ``data`` of a state message."""
        return typing.cast(StateT, _validate(self._models["StateT"], payload))

    def _result(self, request: Reset | Step) -> StepResult[ObsT]:
        reply = self._connect().request(request)
        if not isinstance(reply, Result):
            raise ProtocolError(f"expected an observation, got a {type(reply).__name__}")
        return self._parse_result(reply.obs)

    def _connect(self) -> Connection:
        # One that is broken stays, and says so: on another there would be another episode.
        if self._connection is None:
            transport = open_transport(self._address, options=self._options)
            session = ClientSession(JsonClientMessages(_Payloads()), SessionState.READY)
            self._connection = Connection(session, transport, self._timeout_s)
        return self._connection


def _validate(model: type[BaseModel], data: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        raise NotOpenEnvError(
            f"the server's reply is no {model.__name__}: {brief(str(exc), 300)}; "
            "is this client for the environment that is served there?"
        ) from exc
