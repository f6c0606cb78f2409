"""An alphabet becomes a pattern that every validator reads alike, and comes back."""

from __future__ import annotations

import re
import string

import gymnasium.spaces as gs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openenv_gym.errors import SpaceError
from openenv_gym.spaces import from_schema
from openenv_gym.spaces.schema_pattern import charset_pattern, read_pattern
from openenv_gym.spaces.to_schema import plain_schema

charsets = st.text(st.characters(), max_size=30)


@given(charsets, st.text())
def test_the_pattern_matches_the_texts_of_the_alphabet(charset: str, text: str):
    pattern = re.compile(charset_pattern(charset))
    assert pattern.fullmatch(charset)
    assert bool(pattern.fullmatch(text)) == (set(text) <= set(charset))


@given(charsets)
def test_the_alphabet_comes_back_sorted(charset: str):
    found = read_pattern(charset_pattern(charset))
    assert found is not None
    assert found.charset == "".join(sorted(set(charset)))
    assert (found.least, found.most) == ((0, None) if charset else (0, 0))


@pytest.mark.parametrize(
    ("pattern", "charset", "lengths"),
    [
        ("^[a-c]+$", "abc", (1, None)),
        ("^[a-cx]{2,4}$", "abcx", (2, 4)),
        ("^[ab]{3}$", "ab", (3, 3)),
        ("^[ab]{3,}$", "ab", (3, None)),
        ("^[ab]$", "ab", (1, 1)),
        (r"^[\d.-]*$", string.digits + ".-", (0, None)),
        (r"^[\u0041\x42\n\]]*$", "AB\n]", (0, None)),
        (r"^[\w]*$", string.ascii_letters + string.digits + "_", (0, None)),
    ],
)
def test_patterns_of_others_are_read(pattern: str, charset: str, lengths: tuple[int, int | None]):
    assert read_pattern(pattern) == (charset, *lengths)


@pytest.mark.parametrize(
    "pattern",
    [
        "[ab]*",
        "^[ab]*",
        "^[^ab]*$",
        "^a$",
        "^(a|b)*$",
        "^[b-a]$",
        r"^[\d-z]$",
        r"^[\p{L}]$",
        "",
        "^[\0-\U0010ffff]*$",
        "^[ab]*?$",
        "^[]$",
    ],
)
def test_other_patterns_are_not(pattern: str):
    assert read_pattern(pattern) is None
    with pytest.raises(SpaceError, match="'pattern' of one character class"):
        from_schema({"type": "string", "maxLength": 3, "pattern": pattern})


def test_a_text_comes_back_from_plain_schema():
    space = gs.Text(5, min_length=2, charset="abc]^-")
    assert from_schema(plain_schema(space)).character_set == space.character_set
    found = from_schema({"type": "string", "pattern": "^[ab]{2,9}$", "maxLength": 4})
    assert (found.min_length, found.max_length) == (2, 4)
