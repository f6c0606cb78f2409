"""What becomes of an episode when something fails: one state machine for all who play episodes.

A fault ends an episode and not a training run. To make that true, three places have to decide the
same things: a single remote environment, a shard of a vector environment, and the worker that
guards the sub-environments of a batch. Each of them runs this machine. It says what to do, and
the place does it: only the place knows sockets, clocks and how an environment is made.

The picture leaves out what changes no state::

                                     faulted: raised
                                         ┌───┐
                                         ▼   │
                                       UNPROVEN ◀──────────── closed (from anywhere)
                                         │
                                 stepped │  the first step that succeeds
                                         ▼
              reset asked, ended       LIVE ───────────────────────┐
       ENDED ◀──────────────────────────┘ ▲ │ faulted:             │ faulted aside
         │ │                              │ │ truncated            ▼
         │ └──────── begun ───────────────┤ │                    UNTOLD
         │                                │ │                      │ step asked: truncated
         │ faulted, gone:       begun     │ ▼                      │ reset asked: begin anew
         └───begin anew───────▶ anew ─── LOST ◀────────────────────┘
                                          │ ▲
                  too often, or too late: │ │ reset asked: the window of the budget may be over
                                   raised ▼ │
                                       EXHAUSTED

- UNPROVEN: no step has succeeded yet. What does not work at all should be heard of at once, so
  faults are raised. With ``on_fault="raise"`` an episode stays here for ever.
- LIVE: an episode is under way. A fault truncates it: the caller sees an ordinary end.
- ENDED: there is no episode that a fault could take away, because it has ended or a reset is
  under way. A fault here is repaired before anybody hears of it.
- UNTOLD: the session is lost, and the caller knows nothing yet. It happens when only some
  sub-environments of a shard are reset: the others are amid their episodes, and the next step
  has to tell that these have ended.
- LOST: the session is lost and the caller has been told. The next reset is one of a new session,
  with a seed that is derived from the last one that the caller gave.
- EXHAUSTED: it was begun anew as often, or waited for as long, as the policy allows.

A session is shared by all sub-environments of a shard, so they are lost and begun anew together;
each has its own :class:`~openenv_gym.recovery.Restarts`, because a worker begins a sub-environment
that raised anew alone.

The machine reads no clock and sleeps never: time comes in with the events, and pauses go out with
the effects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from openenv_gym.errors import (
    CapacityError,
    NotOpenEnvError,
    OpenEnvGymError,
    ResetNeededError,
    UnreachableError,
    fault_of,
)
from openenv_gym.recovery.policy import FaultPolicy
from openenv_gym.recovery.restarts import Restarts


class EpisodeState(Enum):
    """Where an episode stands."""

    UNPROVEN = "not stepped yet"
    LIVE = "under way"
    ENDED = "ended"
    UNTOLD = "lost, which nobody was told"
    LOST = "lost"
    EXHAUSTED = "given up"


class Event(Enum):
    """What happens to an episode."""

    STEP_ASKED = "the caller acts"
    STEPPED = "a step succeeded, and the episode goes on"
    ENDED = "a step succeeded, and the episode has ended"
    RESET_ASKED = "the caller, or an autoreset, begins the next episode"
    PART_RESET_ASKED = "the same for some of a shard, while others are amid their episodes"
    BEGUN = "the reset succeeded"
    BEGUN_ANEW = "the reset of a new session succeeded"
    GONE = "the session was found lost before a reset had acted on it"
    FAULTED = "a request failed in a fault"
    FAULTED_ASIDE = "the same for a reset of some of a shard"
    UNANSWERED = "no new session can be had now, because nobody answers or all are taken"
    REFUSED = "a request failed because the caller made a mistake"
    GIVEN_UP = "the budget of restarts is spent, or the patience"
    CLOSED = "the caller closed the environment"


class Do(Enum):
    """What the machine says is to be done."""

    PASS = "go on"
    RAISE = "raise the error"
    TRUNCATE = "return the fault as the end of the episode"
    BEGIN_ANEW = "pause, then make a new session and reset it with the seeds"
    CONNECT = "make a session in place of the old one; nothing was lost with it"


_S, _E = EpisodeState, Event

TRANSITIONS: dict[tuple[EpisodeState, Event], tuple[EpisodeState, Do]] = {
    (_S.UNPROVEN, _E.STEP_ASKED): (_S.UNPROVEN, Do.PASS),
    (_S.UNPROVEN, _E.STEPPED): (_S.LIVE, Do.PASS),
    (_S.UNPROVEN, _E.ENDED): (_S.ENDED, Do.PASS),
    (_S.UNPROVEN, _E.RESET_ASKED): (_S.UNPROVEN, Do.PASS),
    (_S.UNPROVEN, _E.PART_RESET_ASKED): (_S.UNPROVEN, Do.PASS),
    (_S.UNPROVEN, _E.BEGUN): (_S.UNPROVEN, Do.PASS),
    (_S.UNPROVEN, _E.GONE): (_S.UNPROVEN, Do.CONNECT),
    (_S.UNPROVEN, _E.FAULTED): (_S.UNPROVEN, Do.RAISE),
    (_S.UNPROVEN, _E.FAULTED_ASIDE): (_S.UNPROVEN, Do.RAISE),
    (_S.LIVE, _E.STEP_ASKED): (_S.LIVE, Do.PASS),
    (_S.LIVE, _E.STEPPED): (_S.LIVE, Do.PASS),
    (_S.LIVE, _E.ENDED): (_S.ENDED, Do.PASS),
    (_S.LIVE, _E.RESET_ASKED): (_S.ENDED, Do.PASS),
    (_S.LIVE, _E.PART_RESET_ASKED): (_S.LIVE, Do.PASS),
    (_S.LIVE, _E.BEGUN): (_S.LIVE, Do.PASS),  # of some
    (_S.LIVE, _E.GONE): (_S.LOST, Do.BEGIN_ANEW),
    (_S.LIVE, _E.FAULTED): (_S.LOST, Do.TRUNCATE),
    (_S.LIVE, _E.FAULTED_ASIDE): (_S.UNTOLD, Do.PASS),
    # Whether one may step on after the end is for the session to say, and for the environment.
    (_S.ENDED, _E.STEP_ASKED): (_S.LIVE, Do.PASS),
    (_S.ENDED, _E.RESET_ASKED): (_S.ENDED, Do.PASS),
    (_S.ENDED, _E.PART_RESET_ASKED): (_S.ENDED, Do.PASS),
    (_S.ENDED, _E.BEGUN): (_S.LIVE, Do.PASS),
    (_S.ENDED, _E.GONE): (_S.LOST, Do.BEGIN_ANEW),
    (_S.ENDED, _E.FAULTED): (_S.LOST, Do.BEGIN_ANEW),
    (_S.ENDED, _E.FAULTED_ASIDE): (_S.UNTOLD, Do.PASS),
    (_S.UNTOLD, _E.STEP_ASKED): (_S.LOST, Do.TRUNCATE),
    (_S.UNTOLD, _E.RESET_ASKED): (_S.LOST, Do.BEGIN_ANEW),
    (_S.UNTOLD, _E.PART_RESET_ASKED): (_S.UNTOLD, Do.PASS),
    (_S.LOST, _E.STEP_ASKED): (_S.LOST, Do.RAISE),
    (_S.LOST, _E.RESET_ASKED): (_S.LOST, Do.BEGIN_ANEW),
    (_S.LOST, _E.FAULTED): (_S.LOST, Do.BEGIN_ANEW),
    (_S.LOST, _E.UNANSWERED): (_S.LOST, Do.BEGIN_ANEW),
    (_S.LOST, _E.BEGUN_ANEW): (_S.LIVE, Do.PASS),
    (_S.LOST, _E.GIVEN_UP): (_S.EXHAUSTED, Do.RAISE),
    (_S.EXHAUSTED, _E.STEP_ASKED): (_S.EXHAUSTED, Do.RAISE),
    (_S.EXHAUSTED, _E.RESET_ASKED): (_S.LOST, Do.BEGIN_ANEW),
    **{(state, _E.REFUSED): (state, Do.RAISE) for state in EpisodeState},
    **{(state, _E.CLOSED): (_S.UNPROVEN, Do.PASS) for state in EpisodeState},
}
"""The one table. A pair that it does not have is a mistake of the place that runs the machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What is to be done.

    Attributes:
        do: The thing to do. The error that ``RAISE`` means, :meth:`Episode.take_error` gives.
        infos: What ``info["openenv"]`` says, for each sub-environment, with ``TRUNCATE``.
        pause_s: The longest pause before a ``BEGIN_ANEW``, in seconds. A random part of up to a
            half may be taken off, so that many do not come back at the same time.
        seeds: The seed of the reset, for each sub-environment, with ``BEGIN_ANEW``.
    """

    do: Do
    infos: Sequence[dict[str, Any]] = ()
    pause_s: float = 0.0
    seeds: Sequence[int | None] = ()


_PASS = Effect(do=Do.PASS)
_CONNECT = Effect(do=Do.CONNECT)
_RAISE = Effect(do=Do.RAISE)


class Episode:
    """The machine, for one session.

    Args:
        policy: What becomes of faults.
        restarts: The restarts of each sub-environment that lives in the session.

    Attributes:
        state: Where the episode stands. In a step of ``LIVE`` that goes on, nothing changes, so
            who steps often may leave out the events of it.
        restarts: The restarts of each sub-environment.
    """

    def __init__(self, policy: FaultPolicy, restarts: Sequence[Restarts]) -> None:
        self.state = EpisodeState.UNPROVEN
        self.restarts = restarts
        self._policy = policy
        self._fault: OpenEnvGymError | None = None  # the last one
        self._raised: OpenEnvGymError | None = None  # what is to be raised
        self._seeds: Sequence[int | None] | None = None  # of the reset that is asked for
        self._since_s = 0.0  # when the environment began to be begun anew
        self._waits = 0  # how often nobody answered since then

    @property
    def is_lost(self) -> bool:
        """Whether the next request has to be a reset of a new session."""
        return self.state is EpisodeState.LOST or self.state is EpisodeState.EXHAUSTED

    def handle(
        self,
        event: Event,
        now_s: float = 0.0,
        error: OpenEnvGymError | None = None,
        seeds: Sequence[int | None] | None = None,
    ) -> Effect:
        """Take an event, and return what is to be done.

        Args:
            event: What happened.
            now_s: When, in seconds of a clock that never goes back; needed where something
                failed, or a reset is asked for.
            error: What was raised, where something failed.
            seeds: The seeds that the caller gave, for each sub-environment, with ``RESET_ASKED``;
                None derives them where the session is a new one.

        Raises:
            AssertionError: The table does not have the event in this state.
        """
        before = self.state
        assert (before, event) in TRANSITIONS, f"{event} while the episode is {before.value}"
        self.state, do = TRANSITIONS[before, event]
        if before is EpisodeState.UNPROVEN and not self._policy.is_soft:
            self.state = before
        if event is Event.RESET_ASKED:
            self._seeds = seeds
        if error is not None and do is not Do.RAISE and event is not Event.UNANSWERED:
            self._fault = _without_frames(error)
        match do:
            case Do.PASS:
                return _PASS
            case Do.CONNECT:
                return _CONNECT
            case Do.RAISE:
                self._raised = error or _reset_needed()
                return _RAISE
            case Do.TRUNCATE:
                fault = fault_of(self._fault) if self._fault else None
                assert fault is not None
                infos = [fault.as_info(one.incarnation) for one in self.restarts]
                return Effect(do=do, infos=infos)
            case Do.BEGIN_ANEW:
                if before is not EpisodeState.LOST or event is Event.RESET_ASKED:
                    self._since_s, self._waits = now_s, 0
                return self._begin_anew(now_s, error if event is Event.UNANSWERED else None)

    def take_error(self) -> OpenEnvGymError:
        """Return the error that is to be raised, and forget it.

        Who raises it should have it in no variable: what is raised has the frame, which would have
        what is raised, and both would wait for the collector.
        """
        error, self._raised = self._raised, None
        assert error is not None, "nothing is to be raised"
        return error

    def failed(self, error: OpenEnvGymError, now_s: float, *, is_aside: bool = False) -> Effect:
        """Take the failure of a request, whatever it is, and return what is to be done.

        Args:
            error: What was raised.
            now_s: When, in seconds.
            is_aside: Whether the request was a reset of some, while others of the shard are amid
                their episodes.
        """
        fault = fault_of(error)
        if self.state is EpisodeState.LOST and isinstance(error, _MAY_COME_BACK):
            event = Event.UNANSWERED
        elif fault is None or not fault.row.is_begun_anew:
            event = Event.REFUSED
        else:
            event = Event.FAULTED_ASIDE if is_aside else Event.FAULTED
        return self.handle(event, now_s, error)

    def _begin_anew(self, now_s: float, unanswered: OpenEnvGymError | None) -> Effect:
        """Spend a restart of each sub-environment, or wait longer for who does not answer."""
        try:
            if unanswered is not None:
                pause_s = self._wait(now_s, unanswered)
            else:
                pause_s = max(one.spend(self._fault, now_s) for one in self.restarts)
        except OpenEnvGymError as exc:
            return self.handle(Event.GIVEN_UP, now_s, exc)
        given = self._seeds or [None] * len(self.restarts)
        seeds = [one.next_seed(seed) for one, seed in zip(self.restarts, given, strict=True)]
        return Effect(do=Do.BEGIN_ANEW, pause_s=pause_s, seeds=seeds)

    def _wait(self, now_s: float, unanswered: OpenEnvGymError) -> float:
        """Return the pause before who does not answer, or has no room, is asked again."""
        is_full = isinstance(unanswered, CapacityError)
        policy = self._policy
        limit_s = policy.restart_timeout_s if is_full else policy.reconnect_timeout_s
        if now_s - self._since_s >= limit_s:
            what = f"could not be made anew within {limit_s:g} s"
            raise self.restarts[0].crash_loop(what, unanswered) from unanswered
        self._waits += 1
        return policy.backoff(self._waits)


_MAY_COME_BACK = (UnreachableError, NotOpenEnvError, CapacityError)
"""A server that is being started anew refuses connections, is a proxy's error page, or is full."""


def _reset_needed() -> ResetNeededError:
    return ResetNeededError(
        "step after the end of the episode, in a fault; call reset() to begin the next one"
    )


def _without_frames(error: OpenEnvGymError) -> OpenEnvGymError:
    """Return an error that is kept without the frames of its callers and all their values."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
