"""The one table of what may be asked when.

A session is a machine with few states. Both ends run it, over the same requests and replies:
the client refuses an illegal request before it is sent, and the server never has to trust a
client. A request alone changes nothing. The state changes when the reply is known, because only
the reply tells whether an episode has begun or has ended::

                    Open                Reset               Step: episode goes on
    OPENING ────────────────▶ READY ────────────▶ EPISODE ◀──────┐
                                                   │  ▲ └────────┘
                                              Step:│  │ Reset
                                          ends here▼  │
                                                  ENDED

    OPENING, READY, EPISODE, ENDED ── Close ──────────────▶ CLOSED
    any state ── the connection fails, or is given up ────▶ BROKEN

Three rules explain the rest of the table.

One request is under way at a time. The next one may be sent when the reply to the last has come,
so that a reply can always be matched to its request.

A refused or failed request leaves the state as it was. A reset that failed is the exception: it
leaves no episode, because nobody knows how far it got.

BROKEN is a state and not a flag beside the others, because it answers the same question: what may
be asked now? Nothing may be. The fate of the last request is unknown, and its reply may still be
on its way, where it could be taken for the reply to another request. Nothing leads out of BROKEN;
whoever goes on needs a new session on a new connection. Only the client's end can be BROKEN: a
server whose connection fails ends the session.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

from openenv_gym.errors import (
    ConnectionLostError,
    OpenEnvGymError,
    ProtocolError,
    ResetNeededError,
)
from openenv_gym.faults import Fault, FaultKind
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


# Both are texts, so that their hash, which each step needs, is computed in C.
class SessionState(StrEnum):
    """Where a session stands."""

    OPENING = "opening"
    READY = "ready"
    EPISODE = "in an episode"
    ENDED = "after the end of an episode"
    CLOSED = "closed"
    BROKEN = "broken"


class Outcome(StrEnum):
    """What a reply means for the state."""

    DONE = "done"
    ENDS = "ends the episode"
    FAILED = "failed"


OPENING, READY, EPISODE, ENDED, CLOSED, BROKEN = SessionState
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


def refusal(
    state: SessionState, kind: type[Any], why_broken: str = "", why_ended: str = ""
) -> OpenEnvGymError:
    """Return the error for a request that the table does not have.

    Args:
        state: Where the session stands.
        kind: The class of the request.
        why_broken: What broke the session, where it is ``BROKEN``.
        why_ended: What ended the episode with its reset, where that is known.
    """
    if state is BROKEN:
        return ConnectionLostError(
            f"the connection is broken, because {why_broken}; call reset() to make a new one",
            fault=Fault(kind=FaultKind.CONNECTION_LOST, action_applied=False),
        )
    if kind is Step and state is READY:
        return ResetNeededError("step before the first reset; call reset() to begin an episode")
    if kind is Step and state is ENDED and why_ended:
        return ResetNeededError(f"step without an episode: {why_ended}; call reset() to try again")
    if kind is Step and state is ENDED:
        return ResetNeededError(
            "step after the end of the episode; call reset() to begin the next one"
        )
    return ProtocolError(f"{kind.__name__} is not allowed while the session is {state.value}")
