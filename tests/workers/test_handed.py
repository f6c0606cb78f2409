"""What a worker is handed comes over its control socket alone, and never in a message."""

from __future__ import annotations

import ast
import contextlib
import json
import pickle
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import gymnasium as gym
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.sync.client import connect

import openenv_gym
from openenv_gym.client import Connection
from openenv_gym.client.transports import WorkerSocket, open_transport
from openenv_gym.endpoints.by_value import dumped
from openenv_gym.endpoints.handing import handed_functions
from openenv_gym.protocol import BinaryMessages, ClientSession, Failed, Open
from openenv_gym.protocol.binary_messages import SUBPROTOCOL
from openenv_gym.workers.handed import Header
from openenv_gym.workers.process import WorkerProcess
from openenv_gym.workers.session import WorkerSession
from tests.support.examples import examples

PACKAGE = Path(openenv_gym.__file__).parent
READERS = {
    *(f"{module}.{name}" for module in ("pickle", "cloudpickle") for name in ("load", "loads")),
    *("pickle.Unpickler", "marshal.loads", "dill.loads", "eval", "exec"),
}


def test_one_file_unpickles_and_none_evaluates():
    found, importing = set(), set()
    for path in PACKAGE.rglob("*.py"):
        name, source = str(path.relative_to(PACKAGE)), path.read_text(encoding="utf-8")
        if "pickle" not in source and "eval" not in source and "exec" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in READERS:
                found.add((name, ast.unparse(node.func)))
            if isinstance(node, (ast.Import, ast.ImportFrom)) and "pickle" in ast.unparse(node):
                importing.add((name, ast.unparse(node)))
    assert found == {("workers/handed.py", "pickle.Unpickler")}
    assert importing == {
        ("workers/handed.py", "import pickle"),
        ("endpoints/by_value.py", "import pickle"),
        ("endpoints/by_value.py", "import cloudpickle"),
    }


def test_one_file_uses_it_and_one_hands_over():
    users, handing = set(), set()
    for path in PACKAGE.rglob("*.py"):
        name = str(path.relative_to(PACKAGE))
        source = path.read_text(encoding="utf-8")
        if ".of_file(" in source:
            users.add(name)
        if ".connect(handed" in source:
            handing.add(name)
    assert users == {"workers/worker.py"}
    assert handing == {"launchers/embedded.py"}


def test_a_request_has_no_field_for_it():
    assert not [name for name in Open.__struct_fields__ if "handed" in name or "func" in name]


class Trap:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return Path.mkdir, (self.folder,)


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trap") / "sprung"


@pytest.fixture(scope="module")
def file(trap: Path) -> bytes:
    """What would be handed over, and springs the trap."""
    return handed_functions([Trap], {"trap": Trap(trap)})


def test_the_trap_works(tmp_path: Path):
    worker = WorkerProcess()
    try:
        sprung = tmp_path / "sprung"
        data = dumped([Header(names=["trap"], places=[0]), Trap(sprung), {}, {}])
        with contextlib.closing(worker.connect(data)) as sock:
            place = WorkerSocket(sock, "a worker", worker)
            connection = Connection(
                ClientSession(BinaryMessages()), open_transport(place), timeout_s=60
            )
            with pytest.raises(openenv_gym.OpenEnvGymError):
                connection.request(Open("trap"))
        assert sprung.is_dir()
    finally:
        worker.stop()


PLACES: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "environment": lambda data: {"environment": data.decode("latin-1")},
    "kwargs": lambda data: {"environment": "CartPole-v1", "kwargs": {"handed": data}},
    "a value of kwargs": lambda data: {"environment": "CartPole-v1", "kwargs": {"env": data}},
    "models": lambda data: {"environment": "CartPole-v1", "models": {"action": str(data)}},
    "render_mode": lambda data: {"environment": "CartPole-v1", "render_mode": str(data)},
    "vectorization": lambda data: {"environment": "CartPole-v1", "vectorization": str(data)},
}


@pytest.mark.parametrize("place", PLACES)
def test_no_field_of_a_request_is_unpickled(place: str, file: bytes, trap: Path):
    session = WorkerSession()
    client = ClientSession(BinaryMessages())
    body = client.send(Open(**PLACES[place](file)))
    with contextlib.suppress(openenv_gym.OpenEnvGymError):
        client.receive(session.handle(body))
    session.close()
    assert not trap.exists()


@pytest.mark.parametrize("name", ["handed", "functions", "env_fns", "pickle", "builder"])
def test_a_field_that_there_is_not_is_no_way_in(name: str, file: bytes, trap: Path):
    fields = {"environment": "CartPole-v1", name: file.decode("latin-1")}
    session = WorkerSession()
    client = ClientSession(BinaryMessages())
    body = client.send(Open("CartPole-v1"))
    header = bytes(body)[:8]
    session.handle(header + json.dumps(fields).encode())
    session.handle(header + msgspec.msgpack.encode(fields))
    session.handle(header + file)
    session.close()
    assert not trap.exists()


@settings(max_examples=examples(500))
@given(st.data())
def test_mixtures_of_bytes_are_no_way_in(file: bytes, trap: Path, data: st.DataObject):
    client = ClientSession(BinaryMessages())
    body = bytes(client.send(Open("CartPole-v1")))
    at = data.draw(st.integers(0, len(body)))
    cut = data.draw(st.integers(0, len(file)))
    session = WorkerSession()
    session.handle(body[:at] + file[cut:] + body[at:])
    session.close()
    assert not trap.exists()


def test_a_server_takes_none(serve: Callable, file: bytes, trap: Path):
    url = serve("CartPole-v1").base_url.replace("http", "ws") + "/ws"
    session = ClientSession(BinaryMessages())
    with connect(url, subprotocols=[SUBPROTOCOL]) as socket:  # type: ignore[list-item]
        for name in ("CartPole-v1", file.decode("latin-1")):
            session = ClientSession(BinaryMessages())
            body = session.send(Open(name, {"handed": file}))
            socket.send(bytes(body))
            assert isinstance(session.receive(socket.recv()), Failed)
    with connect(url) as socket:
        message = {"type": "reset", "data": {"handed": file.decode("latin-1")}}
        socket.send(json.dumps(message))
        socket.recv()
    assert not trap.exists()


def test_a_function_by_name_is_none_of_a_server(serve: Callable):
    url = serve("CartPole-v1").base_url
    gym.register("OnlyHere-v0", lambda: gym.make("CartPole-v1"))
    try:
        with pytest.raises(openenv_gym.OpenEnvGymError, match="serves CartPole-v1"):
            gym.make("openenv/gymnasium-v0", env_id="OnlyHere-v0", base_url=url)
    finally:
        del gym.registry["OnlyHere-v0"]


def test_an_enum_without_a_module_is_read_anew_each_time():
    local = Enum("local", {"A": 1})
    first, second = (pickle.loads(dumped([local.A])) for _ in range(2))
    assert (first.name, first.value, type(first) is type(second)) == ("A", 1, False)
