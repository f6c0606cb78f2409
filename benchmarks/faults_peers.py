"""The same faults for AsyncVectorEnv and for stock OpenEnv, each in processes of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.children import ROOT
from benchmarks.errors import BenchmarkError
from benchmarks.faults_cases import NUM_ENVS, READY, Kind, Trial

START_TIMEOUT_S = 120.0
PATIENCE_S = 15.0
"""Whoever has said nothing by then is blocked: a hang of ours ends within a second or two."""


def async_vector(kind: Kind) -> Trial:
    """Gymnasium's ``AsyncVectorEnv``, one worker for each environment."""
    return _trial("async_vector", kind, [sys.executable, "-m", "benchmarks.faults_local"])


def stock(kind: Kind, python: Path) -> Trial:
    """Stock OpenEnv, one client for each environment."""
    return _trial("stock", kind, [str(python), "-m", "benchmarks.faults_stock"])


def _trial(way: str, kind: Kind, command: Sequence[str]) -> Trial:
    """Run a program that says when its environments are up, and then what came of the fault."""
    with _started([*command, kind.name]) as process:
        if _line(process, START_TIMEOUT_S) != READY:
            raise BenchmarkError(f"{way} did not begin within {START_TIMEOUT_S:g} s")
        told = _line(process, PATIENCE_S)
    trial = Trial(way=way, kind=kind.name, injected=1)
    if not told:
        trial.harmed, trial.ended = NUM_ENVS, f"blocked ({PATIENCE_S:g} s watched)"
        return trial
    said = json.loads(told)
    trial.continued, trial.harmed = int(said["continued"]), said["harmed"]
    trial.ended = "" if trial.continued else said["error"]
    return trial


@contextlib.contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process, and at the end the end of all that it started, of what hangs too."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # tracebacks of faults that were planned
        start_new_session=True,
        cwd=ROOT,
        bufsize=0,  # nobody reads ahead of `select`
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _line(process: subprocess.Popen[bytes], timeout_s: float) -> str:
    """The next line that it prints, empty where it ends or says nothing."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], timeout_s)[0]:
        return ""
    return process.stdout.readline().decode().strip()
