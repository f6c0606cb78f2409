"""A folder of an environment: the static checks of ``openenv validate`` and ``openenv push``."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

from openenv_gym.conformance.validation.checks import (
    BrokenError,
    Complaint,
    Findings,
    NotCheckedError,
    check,
    quoted,
)

_VALIDATION = "openenv 0.10, openenv/validation"
_STRUCTURE = "openenv 0.10, openenv/cli/_validation.py: validate_multi_mode_deployment"
_PUSHED = (
    "openenv.yaml", "__init__.py", "client.py", "README.md", "pyproject.toml",
    "server/__init__.py", "server/app.py",
)  # fmt: skip
_DEPENDENCY = re.compile(r"openenv([-_]core)?\s*($|[\[<>=!~@;])", re.IGNORECASE)
_INSTALLED = re.compile(r"^(?!\s*#).*openenv", re.IGNORECASE | re.MULTILINE)
_INSTALL = "needs the package pyyaml: pip install 'openenv_gym[validate]'"


def _content(folder: Path) -> Any:
    """Return what ``openenv.yaml`` says."""
    try:
        import yaml
    except ImportError as exc:
        raise NotCheckedError(_INSTALL) from exc
    path = folder / "openenv.yaml"
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        got = "no such file" if isinstance(exc, FileNotFoundError) else str(exc)
        raise BrokenError(Complaint(expected=f"YAML in {path}", got=got)) from exc


@check(
    "folder.manifest",
    "openenv.yaml has a name and a block validation that OpenEnv takes.",
    rests_on=f"{_VALIDATION}/parsers/openenv_yaml.py and graders/static/manifest.py: "
    "static.manifest",
    of="folder",
)
def manifest(folder: Path) -> Findings:
    """Read the manifest."""
    from openenv_gym.conformance.validation.manifest import mistakes  # whose models take long

    data = _content(folder)
    if not isinstance(data, dict):
        yield Complaint(expected="a mapping in openenv.yaml", got=quoted(repr(data)))
    elif data.get("validation") is None:
        yield Complaint(
            expected="a block `validation:` in openenv.yaml, with reward, resources, capabilities "
            "and types",
            got=f"the keys {', '.join(map(str, data)) or 'none'}",
        )
    else:
        for mistake in mistakes(data):
            yield Complaint(expected="what OpenEnv takes in openenv.yaml", got=mistake)
    return None


@check(
    "folder.push",
    "The folder has the files that `openenv push` wants.",
    rests_on="openenv 0.10, openenv/cli/commands/push.py and openenv/cli/_cli_utils.py",
    of="folder",
)
def push(folder: Path) -> Findings:
    """Look for the files."""
    docker = [folder / "Dockerfile", folder / "server" / "Dockerfile"]
    has_own = docker[0].is_file()  # with which the server may lie elsewhere
    wanted = [name for name in _PUSHED if not (has_own and name.startswith("server/"))]
    for name in wanted:
        if not (folder / name).is_file():
            yield Complaint(expected=f"the file {name}", got=f"none in {folder}")
    if not any(path.is_file() for path in docker):
        yield Complaint(expected="a Dockerfile, or server/Dockerfile", got=f"none in {folder}")
    return None


@check(
    "folder.structure",
    "The folder can be deployed in each way: its package has a script `server` and a lock file.",
    rests_on=_STRUCTURE,
    of="folder",
)
def structure(folder: Path) -> Findings:
    """Read pyproject.toml and server/app.py. OpenEnv 0.10 wants this no more, 0.3 did."""
    path = folder / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        got = "no such file" if isinstance(exc, FileNotFoundError) else str(exc)
        yield _mild(f"TOML in {path}", got)
        return None
    if not (folder / "uv.lock").is_file():
        yield _mild("the file uv.lock, which `uv lock` writes", f"none in {folder}")
    script = project.get("scripts", {}).get("server")
    if not isinstance(script, str) or ":main" not in script:
        yield _mild("a script server = '...:main' under [project.scripts]", quoted(script))
    dependencies = [one for one in project.get("dependencies", []) if isinstance(one, str)]
    if not any(map(_DEPENDENCY.match, dependencies)) and not _docker_installs(folder):
        yield _mild("openenv among the dependencies", quoted(dependencies))
    yield from _app(folder / "server" / "app.py")
    return None


def _docker_installs(folder: Path) -> bool:
    paths = [folder / "Dockerfile", folder / "server" / "Dockerfile"]
    return any(
        _INSTALLED.search(path.read_text(encoding="utf-8", errors="replace"))
        for path in paths
        if path.is_file()
    )


def _app(path: Path) -> Findings:
    """Check that the server can be run as a script."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError) as exc:
        got = "no such file" if isinstance(exc, FileNotFoundError) else str(exc)
        yield _mild(f"Python in {path}", got)
        return None
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = [node.name for node in ast.walk(tree) if isinstance(node, functions)]
    if "main" not in names:
        yield _mild(f"a function main in {path}", f"the functions {', '.join(names) or 'none'}")
    elif not any(_runs_main(node) for node in tree.body):
        yield _mild(f"main() under `if __name__ == '__main__':` in {path}", "no such call")
    return None


def _runs_main(node: ast.stmt) -> bool:
    if not isinstance(node, ast.If) or "__name__" not in ast.unparse(node.test):
        return False
    calls = (one for part in node.body for one in ast.walk(part) if isinstance(one, ast.Call))
    return any(isinstance(one.func, ast.Name) and one.func.id == "main" for one in calls)


def _mild(expected: str, got: str) -> Complaint:
    return Complaint(expected=expected, got=got, is_warning=True)
