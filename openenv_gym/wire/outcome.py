"""What a message of any OpenEnv server says about the end and the reward of a step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

from openenv_gym.errors import InvalidRequestError, shown
from openenv_gym.spaces.numbers import from_json_number

DoneMeans: TypeAlias = Literal["terminated", "truncated"]

_TRUNCATED = ("truncated", "is_truncated", "TimeLimit.truncated")


class End(NamedTuple):
    """How a step ended.

    Attributes:
        terminated: Whether the task itself ended the episode.
        truncated: Whether something else did.
    """

    terminated: bool
    truncated: bool


def end_of(data: dict[str, Any], done_means: DoneMeans = "terminated") -> End:
    """Return how a step ended, from the ``data`` of its message.

    ``terminated`` and ``truncated`` may stand in the observation, in its ``metadata`` or ``info``,
    or beside it. A ``done`` without both means what ``done_means`` says. A ``done`` whose
    ``terminated`` is false is ``truncated``, so that no end is lost.

    Raises:
        InvalidRequestError: a flag in the observation or beside it is not a boolean.
    """
    _check_flags(data)
    done = data.get("done") is True or _first(data, ("done",)) is True
    truncated = _first(data, _TRUNCATED)
    terminated = _first(data, ("terminated",))
    if terminated is None and truncated is None:
        return End(done and done_means == "terminated", done and done_means == "truncated")
    if terminated is None:
        return End(done and not truncated, bool(truncated))
    if truncated is None:
        return End(terminated, done and not terminated)
    if done and not terminated and not truncated:  # no flag was set
        return End(done_means == "terminated", done_means == "truncated")
    return End(terminated, truncated)


def _check_flags(data: dict[str, Any]) -> None:
    """Refuse a flag that is not a boolean: if it were ignored, the episode would never end."""
    for path, place in (("$.data.observation", data.get("observation")), ("$.data", data)):
        if not isinstance(place, dict):
            continue
        for name in _FLAGS:
            value = place.get(name)
            if value is None or value is True or value is False:
                continue
            # `truncated` in an info may be something else, such as a text of the environment's.
            is_flag = name == "terminated" or (name == "done" and place is data)
            if is_flag or value in _LIKE_FLAGS:
                raise InvalidRequestError(
                    f"{path}.{name}: expected true, false or null, got {shown(value)}"
                )


_FLAGS = ("done", "terminated", *_TRUNCATED)
_LIKE_FLAGS = (0, 1, "true", "false", "True", "False")


def reward_of(data: dict[str, Any]) -> float | None:
    """Return the reward of a message, None if it has none.

    The reward beside the observation comes first, then the one inside. A boolean is 0 or 1.

    Raises:
        InvalidRequestError: the reward is not a number.
    """
    reward = data.get("reward")
    observation = data.get("observation")
    if reward is None and isinstance(observation, dict):
        reward = observation.get("reward")
    try:
        return None if reward is None else float(from_json_number(reward))
    except (ValueError, OverflowError) as exc:
        raise InvalidRequestError(
            f"$.data.reward: expected a number or null, got {shown(reward)}"
        ) from exc


def _first(data: dict[str, Any], names: tuple[str, ...]) -> bool | None:
    """Return the first boolean under one of ``names``, None if there is none."""
    for place in _places(data):
        for name in names:
            if isinstance(place.get(name), bool):
                flag: bool = place[name]
                return flag
    return None


def _places(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    observation = data.get("observation")
    places = [observation, data]
    for outer in (observation, data):
        if isinstance(outer, dict):
            places += [outer.get("metadata"), outer.get("info")]
    return (place for place in places if isinstance(place, dict))
