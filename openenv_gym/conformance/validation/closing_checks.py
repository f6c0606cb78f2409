"""What may harm a server, or hold a session of it, and so comes last."""

from __future__ import annotations

from typing import Any

from openenv_gym.conformance.validation.checks import Findings, check
from openenv_gym.conformance.validation.episode_checks import played_to_the_end
from openenv_gym.conformance.validation.http_checks import http_result
from openenv_gym.conformance.validation.served import SEED, Served

_TYPES = "openenv 0.10, openenv/core/env_server/types.py"


@check(
    "http.reset",
    "POST /reset answers 200, with an observation and done.",
    rests_on=f"{_TYPES}: ResetResponse",
    needs=("http.openapi",),
)
def reset(server: Served) -> Findings:
    """Reset over HTTP."""
    return (yield from http_result(server, "/reset", {}))


@check(
    "http.step",
    "POST /step answers 200, with an observation and done.",
    rests_on=f"{_TYPES}: StepRequest, StepResponse",
    needs=("http.reset", "step.reply"),
)
def step(server: Served) -> Findings:
    """Step over HTTP."""
    with server.session() as (_, data):
        action = server.chooser()(data)
    return (yield from http_result(server, "/step", {"action": action}))


@check(
    "episode.beyond",
    "A step after the end of an episode is answered, and harms neither session nor server.",
    rests_on="docs/validate.md#what-may-do-harm; docs/semantics.md",
    needs=("episode.end",),
)
def episode_beyond(server: Served) -> Findings:
    """Play until an episode ends, and one step more. It comes last: servers died of it."""
    with server.session() as (one, data):
        episode = played_to_the_end(server, one, data)
        action = episode.actions[-1] if episode.actions else server.chooser()(data)
        reply = one.request({"type": "step", "data": action})
        said = _said(reply)
        if said is None:
            yield one.complaint("an error or an observation for a step after the end", reply)
        if one.reset(seed=SEED).get("done") is not False:
            yield one.complaint("a new episode after a reset", "done is not false")
        one.goodbye()  # a server whose memory was harmed dies of this at the latest
        lost = server.http.complaint()
        if lost is not None:
            yield one.complaint("a server that goes on after a step after the end", lost.got)
    return f"a step after the end is answered with {said}"


def _said(reply: Any) -> str | None:
    data = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(data, dict):
        return None
    if reply.get("type") == "error":
        return f"the error {data.get('code')}"
    return f"done={data.get('done')}" if reply.get("type") == "observation" else None
