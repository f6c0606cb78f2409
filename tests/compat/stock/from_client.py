"""``openenv_gym.from_client`` with OpenEnv's own clients. Answers are plain JSON."""

import asyncio
import copy
import gc
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import check_env
from openenv.core import EnvClient, GenericEnvClient
from openenv.core.client_types import StepResult
from openenv.core.env_server.types import State

import openenv_gym
from openenv_gym.client.event_loop import EVENT_LOOP
from openenv_gym.errors import CapacityError
from tests.compat.stock.clients import EchoClient, OpenSpielClient
from tests.compat.stock.endless import CountAction, CountObservation
from tests.compat.stock.traps import TrapAction, TrapObservation

BOARD = Box(0.0, 1.0, (50,), np.float32)
OPENSPIEL = {
    "action_key": "action_id",
    "observation_key": "info_state",
    "action_space": Discrete(3),
    "observation_space": BOARD,
}
TRAPS = {"action_key": "value", "observation_key": "numbers"}


class TrapClient(EnvClient[TrapAction, TrapObservation, State]):
    """Remembers what its hooks were given."""

    def _step_payload(self, action: TrapAction) -> dict[str, Any]:
        self.actions = [*getattr(self, "actions", []), action]
        return action.model_dump(exclude={"metadata"})

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[TrapObservation]:
        observation = TrapObservation(**payload["observation"])
        return StepResult(observation, payload["reward"], payload["done"])

    def _parse_state(self, payload: dict[str, Any]) -> State:
        return State(**payload)


class CountClient(EnvClient[CountAction, CountObservation, State]):
    def _step_payload(self, action: CountAction) -> dict[str, Any]:
        return {"by": action.by}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[CountObservation]:
        observation = CountObservation(**payload["observation"])
        return StepResult(observation, payload["reward"], payload["done"])

    def _parse_state(self, payload: dict[str, Any]) -> State:
        return State(**payload)


KINDS = {
    "count": (CountClient, {}),
    "openspiel": (OpenSpielClient, OPENSPIEL),
    "openspiel_annotated": (OpenSpielClient, {}),
    "generic": (GenericEnvClient, {}),
    "generic_openspiel": (GenericEnvClient, OPENSPIEL),
    "traps": (TrapClient, TRAPS),
    "echo": (EchoClient, {}),
}


def make(kind: str, url: str, form: str = "async", **arguments: Any) -> Any:
    client_class, overrides = KINDS[kind]
    arguments = {**overrides, **arguments}
    if form == "class":
        return openenv_gym.from_client(client_class, base_url=url, **arguments)
    client = client_class(base_url=url)
    return openenv_gym.from_client(client.sync() if form == "sync" else client, **arguments)


def play(kind: str, url: str, form: str, actions: list[Any], seed: int) -> dict[str, Any]:
    env = make(kind, url, form)
    obs, info = env.reset(seed=seed)
    steps = [(np.asarray(obs).tolist(), info)]
    for action in actions:
        obs, *rest = env.step(action)
        steps.append((np.asarray(obs).tolist(), *rest))
    spaces = [repr(env.action_space), repr(env.observation_space)]
    env.close()
    return {"spaces": spaces, "steps": steps}


def check(kind: str, url: str, form: str) -> str:
    env = make(kind, url, form)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(env)
    env.close()
    return "passed"


def spaces(kind: str, url: str) -> list[Any]:
    env = make(kind, url)
    env.reset()
    masks = env.action_masks().tolist() if hasattr(env, "action_masks") else None
    env.close()
    return [repr(env.action_space), repr(env.observation_space), masks]


class UntypedClient(EnvClient[Any, Any, State]):
    """Names no classes, and yet reads its actions by their fields."""

    _step_payload = CountClient._step_payload
    _parse_result = CountClient._parse_result
    _parse_state = CountClient._parse_state


def named_action_type(url: str) -> list[Any]:
    env = openenv_gym.from_client(UntypedClient(base_url=url), action_type=CountAction)
    env.reset()
    total = int(env.step(3)[0])
    env.close()
    return [repr(env.action_space), total]


def drained(url: str, pid: int, form: str) -> list[Any]:
    """The fault when the server is told to end between two steps; a step follows at once."""
    env = make("generic", url, form)
    env.reset(seed=0)
    env.step(0)
    os.kill(pid, signal.SIGTERM)
    while True:
        *_, truncated, info = env.step(0)
        if truncated:
            env.close()
            return [info["openenv"]["fault"], info["openenv"]["action_applied"]]


def warned_reset(url: str) -> list[Any]:
    """A reset finds the socket closed, and nobody has said so before."""
    env = make("traps", url, "async")
    env.reset()
    socket = env.endpoint.client._ws
    asyncio.run_coroutine_threadsafe(socket.close(), EVENT_LOOP.loop).result(60)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env.reset()
    value = env.step(3)[0].tolist()
    env.close()
    return [len(caught), value]


def ends(url: str) -> list[Any]:
    """A bare ``done`` that is a time limit, and the check whether the server takes seeds."""
    env = make("count", url, done_means="truncated", check_seeding=True)
    env.reset(seed=1)
    flags = [list(env.step(1)[2:4]) for _ in range(2)]
    env.close()
    return flags


def typed_actions(url: str) -> list[Any]:
    client = TrapClient(base_url=url)
    env = openenv_gym.from_client(client, **TRAPS)
    env.reset()
    env.step(7)
    env.close()
    return [[type(action).__name__, action.value] for action in client.actions]


def fault(url: str, form: str, action: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """What a step raises that goes wrong, and what the next episode gives then.

    Only that step has no more than ``timeout_s``.
    """
    client: Any = TrapClient(base_url=url)
    built = client.sync() if form == "sync" else client
    env = openenv_gym.from_client(built, **TRAPS)
    env.reset()
    client._step_payload = lambda given: action
    patience_s, client._message_timeout = client._message_timeout, timeout_s
    answer: dict[str, Any] = {}
    try:
        env.step(0)
    except openenv_gym.OpenEnvGymError as exc:
        answer = {
            "error": type(exc).__name__,
            "text": str(exc),
            "cause": type(exc.__cause__).__name__,
        }
    client._message_timeout = patience_s
    client._step_payload = lambda given: given.model_dump(exclude={"metadata"})
    try:
        answer["goes_on"] = env.step(5)[0].tolist()
    except openenv_gym.OpenEnvGymError as exc:
        answer["goes_on"] = type(exc).__name__
    try:
        env.reset()
        answer["anew"] = [env.step(value)[0].tolist() for value in (1, 2, 3)]
    except openenv_gym.OpenEnvGymError as exc:
        answer["anew"] = type(exc).__name__
    env.close()
    return answer


def own_timeout(url: str, form: str) -> list[Any]:
    """``timeout_s`` of the environment, shorter than the client's own."""
    client = TrapClient(base_url=url)
    env = openenv_gym.from_client(
        client.sync() if form == "sync" else client, timeout_s=3.0, **TRAPS
    )
    env.reset()
    client._step_payload = lambda given: {"value": 99, "sleep_s": 12.0}
    error = "none"
    try:
        env.step(0)
    except openenv_gym.OpenEnvGymError as exc:
        error = type(exc).__name__
    client._step_payload = lambda given: given.model_dump(exclude={"metadata"})
    for _ in range(20):  # the server may still be busy with the step that nobody waits for
        try:
            env.reset()
            break
        except TimeoutError:
            continue
    values = [env.step(value)[0].tolist() for value in (1, 2, 3)]
    env.close()
    return [error, values]


def interrupted(url: str, form: str) -> list[Any]:
    """Ctrl-C within a step; the reply that comes later is nobody's."""
    client = TrapClient(base_url=url)
    env = openenv_gym.from_client(client.sync() if form == "sync" else client, **TRAPS)
    env.reset()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))

    def payload(given: Any) -> dict[str, Any]:
        timer.start()  # now that the step has begun
        return {"value": 99, "sleep_s": 10.0}

    client._step_payload = payload
    answers: list[Any] = []
    try:
        env.step(0)
    except KeyboardInterrupt:
        answers.append("interrupted")
    timer.join()
    del client._step_payload
    try:
        env.step(0)
    except openenv_gym.OpenEnvGymError as exc:
        answers.append(type(exc).__name__)
    env.reset()
    answers.append([env.step(value)[0].tolist() for value in (1, 2, 3)])
    env.close()
    return answers


def idle_close(url: str, form: str) -> list[Any]:
    """A server that closed the socket between two steps; the next step must not go elsewhere."""
    env = make("traps", url, form, on_fault="raise")
    env.reset()
    env.step(1)
    client = env.endpoint.client
    inner = getattr(client, "async_client", client)
    loop = EVENT_LOOP.loop if form == "async" else client._loop
    asyncio.run_coroutine_threadsafe(inner._ws.close(), loop).result(60)
    errors: list[Any] = []
    try:
        env.step(2)
    except openenv_gym.OpenEnvGymError as exc:
        errors.append(type(exc).__name__)
    env.reset()
    errors.append(env.step(3)[0].tolist())
    env.close()
    return errors


def capacity(url: str, form: str, sessions: int) -> dict[str, Any]:
    """One session more than the server has, again and again; then one is free."""
    *held, refused = [make("traps", url, form) for _ in range(sessions + 1)]
    answers: dict[str, Any] = {"errors": []}
    try:
        for env in held:
            env.reset()
        for _ in range(5):
            try:
                refused.reset()
            except openenv_gym.OpenEnvGymError as exc:
                answers["errors"].append([type(exc).__name__, str(exc)])
        held[0].close()
        answers["tries"] = tries_to_reset(refused)
        answers["value"] = refused.step(6)[0].tolist()
    finally:
        for env in (*held, refused):
            env.close()
    return answers


def tries_to_reset(env: Any, patience_s: float = 30.0) -> int:
    """How many resets it took: a server frees a session some time after its socket was closed."""
    end_s, tries = time.monotonic() + patience_s, 0
    while time.monotonic() < end_s:
        tries += 1
        try:
            env.reset()
        except CapacityError:
            continue
        return tries
    return 0


def unreachable(url: str, form: str) -> list[str]:
    env = make("traps", url, form)
    try:
        env.reset()
    except openenv_gym.OpenEnvGymError as exc:
        return [type(exc).__name__, type(exc.__cause__).__name__]
    return []


def connected_elsewhere(url: str) -> dict[str, str]:
    """A client that an event loop holds: one that runs, and one that has ended."""

    async def connected() -> Any:
        client = TrapClient(base_url=url)
        await client.connect()
        return client

    async def in_running_loop() -> str:
        client = await connected()
        try:
            openenv_gym.from_client(client, **TRAPS)
        except ValueError as exc:
            return f"{type(exc).__name__}: {exc}"
        finally:
            await client.close()
        return "taken"

    running = asyncio.run(in_running_loop())
    env = openenv_gym.from_client(asyncio.run(connected()), **TRAPS)
    env.reset()
    ended = env.step(4)[0].tolist()
    env.close()
    return {"running": running, "ended": ended}


def in_a_with_block(url: str) -> int:
    """A client of 0.10 whose first use was a blocking one keeps to it."""
    with CountClient(base_url=url) as client:
        env = openenv_gym.from_client(client)
        env.reset()
        return int(env.step(2)[0])


def copies(url: str) -> dict[str, Any]:
    env = make("count", url, "class")
    env.reset()
    twins = [pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]
    totals = []
    for twin in twins:
        twin.reset()
        totals.append(int(twin.step(2)[0]))
        twin.close()
    env.step(1)
    env.close()
    refusals = []
    with_instance = make("count", url)
    for attempt in (pickle.dumps, copy.deepcopy):
        try:
            attempt(with_instance)
        except openenv_gym.OpenEnvGymError as exc:
            refusals.append(str(exc))
    with_instance.close()
    return {"totals": totals, "refusals": refusals}


def ownership(url: str) -> list[bool]:
    """Whether the client is connected after the environment was closed, and goes on."""
    open_after = []
    for closes in (True, False):
        client = CountClient(base_url=url)
        env = openenv_gym.from_client(client, closes_client=closes)
        env.reset()
        env.close()
        env.close()
        open_after.append(client._ws is not None)
    env.reset()  # the second one, on the connection that is there
    socket = client._ws
    env.step(1)
    open_after.append(client._ws is socket)
    EVENT_LOOP.submit(_closed(client)).result(60)
    return open_after


async def _closed(client: Any) -> None:
    await client.close()


def vector(kind: str, url: str, form: str, mode: str) -> dict[str, Any]:
    client_class, overrides = KINDS[kind]
    clients: list[Any] = [client_class(base_url=url) for _ in range(3)]
    if form == "sync":
        clients = [client.sync() for client in clients]
    if form == "class":
        clients, overrides = [client_class] * 3, {**overrides, "base_url": url}
    envs = openenv_gym.RemoteVectorEnv.from_clients(clients, autoreset_mode=mode, **overrides)
    first, _ = envs.reset(seed=1)
    steps = []
    for i in range(5):
        obs, rewards, terminations, _, infos = envs.step(np.array([i % 3, 1, 2]))
        steps.append([obs.tolist(), rewards.tolist(), terminations.tolist(), sorted(infos)])
        if mode == "Disabled" and terminations.any():
            envs.reset(options={"reset_mask": terminations})
    threads = sum(t.name == "openenv-gym-event-loop" for t in threading.enumerate())
    envs.close()
    return {"first": first.tolist(), "steps": steps, "loops": threads, "type": type(envs).__name__}


def together(url: str, form: str) -> int:
    """How many steps are under way after all were begun, before any is waited for."""
    clients = [TrapClient(base_url=url) for _ in range(3)]
    for client in clients:
        client._step_payload = lambda given: {"value": 1, "sleep_s": 5.0}
    given = [client.sync() for client in clients] if form == "sync" else clients
    envs = openenv_gym.RemoteVectorEnv.from_clients(given, **TRAPS)
    envs.reset()
    envs.step_async([1, 1, 1])
    busy = sum(not one.connection._transport._pending[1].done() for one in envs._shards)
    envs.step_wait()
    envs.close()
    return busy


class Provider:
    """Gives the address of a server that runs already, and counts what it is asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[str] = []

    def start_container(self, image: str = "image", **kwargs: Any) -> str:
        self.calls.append(f"start {image}")
        return self.url

    def wait_for_ready(self, base_url: str, timeout_s: float = 30.0) -> None:
        self.calls.append("wait")

    def stop_container(self) -> None:
        self.calls.append("stop")


def provided(url: str) -> list[Any]:
    """What ``from_docker_image`` returns: a coroutine in 0.3, a handle in 0.10."""
    provider = Provider(url)
    env = openenv_gym.from_client(CountClient.from_docker_image("counting", provider=provider))
    env.reset()
    total = int(env.step(3)[0])
    env.close()
    return [total, provider.calls]


def never_reset(url: str) -> list[str]:
    provider = Provider(url)
    openenv_gym.from_client(CountClient(base_url=url, provider=provider)).close()
    return provider.calls


def starts_its_server(url: str) -> list[Any]:
    """A client of 0.10 without an address, whose provider starts the server when it connects."""
    provider = Provider(url)
    env = openenv_gym.from_client(GenericEnvClient(provider=provider))
    env.reset()
    total = int(env.step(3)[0])
    env.close()
    return [total, provider.calls]


class SeedlessClient(CountClient):
    """Takes no seed, and one option by its name."""

    async def reset(self, episode_id: str | None = None) -> Any:
        self.episode_id = episode_id
        return await super().reset()


def seedless(url: str) -> dict[str, Any]:
    client = SeedlessClient(base_url=url)
    env = openenv_gym.from_client(client)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in (1, 2):
            env.reset(seed=seed, options={"episode_id": "one", "level": 3})
    env.close()
    return {"warnings": [str(w.message) for w in caught], "episode_id": client.episode_id}


class DrawingClient(CountClient):
    async def render(self) -> str:
        return f"total {(await self.state()).step_count}"


def render(url: str) -> list[str]:
    env = openenv_gym.from_client(DrawingClient(base_url=url), render_mode="ansi")
    env.reset()
    env.step(1)
    frame = env.render()
    modes = env.metadata["render_modes"]
    env.close()
    try:
        openenv_gym.from_client(CountClient(base_url=url), render_mode="ansi")
    except TypeError as exc:
        return [frame, modes, type(exc).__name__, str(exc)]
    return [frame, modes]


def refused(url: str) -> list[str]:
    """What is no client, and arguments that make no sense."""
    client = CountClient(base_url=url)
    attempts: list[Any] = [
        lambda: openenv_gym.from_client(url),
        lambda: openenv_gym.from_client(CountClient),
        lambda: openenv_gym.from_client(client, base_url=url),
        lambda: openenv_gym.from_client(client, observation_keys="total"),
        lambda: openenv_gym.from_client(openenv_gym.RemoteEnv(url)),
        lambda: openenv_gym.RemoteVectorEnv.from_clients([client, client.sync()]),
        lambda: openenv_gym.RemoteVectorEnv.from_clients([]),
        lambda: openenv_gym.from_client(GenericEnvClient(base_url="http://127.0.0.1:9")),
        lambda: openenv_gym.from_client(client, done_means="over"),
        lambda: openenv_gym.from_client(TrapClient(base_url=url), action_key="nothing"),
    ]
    errors = []
    for attempt in attempts:
        try:
            attempt()
        except openenv_gym.OpenEnvGymError as exc:
            errors.append(f"{type(exc).__name__}: {exc}")
    return errors


def train(url: str, packages: str) -> list[Any]:
    """PPO of Stable-Baselines3, which the venv borrows from the tests' own."""
    sys.path.append(packages)
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_checker import check_env as check_sb3

    env = make("openspiel_annotated", url, "async")
    check_sb3(env)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PPO("MlpPolicy", env, n_steps=64, batch_size=32, n_epochs=1, seed=0, device="cpu")
        model.learn(256)
    returns = [episode["r"] for episode in model.ep_info_buffer or ()]
    env.close()
    return [model.num_timesteps, len(returns), sorted(set(returns))]


def page(code: str) -> list[Any]:
    """What the code of a page leaves behind."""
    found: dict[str, Any] = {}
    exec(compile(code, "page", "exec"), found)
    return [list(found["observation"].shape), list(found["observations"].shape)]


def unclosed(url: str) -> str:
    """Environments that nobody closes, of both forms: the class's client ends with its own."""
    for form in ("class", "async"):
        env = make("count", url, form)
        env.reset()
        del env
    gc.collect()
    return "left"
