"""``python="uv:..."``: uv makes a venv of a recipe, once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from openenv_gym.errors import EnvStartError, InvalidRequestError
from openenv_gym.workers.interpreter_paths import interpreter_path
from openenv_gym.workers.interpreter_process import InterpreterProcess
from openenv_gym.workers.recipes import cache_folder, parse_recipe
from tests.interpreter.conftest import made

pytestmark = pytest.mark.timeout(900)  # the first test of a venv installs it


@pytest.fixture(scope="module")
def uv() -> Path:
    return made("uv").with_name("uv")


@pytest.fixture
def caches(uv: Path, tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the user's, which all tests of this file share; uv is there."""
    folder = tmp_path_factory.getbasetemp() / "recipes"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv("PATH", f"{uv.parent}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_a_recipe_is_an_interpreter_with_what_it_names(caches: Path):
    process = InterpreterProcess(interpreter_path("uv:numpy==1.26.4"))
    assert process.ask("about")["numpy"] == "1.26.4"
    process.end()


def test_the_same_recipe_is_made_once(caches: Path, monkeypatch: pytest.MonkeyPatch):
    first = interpreter_path("uv:numpy==1.26.4")
    monkeypatch.setenv("PATH", "")
    assert interpreter_path("uv:numpy==1.26.4") == first


def test_it_is_in_the_cache_of_the_user(caches: Path):
    assert Path(interpreter_path("uv:numpy==1.26.4")).is_relative_to(caches)


def test_what_uv_cannot_make_is_said(caches: Path):
    with pytest.raises(EnvStartError, match=r"(?s)uv cannot make the venv.*It ran: .*/none/python"):
        interpreter_path("uv:/none/python:numpy")


def test_what_could_not_be_made_is_not_left_behind(caches: Path):
    before = {path for path in cache_folder().glob("*") if path.is_dir()}
    with pytest.raises(EnvStartError):
        interpreter_path("uv:/none/python:numpy<2")
    assert {path for path in cache_folder().glob("*") if path.is_dir()} == before


def test_without_uv_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvStartError, match="pip install uv"):
        interpreter_path("uv:numpy<2")


@pytest.mark.parametrize("recipe", ["uv:", "uv:3.9:", "uv:numpy,--index-url=x", "uv:-r file"])
def test_a_recipe_without_requirements_or_with_options_is_refused(recipe: str):
    with pytest.raises(InvalidRequestError, match="expected requirements after uv:"):
        parse_recipe(recipe)
