"""The Python of the documents runs, each block alone, on servers where it names one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.preloaded import Preloaded

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

# What is served at the addresses that the blocks of a page name.
LOCAL = "http://localhost:8000"
SERVED = {
    "README.md": {"http://host:8000": "openspiel:catch"},
    "docs/errors.md": {},
    "docs/openspiel.md": {LOCAL: "openspiel:leduc_poker"},
    "docs/quickstart.md": {
        LOCAL: "openspiel:catch",
        "http://a:8000": "CartPole-v1",
        "http://b:8000": "CartPole-v1",
    },
    "docs/sb3.md": {"http://localhost:8003": "FrozenLake-v1"},
    "docs/spaces.md": {LOCAL: "CartPole-v1", "http://localhost:8001": "openspiel:catch"},
    "docs/validate.md": {},
    "servers/gymnasium/README.md": {LOCAL: "Acrobot-v1"},
    "servers/openspiel/README.md": {LOCAL: "openspiel:tic_tac_toe"},
}

# Pages with a test of their own, which runs their blocks together or compares them with files.
ELSEWHERE = {
    "docs/adapters.md": "tests/adapters/test_adapters_page.py",
    "docs/any_openenv_environment.md": "tests/envs/test_any_openenv_environment.py",
    "docs/interpreters.md": "tests/interpreter/test_interpreters_page.py",
    "docs/mcp.md": "tests/server/test_mcp_page.py",
    "docs/multi_agent.md": "tests/test_pettingzoo.py",
    "docs/testing.md": "tests/testing/test_testing_page.py",
    "examples/own_environment/README.md": "tests/examples/test_examples_own_environment.py",
}

# Blocks that are not run, by a part of them, and why.
SHOWN = {
    "my_package.envs:MyEnv-v0": "names a package of the reader's",
    "while True": "runs for ever",
    "class EchoClient(": "is a part of examples/own_environment, which is tested",
    "from openenv.core": "needs OpenEnv's own package; tests/compat runs the like in its venv",
}


def blocks() -> list[Any]:
    found = []
    for page in [*SERVED, "docs/deployment.md"]:
        text = (ROOT / page).read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            if not any(part in match[1] for part in SHOWN):
                found.append(pytest.param(page, line, match[1], id=f"{page}:{line}"))
    return found


@pytest.fixture(scope="module")
def trainers(no_process_is_left: None) -> Iterator[Preloaded]:
    """An interpreter for programs, which has imported what takes most of them long."""
    few_threads = {"OMP_NUM_THREADS": "1"}  # networks this small lose more by sharing than they win
    interpreter = Preloaded(("openenv_gym.sb3", "sb3_contrib"), few_threads)
    yield interpreter
    interpreter.stop()


@pytest.mark.parametrize(("page", "line", "block"), blocks())
def test_a_block_runs_alone(
    page: str, line: int, block: str, serve: Any, trainers: Preloaded, tmp_path: Path
):
    for address, environment in SERVED[page].items():
        if address in block:
            block = block.replace(address, serve(environment).base_url)
    program = tmp_path / "block.py"
    program.write_text("\n" * (line - 1) + block, encoding="utf-8")
    printed = tmp_path / "printed"
    with printed.open("wb") as file:
        ran = trainers.popen(
            [sys.executable, str(program)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            stdout=file.fileno(),
            stderr=file.fileno(),
        )
        code = ran.wait()
    assert code == 0, f"{page}, line {line}: {printed.read_text()}"


def test_every_page_with_python_has_a_test():
    patterns = ("*.md", "docs/**/*.md", "benchmarks/*.md", "examples/**/*.md", "servers/**/*.md")
    files = [path for pattern in patterns for path in ROOT.glob(pattern)]
    pages = {str(path.relative_to(ROOT)) for path in files if BLOCK.search(path.read_text())}
    assert pages == {*SERVED, *ELSEWHERE, "docs/deployment.md"}
    for page, test in ELSEWHERE.items():
        text = (ROOT / test).read_text(encoding="utf-8")
        assert Path(page).name in text or Path(page).parent.name in text


def test_what_is_only_shown_is_there():
    pages = [*SERVED, "docs/deployment.md"]
    text = "".join(block for page in pages for block in BLOCK.findall((ROOT / page).read_text()))
    assert [part for part in SHOWN if part not in text] == []
