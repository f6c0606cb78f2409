"""The interface of a typed environment, and the models that it is typed with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from openenv_gym.environment import Environment
from openenv_gym.wire.models import (
    Action,
    EnvironmentMetadata,
    Observation,
    State,
    StepResult,
)


class Say(Action):
    words: str


class Heard(Observation):
    words: str = ""


class Echo(Environment[Say, Heard, State]):
    """Says what it hears.

    And more that nobody reads.
    """

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def reset(self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any) -> Heard:
        self.calls.append((seed, episode_id, kwargs))
        return Heard()

    def step(self, action: Say, timeout_s: float | None = None, **kwargs: Any) -> Heard:
        self.calls.append((action.words, timeout_s, kwargs))
        return Heard(words=action.words, reward=1.0)

    @property
    def state(self) -> State:
        return State(episode_id="e", step_count=len(self.calls))


class Bare(Echo):
    __doc__ = None


def test_an_environment_without_its_methods_cannot_be_made():
    with pytest.raises(TypeError, match=r"reset.*state.*step"):
        Environment()


def test_the_asynchronous_forms_call_the_others_with_all_arguments():
    echo = Echo()
    asyncio.run(echo.reset_async(3, "e", level=2))
    heard = asyncio.run(echo.step_async(Say(words="hi"), 1.5, loud=True))
    assert echo.calls == [(3, "e", {"level": 2}), ("hi", 1.5, {"loud": True})]
    assert (heard.words, heard.reward, heard.done) == ("hi", 1.0, False)


def test_it_describes_itself_by_the_first_line_of_its_docstring():
    expected = EnvironmentMetadata(name="Echo", description="Says what it hears.", version="1.0.0")
    assert Echo().get_metadata() == expected
    assert Bare().get_metadata().description == "Bare environment"


def test_closing_is_optional():
    assert Echo().close() is None


FIELDS = {
    Action: {"metadata"},
    Observation: {"done", "reward", "metadata"},
    State: {"episode_id", "step_count"},
    EnvironmentMetadata: {
        "name",
        "description",
        "readme_content",
        "version",
        "author",
        "documentation_url",
    },
}


@pytest.mark.parametrize("model", FIELDS, ids=lambda model: model.__name__)
def test_the_models_have_the_fields_of_openenv(model: type[Any]):
    assert set(model.model_fields) == FIELDS[model]


def test_unknown_fields_are_refused_but_in_the_state():
    for model in (Say, Heard):
        with pytest.raises(ValidationError, match="Extra inputs"):
            model(words="a", other=1)
    assert State(other=1).model_dump() == {"episode_id": None, "step_count": 0, "other": 1}
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        State(step_count=-1)


def test_fields_are_validated_when_they_are_set():
    heard = Heard(words="a")
    with pytest.raises(ValidationError, match="valid string"):
        heard.words = 5


def test_a_result_has_no_metadata_unless_there_is_some():
    assert StepResult(Heard()) == StepResult(Heard(), None, False, None)
