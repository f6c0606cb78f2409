"""``python -m benchmarks vector``: what it writes, and that all play the same. No times."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.children import BenchmarkError
from benchmarks.raw_sockets import websocket_sizes
from benchmarks.rounds import Group, Player, Ratio, SkippedCase, case, measure
from benchmarks.vector import RATIOS, all_groups, envpool_cartpole, needing, theirs
from benchmarks.ways import digest
from benchmarks.workload import Played, VectorWorkload

pytestmark = pytest.mark.timeout(600)  # the first test runs the benchmark

ROOT = Path(__file__).parents[2]
ROUNDS, STEPS, SIZES = 2, 20, [4]
STEP_BLOCK = "<!-- step: begin, written by the benchmark -->\n\nof step\n\n<!-- step: end -->\n"
BEGIN, END = "<!-- vector: begin, written by the benchmark -->", "<!-- vector: end -->"
CASES = {
    "cartpole64": {"sync", "async", "embedded", "embedded_1", "ws", "ws_1"},
    "native256": {"native", "raw_tcp", "embedded", "ws"},
    "envpool64": {"in_process", "embedded"},
    "breakout8": {"sync", "async", "embedded"},
    "cartpole1": {"sync", "async", "embedded"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vector")
    # The block of another part, and an older one of this part.
    (folder / "README.md").write_text(f"before\n{STEP_BLOCK}{BEGIN}\noutdated\n{END}\nafter\n")
    options = [f"--rounds={ROUNDS}", f"--steps={STEPS}", "--without-stock", f"--output={folder}"]
    curve = ["--curve-rounds=1", "--curve-sizes", *map(str, SIZES)]
    command = [sys.executable, "-m", "benchmarks", "vector", *options, *curve]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    text = (folder / "results/vector.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def group_of(played: dict[str, Played | float | str]) -> Group:
    """A group whose cases say what they played, or why they play nothing."""

    @contextmanager
    def opened(what: Played | float | str) -> Iterator[Player]:
        if isinstance(what, str):
            raise SkippedCase(what)
        yield lambda workload: what

    cases = [case("ours", name, name, opened, what) for name, what in played.items()]
    return Group(cases, 5, "g", num_envs=4)


def test_a_case_that_plays_otherwise_stops_the_run() -> None:
    one, other = Played(1.0, 2, 3.0, 4), Played(1.0, 2, 3.0, 5)
    with pytest.raises(BenchmarkError, match=r"b of g did not play the episodes that a played"):
        measure(group_of({"a": one, "b": other}), 1)


def test_a_case_that_cannot_be_measured_is_left_out_and_says_why(capsys: Any) -> None:
    played = {"a": Played(2.0, 2, 3.0, 4), "b": "no such package", "c": 1.0}
    result = measure(group_of(played), 2)
    assert result.skipped == {"b": "no such package"}
    assert result.times_us == {"a": [1e5, 1e5], "c": [5e4, 5e4]}  # 5 steps of 4
    assert "g: b is left out: no such package\n" in capsys.readouterr().out


def test_nothing_is_measured_where_all_are_left_out() -> None:
    result = measure(group_of({"a": "why"}), 2)
    assert (result.times_us, result.skipped) == ({}, {"a": "why"})


def test_envpool_that_is_not_installed_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with (
        pytest.raises(SkippedCase, match=r"envpool is not installed"),
        needing("envpool", envpool_cartpole, 2),
    ):
        pass


def test_the_same_seed_plays_the_same_and_another_something_else() -> None:
    played = []
    with theirs("CartPole-v1", 3) as player:
        for number in (1, 1, 2):
            one = player(VectorWorkload(number, 60, 3, 2, number))
            assert isinstance(one, Played)
            played.append(one)
    assert played[0][1:] == played[1][1:] != played[2][1:]
    assert played[0].episodes > 0
    # A step that resets pays nothing; the flag of the last step is followed by no reset.
    assert 3 * 60 - played[0].episodes <= played[0].score <= 3 * 60 - played[0].episodes + 3


def test_a_checksum_is_of_values_and_not_of_their_places() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert digest(array) == digest(np.asfortranarray(array))
    assert digest(array) != digest(array + 1)


def test_every_target_compares_cases_that_there_are() -> None:
    names = {f"{group}.{case}" for group, cases in CASES.items() for case in cases}
    stock = {"cartpole64.stock", "cartpole1.stock"}
    assert {name for ratio in RATIOS for name in ratio.cases} <= names | stock
    for python, extra in ((None, set()), (Path("python"), stock)):
        groups = all_groups(python, 400)
        found = {f"{group.name}.{case.name}" for group in groups for case in group.cases}
        assert found == names | extra


def test_a_rate_does_in_place_of_a_ratio() -> None:
    target = Ratio(
        name="r",
        over={"g.limit": 1},
        under={"g.ours": 1},
        at_least=0.5,
        rate=("g.ours", 1_000_000),
    )
    assert target.hit({"g.limit": [0.1], "g.ours": [0.9]})  # over a million a second
    assert target.hit({"g.limit": [1.0], "g.ours": [2.0]})  # half of the limit
    assert target.reached({"g.limit": [0.25], "g.ours": [2.0]}) == pytest.approx(0.5)
    assert target.hit({"g.limit": [0.25], "g.ours": [2.0]}) is False
    assert target.formula == "g.limit / g.ours"
    assert target.target == "at least 0.5, or 1,000,000 steps/s"


@pytest.mark.parametrize(("num_envs", "frames"), [(1, (6, 2)), (8, (6, 4)), (4000, (8, 10))])
def test_the_bytes_of_a_step_are_those_of_its_messages(
    num_envs: int, frames: tuple[int, int]
) -> None:
    # header 8 and an int64 for each; header 8, dtype 1, and 16 + 4 + 1 + 1 for each
    request, reply = 8 + 8 * num_envs, 9 + 22 * num_envs
    expected = (request + frames[0], reply + frames[1])
    assert websocket_sizes(num_envs, "native") == expected


def test_a_group_without_seeds_asks_for_none() -> None:
    group = Group([], 30, "g", num_envs=2, is_seeded=False)
    assert group.workload(1, 10) == VectorWorkload(None, 3, 2, 2, 1)


@pytest.mark.long
def test_every_case_has_a_positive_time_for_each_round(results: dict[str, Any]) -> None:
    assert [group["name"] for group in results["groups"]] == list(CASES)
    for group in results["groups"]:
        measured = {case["name"] for case in group["cases"]}
        assert measured | set(group["skipped"]) == CASES[group["name"]]
        assert not group["skipped"] or group["name"] in ("envpool64", "breakout8")
        for one in group["cases"]:
            assert len(one["us_per_env_step"]) == ROUNDS
            assert 0 < one["min"] <= one["median"] <= one["max"]
    assert results["stock_versions"] is None


@pytest.mark.long
def test_ratios_follow_from_the_times_of_their_rounds(results: dict[str, Any]) -> None:
    times = {
        f"{group['name']}.{case['name']}": case["us_per_env_step"]
        for group in results["groups"]
        for case in group["cases"]
    }
    assert {"embedded_to_sync", "native_ws_to_limit", "one_to_async"} <= {
        ratio["name"] for ratio in results["ratios"]
    }
    formulas = {ratio["name"]: ratio["formula"] for ratio in results["ratios"]}
    limit = "(native256.native + native256.raw_tcp) / native256.ws"
    assert formulas["native_ws_to_limit"] == limit
    for ratio in results["ratios"]:
        recomputed = [
            sum(times[name][i] for name in ratio["over"])
            / sum(times[name][i] for name in ratio["under"])
            for i in range(ROUNDS)
        ]
        assert ratio["per_round"] == pytest.approx(recomputed, rel=1e-2, abs=1e-3)
        if ratio["rate"] is None and ratio["at_least"] is not None:
            part = statistics.median(recomputed) / ratio["at_least"]
            assert ratio["of_target"] == pytest.approx(part, rel=1e-2, abs=1e-3)
        assert ratio["hit"] == (None if ratio["at_least"] is None else ratio["of_target"] >= 1)


@pytest.mark.long
def test_the_curve_has_two_groups_for_each_number(results: dict[str, Any]) -> None:
    names = [f"{form}{num}" for num in SIZES for form in ("sync", "native")]
    assert [group["name"] for group in results["curve"]] == list(results["bytes"]) == names
    for group in results["curve"]:
        assert len(group["cases"]) == (3 if group["name"].startswith("sync") else 4)
        assert all(one["min"] > 0 for one in group["cases"])
    assert results["bytes"]["sync4"] == websocket_sizes(4, "sync")._asdict()


@pytest.mark.long
def test_only_the_block_of_the_part_is_rewritten(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"before\n{STEP_BLOCK}{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "outdated" not in text
    assert "| cartpole64.sync |" in text
