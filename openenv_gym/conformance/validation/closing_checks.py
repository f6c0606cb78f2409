"""The routes of HTTP that act on an environment. They come last: they may hold a session."""

from __future__ import annotations

from openenv_gym.conformance.validation.checks import Findings, check
from openenv_gym.conformance.validation.http_checks import http_result
from openenv_gym.conformance.validation.served import Served

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
