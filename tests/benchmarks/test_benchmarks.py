"""``python -m benchmarks``: what it writes, and that it leaves nothing behind. No times."""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

# The first test runs the benchmark, which starts all there is, one after another.
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
ROUNDS, STEPS = 2, 30
BEGIN, END = "<!-- step: begin, written by the benchmark -->", "<!-- step: end -->"
CASES = [
    "in_process",
    "raw_unix",
    "raw_tcp",
    "async_vector",
    "embedded",
    "ws_inline",
    "ws_thread",
    "ws_process",
    "ws_unix",
    "ws_json",
]


def command(folder: Path, rounds: int) -> list[str]:
    numbers = [f"--rounds={rounds}", f"--steps={STEPS}", "--cold-runs=1"]
    options = ["--without-stock", f"--output={folder}"]
    return [sys.executable, "-m", "benchmarks", "step", *numbers, *options]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    # What stands around the marked block, and an older block in it.
    (folder / "README.md").write_text(f"before\n{BEGIN}\noutdated\n{END}\nafter\n")
    subprocess.run(command(folder, ROUNDS), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "results/step.json").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.long
def test_every_case_has_a_positive_time_for_each_round(results: dict[str, Any]) -> None:
    assert [case["name"] for case in results["cases"]] == CASES
    assert (results["rounds"], results["steps_per_round"]) == (ROUNDS, STEPS)
    for case in results["cases"]:
        assert len(case["us_per_step"]) == ROUNDS
        assert 0 < case["min"] <= case["median"] <= case["max"]


@pytest.mark.long
def test_ratios_follow_from_the_times_of_their_rounds(results: dict[str, Any]) -> None:
    times = {case["name"]: case["us_per_step"] for case in results["cases"]}
    names = [ratio["name"] for ratio in results["ratios"]]
    assert names == ["embedded_to_limit", "embedded_faster_than_async_vector", "cold_start"]
    for ratio in results["ratios"][:2]:
        recomputed = [
            sum(weight * times[name][i] for name, weight in ratio["over"].items())
            / sum(weight * times[name][i] for name, weight in ratio["under"].items())
            for i in range(ROUNDS)
        ]
        assert ratio["per_round"] == pytest.approx(recomputed, rel=1e-3, abs=1e-4)
        assert ratio["median"] == pytest.approx(statistics.median(recomputed), rel=1e-3)
    limit = results["ratios"][0]
    assert limit["formula"] == "embedded / (2 * raw_unix + in_process)"
    assert limit["hit"] == (limit["median"] <= limit["at_most"])


@pytest.mark.long
def test_the_raw_sockets_have_the_message_sizes_of_the_protocol(results: dict[str, Any]) -> None:
    # length 4, header 8, Discrete 9; length 4, header 8, reward 8, four float32
    assert results["message_bytes"] == {"request": 21, "reply": 36}


@pytest.mark.long
def test_the_cold_starts_and_the_machine_are_there(results: dict[str, Any]) -> None:
    cold, target = results["cold_start"], results["ratios"][2]
    assert list(cold) == ["cold.in_process", "cold.embedded"]
    assert all(len(runs["seconds"]) == 1 and runs["min"] > 0 for runs in cold.values())
    assert target["formula"] == "cold.embedded"
    assert target["median"] == pytest.approx(cold["cold.embedded"]["median"], abs=1e-3)
    assert target["hit"] == (target["median"] <= target["at_most"] == 1)
    assert results["machine"]["versions"]["openenv-gym"]
    assert results["stock_versions"] is None


@pytest.mark.long
def test_only_the_marked_block_of_the_readme_is_rewritten(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "outdated" not in text
    assert "| embedded | embedded |" in text


@pytest.mark.long
def test_a_run_that_is_ended_takes_its_processes_with_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path, rounds=1000), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert "round 1 of 1000\n" in iter(process.stdout.readline, "")
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.terminate()
        process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert len(children) >= 9
    _, left = psutil.wait_procs(children, timeout=20)
    for child in left:
        child.kill()
    assert left == []
    assert list(tmp_path.iterdir()) == []
