"""``python -m benchmarks openspiel``: what it writes, and that all play the same. No times."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.children import BenchmarkError
from benchmarks.openspiel import all_cases
from benchmarks.rounds import Group, Player, case, measure
from benchmarks.workload import Played, Workload

pytestmark = pytest.mark.timeout(600)  # the first test runs the benchmark

ROOT = Path(__file__).parents[2]
ROUNDS, STEPS = 2, 30
STEP_BLOCK = "<!-- step: begin, written by the benchmark -->\n\nof step\n\n<!-- step: end -->\n"
BEGIN, END = "<!-- openspiel: begin, written by the benchmark -->", "<!-- openspiel: end -->"
HERE = ["bare", "in_process"]
"""The cases that need no other process."""
CASES = [*HERE, "embedded", "ws_inline", "ws_process", "ws_json"]
RATIOS = {
    "in_process_to_bare": "in_process / bare",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("openspiel")
    # The block of another part, and an older one of this part.
    (folder / "README.md").write_text(f"before\n{STEP_BLOCK}{BEGIN}\noutdated\n{END}\nafter\n")
    options = [f"--rounds={ROUNDS}", f"--steps={STEPS}", "--without-stock", f"--output={folder}"]
    command = [sys.executable, "-m", "benchmarks", "openspiel", *options]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    text = (folder / "results/openspiel.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@pytest.fixture
def players() -> Iterator[dict[str, Player]]:
    with ExitStack() as stack:
        cases = [case for case in all_cases(None) if case.name in HERE]
        yield {case.name: stack.enter_context(case.open()) for case in cases}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_play_the_same_episodes(players: dict[str, Player], seed: int) -> None:
    workload = Workload(seed=seed, steps=401)
    played = {name: play(workload) for name, play in players.items()}
    bare = played["bare"]
    assert isinstance(bare, Played)
    assert bare.seconds > 0
    assert 80 <= bare.episodes <= 134  # of three to five steps of the agent
    assert len(bare.last) == 27 and sum(bare.last) == 9
    assert bare.score == int(bare.score)
    for name in HERE:
        assert isinstance(played[name], Played)
        assert played[name][1:] == bare[1:]


def test_other_seeds_play_other_episodes(players: dict[str, Player]) -> None:
    played = [players["bare"](Workload(seed, 401)) for seed in range(4)]
    assert len({one[1:] for one in played if isinstance(one, Played)}) == 4


def test_a_case_that_plays_otherwise_stops_the_run() -> None:
    @contextmanager
    def plays(score: float) -> Iterator[Player]:
        yield lambda workload: Played(1.0, 2, score, (0.0,))

    def group(*scores: float) -> Group:
        cases = [
            case("ours", name, name, plays, score) for name, score in zip("ab", scores, strict=True)
        ]
        return Group(cases, 10, "a game")

    assert measure(group(1.0, 1.0), 1).times_us == {"a": [1e5], "b": [1e5]}
    with pytest.raises(
        BenchmarkError, match=r"b of a game did not play .* expected 2 ends, 1 in rewards"
    ):
        measure(group(1.0, 2.0), 1)


@pytest.mark.long
def test_every_case_has_a_positive_time_for_each_round(results: dict[str, Any]) -> None:
    assert [case["name"] for case in results["cases"]] == CASES
    assert (results["rounds"], results["steps_per_round"]) == (ROUNDS, STEPS)
    for one in results["cases"]:
        assert len(one["us_per_step"]) == ROUNDS
        assert 0 < one["min"] <= one["median"] <= one["max"]
    assert results["machine"]["versions"]["open-spiel"]
    assert results["stock_versions"] is None


@pytest.mark.long
def test_ratios_follow_from_the_times_of_their_rounds(results: dict[str, Any]) -> None:
    times = {case["name"]: case["us_per_step"] for case in results["cases"]}
    assert {ratio["name"]: ratio["formula"] for ratio in results["ratios"]} == RATIOS
    for ratio in results["ratios"]:
        ((over, _),), ((under, _),) = ratio["over"].items(), ratio["under"].items()
        recomputed = [a / b for a, b in zip(times[over], times[under], strict=True)]
        assert ratio["per_round"] == pytest.approx(recomputed, rel=1e-2)
    limit = results["ratios"][0]
    assert limit["at_most"] == 1.5
    assert limit["median"] == pytest.approx(statistics.median(limit["per_round"]), rel=1e-3)
    assert limit["hit"] == (limit["median"] <= 1.5)


@pytest.mark.long
def test_only_the_block_of_the_part_is_rewritten(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"before\n{STEP_BLOCK}{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "outdated" not in text
    assert "| bare pyspiel calls | bare |" in text
