"""What an environment looks like from outside: spaces, models, schemas, messages, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import gymnasium as gym

from openenv_gym.address import shown_url
from openenv_gym.client import Connection
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.codecs import json_codec
from openenv_gym.endpoints import ConnectOptions, EmbeddedEndpoint, ServerEndpoint, take
from openenv_gym.endpoints.options import take_named
from openenv_gym.envs.registration import check_embedded
from openenv_gym.envs.remote_env import RemoteEnv
from openenv_gym.errors import (
    CapacityError,
    InvalidRequestError,
    NotOpenEnvError,
    RemoteEnvError,
    SpaceError,
    TransportError,
)
from openenv_gym.protocol import Open, Reset, Result, Step
from openenv_gym.protocol.json_messages import JsonServerMessages
from openenv_gym.spaces import Inference, infer
from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.fields import paths_of, with_field
from openenv_gym.spaces.schema_space import SchemaSpace
from openenv_gym.wire.model_source import model_source
from openenv_gym.wire.schema_view import SchemaView
from openenv_gym.wire.typed import TypedModels, view_for

_SEED = 0


class Example(NamedTuple):
    """One message of OpenEnv's JSON protocol.

    Attributes:
        title: Who says what.
        message: The message itself.
    """

    title: str
    message: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """An environment as its clients see it.

    Attributes:
        target: What was inspected.
        name: The name of the environment.
        schemas: JSON schemas of ``action``, ``observation`` and ``state``.
        models: The pydantic classes as Python source.
        inference: Fields and spaces, and why; None where the schemas leave them open.
        problem: What is open and how to settle it, where ``inference`` is None.
        examples: One message each way.
        are_played: Whether the examples were played; else they were made from the spaces.
    """

    target: str
    name: str
    schemas: dict[str, Any]
    models: str
    inference: Inference | None
    problem: str = ""
    examples: tuple[Example, ...] = field(default=())
    are_played: bool = False


def inspect(
    target: str,
    *,
    kwargs: dict[str, Any] | None = None,
    options: ConnectOptions | WebSocketOptions | None = None,
    token: str | None = None,
) -> Inspection:
    """Return how the environment ``target`` looks from outside.

    An environment that is named is built in the embedded worker and plays one step. Of a server
    the schemas are read; only where they leave something open, one session is opened for a
    probing reset, and closed again.

    Args:
        target: A Gymnasium id, ``openspiel:GAME``, ``package.module:Class``, an id
            of the ``openenv/`` namespace, or the URL of a server.
        kwargs: Keyword arguments of an environment that is named.
        options: How a server is reached, a ``WebSocketOptions``; or that and what the caller knows
            better than the schemas, in place of the options that ``kwargs`` hold.
        token: The secret that opens a server, as ``make`` takes it.

    Raises:
        InvalidRequestError: an argument makes no sense.
        UnknownEnvironmentError: there is no such environment.
        EnvStartError: it cannot be built.
        UnreachableError: nobody answers at the URL.
        NotOpenEnvError: who answers is no OpenEnv server.
    """
    arguments = dict(kwargs or {})
    websocket = options.options if isinstance(options, ConnectOptions) else options
    if websocket is not None:  # who makes an id asks the server first
        arguments["options"] = websocket
    secret = options.token if isinstance(options, ConnectOptions) and token is None else token
    if secret is not None:
        if "://" not in target and not _is_ours(target):
            raise InvalidRequestError(
                f"token: expected the URL of a server, or an id with a base_url, beside it, got "
                f"{target}"
            )
        arguments["token"] = secret
    endpoint = _endpoint(target, arguments)
    if isinstance(options, ConnectOptions):
        endpoint = replace(endpoint, options=options)
    if isinstance(endpoint, ServerEndpoint):
        answer = endpoint.ask()
        sides: tuple[str, ...] = ("action", "observation", "state")
        schemas = {side: answer.schema[side] for side in sides if side in answer.schema}
        name = answer.description.environment if answer.description is not None else target
        return _inspection(target, name, schemas, lambda: endpoint.infer(answer), _made_examples)
    connection, description = endpoint.open_session()
    with closing(connection):
        view = view_for(description)

        def play(inference: Inference, schemas: dict[str, Any]) -> tuple[Example, ...]:
            return _played_examples(connection, JsonServerMessages(view), view, inference, schemas)

        name, schemas = description.environment, view.schemas()

        def infer_named() -> Inference:
            models = schemas["action"], schemas["observation"]
            return infer(*models, **endpoint.options.overrides())

        return _inspection(target, name, schemas, infer_named, play, are_played=True)


def typed_models(target: str | gym.Env[Any, Any], **kwargs: Any) -> TypedModels:
    """Return the pydantic models of an environment, in which components have names.

    Args:
        target: What :func:`inspect` takes, or a ``RemoteEnv``.
        **kwargs: Keyword arguments of an environment that is named; of ``gymnasium.make`` for an
            id of the ``openenv/`` namespace; for the URL of a server, ``options``, a
            ``WebSocketOptions``, and ``token``.

    >>> models = typed_models("CartPole-v1")
    >>> models.action(action=1).action.name
    'push_right'

    Raises:
        SpaceError: the environment has models of its own, of which only schemas are known.
        UnknownEnvironmentError: there is no such environment.
        EnvStartError: it cannot be built.
    """
    endpoint = _endpoint(target, kwargs)
    if isinstance(endpoint, ServerEndpoint):
        description = endpoint.ask().description
    else:
        connection, description = endpoint.open_session()
        connection.close()
    if description is None:
        raise SpaceError(
            "expected a server of openenv-gym, which tells its spaces, got another one at "
            f"{shown_url(str(target))}; `openenv-gym inspect URL` prints classes for its schemas"
        )
    return view_for(description).models()


def _endpoint(
    target: str | gym.Env[Any, Any], kwargs: dict[str, Any]
) -> EmbeddedEndpoint | ServerEndpoint:
    if isinstance(target, gym.Env):
        env = target.unwrapped
    elif "://" in target:
        options, unknown = take(ConnectOptions, kwargs, ["options", "token"])
        if unknown:
            raise InvalidRequestError(
                f"expected no keyword arguments for {shown_url(target)}, which has been started "
                f"with its own, got {', '.join(unknown)}"
            )
        return ServerEndpoint.at(target, options=options)
    elif not _is_ours(target):
        options, own = take_named(kwargs)
        check_embedded(options)
        return EmbeddedEndpoint(request=Open(target, own), options=options)
    else:
        env = gym.make(target, disable_env_checker=True, **kwargs).unwrapped
        env.close()
    if not isinstance(env, RemoteEnv) or not isinstance(
        env.endpoint, EmbeddedEndpoint | ServerEndpoint
    ):
        raise InvalidRequestError(f"expected a remote environment, got {env}; name its id instead")
    return env.endpoint


def _is_ours(name: str) -> bool:
    """Whether this is an id of the ``openenv/`` namespace."""
    return name.removeprefix("openenv_gym:").startswith("openenv/")


def _inspection(
    target: str,
    name: str,
    schemas: dict[str, Any],
    find: Callable[[], Inference],
    examples: Callable[[Inference, dict[str, Any]], tuple[Example, ...]],
    *,
    are_played: bool = False,
) -> Inspection:
    inference, problem = None, ""
    try:
        inference = find()
    except (SpaceError, NotOpenEnvError, CapacityError, TransportError, RemoteEnvError) as exc:
        problem = str(exc)  # open, or the server refuses the probing reset
    return Inspection(
        target=shown_url(target) if "://" in target else target,
        name=name,
        schemas=schemas,
        models=model_source(schemas),
        inference=inference,
        problem=problem,
        examples=() if inference is None else examples(inference, schemas),
        are_played=are_played,
    )


def _made_examples(inference: Inference, schemas: dict[str, Any]) -> tuple[Example, ...]:
    """Messages with sampled values, which no environment has said."""
    view = SchemaView(inference, schemas["observation"])
    sampled, key = _sampled(inference.observation_form), inference.observation_key
    observation: dict[str, Any] = {}
    for path in paths_of(key):
        observation = with_field(observation, path, sampled[path] if key != path else sampled)
    data = {"observation": observation, "reward": None, "done": False}
    return (
        Example("client: reset", {"type": "reset", "data": {"seed": _SEED}}),
        Example(
            "client: step",
            {"type": "step", "data": view.dump_action(_sample(inference.action_space))},
        ),
        Example("server: observation", {"type": "observation", "data": data}),
    )


def _played_examples(
    connection: Connection,
    messages: JsonServerMessages,
    view: Any,
    inference: Inference,
    schemas: dict[str, Any],
) -> tuple[Example, ...]:
    first = connection.request(Reset(_SEED))
    legal = first.info.get("legal_actions") if isinstance(first, Result) else None
    action = legal[0] if legal else _sample(inference.action_space)
    data = SchemaView(inference, schemas["observation"]).dump_action(action)
    answer = connection.request(Step(view.parse_action(data)))
    return (
        Example("client: reset", {"type": "reset", "data": {"seed": _SEED}}),
        Example("server: observation", json.loads(messages.encode_reply(None, first))),
        Example("client: step", {"type": "step", "data": data}),
        Example("server: observation", json.loads(messages.encode_reply(None, answer))),
    )


def _sample(space: Space) -> Any:
    space.seed(_SEED)
    return space.sample()


def _sampled(form: SchemaSpace) -> Any:
    return json_codec(form).to_json(_sample(form.space))
