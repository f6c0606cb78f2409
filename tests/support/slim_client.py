"""Everything that a remote client does, for an interpreter that has only what a client needs.

Arguments are the URLs of two servers, of CartPole and of Catch. Prints what came back, and then
which packages of a server or a simulator were loaded. Without arguments it prints the messages of
the errors where such a package is missing.
"""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym
import numpy as np

import openenv_gym
from openenv_gym import Action, Observation, OpenEnvClient, RemoteVectorEnv, State

SEED, STEPS = 7, 12
SERVING = ("fastapi", "starlette", "uvicorn", "open_spiel", "pyspiel")


class CatchAction(Action):
    action_id: int


class CatchObservation(Observation):
    model_config = {"extra": "ignore"}
    info_state: list[float]
    legal_actions: list[int]


class CatchClient(OpenEnvClient[CatchAction, CatchObservation, State]):
    pass


def played(env: Any) -> list[Any]:
    """Return what an environment says, of a vector environment too."""
    env.action_space.seed(SEED)
    said = [env.reset(seed=SEED)]
    for _ in range(STEPS):
        said.append(env.step(env.action_space.sample()))
        if not isinstance(env, gym.vector.VectorEnv) and (said[-1][2] or said[-1][3]):
            said.append(env.reset())
    env.close()
    return said


def typed(url: str, **arguments: Any) -> list[Any]:
    """Return what the typed client is told."""
    with CatchClient(url, **arguments) as client:
        results = [client.reset(seed=SEED)]
        while not results[-1].done:
            legal = results[-1].observation.legal_actions
            results.append(client.step(CatchAction(action_id=legal[0])))
    return results


def refused(make: Any, *arguments: Any, **keywords: Any) -> str:
    """Return what is said of something that cannot be made here."""
    try:
        make(*arguments, **keywords).reset()
    except openenv_gym.OpenEnvGymError as exc:
        return str(exc)
    return "nothing"


def print_refusals() -> None:
    """Print a line for each thing that needs OpenSpiel, or a server."""
    print(refused(gym.make, "openenv/catch-v0"))
    print(refused(gym.make, "openenv/openspiel-v0", game="chess"))
    print(refused(gym.make_vec, "openenv/catch-v0", num_envs=2))
    print(refused(openenv_gym.OpenSpielEnv, "catch"))
    print(refused(lambda: openenv_gym.create_app("CartPole-v1")))


def main(cartpole: str, catch: str) -> None:
    """Print what an environment of each kind says."""
    for codec in ("binary", "json"):
        print(played(gym.make("openenv/remote-v0", base_url=cartpole, codec=codec)))
        print(played(gym.make("openenv/catch-v0", base_url=catch, codec=codec)))
        many = {"num_envs": 3, "base_url": cartpole, "codec": codec}
        print(played(gym.make_vec("openenv/remote-v0", **many)))
    print(played(gym.make_vec("openenv/CartPole-v1", 3, base_url=cartpole, shards=2)))
    print(typed(catch))
    models = openenv_gym.typed_models(catch)
    print(played(openenv_gym.from_client(OpenEnvClient(catch, models=models))))
    print(played(RemoteVectorEnv.from_clients([CatchClient] * 2, base_url=catch)))
    print(openenv_gym.inspect(cartpole).schemas)
    print("loaded:", [name for name in SERVING if name in sys.modules])


if __name__ == "__main__":
    np.set_printoptions(threshold=sys.maxsize, floatmode="unique")
    (main if sys.argv[1:] else print_refusals)(*sys.argv[1:])
