"""``openenv-gym bench``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openenv_gym.cli import main
from openenv_gym.launchers.subprocess import ServerProcess


def test_an_environment_is_measured_beside_the_local_one(tmp_path: Path, capsys):
    plot = tmp_path / "plot.png"
    arguments = ["tic_tac_toe", "--batches=2", "--sessions=2", "--seconds=0.05", "--json"]
    assert main(["bench", *arguments, f"--plot={plot}"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["target"] == "openspiel:tic_tac_toe"
    ways = [(row["way"], row["num_envs"], row["sessions"]) for row in said["rows"]]
    assert ways == [
        ("local", 1, 1),
        ("remote", 1, 1),
        ("local", 2, 1),
        ("remote", 2, 1),
        ("remote", 2, 2),
    ]
    for row in said["rows"]:
        times = list(row["percentiles_us"].values())
        assert 0 < times[0] <= times[1] <= times[2] <= row["worst_us"]
        assert row["steps"] >= 1
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_server_is_measured_and_its_word_runs_no_code_here(capsys):
    with ServerProcess("openspiel:catch") as server:
        url = server.base_url
        assert main(["bench", url, "--batches=2", "--sessions=", "--seconds=0.05"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["remote", "1", "1"], ["remote", "2", "1"]]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--seconds=0", "--seconds: expected up to 3600, got 0"),
        ("--plot=/nowhere/plot.png", "--plot: there is no folder /nowhere"),
    ],
)
def test_wrong_arguments_of_bench(argument, says, capsys):
    assert main(["bench", "CartPole-v1", argument]) == 1
    assert says in capsys.readouterr().err
