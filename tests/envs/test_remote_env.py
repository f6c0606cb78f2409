"""RemoteEnv: what goes wrong, what is copied, what is drawn."""

from __future__ import annotations

import copy
import pickle
import socket
import subprocess
import sys
import textwrap
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer

import gymnasium as gym
import numpy as np
import psutil
import pytest
from gymnasium.wrappers import HumanRendering

from openenv_gym import RemoteEnv
from openenv_gym.client import Connection, StreamTransport
from openenv_gym.errors import (
    AddressError,
    ConcurrentCallError,
    ConnectionLostError,
    EnvStartError,
    InvalidActionError,
    InvalidRequestError,
    NotOpenEnvError,
    RemoteEnvError,
    RequestTimeoutError,
    ResetNeededError,
    UnknownEnvironmentError,
    UnreachableError,
    UnsupportedRenderModeError,
)
from openenv_gym.launchers.embedded import EMBEDDED
from openenv_gym.protocol import BinaryMessages, ClientSession, Open, Reset, Step
from openenv_gym.workers.process import WorkerProcess
from tests.support.envs import Scripted
from tests.support.rollouts import same
from tests.support.waiting import wait_until

pytestmark = pytest.mark.single_env

SCRIPTED = "tests.support.envs:Scripted-v0"
CARELESS = "tests.support.envs:Careless-v0"


@pytest.fixture
def reached_by(request: pytest.FixtureRequest) -> str:
    return request.node.callspec.params["reach"]


@pytest.fixture
def scripted(reach):
    env = gym.make("openenv/gymnasium-v0", env_id=SCRIPTED, **reach(SCRIPTED)).unwrapped
    yield env
    env.close()


def embedded(env_id: str, **kwargs) -> RemoteEnv:
    return gym.make("openenv/gymnasium-v0", env_id=env_id, **kwargs).unwrapped


@pytest.mark.parametrize("action", [7, -1, 10**9, 2**70, "1", 1.5, None, [0], np.float32(1)])
def test_a_bad_action_is_refused_before_it_is_sent(action, scripted):
    scripted.reset(seed=0)
    scripted.step(0)
    with pytest.raises(InvalidActionError, match=r"expected an action in Discrete\(7\), got "):
        scripted.step(action)
    assert scripted.step(0)[0][0] == 2.0


@pytest.mark.parametrize("action", [[np.nan], [0.0, 0.0], "up", np.array([[0.5]]), None])
def test_a_bad_box_action_is_refused(action):
    env = embedded("Pendulum-v1")
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match=r"expected an action in Box\(-2\.0"):
        env.step(action)
    env.close()


@pytest.mark.parametrize("action", [[0.5], np.array([0.123456789]), np.array([1]), [3.0]])
def test_a_box_takes_what_the_environment_takes_in_process(action):
    local, remote = gym.make("Pendulum-v1").unwrapped, embedded("Pendulum-v1")
    assert same(local.reset(seed=1), remote.reset(seed=1))
    expected, actual = local.step(action), remote.step(action)
    assert same(expected[0], actual[0])
    assert float(expected[1]) == actual[1]
    remote.close()


def test_step_before_reset_and_after_the_end(scripted):
    with pytest.raises(ResetNeededError, match=r"before the first reset; call reset\(\)"):
        scripted.step(0)
    scripted.reset(seed=0)
    assert scripted.step(Scripted.END)[2] is True
    with pytest.raises(ResetNeededError, match=r"after the end of the episode; call reset\(\)"):
        scripted.step(0)
    scripted.reset()
    assert scripted.step(0)[0][0] == 1.0


def test_an_environment_that_raises(scripted, reached_by):
    scripted.reset(seed=0)
    with pytest.raises(RemoteEnvError, match="raised ValueError in step: told to raise") as caught:
        scripted.step(Scripted.RAISE)
    has_traceback = 'raise ValueError("told to raise")' in str(caught.value)
    assert has_traceback == (reached_by != "json")
    assert scripted.step(0)[0][0] == 2.0


def test_an_environment_that_cannot_start():
    with pytest.raises(EnvStartError, match="raised RuntimeError in open: told to fail"):
        embedded(SCRIPTED, fail_to_start=True)


def test_a_worker_that_dies_is_replaced():
    env = embedded(SCRIPTED)
    bystander = embedded("CartPole-v1")
    first, _ = env.reset(seed=5)
    before = EMBEDDED.pid
    with pytest.raises(ConnectionLostError, match=rf"embedded worker \(process {before}\)"):
        env.step(Scripted.EXIT)
    with pytest.raises(ConnectionLostError, match=r"call reset\(\) to make a new one"):
        env.step(0)
    again, _ = env.reset(seed=5)
    assert same(first, again)
    assert EMBEDDED.pid not in (None, before)
    assert not psutil.pid_exists(before)
    with pytest.warns(UserWarning, match="the connection was lost; making a new one"):
        bystander.reset(seed=1)
    env.close()
    bystander.close()


def test_a_step_that_takes_too_long():
    env = embedded(SCRIPTED)
    env.reset(seed=0)
    env._connection.timeout_s = 0.3
    with pytest.raises(RequestTimeoutError, match=r"no answer from .* within 0\.3 s"):
        env.step(Scripted.HANG)
    env.close()
    EMBEDDED.stop()  # the worker still hangs: it is killed


def test_unknown_ids_are_explained():
    with pytest.raises(UnknownEnvironmentError, match="CartPole"):
        embedded("CartPoel-v1")
    with pytest.raises(UnknownEnvironmentError, match="tic_tac_toe"):
        gym.make("openenv/openspiel-v0", game="tic_tac_tow")
    with pytest.raises(gym.error.NameNotFound, match="catch"):
        gym.make("openenv/catsh-v0")


def test_a_server_serves_what_it_was_started_for(serve):
    url = serve("CartPole-v1").base_url
    with pytest.raises(UnknownEnvironmentError, match=r"expected openspiel:catch at .*CartPole-v1"):
        gym.make("openenv/catch-v0", base_url=url)
    assert gym.make("openenv/remote-v0", base_url=url).unwrapped.name == "CartPole-v1"


def test_the_address_may_come_from_the_environment(serve, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InvalidRequestError, match="OPENENV_BASE_URL"):
        gym.make("openenv/remote-v0")
    monkeypatch.setenv("OPENENV_BASE_URL", serve("openspiel:catch").base_url)
    env = gym.make("openenv/catch-v0")
    assert type(env.unwrapped._endpoint).__name__ == "ServerEndpoint"
    env.reset(seed=0)
    env.close()


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host", "http://", "http://h:x", "unix://x", ""]
)
def test_an_address_of_no_form(url):
    with pytest.raises((AddressError, InvalidRequestError), match="base_url"):
        gym.make("openenv/remote-v0", base_url=url)


def test_a_server_that_cannot_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UnreachableError, match="is the server running"):
        gym.make("openenv/remote-v0", base_url=f"http://127.0.0.1:{port}")
    with pytest.raises(UnreachableError, match="is the server running"):
        gym.make("openenv/remote-v0", base_url="unix:///nowhere/socket")


class NotOpenEnv(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = {"/a/schema": b"hello", "/b/schema": b"{}"}.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"not here")

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize(
    ("path", "what"), [("", "HTTP 404"), ("/a", "no JSON"), ("/b", "without 'action'")]
)
def test_a_server_that_is_no_openenv_server(path, what):
    with HTTPServer(("127.0.0.1", 0), NotOpenEnv) as server:
        threading.Thread(target=server.handle_request).start()
        with pytest.raises(NotOpenEnvError, match=what):
            gym.make("openenv/remote-v0", base_url=f"http://127.0.0.1:{server.server_port}{path}")


def test_careless_environments_look_as_they_do_in_process():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the object that cannot travel is named in the worker
        env = embedded(CARELESS)
        obs, info = env.reset(seed=0)
    assert obs == [0.5, 1.0, 2.0]
    assert info == {"kept": (1, "two")}
    action = np.array([0.5], np.float32)
    obs, reward, terminated, truncated, info = env.step(action)
    assert same(obs, np.array([1, 2, 3]))
    assert (reward, terminated, truncated) == (0.5, False, False)
    assert type(terminated) is bool
    assert same(info["action"], action)
    env.close()


def test_unseeded_resets_continue_the_generator(reach):
    local = gym.make("CartPole-v1")
    remote = gym.make("openenv/CartPole-v1", **reach("CartPole-v1"))
    assert same(local.reset(seed=9), remote.reset(seed=9))
    for _ in range(5):
        assert same(local.reset(), remote.reset())
    remote.close()


def test_arguments_of_the_environment_are_honoured():
    local = gym.make("FrozenLake-v1", is_slippery=False, map_name="8x8")
    remote = gym.make("openenv/FrozenLake-v1", is_slippery=False, map_name="8x8")
    assert remote.observation_space == local.observation_space
    with pytest.raises(EnvStartError, match="unexpected keyword argument 'gravitiy'"):
        gym.make("openenv/CartPole-v1", gravitiy=1)
    remote.close()


def test_the_time_limit_is_the_callers():
    env = gym.make("openenv/CartPole-v1", max_episode_steps=3)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]
    longer = gym.make("openenv/MountainCar-v0", max_episode_steps=300)
    longer.reset(seed=0)
    assert [longer.step(1)[3] for _ in range(300)].index(True) == 299
    generic = gym.make("openenv/gymnasium-v0", env_id="MountainCar-v0")
    generic.reset(seed=0)
    assert [generic.step(1)[3] for _ in range(200)].index(True) == 199
    for each in (env, longer, generic):
        each.close()


def test_rendering_without_a_mode_warns(reach):
    env = gym.make("openenv/tic_tac_toe-v0", **reach("openspiel:tic_tac_toe"))
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.unwrapped.render() is None
    env.close()


def test_rendered_frames_equal_local_ones(serve):
    local = gym.make("CartPole-v1", render_mode="rgb_array")
    for arguments in ({}, {"base_url": serve("CartPole-v1").base_url}):
        remote = gym.make("openenv/CartPole-v1", render_mode="rgb_array", **arguments)
        local.reset(seed=4), remote.reset(seed=4)
        assert same(local.render(), remote.render())
        assert remote.metadata["render_fps"] == 50
        remote.close()
    text = gym.make("openenv/tic_tac_toe-v0", render_mode="ansi")
    text.reset(seed=0)
    assert text.render() == "...\n...\n..."
    text.close()
    picture = gym.make("openenv/tic_tac_toe-v0", render_mode="rgb_array")
    picture.reset(seed=0)
    before = picture.render()
    picture.step(4)
    assert before.shape == (512, 512, 3) and before.dtype == np.uint8
    assert (before != picture.render()).any()
    picture.close()


def test_a_render_mode_that_does_not_exist(serve):
    with (
        pytest.warns(UserWarning, match="not in the possible render_modes"),
        pytest.raises(UnsupportedRenderModeError, match="'rgb' does not exist; there are: ansi"),
    ):
        gym.make("openenv/catch-v0", render_mode="rgb")
    url = serve("CartPole-v1").base_url
    with pytest.raises(UnsupportedRenderModeError, match="codec='json'"):
        gym.make("openenv/CartPole-v1", base_url=url, codec="json", render_mode="rgb_array")


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_open_a_session_of_their_own(duplicate, reach):
    env = gym.make("openenv/CartPole-v1", **reach("CartPole-v1"))
    env.reset(seed=2)
    twin = duplicate(env)
    first = twin.reset(seed=2)
    env.step(0), env.step(1)
    assert same(twin.reset(seed=2), first)
    assert env.step(0)[0].shape == (4,)
    env.close()
    twin.close()


def test_a_second_thread_is_refused_and_the_first_goes_on():
    env = embedded(SCRIPTED, timeout_s=60)
    env.reset(seed=0)
    seen: list[BaseException] = []

    def hang() -> None:
        try:
            env.step(Scripted.HANG)
        except BaseException as exc:
            seen.append(exc)

    thread = threading.Thread(target=hang, name="first")
    thread.start()
    connection = env._connection
    wait_until(lambda: connection._user == thread.ident)  # a moment after it has the lock
    with pytest.raises(ConcurrentCallError, match="'MainThread' called while 'first' waits"):
        env.step(0)
    psutil.Process(EMBEDDED.pid).kill()
    thread.join()
    assert type(seen[0]) is ConnectionLostError
    env.close()


def test_close_may_be_called_twice(scripted):
    scripted.reset(seed=0)
    scripted.close()
    scripted.close()
    with pytest.raises(ResetNeededError):
        scripted.step(0)
    assert scripted.reset(seed=0)[0][0] == 0.0


def test_masks_exist_only_where_there_are_legal_actions(reach):
    game = gym.make("openenv/tic_tac_toe-v0", **reach("openspiel:tic_tac_toe"))
    game.reset(seed=0)
    cartpole = gym.make("openenv/CartPole-v1", **reach("CartPole-v1"))
    assert not hasattr(cartpole.unwrapped, "action_masks")
    with pytest.raises(AttributeError):
        cartpole.get_wrapper_attr("action_masks")
    mask = game.get_wrapper_attr("action_masks")()
    assert mask.dtype == np.bool_
    assert mask.tolist() == [True] * 9
    _, _, _, _, info = game.step(4)
    mask = game.get_wrapper_attr("action_masks")()
    assert np.flatnonzero(mask).tolist() == info["legal_actions"]
    assert len(info["legal_actions"]) == 7
    game.close()
    cartpole.close()


def test_importing_the_package_made_no_thread_and_no_process():
    code = "import threading, openenv_gym; print(threading.active_count())"
    import subprocess

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "1\n"


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), "5"])
def test_a_timeout_is_a_time(timeout_s):
    with pytest.raises(InvalidRequestError, match="timeout_s: expected seconds above 0"):
        gym.make("openenv/CartPole-v1", timeout_s=timeout_s)


def test_what_json_cannot_ask_for_is_refused(serve):
    url = serve("CartPole-v1").base_url
    with pytest.raises(InvalidRequestError, match="got sutton_barto_reward"):
        gym.make("openenv/CartPole-v1", base_url=url, codec="json", sutton_barto_reward=True)
    with pytest.raises(InvalidRequestError, match="codec='json' needs a server"):
        gym.make("openenv/CartPole-v1", codec="json")


def test_copies_keep_the_spec():
    env = gym.make("openenv/CartPole-v1")
    copied = pickle.loads(pickle.dumps(env))
    assert copied.spec == env.spec
    copied.close()
    env.close()


def test_a_forked_child_leaves_the_session_of_its_parent_alone():
    script = textwrap.dedent(
        """
        import os, gymnasium as gym, openenv_gym
        env = gym.make("openenv/CartPole-v1").unwrapped
        env.reset(seed=1)
        pid = os.fork()
        if pid == 0:
            env.close()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        print(env.step(0)[1])
        """
    )
    command = [sys.executable, "-c", script]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (out.returncode, out.stdout) == (0, "1.0\n"), out.stderr


def test_closing_from_another_thread_wakes_a_step_that_hangs():
    worker = WorkerProcess()
    session = ClientSession(BinaryMessages())
    connection = Connection(session, StreamTransport(worker.connect(), "the worker"))
    connection.request(Open(SCRIPTED))
    connection.request(Reset())
    lost: list[Exception] = []

    def step() -> None:
        try:
            connection.request(Step(Scripted.HANG))
        except ConnectionLostError as exc:
            lost.append(exc)

    thread = threading.Thread(target=step)
    thread.start()
    wait_until(connection._lock.locked)
    connection.close()
    thread.join(60)
    worker.stop(timeout_s=0)
    assert len(lost) == 1


@pytest.mark.parametrize(
    ("body", "header"), [(b"no gzip", b"Content-Encoding: gzip\r\n"), (b"[" * 200_000, b"")]
)
def test_a_schema_that_cannot_be_read(body: bytes, header: bytes):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(body), header)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(head + body)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(NotOpenEnvError):
            RemoteEnv(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()


def test_attributes_of_the_environment_are_elsewhere():
    env = embedded("CartPole-v1")
    with pytest.raises(AttributeError, match="the environment lives in another process"):
        env.gravity = 50.0
    assert env.gravity == 9.8
    assert not hasattr(env, "missing")
    env.metadata = {**env.metadata, "mine": 1}
    env.close()


def test_an_environment_that_nobody_closed_is_closed_with_its_object():
    env = embedded(SCRIPTED)
    env.reset(seed=0)
    connection = env._connection
    del env
    assert connection.is_broken


def test_what_broke_a_connection_is_said():
    env = embedded(SCRIPTED)
    env.reset(seed=0)
    env._connection.timeout_s = 0.2
    with pytest.raises(RequestTimeoutError):
        env.step(Scripted.HANG)
    with pytest.raises(ConnectionLostError, match="because the last request ended in RequestTime"):
        env.step(0)
    env.close()
    EMBEDDED.stop()  # the worker still hangs: it is killed


def test_wrong_arguments_are_told_when_the_environment_is_made(serve):
    url = serve("CartPole-v1").base_url
    with pytest.raises(
        UnknownEnvironmentError, match=r"was started with, which it tells nobody, got \{'gravity'"
    ):
        gym.make("openenv/CartPole-v1", base_url=url, gravity=1.0)
    started = serve("FrozenLake-v1", "--kwargs", '{"is_slippery": false}').base_url
    env = gym.make("openenv/FrozenLake-v1", base_url=started, is_slippery=False)
    env.reset(seed=0)
    assert [env.step(2)[0] for _ in range(3)] == [1, 2, 3]
    env.close()


@pytest.mark.parametrize(("kind", "needs"), [("gymnasium", "env_id="), ("openspiel", "game=")])
def test_a_generic_id_says_what_it_needs(kind, needs):
    with pytest.raises(InvalidRequestError, match=needs):
        gym.make(f"openenv/{kind}-v0")


@pytest.mark.filterwarnings("ignore:.*HumanRendering wrapper is being applied")
def test_games_are_drawn_for_people():
    env = gym.make("openenv/catch-v0", render_mode="human")
    assert isinstance(env, HumanRendering)
    assert env.env.render_mode == "rgb_array"
    env.env.close()  # no window is opened here
