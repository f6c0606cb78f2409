"""A named environment → OpenEnv ``Environment``, for OpenEnv's own ``create_app``.

>>> environment, action, observation = typed_environment("CartPole-v1")
>>> played = environment()
>>> played.reset(seed=0).model_dump()["obs"][0] < 0.05
True
>>> played.step(action(action=1)).reward
1.0
>>> played.close()
"""

from __future__ import annotations

from typing import Any, NamedTuple

from openenv_gym.environment import Environment
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol.events import (
    Close,
    Failed,
    GetState,
    Open,
    Opened,
    Request,
    Reset,
    Result,
    StateReply,
    Step,
)
from openenv_gym.protocol.json_messages import JsonServerMessages
from openenv_gym.spaces.rewards import wrong_reward
from openenv_gym.wire.description import Description
from openenv_gym.wire.models import Action, EnvironmentMetadata, Observation, State
from openenv_gym.wire.typed import TypedModels, TypedView, view_for
from openenv_gym.workers.built_env import build
from openenv_gym.workers.request_handler import RequestHandler


class TypedEnvironment(NamedTuple):
    """The arguments of ``create_app``, in order.

    Attributes:
        environment: A class without arguments. Each instance is one environment.
        action: The action model of the environment.
        observation: The observation model of the environment.
    """

    environment: type[Environment[Action, Observation, State]]
    action: type[Action]
    observation: type[Observation]


def typed_environment(name: str, **kwargs: Any) -> TypedEnvironment:
    """Return an OpenEnv environment that plays a Gymnasium environment or an OpenSpiel game.

    It is the environment that ``openenv-gym serve`` serves, but lives in the calling process.

    Args:
        name: The name of the environment: ``CartPole-v1``, ``module:id``, ``module:Class``,
            ``openspiel:catch``.
        **kwargs: Keyword arguments of the environment.

    Raises:
        UnknownEnvironmentError: there is no such environment.
        EnvStartError: it cannot be built.
        SpaceError: it has models of its own; serve its own class.
    """
    request = Open(name, kwargs, is_typed=True)
    first = _InlineSession(request)
    description, view = first.description, view_for(first.description)
    first.ask(Close())
    models = view.models()
    about = EnvironmentMetadata(**{"name": name, "description": name, **description.about})
    kind = type(
        f"{models.action.__name__.removesuffix('Action')}Environment",
        (_Typed,),
        {"_request": request, "_view": view, "_models": models, "_about": about},
    )
    kind.__module__, kind.__doc__ = __name__, about.description
    return TypedEnvironment(kind, models.action, models.observation)


class _InlineSession:
    """An environment in this process that answers requests as in a worker."""

    def __init__(self, request: Open) -> None:
        self._handler = RequestHandler(build)
        self.description: Description = self.ask(request, Opened).description

    def ask(self, request: Request, expected: type[Any] = object) -> Any:
        reply = self._handler.execute(request)
        if isinstance(reply, Failed):
            raise reply.to_exception()
        assert isinstance(reply, expected)
        return reply


class _Typed(Environment[Action, Observation, State]):
    _request: Open
    _view: TypedView
    _models: TypedModels
    _about: EnvironmentMetadata

    def __init__(self) -> None:
        # Nothing is built yet: OpenEnv's server makes instances only to read their metadata.
        self._session: _InlineSession | None = None
        self._messages = JsonServerMessages(self._view)

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> Observation:
        options = kwargs.pop("options", None)
        if self._session is None:
            self._session = _InlineSession(self._request)
        return self._observe(self._session.ask(Reset(seed, options, episode_id, kwargs), Result))

    def step(self, action: Action, timeout_s: float | None = None, **kwargs: Any) -> Observation:
        if kwargs:
            raise InvalidRequestError(f"step: expected an action, got {', '.join(kwargs)} too")
        if self._session is None:
            raise InvalidRequestError("step before the first reset; reset begins an episode")
        data = action.model_dump(mode="json", exclude={"metadata"})
        return self._observe(self._session.ask(Step(self._view.parse_action(data)), Result))

    def _observe(self, result: Result) -> Observation:
        data = self._messages.result_data(result)
        reward = result.reward
        if type(reward) not in (float, type(None)) and not self._view.pays_arrays:
            raise wrong_reward(reward, "a number, since it declares no reward_space")
        return self._models.observation(**data["observation"], reward=reward, done=data["done"])

    @property
    def state(self) -> State:
        if self._session is None:
            return self._models.state()
        return self._models.state(**self._session.ask(GetState(), StateReply).state)

    def get_metadata(self) -> EnvironmentMetadata:
        return self._about

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.ask(Close())
