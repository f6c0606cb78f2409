"""The packages are the real ones, of the versions that are meant."""

from __future__ import annotations

import json
import subprocess

DISTRIBUTIONS = {"0.10": ["openenv", "0.10.0"], "0.3": ["openenv-core", "0.3.0"]}
ASK = """
import importlib.metadata, json, openenv.core
found = importlib.metadata.packages_distributions()["openenv"]
print(json.dumps([found[0], importlib.metadata.version(found[0])]))
"""


def test_each_venv_has_its_generation(generation):
    done = subprocess.run(
        [generation.python, "-I", "-c", ASK], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == DISTRIBUTIONS[generation.version]


def test_every_server_of_the_suite_is_up(their_servers):
    import httpx

    for url in their_servers.values():
        assert httpx.get(f"{url}/health", timeout=60).json()["status"] == "healthy"
        schema = httpx.get(f"{url}/schema", timeout=60).json()
        assert {"action", "observation", "state"} <= schema.keys()
