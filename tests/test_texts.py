"""Texts of servers, as people see them."""

from __future__ import annotations

import pickle

import pytest

from openenv_gym.address import parse_address, shown_url
from openenv_gym.errors import AddressError, RemoteEnvError
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol import Failed
from openenv_gym.texts import MAX_ERROR_CHARS, MAX_QUOTED_CHARS, MAX_TRACE_CHARS, quoted
from openenv_gym.wire.fault_info import fault_from_wire

HOSTILE = "\x1b[2J\x07\r\x9b31m\u202egnp\u2066\u200b\u2028\ud800\U000e0041\x00"


def is_harmless(text: str) -> bool:
    return not any(character in text for character in HOSTILE if not character.isprintable())


@pytest.mark.parametrize("character", sorted(set(HOSTILE) - set(" -~[]231mgnpJ")), ids=ascii)
def test_what_acts_on_a_terminal_is_shown_escaped(character: str):
    assert quoted(f"a{character}b") == f"a{ascii(character)[1:-1]}b"


@pytest.mark.parametrize("text", ["naïve 🙂 中文", "a\\b", 'it\'s "said"'])
def test_other_texts_are_shown_as_they_are(text: str):
    assert quoted(text) == text


def test_a_quoted_text_is_one_line_that_is_not_long():
    assert quoted("no room\n[INFO] all is well") == r"no room\n[INFO] all is well"
    assert len(quoted("\x1b" * 10**6)) == MAX_QUOTED_CHARS


def test_an_error_is_harmless_whatever_it_quotes():
    error = RemoteEnvError(HOSTILE + "line one\n\tline two" + "x" * 10**6)
    assert is_harmless(str(error))
    assert "line one\n\tline two" in str(error)
    assert len(str(error)) <= MAX_ERROR_CHARS
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_a_server_says_is_cut_and_its_traceback_is_longer():
    failed = Failed("EXECUTION_ERROR", "m" * 10**6, "t" * 10**6)
    error = failed.to_exception()
    assert str(error).startswith("m" * 400)
    assert str(error).count("m") < MAX_QUOTED_CHARS + 10
    assert len(error.remote_traceback) in range(MAX_TRACE_CHARS - 2, MAX_TRACE_CHARS + 1)


def test_the_texts_of_a_fault_are_harmless_and_cut():
    wire = {"kind": "oom", "stderr_tail": HOSTILE * 10**5, "remote_traceback": HOSTILE}
    fault = fault_from_wire(wire)
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.OOM
    assert is_harmless(fault.stderr_tail + fault.remote_traceback)
    assert len(fault.stderr_tail) <= MAX_TRACE_CHARS


@pytest.mark.parametrize(
    "url",
    [
        "ws://user:secret@host:port",
        "ws://user:secret@host/?a=1",
        "ws://user:secret@",
        "ftp://user:secret@host",
        "user:secret@host",
        "ws://user:sec@secret@host:x",
        "ws://user:secret/@host:x",
        "http://host?token=secret",
        "http://[user:secret@host",
        "unix://user:secret@host/run",
    ],
)
def test_an_address_that_is_none_shows_no_password(url: str):
    with pytest.raises(AddressError) as caught:
        parse_address(url)
    assert "secret" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert "secret" not in shown_url(url)


def test_an_address_shows_no_password():
    assert "secret" not in repr(parse_address("ws://user:secret@host:1"))
