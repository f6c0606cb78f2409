"""Each planted defect is found by the check that is meant, and a clean server has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from openenv_gym.conformance import ValidationOptions, validate
from tests.conformance import planted
from tests.support import uvicorn_thread

ALL = ValidationOptions(
    slow_action={"move": 1, "slow": True}, plan_steps=4, steps=20, sessions=4,
    pause_s=0.4, timeout_s=2, free_timeout_s=0.5,
)  # fmt: skip
ALSO = {"ForgetsDone": ["http.reset"], "ObservesThree": ["observation.space"]}
"""Further checks that find a defect, which is their matter too."""

each_defect = pytest.mark.parametrize("kind", planted.DEFECTS, ids=lambda kind: kind.__name__)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with uvicorn_thread.serving(planted.app()) as url:
        yield url


def test_a_clean_server_has_no_complaint(url: str) -> None:
    report = validate(f"{url}/Clean", options=ALL)
    assert {one.check.name: one.note for one in report.results if one.status != "passed"} == {}
    assert report.exit_code == 0


@each_defect
def test_a_planted_defect_is_found_by_its_check(url: str, kind: type[planted.Clean]) -> None:
    report = validate(f"{url}/{kind.__name__}", options=replace(ALL, checks=[kind.meant]))
    (found,) = report.results
    assert found.status in ("failed", "warned"), found.note
    assert all(one.evidence for one in found.complaints)


@pytest.mark.long
@each_defect
def test_no_other_check_complains(url: str, kind: type[planted.Clean]) -> None:
    report = validate(f"{url}/{kind.__name__}", options=ALL)
    found = {one.check.name for one in report.results if one.complaints}
    assert found == {kind.meant, *ALSO.get(kind.__name__, [])}
