"""The plugin of pytest, in runs of its own: as in the CI of a server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import planted
from tests.support import uvicorn_thread

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with uvicorn_thread.serving(planted.app()) as url:
        yield url


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code and the output of pytest with the plugin."""
    command = [sys.executable, "-m", "pytest", "-p", "pytest_openenv_gym", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-v", "-rs", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_each_check_is_a_test(url: str, tmp_path: Path) -> None:
    code, said = run(tmp_path, "--openenv-server", f"{url}/HasNoMcp", "--openenv-check", "http")
    assert code == 1
    assert "openenv::http.health PASSED" in said
    assert "openenv::http.mcp FAILED" in said
    assert "> POST /mcp {}" in said and "< HTTP 404" in said
    assert "pytest_checks.py" not in said  # nobody wants to see our stack


def test_good_manners_are_warnings_that_may_be_made_errors(url: str, tmp_path: Path) -> None:
    asked = ("--openenv-server", f"{url}/BreaksAtLists", "--openenv-check", "input.object")
    code, said = run(tmp_path, *asked, "-W", "error")
    assert code == 1 and "ServerWarning: WARNING  input.object" in said


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    code, said = run(tmp_path, "--openenv-server", "http://127.0.0.1:9", "-k", "health")
    assert code == 1 and "nobody answers at http://127.0.0.1:9" in said


def test_an_unknown_check_is_named(tmp_path: Path) -> None:
    code, said = run(tmp_path, "--openenv-server", "http://x", "--openenv-skip", "htp")
    assert code == pytest.ExitCode.USAGE_ERROR and "did you mean 'http'" in said


def test_who_does_not_ask_for_it_does_not_pay_for_it(tmp_path: Path) -> None:
    test = "import sys\ndef test_it(): assert not {'openenv_gym', 'gymnasium'} & {*sys.modules}\n"
    (tmp_path / "test_one.py").write_text(test)
    code, said = run(tmp_path)
    assert code == 0, said
