"""What tests of the server share."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from openenv_gym.launchers import ServerProcess
from tests.support.waiting import wait_until


@pytest.fixture
def of_one_session(serve: Callable[..., ServerProcess]) -> ServerProcess:
    """A server of scripted environments that has one session, which is free."""
    server = serve("tests.support.envs:Scripted-v0", "--max-sessions=1")
    wait_until(lambda: httpx.get(f"{server.base_url}/readyz").status_code == httpx.codes.OK)
    return server
