"""Where the models of a typed environment are found, and what is said where they are not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import pytest

from openenv_gym import Action, Environment, Observation, State, create_app
from openenv_gym.adapters.environment_models import models_of
from openenv_gym.errors import EnvStartError
from openenv_gym.protocol import Open
from openenv_gym.server.settings import ServerSettings
from tests.support import one_move
from tests.support.one_move import Move, Moving, Seen

if TYPE_CHECKING:
    from nowhere import Elsewhere


class Left(Action):
    by: int = 0


class Right(Action):
    by: int = 0


class Told(Observation):
    total: int = 0


class Base:
    """An environment by its methods alone."""

    def reset(self) -> Any:
        return Told()

    @property
    def state(self) -> State:
        return State()


class ByAnnotation(Base):
    def step(self, action: Left, again: Elsewhere | None = None) -> Told: ...


class ByParameters(Environment[Left, Told, State]):
    def step(self, action: Action) -> Observation: ...


class ByOptional(Base):
    def reset(self) -> Told: ...
    def step(self, action: Left | None = None) -> Observation: ...


class ByOtherMethod(Base):
    def step(self, action): ...
    def move(self, move: Right) -> Told: ...


class ByUnion(Base):
    def step(self, action: Left | Right) -> Told: ...


class Ambiguous(Base):
    def step(self, action: Action) -> Told: ...


class Unknown(Base):
    def step(self, action: int) -> Told: ...


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        (ByAnnotation, Left),
        (ByParameters, Left),
        (ByOptional, Left),
        (ByOtherMethod, Right),
        (Moving, Move),
    ],
)
def test_models_are_found(kind, action):
    observation = Seen if kind is Moving else Told
    assert models_of(kind, "it") == (action, observation, State)


@pytest.mark.parametrize(
    ("kind", "named"), [(Ambiguous, "the bare Action"), (Unknown, "no Action")]
)
def test_models_that_are_not_found_are_named_with_what_to_do(kind, named):
    with pytest.raises(EnvStartError) as raised:
        models_of(kind, "it")
    said = str(raised.value)
    assert f"its step names {named}, and {__name__} has several that it may mean" in said
    assert f"{__name__}:Left, {__name__}:Right" in said
    assert "--action-model package.module:YourAction" in said
    assert models_of(kind, "it", Right).action is Right


def test_a_union_is_one_model():
    action = models_of(ByUnion, "it").action
    assert [one["$ref"] for one in action.model_json_schema()["anyOf"]] == [
        "#/$defs/Left",
        "#/$defs/Right",
    ]


def test_a_bare_model_is_taken_where_it_is_given():
    assert models_of(Ambiguous, "it", Action).action is Action


def test_a_server_is_told_the_model_and_imports_none_that_a_client_names():
    settings = ServerSettings(environment=f"{__name__}:Ambiguous", action_model=f"{__name__}:Left")
    wanted = {"action": f"{__name__}:Left"}
    assert settings.admit(Open(models={"action": "os:system"})).models == wanted
    app = create_app(settings.environment, isolation="inline", action_model=settings.action_model)
    schema = app.state.service.view.schemas()["action"]
    assert list(schema["properties"]) == ["metadata", "by"]
    with pytest.raises(EnvStartError, match="the models of Ambiguous are not known"):
        create_app(settings.environment, isolation="inline")


def test_an_environment_that_takes_no_seed_is_reset_without(caplog: pytest.LogCaptureFixture):
    name = f"{one_move.__name__}:Moving"
    env = gym.make("openenv/gymnasium-v0", env_id=name)
    with pytest.warns(UserWarning, match="no parameter `seed`") as warned:
        assert [env.reset(seed=seed)[0] for seed in (1, 2)] == [0, 0]
    assert len(warned) == 1
    env.close()
    with caplog.at_level(logging.WARNING):
        description = create_app(name, isolation="inline").state.service.description
    assert not description.seeded
    assert "Moving has no parameter `seed`" in caplog.text


def test_a_vector_environment_warns_once_too():
    envs = gym.make_vec("openenv/gymnasium-v0", env_id=f"{one_move.__name__}:Moving", num_envs=2)
    envs.reset()  # which no seed is given to
    with pytest.warns(UserWarning, match="no parameter `seed`") as warned:
        envs.reset(seed=1)
        envs.reset(seed=[None, 3])
    assert len(warned) == 1
    envs.close()
