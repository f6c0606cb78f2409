"""An environment looked at from outside: named, on our server, and on one that is not ours."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from jsonschema import Draft202012Validator

import openenv_gym
from openenv_gym import OpenEnvClient, inspect, typed_models
from openenv_gym.endpoints import ConnectOptions
from openenv_gym.errors import (
    InvalidRequestError,
    SpaceError,
    UnknownEnvironmentError,
    UnreachableError,
)
from openenv_gym.spaces import labels_of
from openenv_gym.spaces.unicode_text import UnicodeText

CARTPOLE = ("cart_position", "cart_velocity", "pole_angle", "pole_angular_velocity")
# What OpenEnv's own echo server answers, but for the texts.
STOCK = {
    "action": {"properties": {"message": {"type": "string", "minLength": 1}}, "title": "EchoAction",
               "required": ["message"], "type": "object"},
    "observation": {"properties": {"echoed": {"type": "string", "maxLength": 9}},
                    "required": ["echoed"], "title": "EchoObservation", "type": "object"},
    "state": {"properties": {}, "title": "State", "type": "object"},
}  # fmt: skip


@pytest.fixture(scope="module")
def stock_url() -> Iterator[str]:
    """A server that has nothing but a schema, because nothing else may be asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(STOCK).encode()
            self.send_response(200 if self.path == "/schema" else 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def check_messages(found: openenv_gym.envs.inspection.Inspection) -> None:
    """Each example is what the schemas say."""
    for example in found.examples:
        message = json.loads(json.dumps(example.message, allow_nan=False))
        if message["type"] == "step":
            Draft202012Validator(found.schemas["action"]).validate(message["data"])
        if message["type"] == "observation":
            Draft202012Validator(found.schemas["observation"]).validate(
                message["data"]["observation"]
            )


@pytest.mark.parametrize(
    "target",
    ["CartPole-v1", "openspiel:tic_tac_toe", "openenv/catch-v0", "openenv_gym:openenv/CartPole-v1",
     "tests.support.envs:Scripted-v0", "Blackjack-v1"],
)  # fmt: skip
def test_a_named_environment_plays_one_step(target: str):
    found = inspect(target)
    assert found.inference is not None and found.problem == "" and found.are_played
    titles = [example.title for example in found.examples]
    assert titles == ["client: reset", "server: observation", "client: step", "server: observation"]
    assert found.examples[1].message["data"]["reward"] is None
    assert found.examples[3].message["data"]["reward"] is not None
    check_messages(found)
    compile(found.models, "models.py", "exec")


def test_the_messages_are_those_of_the_environment():
    local = gym.make("CartPole-v1")
    expected = [local.reset(seed=0)[0].tolist()]
    action = inspect("CartPole-v1").examples[2].message["data"]["action"]
    expected.append(local.step(action)[0].tolist())
    found = inspect("openenv/CartPole-v1")
    shown = [found.examples[i].message["data"]["observation"]["obs"] for i in (1, 3)]
    assert shown == expected


def test_every_decision_has_its_reason(serve):
    for target in ("CartPole-v1", serve("CartPole-v1").base_url):
        inference = inspect(target).inference
        assert inference is not None
        assert inference.action_space == gym.spaces.Discrete(2)
        assert inference.reasons == (
            "$.action.action: the only annotated field; its annotation gives Discrete(2)",
            f"$.observation.obs: the only annotated field; its annotation gives "
            f"{gym.make('CartPole-v1').observation_space}",
        )


def test_of_our_server_only_the_schema_is_read(serve):
    server = serve("CartPole-v1", "--max-sessions", "1")
    env = gym.make("openenv/remote-v0", base_url=server.base_url)
    env.reset(seed=0)
    found = inspect(server.base_url)
    assert found.name == "CartPole-v1" and not found.are_played
    check_messages(found)
    env.step(0)
    env.close()


def test_a_server_that_is_not_ours_is_read_as_far_as_it_says(stock_url: str):
    found = inspect(stock_url)
    assert found.problem == "" and not found.are_played
    assert found.inference.action_space == UnicodeText(min_length=1)
    assert found.inference.observation_space == UnicodeText(9)
    assert "class EchoAction(Action):\n    message: str\n" in found.models
    check_messages(found)
    text = gym.spaces.Text(9)
    overridden = inspect(stock_url, options=ConnectOptions(action_space=text))
    assert overridden.inference.reasons == (
        "$.action.message: the only required field; the space is the caller's action_space=",
        "$.observation.echoed: the only required field; its constraints give UnicodeText(0, 9)",
    )
    check_messages(overridden)
    open_still = inspect(stock_url, options=ConnectOptions(observation_key="metadata"))
    assert open_still.inference is None and open_still.examples == ()
    assert "expected observation_key to name a field" in open_still.problem


def test_what_is_not_there_is_an_error(stock_url: str):
    with pytest.raises(UnknownEnvironmentError, match="CartPole"):
        inspect("CartPool-v1")
    with pytest.raises(UnreachableError, match="cannot connect"):
        inspect("http://127.0.0.1:9")
    with pytest.raises(InvalidRequestError, match="no keyword arguments"):
        inspect(stock_url, kwargs={"a": 1})
    with pytest.raises(SpaceError, match="inspect URL"):
        typed_models(stock_url)
    with pytest.raises(InvalidRequestError, match="expected a remote environment, got <CartPole"):
        typed_models(gym.make("CartPole-v1"))
    with pytest.raises(SpaceError, match="models of its own"):
        typed_models("environment:examples.own_environment.environment:EchoEnvironment")


def test_labels_reach_the_client(reach):
    env = gym.make("openenv/CartPole-v1", **reach("CartPole-v1"))
    assert labels_of(env.observation_space) == CARTPOLE
    assert labels_of(env.action_space) == ("push_left", "push_right")
    assert env.observation_space == gym.make("CartPole-v1").observation_space
    env.close()


def test_arguments_that_change_the_spaces_change_the_labels():
    env = gym.make("openenv/LunarLander-v3", continuous=True)
    assert labels_of(env.action_space) == ("main_engine", "lateral_engine")
    env.close()


def test_typed_models_name_the_components(serve):
    url = serve("CartPole-v1").base_url
    env = gym.make("openenv/remote-v0", base_url=url)
    for models in (typed_models(url), typed_models("CartPole-v1"), typed_models(env)):
        with OpenEnvClient(url, models=models) as client:
            assert client.reset(seed=3).observation.obs._fields == CARTPOLE
            result = client.step(models.action(action=models.action(action=1).action))
        expected = gym.make("CartPole-v1")
        expected.reset(seed=3)
        obs = expected.step(1)[0]
        assert np.array_equal(np.array(result.observation.obs, np.float32), obs)
        assert result.observation.obs.pole_angle == obs[2]
    env.close()


def test_the_action_that_is_played_is_the_first_legal_one():
    _, first, step, _ = inspect("openspiel:tic_tac_toe").examples
    legal = first.message["data"]["observation"]["legal_actions"]
    assert step.message["data"]["action_id"] == legal[0] == 0
