"""Whatever a server says, the checker itself does not break."""

from __future__ import annotations

import pytest

from openenv_gym.conformance import ValidationOptions, validate
from tests.conformance.odd_server import Odd
from tests.support import uvicorn_thread

QUICK = ValidationOptions(
    plan_steps=3, steps=12, sessions=2, pause_s=0.01, timeout_s=0.3, free_timeout_s=0.2
)


def outcomes(seed: int) -> dict[str, str]:
    with uvicorn_thread.serving(Odd(seed).app(), log_level="critical") as url:
        report = validate(url, options=QUICK)
    broken = [f"{one.check.name}: {one.note}" for one in report.results if one.status == "broken"]
    assert broken == []
    return {one.check.name: one.status for one in report.results}


@pytest.mark.parametrize("seed", range(3))
def test_odd_answers_break_no_check(seed: int) -> None:
    assert "failed" in outcomes(seed).values()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3, 60))
def test_more_odd_answers_break_no_check(seed: int) -> None:
    outcomes(seed)
