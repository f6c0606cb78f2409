"""Both generations of OpenEnv: made before the first test, their servers started once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.package_venv import InstallError
from tests.compat.generations import VENVS, Generation, Player
from tests.venvs import install

HERE = Path(__file__).parent
SERVERS = (
    *("echo", "coding", "openspiel", "household", "screen", "endless"),
    *("tools", "toolbox", "traps"),
)
OURS = ("ours", "ours_cartpole", "ours_catch")

collect_ignore = ["stock", *(f"{name}.py" for name in OURS)]  # what servers and clients run

_failures = pytest.StashKey[dict[str, InstallError]]()


NEWEST_ONLY = (
    "test_environments_both_ways",
    "test_from_client",
    "test_their_clients",
    "test_their_mcp_clients",
    "test_traps",
    "test_validate",
)
"""Of these, `make test` runs the newest generation; the tests of servers and of capacity, both."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave older generations to ``make test-long`` where the wire is the same."""
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        is_old = params.get("generation") not in (None, "0.10")
        if is_old and item.path.is_relative_to(HERE) and item.path.stem in NEWEST_ONLY:
            item.add_marker(pytest.mark.long)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes the venvs before any test runs: that takes longer than a test may."""
    config = session.config
    is_needed = any(item.path.is_relative_to(HERE) for item in session.items)
    if not is_needed or config.option.collectonly or _failures in config.stash:
        return
    if not all(venv.is_made for venv in VENVS.values()):
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            names = " and ".join(venv.folder.name for venv in VENVS.values())
            reporter.write_line(f"Installing OpenEnv into {names}, once: about a minute.")
    config.stash[_failures] = install(VENVS)


@pytest.fixture(scope="session", params=list(VENVS))
def generation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generation:
    """One generation of OpenEnv, after the other."""
    version = request.param
    failure = request.config.stash[_failures].get(version)
    if failure is not None and failure.is_unreachable:
        pytest.skip(f"no package index to install OpenEnv {version} from: {failure}")
    if failure is not None:
        raise failure
    home = tmp_path_factory.mktemp("home")
    return Generation(version=version, python=VENVS[version].python, home=home)


@pytest.fixture(scope="session")
def their_servers(generation: Generation) -> Iterator[dict[str, str]]:
    """The URLs of the servers of one generation, by name."""
    wanted = {name: {"environment": f"tests.compat.stock.{name}"} for name in SERVERS}
    with generation.serve(wanted) as process:
        yield json.loads(process.line())


@pytest.fixture(scope="session")
def crossed_servers(generation: Generation) -> Iterator[dict[str, str]]:
    """The URLs of their environments under our ``create_app``, and of ours under theirs."""
    theirs = {
        name: {"environment": f"tests.compat.stock.{name}", "by": "openenv_gym"} for name in SERVERS
    }
    ours = {name: {"environment": f"tests.compat.{name}"} for name in OURS}
    with generation.serve({**theirs, **ours}) as process:
        yield json.loads(process.line())


@pytest.fixture(scope="session")
def their_clients(generation: Generation) -> Iterator[Player]:
    """Calls functions that play with the clients of one generation."""
    with generation.player() as player:
        yield player


@pytest.fixture
def serve_theirs(generation: Generation) -> Iterator[Callable[..., tuple[str, int]]]:
    """Serves one environment in a process of its own, for one test; its URL and process id."""
    with ExitStack() as stack:

        def start(name: str, **entry: object) -> tuple[str, int]:
            wanted = {name: {"environment": f"tests.compat.stock.{name}", **entry}}
            process = stack.enter_context(generation.serve(wanted))
            return json.loads(process.line())[name], process.pid

        yield start
