"""A hostile server costs its client little time and memory, and ends in an error that says why."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.hostile.rows import ROWS
from tests.hostile.servers import served

MOST_BYTES = 512 << 20
MOST_CPU_S = 2.0
MORE_WALL_S = 20.0
"""Beyond the deadline. A busy machine gives a process its two seconds when it likes."""
MOST_CHARS = 17_000  # a traceback is long
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f]")


@pytest.fixture(scope="module")
def client() -> Iterator[Callable[..., dict[str, Any]]]:
    """Ask a client in a process of its own to play on a server, and get what came of it."""
    command = [sys.executable, "-m", "tests.hostile.client"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def ask(url: str, play: str, deadline_s: float) -> dict[str, Any]:
            asked = {"url": url, "play": play, "deadline_s": deadline_s}
            print(json.dumps(asked), file=child.stdin, flush=True)
            return json.loads(child.stdout.readline())

        yield ask
        child.stdin.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(ROWS) as url:
        yield url


def listed() -> list[Any]:
    """The names of all rows; what a slow one shows, a quicker one shows in the short suite, too."""
    slow = pytest.mark.long
    return [pytest.param(one.name, marks=slow if one.is_slow else ()) for one in ROWS.values()]


@pytest.mark.parametrize("name", listed())
def test_a_hostile_server_is_survived(name: str, url: str, client: Callable[..., dict[str, Any]]):
    row = ROWS[name]
    met = client(f"{url}/{name}", row.play, row.deadline_s)
    message = met["message"]
    assert row.error in met["kinds"], (met["kinds"], message[:500])
    assert met["kinds"][0] == "Seen" or "OpenEnvGymError" in met["kinds"]
    assert re.search(row.expected, message, re.DOTALL), message[:500]
    assert UNSAFE.search(message) is None
    assert len(message) < MOST_CHARS
    assert met["peak_bytes"] < MOST_BYTES
    assert met["cpu_s"] < MOST_CPU_S
    assert met["wall_s"] < row.deadline_s + MORE_WALL_S
