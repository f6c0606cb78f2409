"""What is too long for who gets it is refused with a sentence, and the connection goes on."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym import WebSocketOptions
from openenv_gym.endpoints.env_info import check_lengths
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol import BinaryMessages, Open, Reset
from openenv_gym.protocol.binary_messages import RESULT
from openenv_gym.protocol.limits import MAX_MESSAGE_BYTES, within
from openenv_gym.server.settings import ServerSettings
from openenv_gym.spaces import to_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.workers.built_env import build
from openenv_gym.workers.session import WorkerSession

SIZED = "tests.support.envs:Sized-v0"
LIMIT = 4000


@pytest.fixture
def url(serve) -> str:
    base_url: str = serve(SIZED, "--max-message-bytes", str(LIMIT)).base_url
    return base_url


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_each_end_is_told_what_the_other_takes(url: str, codec: str):
    options = WebSocketOptions(max_message_bytes=10_000)  # /schema has to fit, too
    env: Any = gym.make("openenv/remote-v0", base_url=url, codec=codec, options=options).unwrapped
    env.reset(seed=0)
    longer = {"said": "x" * LIMIT}
    with pytest.raises(InvalidRequestError, match=f"at most {LIMIT} .*; nothing was sent"):
        env.reset(options=longer)
    assert env.step(1)[0][0] == 1
    longest = {"binary": 2, "json": 1}[codec]  # JSON writes bytes in hexadecimal
    assert env.step(longest)[0][0] == 2
    with pytest.raises(InvalidRequestError, match=r"at most 10000 .* was carried out"):
        env.step(longest + 1)
    assert env.step(0)[0][0] == 4
    env.close()


def test_sub_environments_go_on_after_an_answer_that_is_too_long(url: str):
    options = WebSocketOptions(max_message_bytes=10_000)
    envs = gym.make_vec("openenv/remote-v0", num_envs=2, shards=1, base_url=url, options=options)
    envs.reset(seed=0)
    with pytest.raises(InvalidRequestError, match="WebSocketOptions"):
        envs.step(np.array([2, 2]))
    assert envs.step(np.array([0, 1]))[0][:, 0].tolist() == [2, 2]
    envs.close()


def test_what_can_never_fit_is_refused_before_anything_is_asked():
    spaces = gs.Box(-1, 1, (1000,)), gs.Dict(a=gs.Box(0, 1, (2, 1000), np.uint8), b=gs.Text(9))
    action, observation = map(to_descriptor, spaces)
    told = Description(environment="Wide-v0", view="gymnasium", action=action,
                       observation=observation, num_envs=3)  # fmt: skip
    check_lengths(told, (12_000, 6_000))
    with pytest.raises(
        InvalidRequestError, match=r"actions of Wide-v0 \(x3\): .* got 12000; .*serve"
    ):
        check_lengths(told, (11_999, 6_000))
    with pytest.raises(InvalidRequestError, match=r"observations .* got 6000; .*WebSocketOptions"):
        check_lengths(told, (12_000, 5_999))


def test_a_server_takes_what_its_actions_need():
    settings = ServerSettings(environment="CartPole-v1", max_num_envs=4)
    assert settings.takes_bytes(None) == settings.takes_bytes(gs.Discrete(2)) == 16 * 2**20
    large = gs.Box(0, 1, (2**20,), np.float64)
    assert settings.takes_bytes(large) == 4 * (25 * 2**20 + 3)
    assert settings.takes_bytes(gs.Box(0, 1, (2**28,), np.uint8)) == MAX_MESSAGE_BYTES
    said = ServerSettings(environment="CartPole-v1", max_message_bytes=1000)
    assert said.takes_bytes(large) == 1000
    with pytest.raises(InvalidRequestError, match="expected at most 1073741824"):
        ServerSettings(environment="CartPole-v1", max_message_bytes=2**31)


def test_a_worker_says_what_no_message_could_hold(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("openenv_gym.workers.session.MAX_MESSAGE_BYTES", 40)
    session, messages = WorkerSession(build), BinaryMessages()
    answer = session.handle(messages.encode_request(1, Open("CartPole-v1")))
    number, failed = messages.decode_reply(answer)
    assert number == 1
    assert "expected an answer of at most 40 bytes" in failed.message
    assert session.handle(messages.encode_request(2, Reset(0)))[0] == RESULT
    session.close()


def test_a_batch_that_no_message_could_hold_is_not_built(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("openenv_gym.adapters.vector_host.MAX_MESSAGE_BYTES", 40)
    with pytest.raises(InvalidRequestError, match=r"CartPole-v1 \(x3\): .* got 48; spread"):
        build(Open("CartPole-v1", num_envs=3))


def test_a_limit_that_is_met_is_no_limit():
    body = b"\x82\0\0\0\x07\0\0\0" + bytes(8)
    assert within(body, 16) is body
    assert BinaryMessages().decode_reply(within(body, 15))[0] == 7
