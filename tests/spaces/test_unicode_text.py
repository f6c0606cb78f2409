"""Texts of any characters: a space as any other of Gymnasium."""

from __future__ import annotations

import copy
import json
import pickle

import gymnasium.spaces as gs
import pytest
from gymnasium.spaces.utils import flatten, unflatten

from openenv_gym.spaces import from_descriptor, to_descriptor, to_schema
from openenv_gym.spaces.unicode_text import UnicodeText

pytestmark = pytest.mark.single_env

TEXTS = ["", "plain", "naïve\n\ttab", "中文 и ελ", "🙂", "\x00"]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_contained_up_to_the_length(text: str):
    assert text in UnicodeText() and text in UnicodeText(20)
    assert text not in UnicodeText(20, min_length=len(text) + 1)
    assert unflatten(UnicodeText(20), flatten(UnicodeText(20), text)) == text


@pytest.mark.parametrize("value", [None, 5, b"x", ["a"]])
def test_what_is_no_text_is_not_contained(value: object):
    assert value not in UnicodeText()


def test_samples_are_texts_that_json_can_say_and_repeat_with_the_seed():
    space = UnicodeText(500, min_length=3)
    space.seed(4)
    samples = [space.sample() for _ in range(50)]
    assert all(sample in space and len(sample) <= 67 for sample in samples)
    assert any(not sample.isascii() for sample in samples)
    assert [json.loads(json.dumps(sample)) for sample in samples] == samples
    space.seed(4)
    assert [space.sample() for _ in range(50)] == samples
    assert len(space.sample(mask=(9, None))) == 9


def test_it_equals_its_own_kind_only():
    space = UnicodeText(9)
    assert (
        space == UnicodeText(9)
        and space != UnicodeText(8)
        and space != UnicodeText(9, min_length=1)
    )
    assert space != gs.Text(9, min_length=0) and gs.Text(9, min_length=0) != space
    for same in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert same == space and "🙂" in same


def test_it_travels_as_a_descriptor_and_in_a_schema():
    space = gs.Dict(a=UnicodeText(9, min_length=2))
    assert from_descriptor(json.loads(json.dumps(to_descriptor(space)))) == space
    plain = to_schema(UnicodeText(9, min_length=2))
    assert {**plain, "x-gymnasium-space": 0} == {
        "type": "string", "minLength": 2, "maxLength": 9, "x-gymnasium-space": 0,
    }  # fmt: skip
