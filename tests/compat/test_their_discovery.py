"""OpenEnv takes installed distributions for environments, by their name: not ours."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from pathlib import Path

from benchmarks.children import ROOT

OURS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
ASK = """
import json
from importlib import metadata
from openenv.auto._discovery import EnvironmentDiscovery
names = [one.metadata["Name"] for one in metadata.distributions()]
found = EnvironmentDiscovery().discover(use_cache=False)
print(json.dumps([[name for name in names if "gym" in name and "openenv" in name], list(found)]))
"""


def install(name: str, folder: Path) -> None:
    told = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")


def test_it_finds_environments_and_not_this_package(generation, tmp_path):
    install(OURS, tmp_path)
    install("openenv-other", tmp_path)
    variables = {**os.environ, **generation.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [generation.python, "-c", ASK],
        env={**variables, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [["openenv_gym"], ["other"]]
