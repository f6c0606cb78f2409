"""The command line."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from openenv_gym.cli import main


def test_help_and_version(capsys: pytest.CaptureFixture[str]):
    for arguments, says in ((["--help"], "serve"), (["--version"], "0.1.0")):
        with pytest.raises(SystemExit, match="0"):
            main(arguments)
        assert says in capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main(["serve", "--help"])
    shown = capsys.readouterr().out
    for option in ("--host", "--port", "--uds", "--workers", "--isolation", "--max-sessions"):
        assert option in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: COMMAND"),
        (["sevre"], "invalid choice: 'sevre'"),
        (["serve"], "required: environment"),
        (["serve", "CartPole-v1", "--isolation", "docker"], "invalid choice: 'docker'"),
        (["serve", "CartPole-v1", "--kwargs", "[1]"], "expected a JSON object, got '[1]'"),
        (["serve", "CartPole-v1", "--kwargs", "{"], "expected a JSON object, got '{'"),
    ],
)
def test_wrong_arguments(arguments, says, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--max-sessions=0", "max_sessions and max_num_envs of at least 1"),
        ("--memory-limit=-5", "memory_limit_mb: expected MiB, or None or 0"),
        ("--resume-grace=-1", "resume_grace_s: expected seconds, or 0 for none"),
        ("--step-timeout=nan", "step_timeout_s: expected seconds"),
        ("--drain-timeout=-1", "drain_timeout_s: expected seconds"),
        ("--write-timeout=-1", "write_timeout_s: expected seconds, or None or 0"),
        ("--ping-interval=inf", "ping_interval_s: expected seconds"),
        ("--ping-timeout=-0.5", "ping_timeout_s: expected seconds"),
        ("--port=99999", "port: expected 0 for a free one, or a number up to 65535, got 99999"),
    ],
)
def test_a_setting_without_sense_is_one_error(
    argument: str, says: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["serve", "--port=0", "CartPole-v1", argument]) == 1
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.startswith("openenv-gym: ")
    assert says in out.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["CartPoel-v1"], "Did you mean: `CartPole`"),
        (["openspiel:cacth"], "catch"),
        (["environment:nowhere:Thing"], "there is no module named 'nowhere'"),
        (["CartPole-v1", "--kwargs", '{"gravitiy": 1}'], "unexpected keyword argument 'gravitiy'"),
    ],
)
@pytest.mark.sample(2)
def test_what_cannot_be_served_is_one_error_and_no_traceback(arguments, says):
    command = [sys.executable, "-m", "openenv_gym", "serve", "--port=0", *arguments]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (out.returncode, out.stdout) == (1, "")
    assert out.stderr.startswith("openenv-gym: ")
    assert says in out.stderr


def test_a_port_that_is_taken_is_one_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "openenv_gym", "serve", "CartPole-v1", f"--port={port}"]
        out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (out.returncode, out.stdout) == (1, "")
    assert out.stderr.startswith(f"openenv-gym: cannot listen on 127.0.0.1, port {port}: ")
    assert "choose another --port" in out.stderr


def test_ctrl_c_ends_a_command_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupted(as_json: bool) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("openenv_gym.cli.listing._ids", interrupted)
    assert main(["list"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_has_seen_enough_is_no_error():
    source = "import sys; from openenv_gym.cli import main; sys.exit(main(['list']))"
    command = [sys.executable, "-c", source]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listing:
        assert listing.stdout is not None and listing.stderr is not None
        listing.stdout.close()
        assert listing.stderr.read() == b""
    assert listing.returncode == 0


def test_modules_in_the_current_folder_are_found(tmp_path: Path):
    (tmp_path / "module_here.py").write_text("thing = 7")
    command = [Path(sys.executable).with_name("openenv-gym"), "serve", "module_here:thing"]
    command += ["--isolation=inline", "--port=0"]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert out.returncode == 1
    assert "openenv-gym: module_here:thing is of type int; expected a gymnasium.Env" in out.stderr
