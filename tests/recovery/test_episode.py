"""The machine that decides what a fault becomes: every state with every event, without a socket."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from openenv_gym.errors import (
    CapacityError,
    ConnectionLostError,
    EnvCrashLoopError,
    InvalidRequestError,
    NotOpenEnvError,
    OpenEnvGymError,
    RemoteEnvError,
    ResetNeededError,
    UnreachableError,
)
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.recovery import (
    Do,
    Episode,
    EpisodeState,
    Event,
    FaultPolicy,
    Restarts,
    seed_after_fault,
)
from openenv_gym.recovery.episode import TRANSITIONS

UNPROVEN, LIVE, ENDED, UNTOLD, LOST, EXHAUSTED = EpisodeState
KILLED = ConnectionLostError("gone", fault=Fault(kind=FaultKind.WORKER_DIED, signal=9))
NO_SEED = [None]


def episode(policy: FaultPolicy | None = None, count: int = 1) -> Episode:
    policy = policy or FaultPolicy()
    return Episode(policy, [Restarts(policy, "it", number) for number in range(count)])


def lost(**policy: Any) -> Episode:
    """An episode whose fault was told at 0 s."""
    it = episode(FaultPolicy(**policy))
    it.handle(Event.STEPPED)
    assert it.failed(KILLED, 0.0).do is Do.TRUNCATE
    return it


def exhausted() -> Episode:
    it = lost(restarts=0)
    assert it.handle(Event.RESET_ASKED, 0.0).do is Do.RAISE
    return it


def untold() -> Episode:
    it = episode()
    it.handle(Event.STEPPED)
    it.failed(KILLED, 0.0, is_aside=True)
    return it


def after(*events: Event) -> Callable[[], Episode]:
    def make() -> Episode:
        it = episode()
        for event in events:
            it.handle(event)
        return it

    return make


IN: dict[EpisodeState, Callable[[], Episode]] = {
    UNPROVEN: episode,
    LIVE: after(Event.STEPPED),
    ENDED: after(Event.ENDED),
    UNTOLD: untold,
    LOST: lost,
    EXHAUSTED: exhausted,
}

# What may happen, as one reads it in the theory; every other pair is a mistake of the caller.
EXPECTED = """
UNPROVEN   STEP_ASKED UNPROVEN PASS    STEPPED LIVE PASS         ENDED ENDED PASS
UNPROVEN   RESET_ASKED UNPROVEN PASS   PART_RESET_ASKED UNPROVEN PASS   BEGUN UNPROVEN PASS
UNPROVEN   GONE UNPROVEN CONNECT       FAULTED UNPROVEN RAISE    FAULTED_ASIDE UNPROVEN RAISE
LIVE       STEP_ASKED LIVE PASS        STEPPED LIVE PASS         ENDED ENDED PASS
LIVE       RESET_ASKED ENDED PASS      PART_RESET_ASKED LIVE PASS       BEGUN LIVE PASS
LIVE       GONE LOST BEGIN_ANEW        FAULTED LOST TRUNCATE     FAULTED_ASIDE UNTOLD PASS
ENDED      STEP_ASKED LIVE PASS        RESET_ASKED ENDED PASS    PART_RESET_ASKED ENDED PASS
ENDED      BEGUN LIVE PASS             GONE LOST BEGIN_ANEW      FAULTED LOST BEGIN_ANEW
ENDED      FAULTED_ASIDE UNTOLD PASS
UNTOLD     STEP_ASKED LOST TRUNCATE    RESET_ASKED LOST BEGIN_ANEW      PART_RESET_ASKED UNTOLD PASS
LOST       STEP_ASKED LOST RAISE       RESET_ASKED LOST BEGIN_ANEW      FAULTED LOST BEGIN_ANEW
LOST       UNANSWERED LOST BEGIN_ANEW  BEGUN_ANEW LIVE PASS      GIVEN_UP EXHAUSTED RAISE
EXHAUSTED  STEP_ASKED EXHAUSTED RAISE
"""


def expected_pairs() -> dict[tuple[EpisodeState, Event], tuple[EpisodeState, Do]]:
    pairs = {}
    for line in EXPECTED.strip().splitlines():
        state, *cells = line.split()
        for event, then, do in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
            pairs[EpisodeState[state], Event[event]] = EpisodeState[then], Do[do]
    for state in EpisodeState:
        pairs[state, Event.REFUSED] = state, Do.RAISE
        pairs[state, Event.CLOSED] = UNPROVEN, Do.PASS
    return pairs


@pytest.mark.parametrize(("state", "event"), [*itertools.product(EpisodeState, Event)])
def test_every_state_with_every_event(state: EpisodeState, event: Event):
    it = IN[state]()
    assert it.state is state
    fails = {Event.GONE, Event.FAULTED, Event.FAULTED_ASIDE, Event.UNANSWERED, Event.GIVEN_UP}
    errors: dict[Event, OpenEnvGymError] = dict.fromkeys(fails, KILLED)
    errors[Event.REFUSED] = InvalidRequestError("no")
    expected = expected_pairs()
    if (state, event) == (EXHAUSTED, Event.RESET_ASKED):  # this one has a budget of none
        expected[state, event] = EXHAUSTED, Do.RAISE
    if (state, event) not in expected:
        assert (state, event) not in TRANSITIONS
        with pytest.raises(AssertionError, match="while the episode is"):
            it.handle(event, 1.0, errors.get(event))
        assert it.state is state
        return
    then, do = expected[state, event]
    effect = it.handle(event, 1.0, errors.get(event))
    assert (it.state, effect.do) == (then, do)
    if do is Do.RAISE:
        is_step = event is Event.STEP_ASKED
        kind = ResetNeededError if is_step else EnvCrashLoopError
        error = it.take_error()
        assert error is errors.get(event) or isinstance(error, kind)
    if do is Do.TRUNCATE:
        assert [(said["fault"], said["signal"]) for said in effect.infos] == [("worker_died", 9)]


def test_a_policy_that_raises_never_softens():
    it = episode(FaultPolicy(on_fault="raise"))
    for event in (Event.STEPPED, Event.ENDED, Event.RESET_ASKED, Event.BEGUN, Event.STEP_ASKED):
        it.handle(event)
    assert it.failed(KILLED, 0.0).do is Do.RAISE and it.state is UNPROVEN


def test_an_error_that_is_no_fault_changes_nothing():
    it = IN[LIVE]()
    for error in (InvalidRequestError("no"), NotOpenEnvError("no"), EnvCrashLoopError("no")):
        effect = it.failed(error, 0.0)
        assert (it.state, effect.do, it.take_error()) == (LIVE, Do.RAISE, error)


def test_seeds_are_derived_unless_the_caller_gives_one():
    it = episode(count=2)
    for number, one in enumerate(it.restarts):
        one.take_seed(7 + number, 7)
    it.handle(Event.STEPPED)
    it.failed(KILLED, 0.0)
    effect = it.handle(Event.RESET_ASKED, 0.0)
    assert effect.seeds == [seed_after_fault(7, number, 1) for number in range(2)]
    it.handle(Event.BEGUN_ANEW)
    it.failed(KILLED, 0.0)
    effect = it.handle(Event.RESET_ASKED, 0.0, seeds=[3, None])
    assert effect.seeds == [3, seed_after_fault(7, 1, 2)]
    assert [one.incarnation for one in it.restarts] == [2, 2]
    assert [one.seed for one in it.restarts] == list(effect.seeds)


def test_a_seed_that_was_never_given_is_none():
    assert lost().handle(Event.RESET_ASKED, 0.0).seeds == NO_SEED


def test_each_begins_anew_alone_but_all_spend():
    it = episode(FaultPolicy(restarts=2), count=2)
    it.restarts[1].spend(RemoteEnvError("alone"), 0.0)
    it.handle(Event.STEPPED)
    it.failed(KILLED, 1.0)
    assert it.handle(Event.RESET_ASKED, 1.0).do is Do.BEGIN_ANEW
    effect = it.failed(KILLED, 2.0)
    assert effect.do is Do.RAISE and it.state is EXHAUSTED
    assert [one.incarnation for one in it.restarts] == [2, 2]


def test_pauses_grow_and_are_forgotten():
    it, pauses = lost(), []
    for _ in range(5):
        pauses.append(it.handle(Event.RESET_ASKED, 0.0).pause_s)
        it.handle(Event.BEGUN_ANEW)
        it.failed(KILLED, 0.0)
    assert pauses == [0.0, 0.1, 0.2, 0.4, 0.8]
    it.handle(Event.RESET_ASKED, 59.0)
    said = str(it.take_error())
    assert "it faulted again after 5 restarts within 60 s" in said and "signal 9" in said
    effect = it.handle(Event.RESET_ASKED, 60.0)  # the window is over
    assert (effect.do, effect.pause_s) == (Do.BEGIN_ANEW, 0.0)
    assert it.restarts[0].incarnation == 6


def test_what_fails_while_it_begins_anew_is_a_further_restart():
    it = lost(restarts=3, max_backoff_s=0)
    assert it.handle(Event.RESET_ASKED, 0.0).do is Do.BEGIN_ANEW
    assert it.failed(RemoteEnvError("again"), 0.0).do is Do.BEGIN_ANEW
    assert it.failed(RemoteEnvError("again"), 0.0).do is Do.BEGIN_ANEW
    effect = it.failed(RemoteEnvError("again"), 0.0)
    assert effect.do is Do.RAISE and "last fault: again" in str(it.take_error())
    assert it.state is EXHAUSTED and it.restarts[0].incarnation == 3


@pytest.mark.parametrize(
    ("error", "limit_s"),
    [
        (UnreachableError("nobody"), 300.0),
        (NotOpenEnvError("a proxy's page"), 300.0),
        (CapacityError("full"), 120.0),
    ],
)
def test_a_server_is_waited_for_and_that_is_no_restart(error: OpenEnvGymError, limit_s: float):
    it = lost()
    it.handle(Event.RESET_ASKED, 10.0)
    effects = [it.failed(error, 10.0 + second) for second in range(3)]
    assert [effect.pause_s for effect in effects] == [0.1, 0.2, 0.4]
    assert it.restarts[0].incarnation == 1
    assert it.failed(error, 10.0 + limit_s - 0.1).do is Do.BEGIN_ANEW
    it.failed(error, 10.0 + limit_s)
    assert f"could not be made anew within {limit_s:g} s" in str(it.take_error())
    assert it.state is EXHAUSTED
    effect = it.handle(Event.RESET_ASKED, 1000.0)  # it is waited for as long again
    assert effect.do is Do.BEGIN_ANEW and it.failed(error, 1001.0).do is Do.BEGIN_ANEW


def test_a_reset_that_fails_takes_no_episode_away():
    it = IN[LIVE]()
    it.restarts[0].take_seed(5, 5)
    it.handle(Event.RESET_ASKED, 0.0, seeds=[5])
    effect = it.failed(RemoteEnvError("in reset"), 0.0)
    assert (effect.do, effect.seeds) == (Do.BEGIN_ANEW, [5])
    it.handle(Event.BEGUN_ANEW)
    assert it.state is LIVE


def test_a_mistake_while_it_begins_anew_is_raised_and_costs_nothing_more():
    it = lost()
    it.handle(Event.RESET_ASKED, 0.0)
    error = InvalidRequestError("options: expected others")
    effect = it.failed(error, 0.0)
    assert (effect.do, it.take_error(), it.state) == (Do.RAISE, error, LOST)
    assert it.restarts[0].incarnation == 1


def test_what_is_kept_of_a_fault_has_no_frames_of_its_callers():
    it = IN[LIVE]()
    try:
        raise KILLED from ValueError("why")
    except ConnectionLostError as exc:
        it.failed(exc, 0.0)
    assert KILLED.__traceback__ is None and KILLED.__cause__ is None


def test_the_picture_has_every_state():
    from openenv_gym.recovery import episode as module

    assert module.__doc__ is not None
    assert all(state.name in module.__doc__ for state in EpisodeState)
