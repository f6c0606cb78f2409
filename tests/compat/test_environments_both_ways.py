"""Environments of ours under their ``create_app``, and of theirs under ours."""

from __future__ import annotations

import asyncio
import json

import gymnasium as gym
import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect

from openenv_gym import RemoteVectorEnv
from openenv_gym.launchers import ServerProcess
from tests.compat.generations import RemoteError
from tests.support.rollouts import assert_same


def test_ours_under_their_server(generation, crossed_servers, their_clients):
    url = crossed_servers["ours"]
    played = their_clients.call(
        "clients:generic_sync",
        url=url,
        actions=[{"message": "hé"}, {"message": "bye"}],
        episode_id="mine",
    )
    assert [(fields["echo"], reward, done) for fields, reward, done in played["results"]] == [
        ("", None, False),
        ("hé", 2.0, False),
        ("bye", 3.0, True),
    ]
    assert played["state"] == {"episode_id": "mine", "step_count": 2, "letters": 5}
    about = httpx.get(f"{url}/metadata", timeout=60).json()
    assert about["name"] == "EchoEnvironment"
    assert about["description"].startswith("Repeats each message")
    with pytest.raises(RemoteError, match="VALIDATION_ERROR"):
        their_clients.call("clients:generic", url=url, actions=[{"message": ""}])


def test_a_gymnasium_environment_under_their_server(crossed_servers, their_clients):
    actions = [{"action": action} for action in (0, 1, 1)]
    played = their_clients.call(
        "clients:generic",
        url=crossed_servers["ours_cartpole"],
        actions=actions,
        seed=5,
        episode_id="e",
    )
    local = gym.make("CartPole-v1")
    observations = [local.reset(seed=5)[0], *(local.step(a["action"])[0] for a in actions)]
    local.close()
    remote = np.array([fields["obs"] for fields, _, _ in played["results"]], np.float32)
    assert np.array_equal(remote, observations)
    assert [reward for _, reward, _ in played["results"]] == [None, 1.0, 1.0, 1.0]
    assert (played["state"]["episode_id"], played["state"]["step_count"]) == ("e", 3)
    about = httpx.get(f"{crossed_servers['ours_cartpole']}/metadata", timeout=60).json()
    assert "CartPole" in about["name"]
    with pytest.raises(RemoteError, match="VALIDATION_ERROR"):
        their_clients.call(
            "clients:generic", url=crossed_servers["ours_cartpole"], actions=[{"action": 7}]
        )


def test_its_spaces_are_known_there_too(crossed_servers):
    """The annotation travels in the schemas of their server."""
    with gym.make("openenv/remote-v0", base_url=crossed_servers["ours_cartpole"]) as env:
        local = gym.make("CartPole-v1")
        assert env.action_space == local.action_space
        assert env.observation_space == local.observation_space
        assert np.array_equal(env.reset(seed=3)[0], local.reset(seed=3)[0])
        local.close()


def test_the_tutorial_on_an_openspiel_game_of_ours_under_their_server(
    crossed_servers, their_clients
):
    played = their_clients.call("clients:tutorial", url=crossed_servers["ours_catch"], episodes=2)
    assert (played["rewards"], played["state"]) == ([1.0, 1.0], ["catch", 9])


EPISODES = {
    "echo": ([{"message": "hi ☃"}], {"episode_id": "e"}),
    "coding": ([{"code": "6 * 7"}, {"code": "x"}], {"episode_id": "e"}),
    "openspiel": ([{"action_id": 2}] * 9, {"episode_id": "e", "seed": 5}),
    "household": (
        [{"command": "go", "arguments": {"to": [{"x": None}]}}, {"command": "take"}],
        {"episode_id": "e"},
    ),
    "screen": ([{"action_id": 0}] * 4, {"episode_id": "e"}),
    "tools": (
        [
            {"call": {"kind": "click", "target": {"by": "place", "x": 1, "y": 2}}},
            {"call": {"kind": "write", "text": "done"}},
        ],
        {"episode_id": "e"},
    ),
    "traps": ([{"value": 7}], {"episode_id": "e"}),
}


@pytest.mark.parametrize("name", EPISODES)
def test_theirs_is_the_same_under_our_server(
    name, generation, crossed_servers, their_servers, their_clients
):
    actions, reset = EPISODES[name]
    theirs, ours = (
        their_clients.call("clients:generic", url=url, actions=actions, **reset)
        for url in (their_servers[name], crossed_servers[name])
    )
    if generation.version == "0.3":  # whose server drops the metadata of observations
        for played in (theirs, ours):
            for fields, _, _ in played["results"]:
                fields.pop("metadata", None)
    assert ours == theirs


@pytest.mark.parametrize(
    ("name", "action", "says"),
    [
        ("traps", {"value": 101}, r"\$\.action\.value: .*less than or equal to 100, got 101"),
        ("tools", {"call": {"kind": "fly"}}, r"\$\.action\.call: .*'click', 'write'"),
        ("traps", {"do": "raise"}, "ValueError in step: told to raise"),
        ("echo", {}, r"\$\.action\.message: Field required, got nothing"),
    ],
)
def test_their_environments_get_our_errors(name, action, says, crossed_servers, their_clients):
    with pytest.raises(RemoteError, match=says):
        their_clients.call("clients:generic", url=crossed_servers[name], actions=[action])


def test_a_refused_action_and_json_that_is_no_object_lose_no_session(crossed_servers):
    async def play() -> list[str]:
        async with connect(crossed_servers["traps"].replace("http", "ws") + "/ws") as socket:
            answers = []
            for message in (
                '{"type": "reset", "data": {}}',
                '{"type": "step", "data": {"value": 101}}',
                "5",
                "[1]",
                "null",
                '"reset"',
                "no json",
                '{"type": "step", "data": {"value": 4}}',
            ):
                await socket.send(message)
                answer = json.loads(await socket.recv())
                answers.append(answer["data"].get("code", answer["type"]))
            assert answer["data"]["observation"]["numbers"] == [4.0, 1.0]
            return answers

    codes = ["VALIDATION_ERROR"] * 4 + ["INVALID_JSON"]
    assert asyncio.run(play()) == ["observation", "INVALID_ACTION", *codes, "observation"]


@pytest.mark.parametrize("name", ["echo", "coding", "openspiel", "screen", "endless", "tools"])
@pytest.mark.filterwarnings(r"ignore:(?s).*pass action_space=:UserWarning")
def test_theirs_are_stepped_in_batches_under_our_server(name, crossed_servers):
    """What comes is what plain sessions of the same server say."""
    arguments = {"base_url": crossed_servers[name], "num_envs": 3}
    plain = gym.make_vec("openenv/remote-v0", codec="json", **arguments)
    batched = gym.make_vec("openenv/remote-v0", **arguments)
    assert isinstance(batched.unwrapped, RemoteVectorEnv)
    assert batched.single_action_space == plain.single_action_space
    assert batched.single_observation_space == plain.single_observation_space
    plain.action_space.seed(0)
    assert_same(plain.reset(seed=5), batched.reset(seed=5))
    for _ in range(20):
        actions = plain.action_space.sample()
        assert_same(plain.step(actions), batched.step(actions))
    plain.close()
    batched.close()


def test_their_class_by_name_in_a_process_of_its_own(generation, their_clients, monkeypatch):
    monkeypatch.setenv("HOME", str(generation.home))
    name = "environment:tests.compat.stock.echo:EchoEnvironment"
    with ServerProcess(name, server_python=str(generation.python)) as server:
        played = their_clients.call("clients:echo_sync", url=server.base_url, messages=["a", "bb"])
    assert [fields["echoed_message"] for fields, _, _ in played] == [
        "Echo environment ready!",
        "a",
        "bb",
    ]
    assert [reward for _, reward, _ in played] == [0.0, 0.1, 0.2]
