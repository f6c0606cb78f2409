"""The checker on OpenEnv's own servers: each complaint about them, and that it is true."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import psutil
import pytest

from openenv_gym.conformance import Report, ValidationOptions, validate

QUICK = ValidationOptions(
    plan_steps=5, steps=20, pause_s=0.1, timeout_s=20, skips=("session.close", "session.drop")
)
# What the code of OpenEnv does to each server that `create_app` makes. http_server.py: the text of
# a frame is read outside of the block that answers errors, and so is the type of a message.
ALWAYS = {"input.object": "SESSION_ERROR", "input.binary": "SESSION_ERROR"}
NO_CHANCE = {"seed.differs": "without a seed too"}
CATALOGUE = {
    "echo": {**ALWAYS, **NO_CHANCE},
    "coding": {**ALWAYS, **NO_CHANCE},
    "endless": {**ALWAYS, **NO_CHANCE},
    "household": {**ALWAYS, **NO_CHANCE, "schema.spaces": "additionalProperties"},
    # A step beyond the end of the game writes beyond the memory of pyspiel's Catch.
    "openspiel": {**ALWAYS, "episode.beyond": "Connect"},
    "screen": {**ALWAYS, **NO_CHANCE, "schema.spaces": "inferred from the legal actions"},
    "tools": {**ALWAYS, **NO_CHANCE},
    # Its reset is answered with the base class, which has none of the required fields.
    "toolbox": {
        **ALWAYS,
        **NO_CHANCE,
        "schema.spaces": "the tool edit",
        "observation.schema": "'tool_name' is a required property",
    },
}
"""The complaints about each server, with a part of what proves them."""


def complaints(report: Report) -> dict[str, str]:
    """What each check complains about, with its evidence."""
    return {
        one.check.name: "\n".join(
            line for found in one.complaints for line in (found.got, *found.evidence)
        )
        for one in report.results
        if one.complaints
    }


def check_complaints(name: str, report: Report) -> None:
    found = complaints(report)
    assert set(found) == set(CATALOGUE[name]), found
    for check, proof in CATALOGUE[name].items():
        assert proof in found[check]


def test_what_is_wrong_with_their_echo(their_servers: dict[str, str]) -> None:
    report = validate(their_servers["echo"], options=QUICK)
    check_complaints("echo", report)
    assert report.exit_code == 0  # all of it is about good manners


@pytest.mark.long
@pytest.mark.parametrize("name", CATALOGUE)
def test_what_is_wrong_with_their_servers(name: str, serve_theirs) -> None:
    url, pid = serve_theirs(name)
    check_complaints(name, validate(url, options=ValidationOptions()))
    is_dead = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert is_dead == ("episode.beyond" in CATALOGUE[name])


VALID = """
name: walk
version: 0.1.0
validation:
  reward: {range: [0, 1], floor_margin: 0.5}
  resources: {cpu: 1, memory_mb: 512, disk_mb: 100, episode_timeout_s: 60}
  capabilities: {verifier: {kind: reward_channel}}
  types: {tags: [games]}
"""
MANIFESTS = {
    "valid": VALID,
    "no block": "name: walk\n",
    "no list": "- walk\n",
    "no YAML": "name: [\n",
    "no name": VALID.replace("name: walk", ""),
    "empty range": VALID.replace("[0, 1]", "[1, 1]"),
    "small margin": VALID.replace("0.5", "0.05"),
    "long episodes": VALID.replace("60", "7200"),
    "gpus": VALID.replace("cpu: 1", "cpu: 1, gpu_types: [a100]"),
    "script": VALID.replace("reward_channel", "script"),
    "oracle": VALID.replace("{verifier", "{oracle: {form: injected_state, location: o}, verifier"),
    "judged": VALID.replace("{verifier", "{llm_judged: true, verifier"),
    "unknown": VALID.replace("cpu: 1", "cpu: 1, cores: 2"),
    "no tags": VALID.replace("[games]", "[]"),
    "hosts": VALID + "  network: {mode: allowlist}\n",
    "elsewhere": VALID + "  execution: {probe_path: ../runtime.json}\n",
    "executed": VALID + "  execution: {}\n",
}


def test_manifests_are_judged_as_openenv_judges_them(generation, tmp_path: Path) -> None:
    if generation.version != "0.10":
        pytest.skip("OpenEnv 0.3 reads no block `validation:`")
    script = (
        "import json, sys\nfrom pathlib import Path\n"
        "from openenv.validation import load_policy, run_validation, Level\n"
        "for name in sys.argv[1:]:\n"
        "    report = run_validation(Path(name), max_level=Level.STATIC, skip_build=True)\n"
        "    results = {one.check_id: one.status.value for one in report.results}\n"
        "    print(json.dumps([name, results['static.manifest']]))\n"
    )
    folders = {}
    for number, (name, text) in enumerate(MANIFESTS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "openenv.yaml").write_text(text)
        folders[str(folder)] = name
    done = subprocess.run(
        [str(generation.python), "-c", script, *folders],
        env=generation.environ, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    theirs = {folders[path]: said for path, said in map(json.loads, done.stdout.splitlines())}
    only = ValidationOptions(checks=["folder.manifest"])
    ours = {
        name: validate(path, options=only).results[0].status.replace("passed", "pass")
        for path, name in folders.items()
    }
    assert {name: said.replace("failed", "fail") for name, said in ours.items()} == theirs
    assert set(theirs.values()) == {"pass", "fail"}


FILES = ("openenv.yaml", "__init__.py", "client.py", "README.md", "pyproject.toml")
LAYOUTS = {
    "all": (*FILES, "server/__init__.py", "server/app.py", "server/Dockerfile"),
    "docker at the root": (*FILES, "Dockerfile"),
    "no docker": (*FILES, "server/__init__.py", "server/app.py"),
    "no app": (*FILES, "server/__init__.py", "server/Dockerfile"),
    "no client": ("openenv.yaml", "__init__.py", "README.md", "pyproject.toml", "Dockerfile"),
    "no project": (*FILES[:-1], "Dockerfile"),
}


def test_folders_are_judged_as_openenv_push_judges_them(generation, tmp_path: Path) -> None:
    script = (
        "import json, sys\nfrom pathlib import Path\n"
        "from openenv.cli._cli_utils import validate_env_structure\n"
        "for name in sys.argv[1:]:\n"
        "    try: validate_env_structure(Path(name)); said = 'passed'\n"
        "    except (FileNotFoundError, ValueError): said = 'failed'\n"
        "    print(json.dumps(said))\n"
    )
    folders = [tmp_path / name.replace(" ", "_") for name in LAYOUTS]
    for folder, files in zip(folders, LAYOUTS.values(), strict=True):
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
    done = subprocess.run(
        [str(generation.python), "-c", script, *map(str, folders)],
        env=generation.environ, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    only = ValidationOptions(checks=["folder.push"])
    assert [validate(str(one), options=only).results[0].status for one in folders] == theirs
    assert set(theirs) == {"passed", "failed"}
