"""OpenSpiel games as typed servers: any game, refused moves, and episodes that are restored."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import httpx
import pytest

from openenv_gym import OpenEnvClient, typed_models
from openenv_gym.errors import InvalidActionError, InvalidRequestError

TAKEN = 4


def play_twice(client: OpenEnvClient[Any, Any, Any], action: Any) -> Any:
    client.reset(seed=0)
    client.step(action)
    return client.step(action)


def test_a_typed_client_is_told_what_was_illegal_and_plays_on(serve):
    url = serve("openspiel:tic_tac_toe").base_url
    models = typed_models(url)
    with OpenEnvClient(url, models=models) as client:
        with pytest.raises(InvalidActionError, match="4 is not legal now"):
            play_twice(client, models.action(action_id=TAKEN))
        legal = client.state().snapshot["actions"]
        assert legal[0] == TAKEN and len(legal) == 2  # the game is as it was
        assert client.step(models.action(action_id=8 if legal[1] != 8 else 7)).done is False


def test_over_http_too(serve):
    url = serve("openspiel:tic_tac_toe").base_url
    header = {"X-OpenEnv-Session": "new"}
    with httpx.Client(base_url=url, headers=header, timeout=60) as client:
        client.headers["X-OpenEnv-Session"] = client.post("/reset", json={"seed": 0}).headers[
            "X-OpenEnv-Session"
        ]
        assert client.post("/step", json={"action": {"action_id": TAKEN}}).status_code == 200
        refused = client.post("/step", json={"action": {"action_id": TAKEN}})
        assert refused.status_code == 422 and "not legal now" in refused.text
        client.post("/close")


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_gymnasiums_view_ends_the_episode(codec: str, serve):
    url = serve("openspiel:tic_tac_toe").base_url
    env = gym.make("openenv/tic_tac_toe-v0", base_url=url, codec=codec)
    env.reset(seed=0)
    env.step(TAKEN)
    _, reward, terminated, _, info = env.step(TAKEN)
    assert (reward, terminated, info["illegal_action"]) == (-1.0, True, TAKEN)
    env.close()


def test_what_the_server_was_started_with_holds_for_both(serve):
    arguments = ("--kwargs", json.dumps({"illegal_action": "random"}))
    url = serve("openspiel:tic_tac_toe", *arguments).base_url
    models = typed_models(url)
    with OpenEnvClient(url, models=models) as client:
        result = play_twice(client, models.action(action_id=TAKEN))
    assert result.observation.info["illegal_action"] == TAKEN


@pytest.mark.parametrize("game", ["tic_tac_toe", "goofspiel(num_cards=4)", "tarok"])
def test_an_episode_is_restored_on_another_session(game: str, serve):
    url = serve(f"openspiel:{game}").base_url
    models = typed_models(url)
    with OpenEnvClient(url, models=models) as first, OpenEnvClient(url, models=models) as second:
        legal = first.reset(seed=3).observation.legal_actions
        expected = first.step(models.action(action_id=legal[0])).observation
        snapshot = first.state().snapshot
        again = second.reset(options={"state": snapshot}).observation
        assert (again.info_state, again.legal_actions) == (
            pytest.approx(expected.info_state) if game != "tarok" else expected.info_state,
            expected.legal_actions,
        )
        assert second.state().snapshot == snapshot
        with pytest.raises(InvalidRequestError, match="is of the game"):
            second.reset(options={"state": {**snapshot, "game": "chess()"}})
        assert second.state().snapshot == snapshot


def test_a_game_of_text_and_one_of_every_seat(serve):
    url = serve("openspiel:liars_dice_ir").base_url
    with OpenEnvClient(url, models=typed_models(url)) as client:
        assert isinstance(client.reset(seed=0).observation.info_state, str)
    url = serve("openspiel:tic_tac_toe", "--kwargs", '{"agent_player": "all"}').base_url
    models = typed_models(url)
    with OpenEnvClient(url, models=models) as client:
        result = client.reset(seed=0)
        for turn in (0, 1, 0):
            assert result.observation.info_state["current_player"] == turn
            assert result.observation.current_player_id == turn
            action = models.action(action_id=result.observation.legal_actions[0])
            result = client.step(action)
            assert result.observation.info["rewards"] == [0.0, 0.0]
