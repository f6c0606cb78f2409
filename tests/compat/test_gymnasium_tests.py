"""Gymnasium's own tests of ``AsyncVectorEnv``, run with ours in its place.

They are in Gymnasium's repository, and in none of its distributions. So they are cloned once, and
nothing of them is kept here. Who has a checkout names it in ``GYMNASIUM_CHECKOUT``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import gymnasium as gym
import pytest

from benchmarks.children import ROOT
from benchmarks.package_venv import last_line

REPOSITORY = "https://github.com/Farama-Foundation/Gymnasium"
CACHE = ROOT / f".venv-gymnasium-tests-{gym.__version__}"
FILES = ("test_async_vector_env.py", "test_autoreset_mode.py", "test_vector_env.py")
PLUGIN = """
import gymnasium.vector, openenv_gym
gymnasium.vector.AsyncVectorEnv = openenv_gym.AsyncVectorEnv
"""

CANNOT_HOLD = {
    "test_custom_space_async_vector_env": "its space is of a class that Gymnasium does not define, "
    "and whose values have no form on our wire",
    "test_async_vector_subenv_error": "it steps before the first reset, and reads what Gymnasium "
    "logs of its own workers; the exceptions are of the classes that it expects",
    "test_partial_reset_failure": "it reads the words of messages; the exceptions are of the "
    "classes that it expects",
    "test_action_count_compatibility": "an action that is no batch is a ValueError, as each action "
    "that is not in its space",
}


@pytest.fixture(scope="module")
def checkout() -> Path:
    given = os.environ.get("GYMNASIUM_CHECKOUT")
    if given:
        return Path(given)
    if not (CACHE / "tests").is_dir():
        tag = f"v{gym.__version__}"
        command = ["git", "clone", "--quiet", "--depth=1", f"--branch={tag}", REPOSITORY, CACHE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no checkout of Gymnasium {tag}: {last_line(done.stderr)}")
    return CACHE


@pytest.mark.long
@pytest.mark.parametrize("file", FILES)
def test_gymnasiums_tests_hold_with_ours(checkout: Path, tmp_path: Path, file: str):
    (tmp_path / "ours_in_place.py").write_text(PLUGIN, encoding="utf-8")
    report = tmp_path / "report.xml"
    options = ["-q", "-p", "ours_in_place", "-p", "no:cacheprovider", f"--junitxml={report}"]
    # Their folder comes first, whose package of tests is called as ours is.
    path = os.pathsep.join(map(str, (tmp_path, checkout, ROOT)))
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"tests/vector/{file}"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        timeout=100,
    )
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {case.attrib["name"] for case in cases if case.find("failure") is not None}
    failed |= {case.attrib["name"] for case in cases if case.find("error") is not None}
    assert len(cases) > 10
    assert {name for name in failed if name.partition("[")[0] not in CANNOT_HOLD} == set()
