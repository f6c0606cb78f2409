"""``python -m benchmarks faults``: what it counts, and what it writes. No times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.faults_cases import KINDS, Trial
from benchmarks.faults_growth import Growth, Usage
from benchmarks.faults_ours import campaign
from benchmarks.faults_peers import async_vector
from benchmarks.faults_report import FaultsReport, write
from benchmarks.machine import this_machine
from openenv_gym.testing import KINDS as PLANNED

KIND = {kind.name: kind for kind in KINDS}


def test_its_kinds_can_be_planned():
    assert KIND.keys() <= set(PLANNED)


@pytest.mark.parametrize(("name", "harmed"), [("raise", 1), ("exit", 4)])
def test_training_goes_on_embedded_and_one_worker_is_one_fate(name: str, harmed: int):
    trial = campaign("embedded", KIND[name], faults=2)
    assert (trial.injected, trial.flagged, trial.continued, trial.harmed) == (2, 2, 2, harmed)
    assert len(trial.recovery_s) == 2 and trial.ended == ""


def test_on_a_server_nobody_else_is_harmed():
    trial = campaign("ws_process", KIND["exit"], faults=2)
    assert (trial.injected, trial.flagged, trial.continued, trial.harmed) == (2, 2, 2, 1)


def test_one_fault_ends_gymnasiums_own():
    trial = async_vector(KIND["exit"])
    assert (trial.injected, trial.continued, trial.harmed, trial.ended) == (1, 0, 4, "EOFError")


def test_what_it_writes(tmp_path: Path):
    usage = Usage(rss=1 << 20, fds=5, threads=2)
    report = FaultsReport(
        trials=[
            Trial(way="embedded", kind="exit", injected=2, flagged=2, continued=2, harmed=1),
            Trial(way="stock", kind="exit", injected=1, harmed=4, ended="ConnectionClosedError"),
        ],
        growth=Growth(
            sessions=10,
            crashed=1,
            server=(usage, Usage(rss=3 << 20, fds=6, threads=2)),
            client=(usage, usage),
            workers=(1, 1),
            shared_memory=(0, 0),
        ),
        machine=this_machine(),
        stock_versions=None,
        date="2026-11-21",
        load_average_start=[0.0] * 3,
        load_average_end=[0.0] * 3,
    )
    write(report, tmp_path)
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| embedded | 2 | 2 | 2 | 1 |" in page
    assert "| exit | stock | ConnectionClosedError | 0 of 1 | 4 of 4 |" in page
    assert "| server | +2.00 | +1 | +0 |" in page
    written = json.loads((tmp_path / "results/faults.json").read_text(encoding="utf-8"))
    assert [trial["way"] for trial in written["trials"]] == ["embedded", "stock"]
    assert written["growth"]["crashed"] == 1
