"""The clients of both generations on our servers."""

from __future__ import annotations

import json
import re
import subprocess

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym.launchers import ServerProcess
from tests.compat.generations import RemoteError
from tests.faults.envs import Faulty


@pytest.mark.parametrize("function", ["generic", "generic_sync"])
def test_the_generic_client_sees_the_numbers_of_gymnasium(function, serve, their_clients):
    url = serve("CartPole-v1").base_url
    actions = [1, 0, 1, 1]
    played = their_clients.call(
        f"clients:{function}", url=url, actions=[{"action": a} for a in actions], seed=7
    )
    env = gym.make("CartPole-v1")
    local = [env.reset(seed=7)[0], *(env.step(action)[0] for action in actions)]
    remote = [fields["obs"] for fields, _, _ in played["results"]]
    assert np.array_equal(np.array(remote, np.float32), np.array(local))
    assert [reward for _, reward, _ in played["results"]] == [None, 1.0, 1.0, 1.0, 1.0]
    assert [done for _, _, done in played["results"]] == [False] * 5
    assert played["state"]["step_count"] == 4
    env.close()


@pytest.mark.parametrize("function", ["openspiel", "openspiel_sync"])
def test_the_openspiel_client_plays_catch(function, serve, their_clients):
    url = serve("openspiel:catch").base_url
    played = their_clients.call(f"clients:{function}", url=url, seed=3)
    local = gym.make("openenv/catch-v0")
    first, info = local.reset(seed=3)
    local.close()
    fields, reward, done = played["results"][0]
    assert fields["info_state"] == first.tolist()
    assert (fields["legal_actions"], fields["game_phase"]) == (info["legal_actions"], "initial")
    assert (reward, done, len(played["results"])) == (None, False, 10)
    fields, reward, done = played["results"][-1]
    assert (fields["legal_actions"], fields["game_phase"]) == ([], "terminal")
    assert reward in (-1.0, 1.0) and done
    state = played["state"]
    assert (state["game_name"], state["num_players"], state["step_count"]) == ("catch", 1, 9)


def test_the_loop_of_the_tutorial_runs_unchanged(serve, their_clients):
    url = serve("openspiel:catch").base_url
    played = their_clients.call("clients:tutorial", url=url, episodes=5)
    assert played["rewards"] == [1.0] * 5
    assert played["steps"] == [9] * 5
    assert played["prompts"] == played["completions"] == 45
    assert played["state"] == ["catch", 9]


def test_a_typed_client_of_an_environment_of_ours(serve, their_clients):
    url = serve("environment:examples.own_environment.environment:EchoEnvironment").base_url
    played = their_clients.call(
        "clients:generic", url=url, actions=[{"message": "häß ☃"}, {"message": "bye"}]
    )
    assert [(fields["echo"], reward, done) for fields, reward, done in played["results"]] == [
        ("", None, False),
        ("häß ☃", 5.0, False),
        ("bye", 3.0, True),
    ]


def test_errors_reach_the_user_and_the_session_lives_on(serve, their_clients):
    url = serve("openspiel:catch").base_url
    with pytest.raises(RemoteError) as raised:
        their_clients.call("clients:generic", url=url, actions=[{"action_id": 10**9}])
    kind, text = raised.value.args
    assert kind == "RuntimeError"
    assert "$.action.action_id" in text and "Discrete(3)" in text and "INVALID_ACTION" in text


def test_an_environment_that_ends_its_process_is_an_error_like_any_other(serve, their_clients):
    """What is known of the fault is a further key of the error, which they leave alone."""
    url = serve("tests.faults.envs:Faulty-v0").base_url
    actions = [{"action": 0}, {"action": Faulty.SEGV}]
    (kind, text), first = their_clients.call("clients:crashed", url=url, actions=actions)
    assert kind == "RuntimeError" and first == 0.0
    assert re.fullmatch(
        r"Server error: the worker process of this session was ended by signal 11 .*"
        r" \(code: CONNECTION_LOST\)",
        text,
    )


def test_a_server_that_drains_says_so(generation, their_clients):
    with ServerProcess("tests.faults.envs:Faulty-v0") as server:
        kind, text = their_clients.call(
            "clients:drained_sync", url=server.base_url, pid=server.pid, action={"action": 0}
        )
    # A client of 0.10 may have connected again before it tells: to a server that takes nobody.
    refusals = ("1012 (service restart) server_draining", "the server is ending", "Connect call")
    assert kind in ("ConnectionClosedError", "RuntimeError", "ConnectionError")
    assert any(refusal in text for refusal in refusals[: 1 if generation.version == "0.3" else 3])


def test_openenv_validate_passes(generation, serve):
    """All six criteria; one of them asks for ``/mcp``."""
    url = serve("openspiel:catch").base_url
    validate = [generation.python, "-m", "openenv.cli", "validate", "--timeout=60"]
    command = [*validate, "--json", "--url", url]
    environ = {**generation.environ, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    report = json.loads(done.stdout)
    failed = [entry["id"] for entry in report["criteria"] if not entry["passed"]]
    assert (failed, report["passed"], done.returncode) == ([], True, 0)
    assert report["mode"] == "simulation" and len(report["criteria"]) == 6
