"""Fuzzes what reads bytes: both codecs, frames and messages."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.package_venv import InstallError
from tests import venvs
from tests.fuzz import drawn
from tests.fuzz.targets import TARGETS, seeds

LIMITS = ("-rss_limit_mb=1024", "-malloc_limit_mb=512", "-timeout=20", "-max_len=4096")
"""What libFuzzer takes for a find besides: an input that takes much memory or time."""

FINDS = venvs.ROOT / ".hypothesis" / "finds"
"""Where the inputs are left that were found."""


def fuzz(seconds: float) -> list[str]:
    """Fuzz all targets for that long together; return what was found, one text each."""
    try:
        python = venvs.ATHERIS.make()
    except InstallError as exc:
        print(f"there is no Atheris for Python {sys.version.split()[0]} ({exc}): Hypothesis draws")
        return [found for name in TARGETS for found in _drawn(name, seconds / len(TARGETS))]
    return [found for name in TARGETS for found in _guided(python, name, seconds / len(TARGETS))]


def _drawn(name: str, seconds: float) -> list[str]:
    try:
        count = drawn.fuzz(name, seconds)
    except Exception as exc:  # whatever a target raises is what we look for
        return [f"{name}: {type(exc).__name__}: {exc}\n" + "\n".join(exc.__notes__)]
    print(f"{name}: {count:,} inputs")
    return []


def _guided(python: Path, name: str, seconds: float) -> list[str]:
    FINDS.mkdir(parents=True, exist_ok=True)
    told = [f"-max_total_time={max(1, round(seconds))}", f"-artifact_prefix={FINDS}/{name}-"]
    told.append("-print_final_stats=1")
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(seeds(name)):
            Path(corpus, str(number)).write_bytes(data)
        ended = subprocess.run(
            [python, "-m", "tests.fuzz.guided", name, *LIMITS, *told, corpus],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=venvs.ROOT,
        )
    said = ended.stdout + ended.stderr
    counted = re.search(r"number_of_executed_units:\s*(\d+)", said)
    print(f"{name}: {int(counted[1]) if counted else 0:,} inputs", flush=True)
    return [f"{name}: {said[-4000:]}"] if ended.returncode else []
