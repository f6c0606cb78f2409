"""Schemes that packages declare: what is taken for what, and what each wrong one is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest

from openenv_gym.cli import main
from openenv_gym.errors import EnvStartError, UnknownEnvironmentError, UnsupportedRenderModeError
from openenv_gym.protocol import Open
from openenv_gym.workers import schemes
from openenv_gym.workers.built_env import build, modules_to_preload
from tests.support.declaring import declare

ADAPTER = """
import gymnasium

def make(name, **kwargs):
    if name == "typed":
        from tests.adapters.test_module_host import Tutorial
        return Tutorial()
    if name == "three":
        return 3
    if name == "vector":
        return gymnasium.make_vec("CartPole-v1", num_envs=2)
    return gymnasium.make(name, **kwargs)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages: the scheme ``other`` is the adapter above."""
    declare(tmp_path, "other-simulator", "other", "other_adapter")
    (tmp_path / "other_adapter.py").write_text(ADAPTER)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def forget_modules():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.endswith("_adapter"):
            del sys.modules[name]


def test_a_name_with_a_declared_scheme_is_made_by_its_adapter(folder):
    built = build(Open("other:CartPole-v1", {"sutton_barto_reward": True}, max_episode_steps=1))
    assert built.description.environment == "other:CartPole-v1"
    built.env.reset(seed=0)
    assert built.env.step(0)[3] is True
    built.env.close()


def test_a_batched_session_asks_the_adapter_for_each(folder):
    built = build(Open("other:CartPole-v1", num_envs=3))
    assert built.env.reset(seed=0)[0].shape == (3, 4)
    built.env.close()


def test_an_adapter_may_make_a_typed_environment(folder):
    assert build(Open("other:typed")).description.view == "model"


@pytest.mark.parametrize("value", ["other_adapter:make", "other_adapter"])
def test_an_entry_point_is_a_module_or_a_function(folder, value):
    declare(folder, "more", "more", value)
    build(Open("more:CartPole-v1")).env.close()


def test_what_was_installed_meanwhile_is_found(folder):
    assert not schemes.is_declared("late")
    declare(folder, "late", "late", "other_adapter")
    assert schemes.is_declared("late")


def test_metadata_is_read_once(folder, monkeypatch):
    schemes.declared_schemes()
    monkeypatch.setattr(schemes.metadata, "entry_points", None)  # to call it would raise
    assert schemes.is_declared("other")


def test_a_declared_scheme_goes_before_a_module_of_its_name(folder):
    declare(folder, "wave-simulator", "wave", "other_adapter")  # `wave` is a module of Python's
    assert build(Open("wave:CartPole-v1")).env.spec.id == "CartPole-v1"
    with pytest.raises(UnknownEnvironmentError, match="the module wave has no 'CartPole'"):
        build(Open("gymnasium:wave:CartPole"))


def test_a_module_may_be_named_where_no_scheme_is_meant(folder):
    declare(folder, "tests-simulator", "tests", "other_adapter")
    made = build(Open("tests.support.envs:Sized"))
    assert type(made.env).__name__ == "Sized"


def test_no_package_takes_over_a_scheme_that_is_built_in(folder, capsys):
    declare(folder, "greedy", "openspiel", "other_adapter")
    built = build(Open("openspiel:catch"))
    assert built.description.view == "openspiel"
    assert main(["list"]) == 0
    assert "openspiel:NAME" in (text := capsys.readouterr().out)
    assert "not used: greedy 1.2 declares a scheme that is built in" in text


def test_the_list_has_the_names_that_adapters_tell_and_why_others_tell_none(folder, capsys):
    (folder / "telling_adapter.py").write_text(
        "print('pygame says hello')\nnames = lambda: ['a', 'b']\n"
    )
    declare(folder, "telling", "telling", "telling_adapter")
    declare(folder, "broken", "broken", "no_adapter")
    assert main(["list"]) == 0
    shown = capsys.readouterr()
    rows = [line.split(maxsplit=1) for line in shown.out.splitlines() if line.startswith("  ")]
    known = {row[0]: row[1] for row in rows}
    assert known["telling:a"] == known["telling:b"] == "by telling 1.2"
    assert known["other:NAME"] == "by other-simulator 1.2"
    assert "No module named 'no_adapter'" in known["broken:NAME"]
    assert "pygame" not in shown.out


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("othr:x", UnknownEnvironmentError, "othr is no scheme either.*did you mean other:"),
        ("other:", UnknownEnvironmentError, "expected other:NAME, got 'other:'"),
        ("other:three", EnvStartError, "other:three makes an object of type int"),
        ("other:vector", EnvStartError, "a VectorEnv"),
        ("twice:x", EnvStartError, "one package that declares.*got first 1.2 and second 1.2"),
        ("missing:x", EnvStartError, "no_adapter of the package missing 1.2 cannot be loaded"),
        ("raising:x", EnvStartError, "ValueError: not today"),
        ("leaving:x", EnvStartError, "SystemExit"),
        ("number:x", EnvStartError, "function make.*got 7 without one"),
        ("bare:x", EnvStartError, "function make.*got wave without one"),
    ],
)
def test_each_mistake_has_its_sentence(folder, name, error, said):
    declare(folder, "first", "twice", "other_adapter")
    declare(folder, "second", "twice", "other_adapter")
    declare(folder, "missing", "missing", "no_adapter")
    (folder / "raising_adapter.py").write_text("raise ValueError('not today')")
    declare(folder, "raising", "raising", "raising_adapter")
    (folder / "leaving_adapter.py").write_text("raise SystemExit")
    declare(folder, "leaving", "leaving", "leaving_adapter")
    (folder / "number_adapter.py").write_text("number = 7")
    declare(folder, "number", "number", "number_adapter:number")
    declare(folder, "bare", "bare", "wave")
    with pytest.raises(error, match=said):
        build(Open(name))


def test_an_adapter_that_takes_no_render_mode_is_said_to_have_none(folder):
    (folder / "plain_adapter.py").write_text("def make(name): return None")
    declare(folder, "plain", "plain", "plain_adapter")
    with pytest.raises(UnsupportedRenderModeError, match="plain:x takes none, got 'ansi'"):
        build(Open("plain:x", render_mode="ansi"))


def test_adapters_are_not_loaded_before_workers_are_forked(folder):
    assert not {"other_adapter", "pettingzoo"} & set(modules_to_preload("other:x"))
    assert modules_to_preload("other:x")[0] == "openenv_gym.adapters.declared_host"


def test_metadata_is_read_only_for_names_that_need_it(folder):
    program = (
        "from importlib import metadata\n"
        "metadata.entry_points = None\n"  # to call it would raise
        "import openenv_gym\n"
        "from openenv_gym.protocol import Open\n"
        "from openenv_gym.workers.built_env import build\n"
        "for name in ('CartPole-v1', 'gymnasium:CartPole-v1', 'openspiel:catch',\n"
        "             'tests.support.envs:Sized'):\n"
        "    build(Open(name))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_gymnasium_make_names_it_as_env_id(folder):
    env = gym.make("openenv/gymnasium-v0", env_id="other:CartPole-v1")
    assert env.reset(seed=0)[0].shape == (4,)
    env.close()
    with pytest.raises(gym.error.NameNotFound, match="CartPool"):  # as the adapter raises it
        gym.make("openenv/gymnasium-v0", env_id="other:CartPool-v1")
