"""What holds for every test of the project, and the servers that tests share."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, Phase, settings

from openenv_gym.launchers import ServerProcess
from openenv_gym.launchers import subprocess as subprocess_launcher
from openenv_gym.launchers.embedded import EMBEDDED
from tests.support.preloaded import OF_SERVERS, Preloaded

collect_ignore_glob = ["support/*"]  # no tests: some of these never end to import, or end who does

GRACE_S = 20.0  # for what is ending; what is left does not end at all

# The same examples in every run, so that a run says something of the change that it is for. Others
# are drawn with `make test ARGS='--hypothesis-profile=random'`, five times as many with `long`, as
# `make test-long` does. Tests that draw many say how many with `tests.support.examples`.
CALM = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],  # on a machine that others use, too
    "phases": [Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink],
}
settings.register_profile("random", **CALM)
settings.register_profile("fixed", derandomize=True, **CALM)
settings.register_profile("long", derandomize=True, max_examples=500, **CALM)
settings.load_profile("fixed")

# Python keeps these two of its own until the interpreter ends, once somebody used them.
KEPT_BY_PYTHON = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out the files that cannot hold a test for old versions of Gymnasium.

    Under ``-m "single_env and ..."`` a file without that word has nothing to run, and may import
    what those versions do not have.
    """
    is_file = collection_path.suffix == ".py" and collection_path.name != "conftest.py"
    if not config.option.markexpr.startswith("single_env") or not is_file:
        return None
    return "single_env" not in collection_path.read_text(encoding="utf-8") or None


@pytest.hookimpl(tryfirst=True)  # before pytest takes out what is long
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves to ``make test-long`` the rows of a test that its ``sample`` does not take.

    The name of the test draws them, so that they are the same in each run, and tests with the same
    parameters do not all leave out the same values.
    """
    rows: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sample") and not item.get_closest_marker("long"):
            rows.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for test, of_test in rows.items():
        (number,) = of_test[0].get_closest_marker("sample").args
        left = max(0, len(of_test) - number)  # fewer rows are there where somebody asks for one
        for item in random.Random(test).sample(of_test, left):
            item.add_marker("long")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keeps tests together that share what is slow to begin."""
    from tests.support.scheduling import ByFileOrGeneration

    return ByFileOrGeneration(config, log)


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left() -> Iterator[None]:
    """After the last test and the last fixture, no process that they started is alive."""
    yield
    EMBEDDED.stop()
    _, left = psutil.wait_procs(own_descendants(), timeout=GRACE_S)
    commands = [describe(process) for process in left]
    for process in left:
        process.kill()
    assert not commands, f"still alive {GRACE_S:g} s after the last test: {commands}"


def own_descendants() -> list[psutil.Process]:
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if not any(kept in describe(process) for kept in KEPT_BY_PYTHON)
    ]


def describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())}"
    except psutil.NoSuchProcess:
        return f"{process.pid} (ended)"


@pytest.fixture(scope="session", autouse=True)
def preloaded(no_process_is_left: None) -> Iterator[Preloaded]:
    """Servers are forked from an interpreter that has imported all that they need."""
    interpreter = Preloaded(OF_SERVERS)
    with pytest.MonkeyPatch.context() as patch:
        with_forks = SimpleNamespace(**vars(subprocess) | {"Popen": interpreter.popen})
        patch.setattr(subprocess_launcher, "subprocess", with_forks)
        yield interpreter
    interpreter.stop()


@pytest.fixture
def new_interpreters(preloaded: Preloaded) -> Iterator[None]:
    """Servers are started as users start them: for tests of just that."""
    preloaded.is_used = False
    yield
    preloaded.is_used = True


@pytest.fixture(scope="session")
def serve(preloaded: Preloaded) -> Iterator[Callable[..., ServerProcess]]:
    """Starts a server with the arguments of ``openenv-gym serve``, once for the whole run."""
    servers: dict[tuple[str, ...], ServerProcess] = {}

    def start(environment: str, *arguments: str) -> ServerProcess:
        key = (environment, *arguments)
        if key not in servers:
            servers[key] = ServerProcess(environment, *arguments)
        return servers[key]

    yield start
    for server in servers.values():  # how one ends when it is asked to, tests of its own say
        server.stop(timeout_s=0)


WAYS = ("embedded", "binary", "json")


@pytest.fixture(params=WAYS)
def reach(request: pytest.FixtureRequest, serve: Callable[..., ServerProcess]):
    """Keyword arguments of ``gymnasium.make`` that reach an environment in one of the ways."""

    def arguments(environment: str) -> dict[str, str]:
        if request.param == "embedded":
            return {}
        return {"base_url": serve(environment).base_url, "codec": request.param}

    return arguments


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the campaigns counted."""
    counted: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        counted.update({name: 0 for name, _ in report.user_properties})
        for name, value in report.user_properties:
            if isinstance(value, int):
                counted[name] += value
            else:
                terminalreporter.write_line(f"{name}: {value}")
    if counted:
        said = ", ".join(f"{count:,} {name}" for name, count in counted.items() if count)
        terminalreporter.write_line(f"campaigns: {said}")
