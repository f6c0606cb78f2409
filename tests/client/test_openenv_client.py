"""The typed client, on our servers."""

from __future__ import annotations

import pytest
from pydantic import ConfigDict

from openenv_gym import Action, Observation, OpenEnvClient, State
from openenv_gym.errors import (
    ConnectionLostError,
    InvalidActionError,
    NotOpenEnvError,
    ResetNeededError,
    UnreachableError,
)
from openenv_gym.testing import FaultProxy


class CatchAction(Action):
    action_id: int
    game_name: str = "catch"


class CatchObservation(Observation):
    model_config = ConfigDict(extra="ignore")

    info_state: list[float]
    legal_actions: list[int]
    game_phase: str
    current_player_id: int


class CatchState(State):
    game_name: str
    num_players: int


class CatchClient(OpenEnvClient[CatchAction, CatchObservation, CatchState]):
    """Needs its type parameters only."""


@pytest.fixture
def url(serve) -> str:
    return serve("openspiel:catch").base_url


def test_a_typed_episode(url):
    with CatchClient(url) as client:
        result = client.reset(seed=3, episode_id="typed")
        assert (result.reward, result.done) == (None, False)
        assert (len(result.observation.info_state), result.observation.game_phase) == (
            50,
            "initial",
        )
        while not result.done:
            result = client.step(CatchAction(action_id=result.observation.legal_actions[0]))
        assert result.reward in (-1.0, 1.0)
        assert (result.observation.reward, result.observation.done) == (result.reward, True)
        state = client.state()
        assert (state.episode_id, state.step_count, state.game_name) == ("typed", 9, "catch")
        assert state.num_players == 1


def test_seeds_are_honoured(url):
    with CatchClient(url) as client:
        starts = [client.reset(seed=seed).observation.info_state for seed in (1, 2, 3, 1, 2, 3)]
    assert starts[:3] == starts[3:]


def test_a_connection_that_broke_is_made_anew_by_reset_alone(url):
    with FaultProxy(url) as proxy, CatchClient(proxy.base_url) as client:
        client.reset(seed=3)
        proxy.cut()
        for _ in range(2):
            with pytest.raises(ConnectionLostError):
                client.step(CatchAction(action_id=0))
        assert proxy.accepted == 1
        assert client.reset(seed=3).done is False
        assert (proxy.accepted, client.state().step_count) == (2, 0)


def test_errors_come_as_what_they_are_and_the_session_lives_on(url):
    with CatchClient(url) as client:
        with pytest.raises(ResetNeededError, match="before the first reset"):
            client.step(CatchAction(action_id=0))
        client.reset()
        with pytest.raises(InvalidActionError, match=r"\$\.action\.action_id: .*Discrete\(3\)"):
            client.step(CatchAction(action_id=1_000_000_000))
        with pytest.raises(InvalidActionError, match="the game that is served here, got 'chess'"):
            client.step(CatchAction(action_id=0, game_name="chess"))
        with pytest.raises(InvalidActionError, match="expected a CatchAction, got"):
            client.step({"action_id": 0})
        assert client.step(CatchAction(action_id=0)).done is False
        assert client.state().step_count == 1


def test_a_client_may_be_used_without_a_with_block_and_again_after_close(url):
    client = CatchClient(url)
    client.reset()
    client.close()
    client.close()
    assert client.reset().done is False
    client.close()


def test_a_client_of_another_environment_says_so(serve):
    url = serve("CartPole-v1").base_url
    with CatchClient(url) as client, pytest.raises(NotOpenEnvError, match="no CatchObservation"):
        client.reset()


class Overriding(CatchClient):
    def _step_payload(self, action):
        return {"action_id": action.action_id}

    def _parse_result(self, payload):
        result = super()._parse_result(payload)
        result.metadata = {"seen": len(payload["observation"])}
        return result

    def _parse_state(self, payload):
        return CatchState(game_name="mine", num_players=payload["num_players"])


def test_the_three_hooks(url):
    with Overriding(url) as client:
        assert client.reset().metadata["seen"] > 4
        assert client.step(CatchAction(action_id=0, game_name="ignored")).done is False
        assert client.state().game_name == "mine"


def test_without_type_parameters_the_base_models_are_used(url):
    with pytest.raises(NotOpenEnvError, match="no Observation"), OpenEnvClient(url) as client:
        client.reset()


def test_an_unreachable_server_is_told_at_the_first_request():
    client = CatchClient("http://127.0.0.1:9")
    with pytest.raises(UnreachableError, match="is the server running"):
        client.reset()
