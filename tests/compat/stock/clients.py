"""OpenEnv's clients, generic and typed, and what the tests have them do. Answers are plain JSON."""

import os
import signal
from typing import Any

from openenv.core import EnvClient, GenericEnvClient
from openenv.core.client_types import StepResult
from openenv.core.env_server.types import State

from tests.compat.stock.echo import EchoAction, EchoObservation
from tests.compat.stock.openspiel import OpenSpielAction, OpenSpielObservation, OpenSpielState

HEIGHT, WIDTH = 10, 5


class OpenSpielClient(EnvClient[OpenSpielAction, OpenSpielObservation, OpenSpielState]):
    """As that of OpenEnv's repository: every field by its name."""

    def _step_payload(self, action: OpenSpielAction) -> dict[str, Any]:
        return {
            "action_id": action.action_id,
            "game_name": action.game_name,
            "game_params": action.game_params,
        }

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[OpenSpielObservation]:
        fields = payload.get("observation", {})
        observation = OpenSpielObservation(
            info_state=fields.get("info_state", []),
            legal_actions=fields.get("legal_actions", []),
            game_phase=fields.get("game_phase", "playing"),
            current_player_id=fields.get("current_player_id", 0),
            opponent_last_action=fields.get("opponent_last_action"),
            done=payload.get("done", False),
            reward=payload.get("reward"),
            metadata=fields.get("metadata", {}),
        )
        return StepResult(
            observation=observation, reward=payload.get("reward"), done=payload.get("done", False)
        )

    def _parse_state(self, payload: dict[str, Any]) -> OpenSpielState:
        return OpenSpielState(
            episode_id=payload.get("episode_id"),
            step_count=payload.get("step_count", 0),
            game_name=payload.get("game_name", "unknown"),
            agent_player=payload.get("agent_player", 0),
            opponent_policy=payload.get("opponent_policy", "random"),
            game_params=payload.get("game_params", {}),
            num_players=payload.get("num_players", 1),
        )


class EchoClient(EnvClient[EchoAction, EchoObservation, State]):
    def _step_payload(self, action: EchoAction) -> dict[str, Any]:
        return {"message": action.message}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[EchoObservation]:
        observation = EchoObservation(
            **payload["observation"], done=payload["done"], reward=payload["reward"]
        )
        return StepResult(observation, payload.get("reward"), payload.get("done", False))

    def _parse_state(self, payload: dict[str, Any]) -> State:
        return State(**payload)


def plain(result: StepResult[Any]) -> list[Any]:
    observation = result.observation
    fields = observation if isinstance(observation, dict) else observation.model_dump()
    return [fields, result.reward, result.done]


async def generic(url: str, actions: list[dict[str, Any]], **reset: Any) -> dict[str, Any]:
    """One episode with the generic client, awaited."""
    async with GenericEnvClient(base_url=url) as client:
        results = [plain(await client.reset(**reset))]
        for action in actions:
            results.append(plain(await client.step(action)))
        return {"results": results, "state": await client.state()}


def generic_sync(url: str, actions: list[dict[str, Any]], **reset: Any) -> dict[str, Any]:
    """The same with ``.sync()``."""
    with GenericEnvClient(base_url=url).sync() as client:
        results = [plain(client.reset(**reset))]
        for action in actions:
            results.append(plain(client.step(action)))
        return {"results": results, "state": client.state()}


async def openspiel(url: str, seed: int) -> dict[str, Any]:
    """One typed episode, awaited; the first legal action each time."""
    async with OpenSpielClient(base_url=url) as client:
        result = await client.reset(seed=seed)
        results = [plain(result)]
        while not result.done:
            action = OpenSpielAction(action_id=result.observation.legal_actions[0])
            result = await client.step(action)
            results.append(plain(result))
        return {"results": results, "state": (await client.state()).model_dump()}


def openspiel_sync(url: str, seed: int) -> dict[str, Any]:
    """The same with ``.sync()``."""
    with OpenSpielClient(base_url=url).sync() as client:
        result = client.reset(seed=seed)
        results = [plain(result)]
        while not result.done:
            result = client.step(OpenSpielAction(action_id=result.observation.legal_actions[0]))
            results.append(plain(result))
        return {"results": results, "state": client.state().model_dump()}


def echo_sync(url: str, messages: list[str]) -> list[Any]:
    with EchoClient(base_url=url).sync() as client:
        first = plain(client.reset())
        return [first, *(plain(client.step(EchoAction(message=text))) for text in messages)]


def choose(observation: OpenSpielObservation) -> int:
    """The tutorial's clever policy: below the ball, which is the upper of the two ones."""
    board = observation.info_state
    ball = next(i for i, cell in enumerate(board) if cell > 0.5)
    paddle = board[-WIDTH:].index(1.0)
    wanted = 0 if ball % WIDTH < paddle else 2 if ball % WIDTH > paddle else 1
    return wanted if wanted in observation.legal_actions else observation.legal_actions[0]


def tutorial(url: str, episodes: int) -> dict[str, Any]:
    """The rollout loop of the tutorial: prompts, completions and rewards, as TRL takes them."""
    prompts, completions, rewards, steps = [], [], [], []
    with OpenSpielClient(base_url=url).sync() as env:
        for _ in range(episodes):
            result = env.reset()
            total = 0.0
            count = 0
            while not result.done and count < HEIGHT:
                observation = result.observation
                prompts.append(
                    f"Step {count}: legal {observation.legal_actions}, "
                    f"board {observation.info_state}"
                )
                action_id = choose(observation)
                completions.append(str(action_id))
                result = env.step(OpenSpielAction(action_id=action_id, game_name="catch"))
                total += result.reward or 0.0
                count += 1
            rewards.append(total)
            steps.append(count)
        state = env.state()
    return {
        "prompts": len(prompts),
        "completions": len(completions),
        "rewards": rewards,
        "steps": steps,
        "state": [state.game_name, state.step_count],
    }


def late_sync(url: str, sleep_s: float, timeout_s: float) -> dict[str, Any]:
    """A step that is too slow, what the next one answers, and one after another reset."""
    answers: dict[str, Any] = {}
    inner: Any = GenericEnvClient(base_url=url)
    with inner.sync() as client:
        client.reset()
        for name, action, patience_s in (
            ("late", {"value": 1, "sleep_s": sleep_s}, timeout_s),
            ("next", {"value": 2}, inner._message_timeout),
        ):
            inner._message_timeout = patience_s
            try:
                answers[name] = plain(client.step(action))[0]["numbers"]
            except Exception as exc:  # the test is told, and judges
                answers[name] = [type(exc).__name__, str(exc)]
        client.disconnect()
        client.reset()
        answers["after"] = plain(client.step({"value": 3}))[0]["numbers"]
    return answers


def killed_sync(url: str, pid: int, action: dict[str, Any]) -> list[str]:
    """What the user reads when the server is killed between two steps."""
    with GenericEnvClient(base_url=url).sync() as client:
        client.reset()
        client.step(action)
        os.kill(pid, signal.SIGKILL)
        try:
            client.step(action)
        except Exception as exc:  # the test is told, and judges
            return [type(exc).__name__, str(exc)]
    return ["nothing was raised", ""]


async def crashed(url: str, actions: list[dict[str, Any]]) -> list[Any]:
    """What the user reads when the last action ends the environment's process, and afterwards."""
    client = GenericEnvClient(base_url=url)
    await client.connect()
    await client.reset()
    for action in actions[:-1]:
        await client.step(action)
    try:
        await client.step(actions[-1])
        said = ["nothing was raised", ""]
    except Exception as exc:  # the test is told, and judges
        said = [type(exc).__name__, str(exc)]
    await client.close()
    async with GenericEnvClient(base_url=url) as another:
        return [said, plain(await another.reset())[0]["obs"][0]]


def drained_sync(url: str, pid: int, action: dict[str, Any]) -> list[str]:
    """What the user reads when the server is told to end between two steps."""
    with GenericEnvClient(base_url=url).sync() as client:
        client.reset()
        client.step(action)
        os.kill(pid, signal.SIGTERM)
        try:
            while True:
                client.step(action)
        except Exception as exc:  # the test is told, and judges
            return [type(exc).__name__, str(exc)]


def with_headers(url: str, headers: dict[str, str]) -> float:
    """One reset through something that asks for headers; OpenEnv 0.9 and later."""
    with GenericEnvClient(base_url=url, headers=headers).sync() as client:
        return client.reset().observation["numbers"][0]
