"""The table of transports has a row for every place that there is."""

from __future__ import annotations

import pytest

from openenv_gym.address import parse_address
from openenv_gym.client.transports import TRANSPORTS, WorkerSocket


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("http://host", "http"),
        ("ws://host", "http"),
        ("https://host", "https"),
        ("wss://host", "https"),
        ("unix:///run/openenv.sock", "unix"),
    ],
)
def test_every_address_has_a_row(url, scheme):
    assert parse_address(url).scheme == scheme
    assert scheme in TRANSPORTS


def test_so_has_a_worker():
    assert WorkerSocket.scheme in TRANSPORTS
