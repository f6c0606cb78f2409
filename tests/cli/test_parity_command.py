"""``openenv-gym parity``."""

from __future__ import annotations

from pathlib import Path

import pytest

from openenv_gym.cli import main

QUICK = ["--seeds=1", "--steps=5", "--transports=embedded"]


def test_a_line_for_each_transport_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "page.md"
    arguments = ["--seeds=1", "--steps=10", "--transports=embedded,json", f"--write={file}"]
    assert main(["parity", "CartPole-v1", *arguments]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "CartPole-v1  embedded: identical: 10 steps compared",
        "CartPole-v1  json: identical: 10 steps compared",
    ]
    row = "| `CartPole-v1` | identical, 10 steps | identical, 10 steps |"
    assert row in file.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("env_id", "says"),
    [
        ("tests.conformance.odd_envs:Pid-v0", "Pid-v0 differ from what they say in process"),
        ("CartPoel-v1", "CartPoel-v1 could not be judged"),
    ],
)
def test_what_differs_or_is_not_there_is_exit_code_1(
    env_id: str, says: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["parity", env_id, *QUICK]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["tests.support.plain_envs:Plain", "tests/support/plain_envs.py:Plain", "openspiel:catch"],
)
def test_an_environment_is_named_as_for_serve(name: str, capsys: pytest.CaptureFixture[str]):
    assert main(["parity", name, *QUICK]) == 0
    assert capsys.readouterr().out.startswith(f"{name}  embedded: identical: 5 steps")


def test_an_environment_with_models_cannot_be_judged(capsys: pytest.CaptureFixture[str]):
    assert main(["parity", "tests.support.typed_walk:Walk", *QUICK]) == 1
    assert "has models of its own" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "parity needs the names of environments, or --all"),
        (["X-v0", "--transports=binary,carrier"], "expected some of embedded, binary, json, got"),
    ],
)
def test_wrong_arguments_are_one_error(arguments, says, capsys: pytest.CaptureFixture[str]):
    assert main(["parity", *arguments]) == 1
    assert says in capsys.readouterr().err


def test_numbers_are_at_least_1(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(["parity", "CartPole-v1", "--seeds=0"])
    assert "expected a number of at least 1, got '0'" in capsys.readouterr().err
