"""Self-play, embedded and on a server, comes near to what the game is worth."""

from __future__ import annotations

import pytest

from examples import self_play
from openenv_gym import OpenSpielEnv


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.sample(1)
def test_the_seats_come_near_the_value_of_the_game(seed) -> None:
    env = OpenSpielEnv("kuhn_poker", agent_player="all")

    # Between players who toss a coin it is +1/8.
    assert self_play.learn(env, 20_000, seed) == pytest.approx(self_play.VALUE, abs=0.035)


def test_embedded_and_on_a_server_the_same_is_learnt(serve, capsys) -> None:
    self_play.main(["--hands=300"])
    server = serve("openspiel:kuhn_poker", "--kwargs", '{"agent_player": "all"}')
    self_play.main(["--hands=300", "--base-url", server.base_url])

    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.endswith("with perfect play it is -0.056.")
