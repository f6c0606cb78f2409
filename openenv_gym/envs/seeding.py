"""Whether seeds mean what they should: the same again, something else with another, and later too.

Many servers drop seeds in silence, or draw opponents, chance and later resets from elsewhere. One
reset does not show that. So some steps are compared, and those after a further reset.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from openenv_gym.codecs import pack_freeform
from openenv_gym.endpoints import EnvInfo
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.protocol.events import SEEDS

STEPS = 10
"""How many steps are compared after each of the two resets, unless the episode ends before."""

_OTHERS = 3
"""How many other seeds are tried."""

_APART = 1_000_003
"""How far they are from each other, so that no other sub-environment has one."""


class Moment(NamedTuple):
    """What a reset or a step returned.

    Attributes:
        where: Which it was, for people.
        is_later: Whether a further reset, without a seed, was before it.
        rows: What each sub-environment returned, as bytes.
    """

    where: str
    is_later: bool
    rows: list[bytes]


class SeedCheck:
    """Looks once at what the seeds of an environment are worth, where somebody asked for that.

    Args:
        info: What is known of the environment.

    Attributes:
        is_asked: Whether there is something to look at, or to say, at the next seeded reset.
    """

    def __init__(self, info: EnvInfo) -> None:
        self._is_seeded = info.seeded
        self.is_asked = info.check_seeding or not info.seeded

    def look_at(self, env: Any, seed: Any, options: dict[str, Any] | None) -> None:
        """Warn where seeds do not mean what they should, once.

        Args:
            env: The environment, which is not played by anybody else meanwhile.
            seed: The seed of its reset.
            options: The options of its reset.

        Raises:
            OpenEnvGymError: A reset failed.
        """
        self.is_asked = False
        if self._is_seeded:
            check_seeding(env, seed, options)
        else:
            gym.logger.warn(
                f"{env}: its own reset has no parameter `seed`, so that the seed {seed} is not "
                "passed on and none of its episodes can be repeated; add `seed: int | None = None` "
                "to it"
            )


def check_seeding(env: Any, seed: Any, options: dict[str, Any] | None) -> None:
    """Warn where an environment does not do what its seeds promise.

    It is played with actions that are the same each time: twice with the seed, and then with others
    until what they give is another. Its episode is over afterwards.

    Args:
        env: A ``RemoteEnv`` or a ``RemoteVectorEnv``.
        seed: The seed that its ``reset`` takes.
        options: The options of its ``reset``.

    Raises:
        OpenEnvGymError: A reset failed.
    """
    seeded = None
    if _is_list(seed):
        seeded = [number for number, one in enumerate(seed) if one is not None]
    first, again = (list(_played(env, seed, options)) for _ in range(2))
    for one, other in zip(first, again, strict=False):
        if differing := _differing(one, other, seeded):
            gym.logger.warn(_not_repeated(env, seed, one, differing))
            return
    same = set(range(len(first[0].rows)) if seeded is None else seeded)
    for number in range(1, _OTHERS + 1):  # two seeds may deal the same cards
        played = list(_played(env, _other(seed, number), options))
        for one, other in zip(first, played, strict=False):
            same -= set(_differing(one, other, seeded))
        if not same:
            return
    gym.logger.warn(
        f"{env}: {_OTHERS} other seeds gave the same as {seed}{_of(env, sorted(same))}, in "
        f"{len(first)} resets and steps; nothing in them is drawn by chance, or it ignores seeds"
    )


def _not_repeated(env: Any, seed: Any, moment: Moment, numbers: Sequence[int]) -> str:
    why = "it ignores seeds, wholly or in part, so no run on it can be repeated"
    if moment.is_later:
        why = (
            "what comes after a reset without a seed, as trainers make it, does not follow from "
            "the seed before: give each reset a seed of its own"
        )
    return (
        f"{env}: two plays with the seed {seed} and the same actions gave different values"
        f"{_of(env, numbers)} in {moment.where}; {why}"
    )


def _played(env: Any, seed: Any, options: dict[str, Any] | None) -> Iterator[Moment]:
    space = copy.deepcopy(env.action_space)
    space.seed(0)
    generator = np.random.default_rng(0)
    for is_later, whole in enumerate(("the reset", "a further reset, without a seed")):
        obs, info = env.reset(seed=None if is_later else seed, options=options)
        yield Moment(whole, bool(is_later), _rows(env, obs))
        for number in range(1, STEPS + 1):
            action = _legal(env, space.sample(), info, generator)
            try:
                obs, reward, terminated, truncated, info = env.step(action)
            except OpenEnvGymError:  # by an action that nobody would choose: what was before counts
                break
            rows = _rows(env, obs, reward, terminated, truncated)
            yield Moment(f"step {number} after {whole}", bool(is_later), rows)
            if np.any(terminated) or np.any(truncated):
                break


def _rows(env: Any, obs: Any, *others: Any) -> list[bytes]:
    if not _is_vector(env):
        return [pack_freeform((obs, *others))]
    parts = gym.vector.utils.iterate(env.observation_space, obs)
    return [
        pack_freeform((part, *(values[i] for values in others))) for i, part in enumerate(parts)
    ]


def _legal(env: Any, action: Any, info: Any, generator: np.random.Generator) -> Any:
    """The sampled action, or where infos tell the legal ones, one of these."""
    if not _is_vector(env):
        legal = info.get("legal_actions") if hasattr(env, "action_masks") else None
        return action if legal is None or not len(legal) else int(generator.choice(legal))
    if not env.has_action_masks:
        return action
    if isinstance(info, dict):
        said = dict(enumerate(info.get("legal_actions", ())))
    else:  # not batched: the number of each, and what it said
        said = {number: one.get("legal_actions") for number, one in info}
    for number, legal in said.items():
        if legal is not None and np.size(legal):
            action[number] = generator.choice(legal)
    return action


def _differing(one: Moment, other: Moment, seeded: Sequence[int] | None) -> list[int]:
    numbers = range(len(one.rows)) if seeded is None else seeded
    return [number for number in numbers if one.rows[number] != other.rows[number]]


def _is_vector(env: Any) -> bool:
    return isinstance(env, gym.vector.VectorEnv)


def _of(env: Any, numbers: Sequence[int]) -> str:
    return f" in the sub-environments {list(numbers)}" if _is_vector(env) else ""


def listed(seed: Any) -> Sequence[Any]:
    """Return the seeds of a reset of a vector environment, which may be one number or none."""
    return seed if _is_list(seed) and seed is not None else [seed]


def _is_list(seed: Any) -> bool:
    return not isinstance(seed, (int, np.integer))


def _other(seed: Any, number: int) -> Any:
    apart = number * _APART
    if _is_list(seed):
        return [None if one is None else (one + apart) % SEEDS for one in seed]
    return (seed + apart) % SEEDS
