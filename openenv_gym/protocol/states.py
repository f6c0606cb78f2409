"""The one table of what may be asked when.

Both ends of a session run this machine, over the same requests and replies, so that the client
can refuse an illegal request before it is sent and the server never has to trust it::

                    Open                Reset               Step: episode goes on
    OPENING ────────────────▶ READY ────────────▶ EPISODE ◀──────┐
                                │                  │  ▲ └────────┘
                                │             Step:│  │ Reset
                                │         ends here▼  │
                                │                  ENDED
                                └──── Close ────▶ CLOSED (from anywhere)

One request is under way at a time: the next one may be sent when the reply to the last has
come. A refused or failed request leaves the state as it was, except that a reset that failed
leaves no episode: which one there is then, nobody knows.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeAlias

from openenv_gym.errors import OpenEnvGymError, ProtocolError, ResetNeededError
from openenv_gym.protocol.events import (
    Close,
    Failed,
    GetState,
    Open,
    Render,
    Reply,
    Reset,
    Result,
    Step,
    Use,
)


class SessionState(Enum):
    """Where a session stands."""

    OPENING = "opening"
    READY = "ready"
    EPISODE = "in an episode"
    ENDED = "after the end of an episode"
    CLOSED = "closed"


class Outcome(Enum):
    """What a reply means for the state."""

    DONE = "done"
    ENDS = "ends the episode"
    FAILED = "failed"


OPENING, READY, EPISODE, ENDED, CLOSED = SessionState
_RUNNING = (READY, EPISODE, ENDED)

Row: TypeAlias = dict[Outcome, SessionState]

TRANSITIONS: dict[tuple[SessionState, type[Any]], Row] = {
    (OPENING, Open): {Outcome.DONE: READY, Outcome.FAILED: OPENING},
    (EPISODE, Step): {
        Outcome.DONE: EPISODE,
        Outcome.ENDS: ENDED,
        Outcome.FAILED: EPISODE,
    },
    **{
        (state, Reset): {
            Outcome.DONE: EPISODE,
            Outcome.ENDS: ENDED,
            Outcome.FAILED: READY,
        }
        for state in _RUNNING
    },
    **{
        (state, kind): {Outcome.DONE: state, Outcome.FAILED: state}
        for state in _RUNNING
        for kind in (GetState, Render, Use)
    },
    **{
        (state, Close): {Outcome.DONE: CLOSED, Outcome.FAILED: CLOSED}
        for state in (OPENING, *_RUNNING)
    },
}


def outcome_of(reply: Reply) -> Outcome:
    """Return what ``reply`` means for the state."""
    if type(reply) is Result:
        return Outcome.ENDS if reply.terminated or reply.truncated else Outcome.DONE
    return Outcome.FAILED if type(reply) is Failed else Outcome.DONE


def refusal(state: SessionState, kind: type[Any]) -> OpenEnvGymError:
    """Return the error for a request that the table does not have."""
    if kind is Step and state is READY:
        return ResetNeededError("step before the first reset; call reset() to begin an episode")
    if kind is Step and state is ENDED:
        return ResetNeededError(
            "step after the end of the episode; call reset() to begin the next one"
        )
    return ProtocolError(f"{kind.__name__} is not allowed while the session is {state.value}")
