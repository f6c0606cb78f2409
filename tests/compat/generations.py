"""The two generations of OpenEnv: a venv of each, its servers and its clients.

``openenv`` 0.10 and ``openenv-core`` 0.3 have the same import name, so that each needs a venv.
Left out of both are gradio (the web page), what gradio brings, and what the
Python part of OpenSpiel wants: nothing that serves, connects or validates imports them. That is
345 MB a venv where all of it is 692, and 35 s for both at the same time where one alone takes 46
(2026-11-21, two cores, nothing in pip's cache).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.children import ROOT, Child
from benchmarks.package_venv import PackageVenv

PACKAGES = (
    # servers and clients
    "fastapi",
    "pydantic",
    "typing_extensions",
    "uvicorn",
    "websockets",
    # `import openenv.core` needs these
    "fastmcp",
    "httpx",
    "openai",
    "requests",
    "huggingface_hub",
    "jsonschema",
    "packaging",
    "pyyaml",
    "rich",
    "tomli",
    "tomli-w",
    "typer",
    # our package's models and views; pyspiel
    "msgspec",
    "absl-py",
)
SHARED = ("gymnasium", "numpy")
"""What both ends of a comparison have in the version that we have."""


FIRST_MCP = ("mcp<2", "fastmcp<4")
"""The first major version of MCP's SDK, so that both are there: one in each venv."""


class RemoteError(Exception):
    """What a function in another interpreter raised: the name of its class, and its text."""


class Player(Child):
    """Calls functions of :mod:`tests.compat.stock` in a process with one generation of OpenEnv."""

    def call(self, function: str, **arguments: Any) -> Any:
        """Return what ``module:function`` returns there.

        Raises:
            RemoteError: it raised.
        """
        request = {"call": f"tests.compat.stock.{function}", "arguments": arguments}
        answer = json.loads(self.ask(json.dumps(request)))
        if "error" in answer:
            raise RemoteError(*answer["error"])
        return answer["value"]


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One generation, installed.

    Attributes:
        version: Of OpenEnv.
        python: An interpreter that has it.
        home: The home folder of its processes.
    """

    version: str
    python: Path
    home: Path

    def serve(self, wanted: dict[str, dict[str, Any]]) -> Child:
        """Start a process that serves ``wanted``; the first line that it prints are the URLs."""
        module = "tests.compat.stock.serve"
        return self._run(Child, f"servers of {self.version}", module, json.dumps(wanted))

    def player(self) -> Player:
        """Start a process that plays with this generation's clients."""
        return self._run(Player, f"clients of {self.version}", "tests.compat.stock.play")

    def _run(self, kind: type[Any], name: str, *arguments: str) -> Any:
        command = [str(self.python), "-m", *arguments]
        return kind(name, command, environ=self.environ)

    @property
    def environ(self) -> dict[str, str]:
        """The variables of its processes: none of them writes where the user lives."""
        return {"HOME": str(self.home), "HF_HUB_OFFLINE": "1", "OPENBLAS_NUM_THREADS": "1"}


def _venv(requirement: str, version: str, *pinned: str) -> PackageVenv:
    same = tuple(f"{name}=={metadata.version(name)}" for name in SHARED)
    return PackageVenv(
        folder=ROOT / f".venv-openenv{version.replace('.', '')}",
        packages=(*PACKAGES, *pinned, *same),
        alone=(requirement, f"open_spiel=={metadata.version('open_spiel')}"),
        pip_options=("--no-cache-dir",),
    )


VENVS = {
    "0.10": _venv("openenv==0.10.0", "0.10"),
    "0.3": _venv("openenv-core==0.3.0", "0.3", *FIRST_MCP),
}
