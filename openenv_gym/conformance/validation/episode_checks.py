"""Seeds and episodes: that equal ones are equal, and how they end."""

from __future__ import annotations

from typing import Any

from openenv_gym.conformance.validation.checks import (
    Complaint,
    Findings,
    NotCheckedError,
    check,
    quoted,
)
from openenv_gym.conformance.validation.served import SEED, Data, Played, Served, difference

_POLICY = "openenv 0.10, openenv/validation/policies/severity-v2.json"
_MOST_SEEDS = 8


@check(
    "seed.same",
    "Two sessions that are reset with the same seed and play the same actions are the same.",
    rests_on=f"{_POLICY}: runtime.seed_control; Gymnasium's API: Env.reset(seed=...)",
    needs=("step.reply",),
)
def seed_same(server: Served) -> Findings:
    """Play one plan in two sessions."""
    first = server.played()
    second = server.played(plan=first.actions)
    found = difference(first, second)
    if found is not None:
        yield Complaint(
            expected=f"two equal episodes with seed {SEED} and equal actions",
            got=found,
            evidence=(*_sent(first), f"> and the same in another session: {found}"),
        )
    return f"{len(first.actions)} steps"


def _sent(episode: Played) -> tuple[str, ...]:
    return (
        f"> reset with seed {SEED}, then {quoted([*episode.actions])}",
        f"< {quoted(episode.replies[0])}",
    )


@check(
    "seed.differs",
    "Sessions with different seeds differ, unless the environment has no chance in it.",
    rests_on=f"{_POLICY}: runtime.seed_control; Gymnasium's API: Env.reset(seed=...)",
    needs=("seed.same",),
)
def seed_differs(server: Served) -> Findings:
    """Play one plan with several seeds; and without one, to see whether chance plays a part."""
    first = server.played()
    for seed in range(SEED + 1, SEED + _MOST_SEEDS):
        other = server.played(seed, plan=first.actions)
        if difference(first, other) is not None:
            return f"seeds {SEED} and {seed} differ"
    unseeded = [server.played(None, plan=first.actions) for _ in range(4)]
    varies = any(difference(unseeded[0], one) is not None for one in unseeded[1:])
    also = (
        "different ones without a seed"
        if varies
        else ("without a seed too: there may be no chance in this environment")
    )
    yield Complaint(
        expected=f"an episode with another seed that differs from that with seed {SEED}",
        got=f"equal episodes with {_MOST_SEEDS} seeds, and {also}",
        evidence=_sent(first),
        is_warning=not varies,
    )
    return None


@check(
    "episode.replay",
    "A second episode of a session, with the same seed and actions, is the same as the first.",
    rests_on=f"{_POLICY}: runtime.episode_determinism, semantic.replayability; docs/semantics.md",
    needs=("seed.same",),
)
def episode_replay(server: Served) -> Findings:
    """Play one plan twice in one session."""
    with server.session() as (one, data):
        first = server.play(one, data)
        second = server.play(one, one.reset(seed=SEED), plan=first.actions)
    found = difference(first, second)
    if found is not None:
        yield Complaint(
            expected="the same episode again after another reset with the same seed",
            got=found,
            evidence=(*_sent(first), f"> and the same again in this session: {found}"),
        )
    return f"{len(first.actions)} steps"


@check(
    "episode.end",
    "After the end of an episode a step is answered, and a reset begins a new one.",
    rests_on="Gymnasium's API: Env.reset; openenv 0.10, openenv/core/env_server/interfaces.py: "
    "Environment.reset",
    needs=("step.reply",),
)
def episode_end(server: Served) -> Findings:
    """Play until an episode ends, and beyond."""
    with server.session() as (one, data):
        episode = server.play(one, data, steps=server.options.steps)
        if not episode.is_over:
            raise NotCheckedError(
                f"no episode ended within {server.options.steps} steps; play more with --steps"
            )
        action = episode.actions[-1] if episode.actions else server.chooser()(data)
        reply = one.request({"type": "step", "data": action})
        said = _said(reply)
        if said is None:
            yield one.complaint("an error or an observation for a step after the end", reply)
        again = one.reset(seed=SEED)
        if again.get("done") is not False:
            got = f"done {quoted(again.get('done'))}"
            yield one.complaint("a new episode after a reset", got)
        server.advance(one, again)
    return f"the end after {len(episode.actions)} steps; a further step is answered with {said}"


def _said(reply: Any) -> str | None:
    data = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(data, dict):
        return None
    if reply.get("type") == "error":
        return f"the error {data.get('code')}"
    return f"done={data.get('done')}" if reply.get("type") == "observation" else None


@check(
    "episode.flags",
    "Where observations tell terminated and truncated, done is one or the other.",
    rests_on="Gymnasium's API: Env.step; docs/semantics.md",
    needs=("step.reply",),
)
def episode_flags(server: Served) -> Findings:
    """Play until an episode ends and compare the flags."""
    with server.session() as (one, data):
        episode = server.play(one, data, steps=server.options.steps)
        names = ("terminated", "truncated")
        replies = [data for _, data in episode.observed]
        told = [_observation(reply) for reply in replies]
        if not all(name in told[-1] for name in names):
            raise NotCheckedError("observations have no flags terminated and truncated beside done")
        for number, (observation, reply) in enumerate(zip(told, replies, strict=True)):
            flags = [observation.get(name) for name in names]
            if any(type(flag) is not bool for flag in flags) or any(flags) != reply.get("done"):
                got = f"done {reply.get('done')}, terminated {flags[0]}, truncated {flags[1]}"
                yield Complaint(
                    expected="done where terminated or truncated is true, and only there",
                    got=f"{got} after step {number}",
                    evidence=(f"< {quoted(reply)}",),
                )
                return None
    return None


def _observation(reply: Data) -> Data:
    observation = reply.get("observation")
    return observation if isinstance(observation, dict) else {}
