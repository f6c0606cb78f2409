"""Settings: each has a flag, or is declared to have none, and its default stands once."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import MISSING, fields

import pytest

from openenv_gym.cli.flags import add_flags, flag_of, given
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol import Open
from openenv_gym.server.setting import setting_of
from openenv_gym.server.settings import Listener, ServerSettings

FLAGS = """
    --header-timeout --keep-alive --body-timeout --first-message-timeout --http-idle
    -h --help --host --port --uds --drain-timeout --write-timeout --ping-interval --ping-timeout
    --log-level --lifeline --isolation --start-method --workers --max-sessions --python --kwargs
    --action-model --observation-model --attributes --memory-limit --start-timeout --reset-timeout
    --step-timeout --close-timeout --resume-grace --allow-origin --allow-host --max-message-bytes
    --uds-mode --tls-cert --tls-key --token --token-file --insecure-no-auth --http-sessions
    --max-num-envs --web --expose-tracebacks --no-expose-tracebacks
"""
INTERNAL = {"builder"}


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_flags(parser, Listener)
    add_flags(parser, ServerSettings)
    return parser


def test_every_field_has_a_flag_or_is_internal(parser: argparse.ArgumentParser):
    assert sorted(parser._option_string_actions) == sorted(FLAGS.split())
    every = [*fields(Listener), *fields(ServerSettings)]
    assert {one.name for one in every if setting_of(one).says is None} == INTERNAL
    dests = {action.dest for action in parser._actions} - {"help"}
    assert dests == {one.name for one in every} - INTERNAL


def test_what_is_not_given_has_the_default_of_the_record(parser: argparse.ArgumentParser):
    options = parser.parse_args(["CartPole-v1"])
    assert vars(options) == {"environment": "CartPole-v1"}
    assert ServerSettings(**given(ServerSettings, options)) == ServerSettings(
        environment="CartPole-v1"
    )
    assert Listener(**given(Listener, options)) == Listener()


def test_what_is_given_is_read(parser: argparse.ArgumentParser):
    line = """
        CartPole-v1 --port=0 --step-timeout=1.5 --attributes=' gravity, fps,' --kwargs='{"a": 1}'
        --memory-limit=64 --isolation=thread --lifeline=7 --allow-origin=https://a.example
        --allow-origin=https://b.example --web
    """
    options = parser.parse_args(shlex.split(line))
    assert given(Listener, options) == {"port": 0, "lifeline": 7}
    assert given(ServerSettings, options) == {
        "environment": "CartPole-v1",
        "step_timeout_s": 1.5,
        "attributes": ["gravity", "fps"],
        "kwargs": {"a": 1},
        "memory_limit_mb": 64.0,
        "isolation": "thread",
        "allow_origins": ["https://a.example", "https://b.example"],
        "web": True,
    }


def test_help_says_what_each_flag_is_and_its_default(
    parser: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "1000")  # which argparse breaks its lines at, and words too
    shown = " ".join(parser.format_help().split())
    for one in (*fields(Listener), *fields(ServerSettings)):
        setting = setting_of(one)
        if setting.says in (None, argparse.SUPPRESS) or one.default is MISSING:
            continue
        assert flag_of(one) in shown
        assert " ".join(setting.says.split()) in shown
        if isinstance(one.default, (int, float)) and one.default is not False:
            assert f"(default: {one.default:g})" in shown
    assert "--lifeline" not in shown


@pytest.mark.parametrize(
    ("kind", "values", "says"),
    [
        (ServerSettings, {"isolation": "docker"}, "isolation: expected one of process, thread, in"),
        (ServerSettings, {"start_method": "fork"}, "start_method: expected one of forkserver, sp"),
        (ServerSettings, {"http_idle_s": -1.0}, "http_idle_s: expected seconds, or 0 for at once"),
        (ServerSettings, {"resume_grace_s": None}, "resume_grace_s: expected seconds, or 0 for n"),
        (ServerSettings, {"step_timeout_s": "1"}, "expected seconds, or None or 0 for no limit"),
        (ServerSettings, {"memory_limit_mb": float("inf")}, "expected MiB, or None or 0 for no"),
        (ServerSettings, {"attributes": "gravity"}, "attributes: expected a list of names"),
        (ServerSettings, {"allow_hosts": "a.example"}, "allow_hosts: expected a list of names"),
        (Listener, {"drain_timeout_s": None}, "drain_timeout_s: expected seconds, or 0 for not"),
        (Listener, {"log_level": "loud"}, "log_level: expected one of critical, error"),
    ],
)
def test_what_makes_no_sense_is_refused(kind, values, says: str):
    needed = {"environment": "any"} if kind is ServerSettings else {}
    with pytest.raises(InvalidRequestError, match=says):
        kind(**needed, **values)


@pytest.mark.parametrize("num_envs", [1, 4, None])
def test_as_many_sub_environments_as_are_allowed_may_be_opened(num_envs: int | None):
    settings = ServerSettings(environment="CartPole-v1", max_num_envs=4)
    assert settings.admit(Open(num_envs=num_envs)).num_envs == num_envs


@pytest.mark.parametrize("num_envs", [-1, 0, 5])
def test_more_sub_environments_than_are_allowed_and_none_are_refused(num_envs: int):
    settings = ServerSettings(environment="CartPole-v1", max_num_envs=4)
    with pytest.raises(InvalidRequestError, match=r"^num_envs: expected 1 to 4, .* got -?\d"):
        settings.admit(Open(num_envs=num_envs))


def test_a_request_never_chooses_an_interpreter():
    with pytest.raises(InvalidRequestError, match="expected no interpreter in a request"):
        ServerSettings(environment="CartPole-v1").admit(Open(python="/usr/bin/python3"))


def test_a_server_opens_with_its_own_interpreter():
    settings = ServerSettings(environment="CartPole-v1", python=sys.executable)
    assert settings.admit(Open()).python == sys.executable


def test_an_object_of_this_process_takes_no_interpreter():
    with pytest.raises(InvalidRequestError, match="python: expected none"):
        ServerSettings(environment="one", builder=lambda request: None, python=sys.executable)
