"""The interpreters that these tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import venvs


def made(name: str) -> Path:
    """The interpreter of a venv; where there is no package index, the test is skipped."""
    return venvs.made(venvs.OTHERS[name], name)


@pytest.fixture(scope="session", params=["gym 0.26", "gym 0.21"])
def python(request: pytest.FixtureRequest) -> str:
    """An interpreter with a gym that is older than Gymnasium, without this package."""
    return str(made(request.param))


@pytest.fixture(scope="session")
def gym026() -> str:
    return str(made("gym 0.26"))


@pytest.fixture(scope="session")
def gym021() -> str:
    return str(made("gym 0.21"))


@pytest.fixture(scope="session")
def numpy_alone() -> str:
    return str(made("numpy"))
