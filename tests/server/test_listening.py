"""Where a server listens: TLS, the mode of a Unix socket."""

from __future__ import annotations

import datetime
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import httpx
import numpy as np
import pytest
import trustme

from openenv_gym import OpenEnvClient, WebSocketOptions, create_app
from openenv_gym.cli import main
from openenv_gym.errors import InvalidRequestError, UnreachableError
from openenv_gym.launchers import ServerProcess
from openenv_gym.server.run import _bound_unix
from openenv_gym.server.settings import Listener
from openenv_gym.testing.fault_proxy import FaultProxy
from tests.support.rollouts import assert_same
from tests.support.uvicorn_thread import serving

TOKEN = "a-token-over-tls"
HOST = "localhost"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def issue(authority: trustme.CA, folder: Path, host: str, **terms: object) -> list[str]:
    """Write a certificate for ``host`` and its key; return the flags of ``serve`` for them."""
    issued = authority.issue_cert(host, **terms)
    folder.mkdir(exist_ok=True)
    (folder / "cert.pem").write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    return [f"--tls-cert={folder / 'cert.pem'}", f"--tls-key={folder / 'key.pem'}"]


def trusting(authority: trustme.CA) -> WebSocketOptions:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return WebSocketOptions(ssl_context=context)


@pytest.fixture(scope="module")
def secure(authority, tmp_path_factory) -> Iterator[str]:
    """The URL of a server over TLS that wants a token."""
    flags = issue(authority, tmp_path_factory.mktemp("tls"), "127.0.0.1")
    with ServerProcess("CartPole-v1", *flags, token=TOKEN) as server:
        yield server.base_url


def rollout(env: gym.Env) -> list[object]:
    seen: list[object] = [env.reset(seed=3)]
    env.action_space.seed(3)
    for _ in range(30):
        seen.append(env.step(env.action_space.sample()))
        if seen[-1][2]:
            seen.append(env.reset())
    env.close()
    return seen


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_a_run_over_tls_is_the_run_in_process(secure: str, authority, codec: str):
    assert secure.startswith("https://127.0.0.1:")
    options = trusting(authority)
    env = gym.make(
        "openenv/CartPole-v1", base_url=secure, codec=codec, options=options, token=TOKEN
    )
    assert_same(rollout(gym.make("CartPole-v1")), rollout(env))


def test_many_over_tls_are_the_many_in_process(secure: str, authority):
    given = {"base_url": secure, "options": trusting(authority), "token": TOKEN}
    envs = gym.make_vec("openenv/CartPole-v1", num_envs=3, shards=2, vectorization="sync", **given)
    local = gym.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync")
    assert_same(local.reset(seed=1), envs.reset(seed=1))
    for action in ([0, 1, 1], [1, 1, 0]) * 12:
        assert_same(local.step(np.array(action)), envs.step(np.array(action)))
    envs.close()


def test_a_session_over_tls_is_taken_up_again(secure: str, authority):
    with FaultProxy(secure.replace("https", "http")) as proxy:
        url = proxy.base_url.replace("http", "https")
        given = {"token": TOKEN, "options": trusting(authority)}
        env = gym.make("openenv/CartPole-v1", base_url=url, on_fault="raise", **given)
        local = gym.make("CartPole-v1")
        env.reset(seed=1)
        local.reset(seed=1)
        proxy.cut()
        assert_same(local.step(1), env.step(1))
        env.close()


def test_who_is_not_vouched_for_is_refused(secure: str, authority, tmp_path: Path):
    with pytest.raises(UnreachableError, match="certificate verify failed"):
        gym.make("openenv/CartPole-v1", base_url=secure, token=TOKEN)
    with pytest.raises(UnreachableError, match="certificate verify failed"):
        other = trusting(trustme.CA())
        gym.make("openenv/CartPole-v1", base_url=secure, token=TOKEN, options=other)
    with pytest.raises(UnreachableError, match="certificate is not valid for 'localhost'"):
        named = secure.replace("127.0.0.1", HOST)
        OpenEnvClient(named, token=TOKEN, options=trusting(authority)).reset()


def test_a_certificate_that_has_expired_is_refused(authority, tmp_path: Path):
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    flags = issue(authority, tmp_path, "127.0.0.1", not_after=past)
    cert, key = (flag.partition("=")[2] for flag in flags)
    app = create_app("CartPole-v1", isolation="inline")
    refused = pytest.raises(UnreachableError, match="certificate has expired")
    with serving(app, ssl_certfile=cert, ssl_keyfile=key) as url, refused:
        OpenEnvClient(url.replace("http", "https"), options=trusting(authority)).reset()


def test_without_tls_nobody_is_answered(secure: str):
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        httpx.get(secure.replace("https", "http"))


@pytest.mark.parametrize("made", ["nothing", "no key", "another key"])
def test_files_that_do_not_fit_are_told_before_anything_is_built(
    authority, tmp_path: Path, capsys, made: str
):
    cert, key = issue(authority, tmp_path, HOST)
    if made == "nothing":
        cert = f"--tls-cert={tmp_path / 'nowhere.pem'}"
    elif made == "no key":
        key = "--log-level=error"
    else:
        key = issue(authority, tmp_path / "other", HOST)[1]
    assert main(["serve", "no-such-environment", "--port=0", cert, key]) == 1
    said = capsys.readouterr().err
    assert "tls_cert: expected certificates and their private key, which has no password" in said
    assert ".pem" in said


def test_a_key_without_certificates_makes_no_sense():
    with pytest.raises(InvalidRequestError, match="tls_key: expected tls_cert beside it"):
        Listener(tls_key="key.pem")


# --- Unix sockets


def test_a_unix_socket_is_private_and_goes_with_its_server(tmp_path: Path):
    path = tmp_path / "socket"
    with ServerProcess("CartPole-v1", f"--uds={path}", "--isolation=inline") as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        env = gym.make("openenv/CartPole-v1", base_url=server.base_url)
        assert env.reset(seed=1)[0].shape == (4,)
        env.close()
    assert not path.exists()


def test_a_socket_that_was_left_over_is_replaced_and_one_in_use_is_not(tmp_path: Path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    before = os.umask(0o022)
    os.umask(before)
    with _bound_unix(path, 0o640) as sock:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
        sock.listen()
        with pytest.raises(UnreachableError, match=r"cannot listen on .*Address already in use"):
            _bound_unix(path, 0o600)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    with pytest.raises(UnreachableError, match="choose another --uds"):
        _bound_unix(str(tmp_path / "nowhere" / "socket"), 0o600)
    after = os.umask(0o022)
    os.umask(after)
    assert before == after
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(UnreachableError):
        _bound_unix(str(tmp_path / "file"), 0o600)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("mode", ["600x", "99", "0o600", "rw-------", "", "1777"])
def test_what_is_no_mode(mode: str):
    with pytest.raises(InvalidRequestError, match="uds_mode: expected three octal digits"):
        Listener(uds_mode=mode)
