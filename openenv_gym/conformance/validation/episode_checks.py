"""Seeds and episodes: that equal ones are equal, and how they end."""

from __future__ import annotations

from openenv_gym.conformance.validation.checks import (
    Complaint,
    Findings,
    NotCheckedError,
    check,
    quoted,
)
from openenv_gym.conformance.validation.served import SEED, Data, Played, Served, difference
from openenv_gym.conformance.validation.wire import WireSession

_POLICY = "openenv 0.10, openenv/validation/policies/severity-v2.json"
_MOST_SEEDS = 8


@check(
    "seed.same",
    "Sessions that are reset with the same seed and play the same actions are the same.",
    rests_on=f"{_POLICY}: runtime.seed_control; Gymnasium's API: Env.reset(seed=...)",
    needs=("step.reply",),
)
def seed_same(server: Served) -> Findings:
    """Play one plan in several sessions."""
    first = server.played()
    found = server.change(first)
    if found is not None:
        yield Complaint(
            expected=f"equal episodes with seed {SEED} and equal actions",
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
    if found is None:
        return f"{len(first.actions)} steps"
    by_chance = server.change(first)
    if by_chance is not None:
        raise NotCheckedError(f"equal seeds differ in sessions of their own too: {by_chance}")
    yield Complaint(
        expected="the same episode again after another reset with the same seed",
        got=found,
        evidence=(*_sent(first), f"> and the same again in this session: {found}"),
    )
    return None


@check(
    "episode.end",
    "A reset after the end of an episode begins a new one.",
    rests_on="Gymnasium's API: Env.reset; openenv 0.10, openenv/core/env_server/interfaces.py: "
    "Environment.reset",
    needs=("step.reply",),
)
def episode_end(server: Served) -> Findings:
    """Play until an episode ends, and begin another one."""
    with server.session() as (one, data):
        episode = played_to_the_end(server, one, data)
        again = one.reset(seed=SEED)
        if again.get("done") is not False:
            got = f"done {quoted(again.get('done'))}"
            yield one.complaint("a new episode after a reset", got)
        server.advance(one, again)
    return f"the end after {len(episode.actions)} steps"


def played_to_the_end(server: Served, one: WireSession, data: Data) -> Played:
    """Play until the episode ends.

    Raises:
        NotCheckedError: it does not end within as many steps as are asked for.
    """
    episode = server.play(one, data, steps=server.options.steps)
    if not episode.is_over:
        raise NotCheckedError(
            f"no episode ended within {len(episode.actions)} steps; play more with --steps"
        )
    return episode


@check(
    "episode.flags",
    "Where observations tell terminated and truncated, done is one or the other.",
    rests_on="Gymnasium's API: Env.step; docs/semantics.md",
    needs=("step.reply",),
)
def episode_flags(server: Served) -> Findings:
    """Play until an episode ends and compare the flags."""
    names = ("terminated", "truncated")
    with server.session() as (one, data):
        if not all(name in _observation(data) for name in names):
            raise NotCheckedError("observations have no flags terminated and truncated beside done")
        episode = server.play(one, data, steps=server.options.steps)
        for when, reply in episode.observed:
            observation = _observation(reply)
            flags = [observation.get(name) for name in names]
            if any(type(flag) is not bool for flag in flags) or any(flags) != reply.get("done"):
                got = f"done {reply.get('done')}, terminated {flags[0]}, truncated {flags[1]}"
                yield Complaint(
                    expected="done where terminated or truncated is true, and only there",
                    got=f"{got} {when}",
                    evidence=(f"< {quoted(reply)}",),
                )
                return None
    return None


def _observation(reply: Data) -> Data:
    observation = reply.get("observation")
    return observation if isinstance(observation, dict) else {}
