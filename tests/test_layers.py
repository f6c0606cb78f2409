"""The layers of the package, enforced on what every module imports.

The table of layers is read from docs/architecture.md. A module imports from the layers before
its own, from its own room, and from a neighbour in its layer unless the layer is one of edges. An
import counts wherever it stands: in a function, under ``TYPE_CHECKING``, or as
``import_module("...")``. Only the ``__getattr__`` of a package's ``__init__`` is exempt, and the
package's own ``__init__``, which imports the public names lazily.
"""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "openenv_gym"
PACKAGE_DIR = Path(__file__).parents[1] / PACKAGE

PAGE = Path(__file__).parents[1] / "docs/architecture.md"


def table_of_layers(page: str) -> dict[str, frozenset[str]]:
    """The rooms of each layer, top to bottom, as the section on layers lists them."""
    section = page.partition("\n## Layers\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| ([^|]*`[^|]*) \|", section, re.MULTILINE)
    return {layer: frozenset(re.findall(r"`(\w+)/?`", rooms)) for layer, rooms in rows}


LAYERS = table_of_layers(PAGE.read_text(encoding="utf-8"))
LAYER_OF_ROOM = {room: layer for layer, rooms in LAYERS.items() for room in rooms}
RANK = {layer: rank for rank, layer in enumerate(LAYERS)}
# Layers whose rooms do not know each other: each faces one outside world.
STRANGERS = frozenset({"edges"})

# Layers without I/O, clock and threads, and what would bring them in.
PURE = frozenset({"base", "values", "protocol"})
IMPURE_MODULES = (
    "asyncio",
    "concurrent",
    "fastapi",
    "http.client",
    "httpcore",
    "httpx",
    "multiprocessing",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "starlette",
    "subprocess",
    "threading",
    "time",
    "urllib.request",
    "uvicorn",
)

# What `import openenv_gym` may import at once: all else is handed out by its __getattr__.
EAGER_LAYERS = frozenset({"base", "values", "protocol"})
EAGER_MODULES = frozenset({f"{PACKAGE}.envs.registration"})

# Attributes of the package itself that a room may ask for.
ROOT_ATTRIBUTES = frozenset({"__version__"})


@dataclass(frozen=True, kw_only=True)
class Module:
    """One file of the package."""

    name: str
    path: Path

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def room(self) -> str:
        return room_of(self.name)

    @property
    def is_root(self) -> bool:
        return not self.room

    @property
    def parent(self) -> str:
        """The package that a relative import starts from."""
        return self.name if self.is_package else self.name.rpartition(".")[0]


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported module, or attribute of one, by its absolute dotted name."""

    module: Module
    target: str
    line: int
    eager: bool  # runs when the module is imported
    lazy_attribute: bool  # stands in the __getattr__ of an __init__

    @property
    def inside(self) -> bool:
        return is_within(self.target, PACKAGE)

    @property
    def room(self) -> str:
        return room_of(self.target)

    def __str__(self) -> str:
        return f"{self.module.name}, line {self.line}, imports {self.target}"


def room_of(name: str) -> str:
    """The room of a dotted name inside the package; "" for the package itself."""
    return name.partition(".")[2].partition(".")[0]


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def modules(package_dir: Path) -> list[Module]:
    found = []
    for path in sorted(package_dir.rglob("*.py")):
        file = path.parent if path.name == "__init__.py" else path.with_suffix("")
        name = ".".join(file.relative_to(package_dir.parent).parts)
        found.append(Module(name=name, path=path))
    return found


class ImportCollector(ast.NodeVisitor):
    """Gathers every import of one module, wherever it stands."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.imports: list[Import] = []
        self._functions: list[str] = []
        self._type_checking = 0

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        guard = ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
        self._type_checking += guard
        for child in node.body:
            self.visit(child)
        self._type_checking -= guard
        for child in [node.test, *node.orelse]:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        origin = self._absolute("." * node.level + (node.module or ""))
        for alias in node.names:
            self._add(f"{origin}.{alias.name}", node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        if ast.unparse(node.func) in {"__import__", "import_module", "importlib.import_module"}:
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    self._add(self._absolute(name), node.lineno)
        self.generic_visit(node)

    def _absolute(self, name: str) -> str:
        plain = name.lstrip(".")
        level = len(name) - len(plain)
        if level == 0:
            return plain
        parts = self.module.parent.split(".")
        return ".".join([*parts[: len(parts) - level + 1], *filter(None, [plain])])

    def _add(self, target: str, line: int) -> None:
        self.imports.append(
            Import(
                module=self.module,
                target=target,
                line=line,
                eager=not self._functions and not self._type_checking,
                lazy_attribute=self.module.is_package and "__getattr__" in self._functions,
            )
        )


def imports(package_dir: Path) -> Iterator[Import]:
    for module in modules(package_dir):
        collector = ImportCollector(module)
        collector.visit(ast.parse(module.path.read_text(encoding="utf-8"), str(module.path)))
        yield from collector.imports


def homeless_rooms(package_dir: Path) -> list[str]:
    """Rooms that no layer names."""
    rooms = {module.room for module in modules(package_dir) if not module.is_root}
    return [
        f"{PACKAGE}/{room} is in no layer: add it to the table in docs/architecture.md, in the "
        f"first layer that comes after all it imports"
        for room in sorted(rooms - set(LAYER_OF_ROOM))
    ]


def layer_violations(package_dir: Path) -> list[str]:
    """Imports from a later layer, from a sibling edge, or of the package as a whole."""
    return [
        f"{found}: {reason}"
        for found in imports(package_dir)
        if found.inside and not found.module.is_root and not found.lazy_attribute
        if (reason := why_forbidden(found))
    ]


def why_forbidden(found: Import) -> str | None:
    importer, imported = found.module.room, found.room
    if importer == imported or importer not in LAYER_OF_ROOM:
        return None
    own = LAYER_OF_ROOM[importer]
    if imported not in LAYER_OF_ROOM:
        if imported in ROOT_ATTRIBUTES or own == "shell":
            return None
        return "import a public name from the room that defines it, not from the package"
    other = LAYER_OF_ROOM[imported]
    if RANK[other] > RANK[own]:
        return f"{own} comes before {other} and does not know it"
    if other == own and own in STRANGERS:
        return f"rooms of the layer {own} do not know each other"
    return None


def room_cycles(package_dir: Path) -> list[str]:
    """A ring of rooms that import each other, if there is one."""
    graph: dict[str, set[str]] = {}
    for found in imports(package_dir):
        if found.inside and not found.module.is_root and not found.lazy_attribute:
            graph.setdefault(found.module.room, set()).add(found.room)
    for room, imported in graph.items():
        imported.discard(room)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as exc:
        # The sorter lists each room before one that imports it, and its first room again as last.
        ring = exc.args[1][:0:-1]
        start = ring.index(min(ring))
        ring = [*ring[start:], *ring[:start], ring[start]]
        return ["rooms import each other in a ring: " + " -> ".join(ring)]
    return []


def impurities(package_dir: Path) -> list[str]:
    """Imports of I/O, clocks or threads where there must be none."""
    return [
        f"{found}: the layer {layer} knows no I/O, no clock and no threads"
        for found in imports(package_dir)
        if (layer := LAYER_OF_ROOM.get(found.module.room)) in PURE
        if any(is_within(found.target, impure) for impure in IMPURE_MODULES)
    ]


def eager_imports(package_dir: Path) -> list[str]:
    """What `import openenv_gym` imports at once and should hand out lazily."""
    return [
        f"{found} at once: import it in __getattr__, so that a bare import stays cheap"
        for found in imports(package_dir)
        if found.inside and found.module.is_root and found.eager
        if LAYER_OF_ROOM.get(found.room) not in EAGER_LAYERS
        if not any(is_within(found.target, module) for module in EAGER_MODULES)
    ]


CHECKS = [homeless_rooms, layer_violations, room_cycles, impurities, eager_imports]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_package_keeps_its_layers(check):
    assert check(PACKAGE_DIR) == []


def test_the_table_names_the_rooms_that_there_are():
    assert {module.room for module in modules(PACKAGE_DIR)} == {"", *LAYER_OF_ROOM}
    assert set(LAYERS) >= STRANGERS | PURE


def files_named(page: str) -> set[str]:
    """The files that a page names, those of a row about a room with its folder."""
    rows = re.findall(r"^\| `(\w+)/`[^|]*\|[^|]*\| ([^|]+) \|$", page, re.MULTILINE)
    in_rows = {
        f"{room}/{file}" for room, files in rows for file in re.findall(r"`(\w+\.py)`", files)
    }
    return in_rows | set(re.findall(r"(?:\w+/)+\w+\.py", page))


def test_the_page_names_files_that_there_are():
    named = {file for file in files_named(PAGE.read_text(encoding="utf-8")) if "NAME" not in file}
    assert {"protocol/states.py", "client/connection.py", "tests/test_layers.py"} <= named
    places = (PACKAGE_DIR, PACKAGE_DIR.parent)
    assert [file for file in sorted(named) if not any((p / file).exists() for p in places)] == []


def complaints(package_dir: Path) -> dict[str, list[str]]:
    return {check.__name__: found for check in CHECKS if (found := check(package_dir))}


def write_package(tmp_path: Path, files: dict[str, str]) -> Path:
    package_dir = tmp_path / PACKAGE
    for name, text in files.items():
        path = package_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return package_dir


def test_a_package_in_order_gives_no_complaint(tmp_path):
    package_dir = write_package(
        tmp_path,
        {
            "__init__.py": (
                "from typing import TYPE_CHECKING\n"
                "from openenv_gym.envs.registration import register\n"
                "from openenv_gym.errors import OpenEnvGymError\n"
                "if TYPE_CHECKING:\n    from openenv_gym.client import Client\n"
                "def __getattr__(name):\n    from openenv_gym.server import app\n    return app\n"
            ),
            "errors.py": "import json\n",
            "address.py": "from urllib.parse import urlsplit\nfrom .errors import AddressError\n",
            "codecs/__init__.py": "from openenv_gym.spaces import infer\nfrom . import binary\n",
            "codecs/binary.py": "import http\nfrom . import json_codec\nfrom .. import errors\n",
            "client/__init__.py": (
                "def __getattr__(name):\n    from openenv_gym.envs import a\n    return a\n"
            ),
            "client/websocket.py": "import socket, time\nfrom openenv_gym import __version__\n",
            "envs/registration.py": "from openenv_gym import launchers\n",
            "conformance.py": "import openenv_gym.envs.registration\n",
            "cli/serve.py": "import openenv_gym\nfrom openenv_gym import create_app, server\n",
        },
    )
    assert complaints(package_dir) == {}


VIOLATIONS = {
    "a later layer": (
        {"wire/messages.py": "from openenv_gym.client import websocket\n"},
        "layer_violations",
        "openenv_gym.wire.messages, line 1, imports openenv_gym.client.websocket: "
        "values comes before edges and does not know it",
    ),
    "in a function": (
        {"protocol/session.py": "def f():\n    import openenv_gym.workers.loop\n"},
        "layer_violations",
        "openenv_gym.protocol.session, line 2, imports openenv_gym.workers.loop: "
        "protocol comes before workers and does not know it",
    ),
    "for types only": (
        {"errors.py": "if TYPE_CHECKING:\n    from .wire.messages import Reset\n"},
        "layer_violations",
        "openenv_gym.errors, line 2, imports openenv_gym.wire.messages.Reset: "
        "base comes before values and does not know it",
    ),
    "by name": (
        {"workers/loop.py": "import_module('..envs.registration', __package__)\n"},
        "layer_violations",
        "openenv_gym.workers.loop, line 1, imports openenv_gym.envs.registration: "
        "workers comes before gym and does not know it",
    ),
    "relative, from an __init__": (
        {"envs/__init__.py": "from ..cli import main\n"},
        "layer_violations",
        "openenv_gym.envs, line 1, imports openenv_gym.cli.main: "
        "gym comes before shell and does not know it",
    ),
    "a sibling edge": (
        {"client/websocket.py": "from openenv_gym.server.limits import Limits\n"},
        "layer_violations",
        "openenv_gym.client.websocket, line 1, imports openenv_gym.server.limits.Limits: "
        "rooms of the layer edges do not know each other",
    ),
    "the package as a whole": (
        {"server/app.py": "from openenv_gym import RemoteEnv\n"},
        "layer_violations",
        "openenv_gym.server.app, line 1, imports openenv_gym.RemoteEnv: "
        "import a public name from the room that defines it, not from the package",
    ),
    "a ring of rooms": (
        {
            "spaces/infer.py": "from openenv_gym.wire import models\n",
            "wire/models.py": "from openenv_gym.codecs import json_codec\n",
            "codecs/json_codec.py": "import openenv_gym.spaces.infer\n",
        },
        "room_cycles",
        "rooms import each other in a ring: codecs -> spaces -> wire -> codecs",
    ),
    "a clock": (
        {"protocol/session.py": "def now():\n    from time import monotonic\n"},
        "impurities",
        "openenv_gym.protocol.session, line 2, imports time.monotonic: "
        "the layer protocol knows no I/O, no clock and no threads",
    ),
    "a submodule that does I/O": (
        {"address.py": "import urllib.request as request\n"},
        "impurities",
        "openenv_gym.address, line 1, imports urllib.request: "
        "the layer base knows no I/O, no clock and no threads",
    ),
    "a room in no layer": (
        {"utils/text.py": ""},
        "homeless_rooms",
        "openenv_gym/utils is in no layer: add it to the table in docs/architecture.md, in the "
        "first layer that comes after all it imports",
    ),
    "an expensive bare import": (
        {"__init__.py": "from openenv_gym.server import create_app\n"},
        "eager_imports",
        "openenv_gym, line 1, imports openenv_gym.server.create_app at once: "
        "import it in __getattr__, so that a bare import stays cheap",
    ),
}


@pytest.mark.parametrize("case", VIOLATIONS)
def test_a_violation_is_found_and_named(tmp_path, case):
    files, check, sentence = VIOLATIONS[case]
    assert complaints(write_package(tmp_path, files)) == {check: [sentence]}
