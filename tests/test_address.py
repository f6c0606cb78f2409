"""Addresses, read from what people write."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from openenv_gym.address import Address, parse_address
from openenv_gym.credentials import Token
from openenv_gym.errors import AddressError

URLS = [
    ("http://localhost:8000", "http://localhost:8000", "ws://localhost:8000/ws"),
    ("http://localhost:8000/", "http://localhost:8000", "ws://localhost:8000/ws"),
    ("ws://localhost:8000/ws", "http://localhost:8000", "ws://localhost:8000/ws"),
    ("ws://host:8000/games/ws", "http://host:8000/games", "ws://host:8000/games/ws"),
    ("http://host/games/", "http://host/games", "ws://host/games/ws"),
    ("http://host", "http://host", "ws://host/ws"),
    ("http://host:80", "http://host", "ws://host/ws"),
    ("https://host", "https://host", "wss://host/ws"),
    ("wss://host:8443", "https://host:8443", "wss://host:8443/ws"),
    ("https://host:443/a/b", "https://host/a/b", "wss://host/a/b/ws"),
    ("http://[::1]:8000", "http://[::1]:8000", "ws://[::1]:8000/ws"),
    ("HTTP://Host:1", "http://host:1", "ws://host:1/ws"),
    ("http://user:secret@host:1", "http://host:1", "ws://host:1/ws"),
]


@pytest.mark.parametrize(("url", "http_url", "ws_url"), URLS)
def test_an_address_gives_the_urls_of_both_kinds(url: str, http_url: str, ws_url: str):
    address = parse_address(url)
    assert (address.http_url, address.ws_url) == (http_url, ws_url)


def test_credentials_are_unquoted_and_never_shown():
    address = parse_address("http://us%40er:p%3Aw@host:1/x")
    assert (address.username, address.token) == ("us@er", Token("p:w"))
    assert str(address) == "http://host:1/x"
    assert "p:w" not in repr(address)
    assert parse_address("http://token@host").token is None


@pytest.mark.parametrize("path", ["/run/openenv.sock", "/tmp/with space.sock"])
def test_a_unix_socket_is_a_path(path: str):
    address = parse_address("unix://" + path.replace(" ", "%20"))
    assert address.socket_path == path
    assert str(address) == f"unix://{path}"
    assert address.ws_url == "ws://localhost/ws"


def test_an_address_is_a_value():
    address = parse_address("http://host:1")
    assert address == Address(host="host", port=1)
    assert pickle.loads(pickle.dumps(address)) == address
    assert hash(address) == hash(parse_address("ws://host:1/ws"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        address.port = 2


REFUSED = [
    *(
        "",
        "localhost:8000",
        "localhost",
        "ftp://host",
        "http://",
        "http:///path",
        "http://host?a=1",
    ),
    "http://host#a",
    "http://host:port",
    "http://host:70000",
    "http://[::1",
    "unix://",
    "//host",
    "unix://host/path",
    None,
    5,
    b"http://host",
    ["http://host"],
]


@pytest.mark.parametrize("url", REFUSED, ids=repr)
def test_what_is_no_address_is_refused_with_the_forms(url: Any):
    with pytest.raises(
        AddressError, match=r"^base_url: expected .*(https://host:port|unix:///path)"
    ):
        parse_address(url)


def test_the_refusal_of_a_url_names_it():
    with pytest.raises(AddressError, match="got 'ftp://host'"):
        parse_address("ftp://host")
