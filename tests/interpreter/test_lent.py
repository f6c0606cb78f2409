"""Steps that an interpreter answers over the socket of a session, which its worker has lent."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest

from openenv_gym.adapters.interpreter_forms import action_form_of, plain_form_of
from openenv_gym.interpreter.infos import packed_info
from openenv_gym.interpreter.lent import Actions, Given, LentSocket
from openenv_gym.interpreter.plain import PlainSteps
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import BinaryMessages, GetState, Opened, Result, Step
from openenv_gym.protocol.framing import frame
from openenv_gym.spaces import to_descriptor
from openenv_gym.wire.description import Description
from tests.support.gym_rollout import plain

ID = "openenv/gymnasium-v0"
CLOCK = "tests.support.gym_envs:Clock"
RAISE, EXIT, KILL = 1, 2, 3

pytestmark = pytest.mark.timeout(900)  # the first test of a venv installs it

ARRAY, NUMBER = gym.spaces.Box(-1, 1, (2,), np.float32), gym.spaces.Discrete(5, start=-1)
OBS = np.array([0.5, -0.0], np.float32)


def session(action: gym.Space[Any], obs: gym.Space[Any]) -> BinaryMessages:
    """The messages of a session with these spaces."""
    messages = BinaryMessages()
    described = Description(
        environment="any",
        view="gymnasium",
        action=to_descriptor(action),
        observation=to_descriptor(obs),
    )
    messages.encode_reply(1, Opened(described))
    return messages


def answered(
    returned: list[Any], space: gym.Space[Any], actions: list[Any], obs: gym.Space[Any] = ARRAY
) -> tuple[Given, bytes, bytes, list[Any]]:
    """What steps bring: what is given back, what was sent, what is left, what has acted."""
    client, lent = socket.socketpair()
    messages, acted = session(space, obs), []
    for number, action in enumerate(actions):
        client.sendall(frame(messages.encode_request(number, Step(action))))
    client.shutdown(socket.SHUT_WR)

    def step(action: Any) -> Any:
        acted.append(action)
        result = returned.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    form, steps = action_form_of(space), plain_form_of(obs)
    assert form is not None and steps is not None
    given = LentSocket(lent).answer(step, Actions(form), PlainSteps(steps))
    left = lent.recv(1 << 16)
    lent.close()
    sent = client.recv(1 << 16)
    client.close()
    return given, sent, left, acted


@pytest.mark.parametrize(
    ("obs", "space"),
    [(OBS, ARRAY), (3, NUMBER), (np.int64(2), NUMBER)],
    ids=["array", "int", "scalar"],
)
@pytest.mark.parametrize("flags", [(False, False), (True, False), (False, True), (True, True)])
def test_a_reply_is_that_of_the_worker_to_the_bit(obs: Any, space: Any, flags: tuple[bool, bool]):
    result = (obs, -0.0, *flags, {})
    expected = session(NUMBER, space).encode_reply(0, Result(obs, -0.0, *flags, {}))
    assert answered([result], NUMBER, [1], space)[1] == frame(expected)


@pytest.mark.parametrize(
    ("result", "flags"),
    [
        ((OBS, 1.0, False, {}), (False, False)),
        ((OBS, 1.0, np.True_, None), (True, False)),
        ((OBS, np.float32(1), np.False_, np.True_, {}), (False, True)),
    ],
    ids=["of four", "without an info", "of numpy"],
)
def test_a_step_of_any_form_is_told_in_that_of_gymnasium(result: Any, flags: tuple[bool, bool]):
    expected = session(NUMBER, ARRAY).encode_reply(0, Result(OBS, 1.0, *flags, {}))
    assert answered([result], NUMBER, [1])[1] == frame(expected)


@pytest.mark.parametrize(
    ("space", "action"),
    [(NUMBER, 2), (NUMBER, np.int64(-1)), (ARRAY, OBS)],
    ids=["int", "scalar", "array"],
)
def test_an_action_arrives_to_the_bit(space: gym.Space[Any], action: Any):
    (acted,) = answered([(OBS, 1.0, False, False, {})], space, [action])[3]
    assert (type(acted), np.asarray(acted).tobytes()) == (
        type(action),
        np.asarray(action).tobytes(),
    )


@pytest.mark.parametrize(
    ("space", "action"),
    [
        (NUMBER, 4),
        (NUMBER, -2),
        (NUMBER, np.int32(1)),
        (ARRAY, np.array([np.nan, 0], np.float32)),
        (ARRAY, [0.0, 0.0]),
    ],
    ids=["above", "below", "other dtype", "nan", "list"],
)
def test_what_is_not_understood_is_left_and_not_acted_on(space: gym.Space[Any], action: Any):
    given, sent, left, acted = answered([], space, [action])
    body = session(space, ARRAY).encode_request(0, Step(action))
    assert (given, sent, left, acted) == ((0, False, None), b"", frame(body), [])


@pytest.mark.parametrize(
    "result",
    [
        (OBS, 1.0, False, False, {"lives": (3,)}),
        (OBS.astype(np.float64), 1.0, False, False, {}),
        (OBS[:1], 1.0, False, False, {}),
        (OBS, 1, False, False, {}),
        (OBS, np.ones(1), False, False, {}),
        (OBS, 1.0, 0, False, {}),
        (OBS, 1.0, True, {"TimeLimit.truncated": np.ones(2)}),
        (OBS, 1.0, False, False, []),
        [OBS, 1.0, False, False, {}],
        None,
    ],
)
def test_an_unusual_step_is_given_back_with_its_request(result: Any):
    given, sent, left, acted = answered([result], NUMBER, [1])
    assert (given[:2], given[2] is not None and given[2][0]) == ((0, False), True)
    assert given[2] is not None and given[2][1] is result
    assert (sent, bool(left), acted) == (b"", True, [1])


INFO = {
    **{"none": None, "yes": True, "no": False, "half": -0.5, "nan": np.nan, "text": "left"},
    **{"few": 3, "many": 1 << 40, "less": -(1 << 63), "scalar": np.float64(0.5)},
    **{"flag": np.bool_(True), "array": np.arange(6, dtype=np.int16).reshape(2, 3).T},
}


def test_a_simple_info_is_told_to_the_bit():
    sent = answered([(OBS, 1.0, False, False, INFO)], NUMBER, [1])[1]
    reply = session(NUMBER, ARRAY).decode_reply(sent[4:])[1]
    assert isinstance(reply, Result)
    assert plain(reply.info) == plain(INFO)


@pytest.mark.parametrize(
    "value",
    [1 << 70, "\u00e9", "a" * 256, b"", [], {}, np.array("a"), np.longdouble(1), np.array([None])],
)
def test_an_info_that_is_not_simple_is_left_to_the_worker(value: Any):
    assert packed_info({"key": value}) is None


@pytest.mark.parametrize("key", [1, "\u00e9", None])
def test_an_info_with_another_name_is_left_to_the_worker(key: Any):
    assert packed_info({key: 1}) is None


def test_an_info_of_many_is_left_to_the_worker():
    assert packed_info({str(number): number for number in range(16)}) is None


def test_what_is_raised_is_given_back():
    error = ValueError("told to raise")
    assert answered([error], NUMBER, [1])[0] == (0, False, (False, error))


def test_the_end_of_an_episode_gives_it_back_with_the_number_of_steps():
    steps = [(OBS, 1.0, False, False, {}), (OBS, 1.0, True, False, {})]
    given, _, left, acted = answered(steps, NUMBER, [1, 2, 3])
    assert (given, acted) == ((2, True, None), [1, 2])
    assert left == frame(session(NUMBER, ARRAY).encode_request(2, Step(3)))


def test_the_first_part_of_a_request_is_left():
    client, lent = socket.socketpair()
    client.sendall(frame(session(NUMBER, ARRAY).encode_request(0, Step(1)))[:9])
    form, steps = action_form_of(NUMBER), plain_form_of(ARRAY)
    assert form is not None and steps is not None
    given = LentSocket(lent).answer(lambda action: None, Actions(form), PlainSteps(steps))
    assert (given, len(lent.recv(99))) == ((0, False, None), 9)
    client.close()
    lent.close()


@pytest.fixture
def clock(gym026: str) -> Iterator[gym.Env[Any, Any]]:
    env = gym.make(ID, env_id=CLOCK, python=gym026, disable_env_checker=True).unwrapped
    env.reset(seed=1)
    yield env
    env.close()


def process_of(env: gym.Env[Any, Any]) -> psutil.Process:
    return psutil.Process(env.get_wrapper_attr("process")())


def test_plain_steps_do_not_wake_the_worker(clock: gym.Env[Any, Any]):
    worker = process_of(clock).parent()
    assert worker is not None
    clock.step(0)  # after which it has lent the socket again
    wait_for_sleep(worker)
    before = worker.num_ctx_switches().voluntary
    for _ in range(20):
        clock.step(0)
    assert worker.num_ctx_switches().voluntary == before


def wait_for_sleep(process: psutil.Process) -> None:
    """Wait until a process has done nothing for a while."""
    last = -1
    while last != (last := process.num_ctx_switches().voluntary):
        time.sleep(0.05)


def test_steps_are_counted_wherever_they_are_answered(clock: gym.Env[Any, Any]):
    for _ in range(7):
        clock.step(0)
    reply = clock._connection.request(GetState())  # type: ignore[attr-defined]
    assert reply.state["step_count"] == 7


def test_what_is_asked_between_steps_finds_the_environment_there(clock: gym.Env[Any, Any]):
    for steps in range(1, 4):
        clock.step(0)
        assert clock.get_wrapper_attr("steps") == steps


@pytest.mark.parametrize(("action", "kind"), [(RAISE, "env_raised"), (EXIT, "worker_died")])
def test_a_fault_after_plain_steps_is_one(clock: gym.Env[Any, Any], action: int, kind: str):
    clock.step(0)
    assert clock.step(action)[-1]["openenv"]["fault"] == kind


def test_an_interpreter_that_ends_between_steps_is_a_fault(clock: gym.Env[Any, Any]):
    clock.step(0)
    process = process_of(clock)
    clock.step(0)
    process.kill()
    assert clock.step(0)[-1]["openenv"]["signal"] == signal.SIGKILL


def test_an_environment_goes_on_after_its_fault(clock: gym.Env[Any, Any]):
    clock.step(0)
    clock.step(EXIT)
    clock.reset()
    assert clock.step(0)[0].tolist() == [1]


def test_the_process_ends_with_a_client_that_says_nothing(clock: gym.Env[Any, Any]):
    process = process_of(clock)
    clock.step(0)
    clock._connection.abandon()  # type: ignore[attr-defined]
    process.wait(5)


def test_a_worker_that_stops_closes_what_it_has_lent(gym026: str, tmp_path: Any):
    closed = tmp_path / "closed"
    with ServerProcess(CLOCK, f'--kwargs={{"closed": "{closed}"}}', python=gym026) as server:
        env = gym.make("openenv/remote-v0", base_url=server.base_url)
        env.reset(seed=1)
        env.step(0)
    assert closed.exists()
    env.close()
