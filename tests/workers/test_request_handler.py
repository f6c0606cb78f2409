"""A worker trusts no client: what it is asked is checked where the environment is."""

from __future__ import annotations

import pytest

from openenv_gym.protocol import Failed, GetState, Open, Reset, StateReply, Step
from openenv_gym.workers.built_env import build
from openenv_gym.workers.request_handler import RequestHandler


@pytest.mark.parametrize("action", [2, -1, 0.5, "left", None])
def test_a_wrong_action_does_not_reach_the_environment(action: object):
    handler = RequestHandler(build)
    handler.execute(Open("CartPole-v1"))
    handler.execute(Reset(0))
    reply = handler.execute(Step(action))
    assert isinstance(reply, Failed) and reply.code == "INVALID_ACTION"
    state = handler.execute(GetState())
    assert isinstance(state, StateReply) and state.state["step_count"] == 0
    handler.close()
