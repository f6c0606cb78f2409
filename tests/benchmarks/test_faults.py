"""``python -m benchmarks faults``: what it counts, and what it writes. No times."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import parse
from benchmarks.children import BenchmarkError
from benchmarks.faults import bad_inputs, endings, hangs, sessions, ways
from benchmarks.faults.bad_inputs import BadInputRun, BadInputs
from benchmarks.faults.board import Found, all_tables, rows
from benchmarks.faults.campaign import campaign
from benchmarks.faults.cases import NUM_ENVS, PLAIN, Left, Trial
from benchmarks.faults.endings import Orphans, Termination
from benchmarks.faults.hangs import Hang
from benchmarks.faults.part import PARTS
from benchmarks.faults.sessions import Growth, Usage
from benchmarks.faults.target_env import TargetEnv
from benchmarks.faults.ways import WAYS, Seen
from openenv_gym.testing.faults import PlannedFaultError

pytestmark = pytest.mark.timeout(300)

WAY = {way.name: way for way in WAYS}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """More time than a benchmark gives, which needs a machine for itself; this is not of times."""
    monkeypatch.setattr(hangs, "DEADLINE_S", 6.0)  # a bystander has it too
    monkeypatch.setattr(bad_inputs, "_OPEN_TIMEOUT_S", 60.0)
    monkeypatch.setattr(endings, "ORPHANED_S", 10.0)
    monkeypatch.setattr(endings, "_HANG_S", 5.0)
    monkeypatch.setattr(ways, "_SETTLED_S", 60.0)


def told(trial: Trial) -> tuple[Any, ...]:
    return trial.injected, trial.flagged, trial.continued, trial.harmed, trial.ended


def test_the_environment_fails_when_it_is_told_to_and_else_repeats_what_it_was_asked():
    env = TargetEnv(episode_steps=2)
    env.reset(seed=3)
    assert env.step(PLAIN + 5)[0][:2].tolist() == [PLAIN + 5, 1]
    with pytest.raises(PlannedFaultError):
        env.step(0)
    obs, reward, terminated, truncated, _ = env.step(PLAIN + 6)
    assert obs[:2].tolist() == [PLAIN + 6, 2]
    assert (reward, terminated, truncated) == (0.0, True, False)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "harmed"),
    [("embedded", NUM_ENVS), ("embedded_vector", None), ("ws_process", 1), ("ws_vector", 1)],
)
def test_training_goes_on_and_only_those_in_the_same_worker_are_harmed(
    name: str, harmed: int | None
):
    left: list[Left] = []
    raised, ended = campaign(WAY[name], ["raise", "exit"], 4, left)
    assert told(raised) == (2, 2, 2, 1, "")
    if harmed is None:  # a worker has so many, by the number of cores
        harmed = ended.harmed
        assert harmed in (1, 2, 4)
    assert told(ended) == (2, 2, 2, harmed, "")
    assert len(ended.recovery_s) == 2
    # Whoever else is on the machine may have put files into its shared memory meanwhile.
    assert [(own.way, own.processes) for own in left] == [(name, 0)]
    assert left[0].sessions == (0 if WAY[name].is_served else None)


def test_a_campaign_sees_who_is_another_than_its_twin(monkeypatch: pytest.MonkeyPatch):
    class Liar:
        """Environments without faults, the last of which lies once."""

        def __init__(self) -> None:
            self.twins = [TargetEnv() for _ in range(NUM_ENVS)]
            self.steps = 0

        def reset(self, seed: int) -> list[list[Seen]]:
            first = [twin.reset(seed=seed + i)[0] for i, twin in enumerate(self.twins)]
            return [[Seen(obs, None, {})] for obs in first]

        def step(self, numbers: Any) -> list[list[Seen]]:
            self.steps += 1
            answers = []
            for twin, number in zip(self.twins, numbers, strict=True):
                if number < PLAIN:  # the fault, and the reset after it
                    fault = Seen(None, (0.0, False, True), {"fault": "env_raised"})
                    reset = Seen(twin.reset(seed=9)[0], None, {"seed": 9})
                    answers.append([fault, reset])
                    continue
                obs, *ending, _ = twin.step(number)
                answers.append([Seen(obs, tuple(ending), {})])
            if self.steps == 8:
                answers[-1][0].obs[2] += 1
            return answers

        def close(self) -> None:
            pass

    @contextlib.contextmanager
    def opened(way: Any, *, hangs: bool, left: list[Left]) -> Iterator[Liar]:
        yield Liar()

    monkeypatch.setattr("benchmarks.faults.campaign.opened", opened)
    (trial,) = campaign(WAY["embedded"], ["raise"], 1, [])
    assert told(trial) == (1, 1, 1, 2, "")


@pytest.mark.long
def test_a_hang_is_told_by_the_deadline_and_a_bystander_plays_on():
    (hang,) = hangs.served(("sleep",), 1)
    assert len(hang.told_s) == len(hang.over_s) == 1 and hang.steps > 0
    assert min(hang.told_s) > 0 and hang.beside_s is not None and hang.quiet_s is not None


def test_the_same_seed_draws_the_same_bad_inputs_and_none_says_goodbye():
    one, other = BadInputs(3), BadInputs(3)
    texts = list(islice(iter(one.text, None), 500))
    assert texts == list(islice(iter(other.text, None), 500))
    assert BadInputs(4).text() != texts[0]
    assert not any(isinstance(text, str) and "close" in text for text in texts)
    bodies = list(islice(iter(one.body, None), 500))
    assert all(body[:1] != b"\x06" for body in bodies)
    assert len(set(map(repr, texts + bodies))) > 800


@pytest.mark.long
def test_bad_inputs_end_neither_sessions_nor_the_server():
    for run in bad_inputs.ours(1000, 40.0):
        assert run.tried > 0 and run.refused > run.tried / 2
        assert run.server_crashes == run.worker_crashes == run.sessions_lost == run.wrong == 0


@pytest.mark.long
def test_a_server_that_is_told_to_end_does_although_a_session_hangs():
    end = endings.termination(0.5)
    assert (end.way, end.exitcode, end.seconds is not None) == ("ws_process", 0, True)


@pytest.mark.long
def test_no_worker_outlives_a_server_that_is_killed():
    found = endings.orphans()
    assert found.workers >= NUM_ENVS and found.orphans == found.zombies == 0


@pytest.mark.long
def test_sessions_end_in_three_ways_and_leave_nothing():
    growth = sessions.grow(10, 40.0)
    assert 0 < growth.sessions <= 10
    assert growth.workers[0] == growth.workers[1]
    assert growth.tracebacks == 0


def test_parts_are_chosen_by_name():
    options = parse(["faults", "--only", "hangs", "inputs", "--bad-inputs", "5"])
    assert options.only == ["hangs", "inputs"] and options.bad_inputs == 5
    assert parse(["faults"]).only == tuple(PARTS) and "campaigns" in PARTS


def test_a_part_is_run_and_written(tmp_path: Path):
    options = ["--without-stock", "--bad-inputs=20", f"--output={tmp_path}"]
    chosen = parse(["faults", "--only", "inputs", *options])
    chosen.run(chosen)
    written = json.loads((tmp_path / "results/faults.json").read_text(encoding="utf-8"))
    assert [found["way"] for found in written["bad_inputs"]] == ["ws_process", "ws_json"]
    assert [row["hit"] for row in written["scoreboard"]] == [None]
    assert written["trials"] == [] and list(written["seconds"]) == ["inputs"]


def test_a_part_that_fails_leaves_what_the_others_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fails(options: Any, stocks: Any, found: Found) -> None:
        raise ValueError("no machine")

    def hangs_once(options: Any, stocks: Any, found: Found) -> None:
        told: dict[str, Any] = {"deadline_s": 3.0, "told_s": [0.2], "over_s": [0.7]}
        found.hangs.append(Hang(way="embedded", kind="sleep", **told))

    monkeypatch.setitem(PARTS, "inputs", fails)
    monkeypatch.setitem(PARTS, "hangs", hangs_once)
    chosen = parse(["faults", "--only=inputs", "--without-stock", f"--output={tmp_path}"])
    chosen.only = ["inputs", "hangs"]
    with pytest.raises(BenchmarkError, match="did not come to their end: inputs"):
        chosen.run(chosen)
    written = json.loads((tmp_path / "results/faults.json").read_text(encoding="utf-8"))
    assert written["failed"] == {"inputs": "ValueError"} and written["hangs"][0]["told_s"] == [0.2]
    assert [row["hit"] for row in written["scoreboard"]] == [True, False, None]


def what_was_found(**changes: Any) -> Found:
    usage = Usage(rss=1 << 20, fds=5, threads=2)
    growth = {
        "sessions": 10,
        "crashed": 1,
        "aborted": 4,
        "client": (usage, usage, usage),
        "workers": (1, 1),
        "shared_memory": (0, 0),
        "log_bytes": 0,
        "seconds": 2.0,
    }
    stock: dict[str, Any] = {"way": "stock", "kind": "exit", "injected": 1, "harmed": 4}
    ours: dict[str, Any] = {"kind": "exit", "injected": 2, "flagged": 2, "continued": 2}
    told: dict[str, Any] = {
        "trials": [
            Trial(way="ws_process", harmed=1, recovery_s=[0.25, 0.5], **ours),
            Trial(way="embedded", harmed=4, **ours),
            Trial(ended="ConnectionClosedError", **stock),
        ],
        "left": [Left(way="ws_process", sessions=0, processes=0, shared_memory=0)],
        "hangs": [
            Hang(
                way="ws_process",
                kind="sleep",
                deadline_s=1.0,
                told_s=[0.1],
                over_s=[0.2],
                quiet_s=0.001,
                beside_s=0.0015,
            )
        ],
        "bad_inputs": [
            BadInputRun(way="ws_process", tried=2000, refused=1990, seconds=2.0),
            BadInputRun(way="stock", tried=50, server_crashes=2, sessions_lost=9, seconds=1.0),
        ],
        "terminations": [
            Termination(way="ws_process", drain_s=25.0, seconds=25.4, exitcode=0),
        ],
        "orphans": [Orphans(way="ws_process", workers=8, orphans=0, zombies=0)],
        "growth": [
            Growth(
                way="ws_process",
                server=(usage, usage, Usage(rss=3 << 20, fds=6, threads=2)),
                tracebacks=0,
                **growth,
            ),
        ],
    }
    return Found(**{**told, **changes})


def test_what_it_writes():
    found = what_was_found()
    page = "\n".join(table.markdown() for table in all_tables(found, rows(found)))
    for line in (
        "| faults injected / training went on | from 1000 / all | 4 / 4 | 1 / 0 |  |",
        "| environments of 4 harmed by a fault, at most | 1, with a worker for each "
        "| 1 | 4 | hit |",
        "| bad inputs / crashes / sessions lost | from 1,000,000 / 0 / 0 | 2,000 / 0 / 0 "
        "| 50 / 2 / 9 |  |",
        "| a hang: told, after the deadline at most | 0.5 s | 0.10 s |  | hit |",
        "| a hang: begun anew, after the deadline at most | 0.5 s | 0.20 s |  | hit |",
        "| p99 of a bystander's steps, beside a hang / without, at most "
        "| below 2 | 1.50 |  | hit |",
        "| SIGTERM with a session that hangs, until the end | below 26 s | 25.4 s (drain 25 s) "
        "|  | hit |",
        "| tracebacks in the log for 1,000 sessions that end | 0 | 0 |  | hit |",
        "| ws_process | exit | 2 | 2 | 2 | 1 | 0.38, 0.50 |  |",
        "| stock | exit | 1 |  | 0 | 4 |  | ConnectionClosedError |",
        "| ws_process | sleep | 1 | 0.10, 0.10 | 0.20, 0.20 | 0.001 | 0.0015 | 0 |",
        "+2.00 MB, +2.00 in the second half, descriptors +1, threads +0 |",
    ):
        assert line in page
    assert rows(found)[1].hit is True


def test_a_promise_that_is_broken_is_missed():
    lost = what_was_found(
        trials=[Trial(way="ws_json", kind="exit", injected=3, flagged=3, continued=2, harmed=2)],
        bad_inputs=[BadInputRun(way="ws_json", tried=10, sessions_lost=1)],
    )
    missed = {row.figure.split(" / ")[0] for row in rows(lost) if row.hit is False}
    assert missed == {
        "faults injected",
        "environments of 4 harmed by a fault, at most",
        "bad inputs",
    }


def test_what_was_left_out_has_no_row():
    assert rows(Found()) == []
