"""``openenv-gym doctor``: what an interpreter can serve, and why not the rest."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.interpreter.conftest import made


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openenv_gym", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def old() -> subprocess.CompletedProcess[str]:
    return doctor(f"--python={made('gym 0.26')}")


def test_it_ends_well_where_something_can_be_served(old: subprocess.CompletedProcess[str]):
    assert old.returncode == 0


def test_it_says_what_can_be_served(old: subprocess.CompletedProcess[str]):
    assert "gym 0.26.2    its ids, as gym:ID (44 of no namespace)" in old.stdout


def test_it_says_what_is_missing_and_how_to_install_it(old: subprocess.CompletedProcess[str]):
    assert "dm_env" in old.stdout and "-m pip install dm-env" in old.stdout


def test_it_says_of_this_interpreter_what_needs_this_package():
    found = json.loads(doctor("--json").stdout)
    assert found["packages"]["open_spiel"]["needs_us"] and found["ids"]["gymnasium"][""] > 30


def test_it_ends_with_1_where_nothing_can_be_served():
    assert doctor("--python=/bin/cat").returncode == 1


def test_it_says_in_json_why_nothing_can_be_served():
    assert (
        "ended with exit code 1"
        in json.loads(doctor("--python=/bin/cat", "--json").stdout)["error"]
    )
