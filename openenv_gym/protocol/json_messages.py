"""Requests and replies ↔ OpenEnv's JSON messages, one class for each end."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from openenv_gym.codecs import info_to_json, reward_to_json, shown_frames
from openenv_gym.codecs.weight import MAX_VALUE_BYTES
from openenv_gym.errors import (
    InvalidActionError,
    InvalidRequestError,
    ProtocolError,
    RemoteEnvError,
    shown,
)
from openenv_gym.protocol.events import (
    A_SEED,
    BatchResult,
    Close,
    Failed,
    GetState,
    Render,
    Rendered,
    Reply,
    Request,
    Reset,
    Result,
    StateReply,
    Step,
    check_seeds,
    failure,
)
from openenv_gym.wire.error_codes import brief, with_way_out
from openenv_gym.wire.fault_info import fault_from_wire
from openenv_gym.wire.messages import (
    MAX_VALUES,
    CloseMessage,
    RenderMessage,
    ResetMessage,
    StateMessage,
    StepMessage,
    Text,
    encode_json,
    encode_strictly,
    error_message,
    observation_message,
    parse_message,
    parse_reply,
    rendered_message,
    state_message,
)
from openenv_gym.wire.schema_view import LoadedResult
from openenv_gym.wire.typed import TypedView


class ClientView(Protocol):
    """How a client writes actions and reads observations."""

    def dump_action(self, value: Any) -> dict[str, Any]:
        """Return the ``data`` of a step message."""

    def load_result(self, data: dict[str, Any], *, is_first: bool = False) -> LoadedResult:
        """Read the ``data`` of an observation message, which may answer a reset."""


def parse_reset(data: dict[str, Any], num_envs: int | None = None, path: str = "$.data") -> Reset:
    """Return the reset that ``data`` asks for.

    Args:
        data: The ``data`` of the message.
        num_envs: The number of sub-environments of a batched session, which also takes a seed
            for each of them, and ``reset_mask`` as a list; None for a single environment.
        path: Where ``data`` is in what was sent, for messages.

    Raises:
        InvalidRequestError: ``seed``, ``options`` or ``episode_id`` have another type, or a seed
            is negative or too large.
    """
    extra = dict(data)
    seed, options = extra.pop("seed", None), extra.pop("options", None)
    episode_id = extra.pop("episode_id", None)
    seeds = seed if num_envs is not None and isinstance(seed, list) else [seed]
    for one in seeds:
        if one is not None and type(one) is not int:
            raise InvalidRequestError(f"{path}.seed: {A_SEED}, got {shown(one)}")
    check_seeds(seeds, f"{path}.seed")
    if options is not None and not isinstance(options, dict):
        raise InvalidRequestError(
            f"{path}.options: expected an object or null, got {shown(options)}"
        )
    if episode_id is not None and not isinstance(episode_id, str):
        raise InvalidRequestError(
            f"{path}.episode_id: expected a string or null, got {shown(episode_id)}"
        )
    if num_envs is not None and options and "reset_mask" in options:
        options = {**options, "reset_mask": _mask(options["reset_mask"], num_envs, path)}
    return Reset(seed, options, episode_id, extra)


def _mask(given: Any, num_envs: int, path: str) -> Any:
    is_mask = isinstance(given, list) and len(given) == num_envs and True in given
    if not is_mask or any(type(item) is not bool for item in given):
        raise InvalidRequestError(
            f"{path}.options.reset_mask: expected a list of {num_envs} booleans, one of them true, "
            f"got {shown(given)}"
        )
    return np.array(given)


class JsonServerMessages:
    """The server's end: reads typed requests, writes typed replies.

    Args:
        view: The typed face of the environment, or of many in a batched session.
        most_values: How many values a request may have.
    """

    def __init__(self, view: TypedView, most_values: int = MAX_VALUES) -> None:
        self._view = view
        self._most_values = most_values

    def decode_request(self, text: Text) -> tuple[None, Request]:
        """Return the request in ``text``; JSON messages carry no number.

        Raises:
            MalformedMessageError: ``text`` is no request.
            InvalidActionError: the action is not of the environment's type.
        """
        return None, self._to_request(parse_message(text, self._most_values))

    def _to_request(self, message: Any) -> Request:
        match message:
            case StepMessage(data=data):
                return Step(self._view.parse_action(data))
            case ResetMessage(data=data):
                return parse_reset(data, self._view.num_envs)
            case StateMessage():
                return GetState()
            case RenderMessage():
                return Render()
            case CloseMessage():
                return Close()
        raise ProtocolError(f"no request stands for {type(message).__name__}")

    def encode_reply(self, seq: int | None, reply: Reply) -> bytes:
        """Return the JSON text of ``reply``.

        Raises:
            RemoteEnvError: the environment returned what is not of its observation space, or what
                it rendered is neither text nor a picture.
        """
        match reply:
            case Result():
                data = self.result_data(reply)
                return observation_message(
                    **data, metadata=data["observation"].get("metadata") or {}
                )
            case BatchResult():
                return encode_json({"type": "observation", "data": self.result_data(reply)})
            case StateReply(state=state):
                return state_message({**info_to_json(state)[0], **self._view.beside_state})
            case Rendered(frame=frame):
                return rendered_message(shown_frames(frame))
            case Failed(code=code, message=message, fault=fault, raised=raised):
                return error_message(message, code, fault, raised)
        raise ProtocolError(f"no JSON message stands for {type(reply).__name__}")

    def _batch_data(self, result: BatchResult) -> dict[str, Any]:
        """What :meth:`result_data` returns, with a list for what a single environment has once."""
        count = self._view.num_envs or 0
        flags = [False] * count, [False] * count
        if result.rewards is not None:
            flags = result.terminations.tolist(), result.truncations.tolist()
        observation = self._dump(result.obs, *flags, result.info)
        rewards, types = reward_to_json(result.rewards)
        observation["info_types"] |= types
        # A list of flags would be true for a client that asks whether the episode is over.
        return {"observation": observation, "reward": rewards, "done": True in flags[0] + flags[1]}

    def result_data(self, result: Result | BatchResult) -> dict[str, Any]:
        """Return ``observation``, ``reward`` and ``done`` of ``result``, as JSON says them.

        Of a batch, the reward is a list, and ``done`` says whether an episode has ended.

        Raises:
            RemoteEnvError: the environment returned what is not of its observation space.
        """
        if isinstance(result, BatchResult):
            return self._batch_data(result)
        observation = self._dump(result.obs, result.terminated, result.truncated, result.info)
        reward, types = reward_to_json(result.reward)
        if types and "info_types" in observation:
            observation["info_types"] = observation["info_types"] | types
        return {
            "observation": observation,
            "reward": reward,
            "done": result.terminated or result.truncated,
        }

    def _dump(self, obs: Any, terminated: Any, truncated: Any, info: Any) -> dict[str, Any]:
        try:
            return self._view.dump_observation(obs, terminated, truncated, info)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as exc:
            raise RemoteEnvError(
                f"expected an observation of the environment's space, got {shown(obs, 100)}: {exc}"
            ) from exc


class JsonClientMessages:
    """The client's end: writes typed requests, reads typed replies.

    Args:
        view: Reads observations.
        is_inferred: Whether its spaces are what the client makes of schemas, or was told.
        num_envs: The number of sub-environments of a batched session; None for a single
            environment.
        max_value_bytes: What the values of a reply may take of the memory, in bytes.

    Attributes:
        view: What was given. Of a batched session it is known only when the session is there.
        max_value_bytes: What the values of a reply may take of the memory, likewise.
    """

    def __init__(
        self,
        view: ClientView,
        is_inferred: bool = True,
        num_envs: int | None = None,
        max_value_bytes: int = MAX_VALUE_BYTES,
    ) -> None:
        self.max_value_bytes = max_value_bytes
        self.is_inferred = is_inferred
        self.view = view
        self._result = Result if num_envs is None else BatchResult
        self._is_reset = False

    def encode_request(self, seq: int, request: Request) -> bytes:
        """Return the JSON text of ``request``.

        Raises:
            InvalidActionError: JSON has no form for the action.
            InvalidRequestError: the protocol has no message for it, or JSON no form for a value.
        """
        self._is_reset = type(request) is Reset
        try:
            return encode_strictly(self._message(request))
        except InvalidRequestError:
            raise
        except (
            *(LookupError, TypeError, ValueError),
            *(AttributeError, OverflowError, RecursionError),
        ) as exc:
            error = InvalidActionError if type(request) is Step else InvalidRequestError
            raise error(f"expected values that JSON can say: {exc}") from exc

    def _message(self, request: Request) -> dict[str, Any]:
        match request:
            case Step(action=action):
                return {"type": "step", "data": self.view.dump_action(action)}
            case Reset():
                return {"type": "reset", "data": _reset_data(request)}
            case GetState():
                return {"type": "state"}
            case Close():
                return {"type": "close"}
        raise InvalidRequestError(
            f"OpenEnv's JSON protocol has no message for {type(request).__name__}"
        )

    def decode_reply(self, text: Text) -> tuple[None, Reply]:
        """Return the reply in ``text``.

        Raises:
            NotOpenEnvError: ``text`` is no reply of this protocol.
            InvalidRequestError: the observation does not have the form of its space.
        """
        kind, data = parse_reply(text, self.max_value_bytes)
        if kind == "observation":
            return None, self._result(*self.view.load_result(data, is_first=self._is_reset))
        if kind == "state":
            return None, StateReply(data)
        if kind == "error":
            code, fault = str(data.get("code", "UNKNOWN")), fault_from_wire(data.get("fault"))
            raised = data.get("raised")
            return None, Failed(
                code,
                with_way_out(_reason(data), code, is_fault=fault is not None),
                fault=fault,
                raised=raised if isinstance(raised, str) else "",
            )
        return None, failure(ProtocolError(f"expected an observation, got a {shown(kind)} message"))


def _reason(data: dict[str, Any]) -> str:
    """Why a server refused; OpenEnv's says which fields are wrong beside an "Invalid message"."""
    said = str(data.get("message", "the server gave no reason"))
    errors = data.get("errors")
    wrong = [one for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    each = [f"{_place(one.get('loc'))}: {one.get('msg')}" for one in wrong]
    return brief(f"{said}: {'; '.join(each)}") if each else said


def _place(location: Any) -> str:
    return ".".join(map(str, location)) if isinstance(location, list) else str(location)


def _reset_data(reset: Reset) -> dict[str, Any]:
    options = reset.options
    if options and isinstance(options.get("reset_mask"), np.ndarray):  # of a batched session
        options = {**options, "reset_mask": options["reset_mask"].tolist()}
    named = {"seed": reset.seed, "options": options, "episode_id": reset.episode_id}
    data = {**{key: value for key, value in named.items() if value is not None}, **reset.extra}
    _check_json(data, "$.data")
    return data


def _check_json(value: Any, path: str) -> None:
    """Refuse what the encoder would send as something else, such as null for NaN."""
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for key, item in value.items():
            _check_json(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _check_json(item, f"{path}[{i}]")
    elif type(value) not in _JSON_TYPES or (type(value) is float and not math.isfinite(value)):
        raise InvalidRequestError(
            f"{path}: expected a value that JSON can say, got {shown(value)} "
            f"({type(value).__name__})"
        )


_JSON_TYPES = (type(None), bool, int, float, str)
