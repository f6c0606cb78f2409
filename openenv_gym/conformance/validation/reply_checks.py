"""What a server answers to a reset, to a step and to a question for the state."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from openenv_gym.conformance.validation.checks import (
    BrokenError,
    Complaint,
    Findings,
    NotCheckedError,
    check,
    quoted,
)
from openenv_gym.conformance.validation.schema_checks import misfits, whole_observation
from openenv_gym.conformance.validation.served import SEED, Data, Served
from openenv_gym.conformance.validation.wire import RefusedAction, WireSession
from openenv_gym.errors import OpenEnvGymError

_TYPES = "openenv 0.10, openenv/core/env_server/types.py"
_GRADERS = "openenv 0.10, openenv/validation/graders/runtime/basic.py"
_POLICY = "openenv 0.10, openenv/validation/policies/severity-v2.json"
_KNOWN = {"observation", "reward", "done", "metadata"}
_EPISODE_ID = "openenv-gym-validate"


def _shape(one: WireSession, data: Data, after: str) -> Iterator[Complaint]:
    """What is wrong with the fields of an observation message."""
    if not isinstance(data.get("observation"), dict):
        yield one.complaint(
            f"an object as observation {after}", quoted(data.get("observation", "no such field"))
        )
    if type(data.get("done")) is not bool:
        got = quoted(data["done"]) if "done" in data else "no field done"
        yield one.complaint(f"true or false as done {after}", got)
    if "reward" not in data:
        yield one.complaint(f"a field reward {after}, null where there is none", "no such field")
    further = sorted(set(data) - _KNOWN)
    if further:
        expected = f"the fields {', '.join(sorted(_KNOWN))} {after}"
        yield one.complaint(expected, f"also {quoted(further)}")
    path = _not_json(data.get("observation"), "$.observation")
    if path is not None:
        yield one.complaint(
            f"JSON {after}, which has no NaN and no infinities (RFC 8259, section 6)", path
        )


def _not_json(data: Any, path: str) -> str | None:
    if isinstance(data, float) and not math.isfinite(data):
        return f"{path}: {data}"
    if isinstance(data, dict):
        parts = [(f"{path}.{name}", item) for name, item in data.items()]
    else:
        parts = [(f"{path}[{i}]", item) for i, item in enumerate(data)] if _is_list(data) else []
    return next(filter(None, (_not_json(item, place) for place, item in parts)), None)


def _is_list(data: Any) -> bool:
    return isinstance(data, list)


@check(
    "reset.reply",
    "A reset is answered with an observation, done and a reward, and the episode is not over.",
    rests_on=f"{_TYPES}: ResetResponse; {_GRADERS}: ObservationSchemaGrader",
    needs=("session.handshake",),
)
def reset_reply(server: Served) -> Findings:
    """Reset once, without a seed."""
    with server.session(None) as (one, data):
        yield from _shape(one, data, "after a reset")
        if data.get("done") is True:
            yield one.complaint("an episode that is not over", "done is true", is_warning=True)
    return None


@check(
    "step.reply",
    "A step is answered with an observation, done and a reward.",
    rests_on=f"{_TYPES}: StepResponse; {_GRADERS}: ObservationSchemaGrader",
    needs=("reset.reply",),
)
def step_reply(server: Served) -> Findings:
    """Play some steps."""
    with server.session() as (one, first):
        choose, data, refused = server.chooser(), first, 0
        for number in range(1, server.options.plan_steps + 1):
            told = one.step(choose(data))
            if isinstance(told, RefusedAction):
                refused += 1
                continue
            data = told
            complaints = list(_shape(one, data, f"after step {number}"))
            yield from complaints
            if complaints or data.get("done") is True:
                break
        else:
            if refused == server.options.plan_steps:
                yield one.complaint(
                    "an observation in reply to some action that fits the schema; where only some "
                    "make sense, name them with --action",
                    f"errors in reply to all {refused}",
                )
    return f"{refused} of {number} actions were refused" if refused else None


@check(
    "reward.finite",
    "Rewards are finite numbers, or null where there is none.",
    rests_on=f"{_TYPES}: Observation.reward; {_GRADERS}: RewardWellFormedGrader",
    needs=("step.reply",),
)
def rewards(server: Served) -> Findings:
    """Play an episode and read its rewards."""
    episode = server.played()
    for when, data in episode.observed:
        if not _is_reward(data.get("reward")):
            yield Complaint(
                expected=f"a finite number or null as reward {when}",
                got=f"{data.get('reward')!r}",
                evidence=(f"< {quoted(data)}",),
            )
            return None
    steps = [data for _, data in episode.observed[1:]]
    if steps and all(data.get("reward") is None for data in steps):
        yield Complaint(
            expected=f"a number as reward of some of {len(steps)} steps",
            got="null as reward of each, from which nothing can be learnt",
            evidence=(f"< {quoted(steps[-1])}",),
            is_warning=True,
        )
    return None


def _is_reward(reward: Any) -> bool:
    return reward is None or (isinstance(reward, (bool, int, float)) and math.isfinite(reward))


@check(
    "observation.schema",
    "Observations fit the schema that the server publishes.",
    rests_on=f"{_GRADERS}: ObservationSchemaGrader; {_POLICY}: runtime.observation_schema",
    needs=("schema.valid", "step.reply"),
)
def observation_schema(server: Served) -> Findings:
    """Play an episode and validate each observation."""
    episode = server.played()
    schema = server.schemas["observation"]
    first = server.schemas.get("reset_observation") or schema
    for when, data in episode.observed:
        found = misfits(first if data is episode.replies[0] else schema, whole_observation(data))
        if found:
            yield Complaint(
                expected=f"an observation {when} that fits the schema under /schema",
                got="; ".join(found),
                evidence=(f"< {quoted(data)}",),
            )
            return None
    return f"{len(episode.observed)} observations"


@check(
    "observation.space",
    "Observations lie in the observation space.",
    rests_on="Gymnasium's API: Env.observation_space; docs/spaces.md",
    needs=("step.reply",),
)
def observation_space(server: Served) -> Findings:
    """Play an episode and read each observation."""
    space, view = server.inference.observation_space, server.view
    episode = server.played()
    for when, data in episode.observed:
        try:
            obs = view.load_result(data, is_first=data is episode.replies[0]).obs
            got = None if space.contains(obs) else f"{obs!r:.200}"
        except OpenEnvGymError as exc:
            got = str(exc)
        if got is not None:
            yield Complaint(
                expected=f"an observation of {space!s:.200} {when}",
                got=got,
                evidence=(f"< {quoted(data)}",),
                is_warning=not server.is_annotated,  # what was inferred may be wrong itself
            )
            return None
    return f"{len(episode.observed)} observations of {space!s:.200}"


@check(
    "state.reply",
    "The message state is answered with the id of the episode and the number of its steps.",
    rests_on=f"{_TYPES}: State",
    needs=("reset.reply",),
)
def state_reply(server: Served) -> Findings:
    """Ask for the state after a reset."""
    with server.session() as (one, _):
        state = one.state()
        count, name = state.get("step_count"), state.get("episode_id")
        if type(count) is not int or count < 0:
            yield one.complaint("a number from 0 as step_count", quoted(count))
        if not (name is None or isinstance(name, str)):
            yield one.complaint("a text or null as episode_id", quoted(name))
    return None


@check(
    "state.episode",
    "The state has the id that the reset asked for, and counts the steps of the episode.",
    rests_on=f"{_GRADERS}: StateContractGrader; {_POLICY}: runtime.state_contract",
    needs=("state.reply", "step.reply"),
)
def state_episode(server: Served) -> Findings:
    """Ask for the state after each of some steps."""
    with server.session(episode_id=_EPISODE_ID) as (one, first):
        choose, data = server.chooser(), first
        _check_state(one, 0)
        for number in range(1, 4):
            if data.get("done") is True:
                break
            told = one.step(choose(data))
            if isinstance(told, RefusedAction):
                raise NotCheckedError("an action was refused, which may count as a step or not")
            data = told
            _check_state(one, number)
        one.reset(seed=SEED, episode_id=_EPISODE_ID)
        _check_state(one, 0)
    yield from ()
    return None


def _check_state(one: WireSession, steps: int) -> None:
    state = one.state()
    if state.get("episode_id") != _EPISODE_ID:
        got = quoted(state.get("episode_id"))
        raise BrokenError(one.complaint(f"episode_id {_EPISODE_ID!r} as in the reset", got))
    if state.get("step_count") != steps:
        got = quoted(state.get("step_count"))
        raise BrokenError(one.complaint(f"step_count {steps} after {steps} steps", got))
