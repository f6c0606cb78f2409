"""The options of ``make`` and ``make_vec``, and that each sentence about them stands once."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

import pytest

from benchmarks.children import ROOT
from openenv_gym.endpoints import ConnectOptions, take
from openenv_gym.endpoints.options import OVERRIDES
from openenv_gym.errors import InvalidRequestError

PAGE = (ROOT / "docs" / "any_openenv_environment.md").read_text(encoding="utf-8")


def sentences() -> dict[str, str]:
    """What the docstring says of each option, on one line."""
    docstring = inspect.getdoc(ConnectOptions) or ""
    attributes = docstring.partition("Attributes:\n")[2].partition("\nRaises:")[0]
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", attributes, re.M | re.S)
    return {name: " ".join(text.split()).replace("``", "`") for name, text in found}


def test_every_option_has_a_sentence():
    assert list(sentences()) == [one.name for one in fields(ConnectOptions)]


def test_the_page_says_what_the_docstring_says():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.M))
    assert {name: rows.get(name) for name in sentences()} == sentences()


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (
            {"codec": "jsn"},
            "codec: expected one of auto, binary, json, got 'jsn'; did you mean 'json'",
        ),
        (
            {"timeout_s": "long"},
            "timeout_s: expected seconds above 0, or None for ever, got 'long'",
        ),
        ({"timeout_s": 0}, "timeout_s: expected seconds above 0, or None for ever, got 0"),
        ({"done_means": "over"}, "done_means: expected 'terminated' or 'truncated', got 'over'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(option, sentence):
    with pytest.raises(InvalidRequestError, match=re.escape(sentence)):
        ConnectOptions(**option)


def test_options_are_taken_by_name_and_the_rest_is_left():
    given = {"codec": "json", "timeout_s": 3.0, "size": 5}
    assert take(ConnectOptions, given) == (
        ConnectOptions(codec="json", timeout_s=3.0),
        {"size": 5},
    )
    assert take(ConnectOptions, given, ["codec"]) == (
        ConnectOptions(codec="json"),
        {"timeout_s": 3.0, "size": 5},
    )


def test_what_is_said_of_spaces():
    assert not ConnectOptions(codec="json", done_means="truncated").has_overrides
    told = ConnectOptions(action_key="go")
    assert told.has_overrides
    assert told.overrides() == {**dict.fromkeys(OVERRIDES), "flatten": False, "action_key": "go"}
