"""What each class of environments says, as one stream of events for each sub-environment.

All classes say the same of a sub-environment, each at places of its own: that of a step in which
an episode ended, and the reset after it. As events they can be compared, with each other and with
an environment in process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode


class Began(NamedTuple):
    """A reset."""

    obs: Any
    info: dict[str, Any]


class Stepped(NamedTuple):
    """A step."""

    obs: Any
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]

    @property
    def fault(self) -> dict[str, Any] | None:
        """What it says of a fault."""
        return self.info.get("openenv")


Event = Began | Stepped
Streams = list[list[Event]]


def choose(obs: Any) -> Any:
    """The action after an observation: the same one in every class, however it counts steps."""
    return (np.asarray(obs)[..., 1] >= 0.5).astype(np.int64)


def choose_one(obs: Any) -> int:
    """The same of one observation, whatever that is."""
    numbers = np.asarray(obs).ravel()
    return int(choose(numbers)) if numbers.dtype.kind == "f" else 0


def of_vector(envs: Any, seed: int, steps: int) -> Streams:
    """Play in a vector environment of Gymnasium, in the autoreset mode that it has."""
    mode = envs.metadata["autoreset_mode"]
    obs, info = envs.reset(seed=seed)
    streams: Streams = [[Began(obs[i].copy(), _own(info, i))] for i in range(envs.num_envs)]
    ended = np.zeros(envs.num_envs, np.bool_)
    for _ in range(steps):
        obs, rewards, terminated, truncated, info = envs.step(choose(obs))
        for i, stream in enumerate(streams):
            own = _own(info, i)
            values = float(rewards[i]), bool(terminated[i]), bool(truncated[i])
            if mode is AutoresetMode.SAME_STEP and "final_obs" in own:
                stream.append(Stepped(own.pop("final_obs"), *values, own.pop("final_info", {})))
            elif not _is_reset(ended[i], own, mode):
                stream.append(Stepped(obs[i].copy(), *values, own))
                continue
            stream.append(Began(obs[i].copy(), own))
        ended = terminated | truncated
        if mode is AutoresetMode.DISABLED and ended.any():
            obs, info = envs.reset(options={"reset_mask": ended})
            for i in np.flatnonzero(ended):
                streams[i].append(Began(obs[i].copy(), _own(info, i)))
    return streams


def _is_reset(has_ended: bool, info: Mapping[str, Any], mode: AutoresetMode) -> bool:
    return mode is AutoresetMode.NEXT_STEP and has_ended and "fault" not in info.get("openenv", {})


def _own(info: Mapping[str, Any], number: int) -> dict[str, Any]:
    """What a batch of infos says of one sub-environment."""
    own: dict[str, Any] = {}
    for key, value in info.items():
        if key.startswith("_") or not info.get(f"_{key}", np.ones(number + 1, np.bool_))[number]:
            continue
        if isinstance(value, dict):
            own[key] = _own(value, number)
        else:
            item = value[number]
            own[key] = item.item() if isinstance(item, np.generic) else item
    return own


def of_sb3(envs: Any, seed: int, steps: int) -> Streams:
    """Play in a ``VecEnv`` of Stable-Baselines3."""
    envs.seed(seed)
    obs = envs.reset()
    streams: Streams = [[Began(obs[i].copy(), envs.reset_infos[i])] for i in range(envs.num_envs)]
    for _ in range(steps):
        obs, rewards, dones, infos = envs.step(choose(obs))
        for i, stream in enumerate(streams):
            info = dict(infos[i])
            truncated = info.pop("TimeLimit.truncated")
            last = info.pop("terminal_observation", obs[i].copy())
            flags = bool(dones[i]) and not truncated, truncated
            stream.append(Stepped(last, float(rewards[i]), *flags, info))
            if dones[i]:
                stream.append(Began(obs[i].copy(), envs.reset_infos[i]))
    return streams


def of_singles(envs: list[Any], seeds: Iterable[int], steps: int) -> Streams:
    """Play in environments of Gymnasium, in turns."""
    playing = [of_single(env, seed, steps) for env, seed in zip(envs, seeds, strict=True)]
    streams: Streams = [[] for _ in envs]
    for events in zip(*playing, strict=True):
        for number, some in enumerate(events):
            streams[number] += some
    return streams


def of_single(env: Any, seed: int, steps: int) -> Iterator[list[Event]]:
    """Play in an environment of Gymnasium; yield the events of each step."""
    first: list[Event] = [Began(*env.reset(seed=seed))]
    obs = first[0].obs
    for _ in range(steps):
        step = Stepped(*env.step(choose_one(obs)))
        events: list[Event] = [*first, step]
        obs, first = step.obs, []
        if step.terminated or step.truncated:
            events.append(Began(*env.reset()))
            obs = events[-1].obs
        yield events


def of_local(make: Callable[[], Any], seed: int, count: int) -> list[Event]:
    """Return so many events of an environment in process."""
    env = make()
    playing = of_single(env, seed, count)
    events = [event for _ in range(count) for event in next(playing)][:count]
    env.close()
    return events
