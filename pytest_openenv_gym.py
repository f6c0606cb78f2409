"""The plugin of pytest that checks an OpenEnv server: ``pytest --openenv-server URL``.

It stands beside the package and not in it: pytest imports it in every run of everybody who has
``openenv-gym`` installed, and to import the package takes Gymnasium with it.
"""

from __future__ import annotations

import pytest

OPTION = "--openenv-server"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("openenv", "OpenEnv servers (openenv-gym)")
    group.addoption(
        OPTION,
        metavar="TARGET",
        help="check this OpenEnv server, a test for each check: a URL, a folder with an "
        "openenv.yaml, or the name of an environment, which is served for that",
    )
    for flag, what in (("check", "run"), ("skip", "leave out")):
        group.addoption(
            f"--openenv-{flag}",
            metavar="NAME",
            action="append",
            default=[],
            help=f"{what} this check or group of checks; may be given more than once",
        )


def pytest_configure(config: pytest.Config) -> None:
    """Add the tests where there is a server to check."""
    config.addinivalue_line("markers", f"openenv: a check of the server that {OPTION} names")
    target = config.getoption(OPTION)
    if target is None:
        return
    from openenv_gym.conformance.pytest_checks import ServerChecks
    from openenv_gym.errors import OpenEnvGymError

    checks, skips = config.getoption("--openenv-check"), config.getoption("--openenv-skip")
    try:
        config.pluginmanager.register(ServerChecks(target, checks, skips), "openenv-server")
    except OpenEnvGymError as exc:
        raise pytest.UsageError(str(exc)) from exc
