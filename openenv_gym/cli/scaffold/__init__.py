"""A folder of an OpenEnv environment, made of an environment that exists.

The files are in ``templates``, with names in place of what differs (:class:`string.Template`). The
layout is what ``openenv push`` wants: the folder is the package, with a folder ``server`` in it.
"""

from __future__ import annotations

import ast
import json
import keyword
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Any

import gymnasium as gym

from openenv_gym.cli.playing.policies import policy_of
from openenv_gym.envs.inspection import Inspection, inspect
from openenv_gym.errors import InvalidRequestError, SpaceError

_HIDDEN = {"gitignore": ".gitignore", "dockerignore": ".dockerignore"}
_REWARD_STEPS = 500
_OURS = "openenv_gym"
_EXTRAS = {"box2d": "box2d", "mujoco": "mujoco", "toy_text": "toy-text"}
"""The extras of Gymnasium by the folder of its environments."""


@dataclass(frozen=True, kw_only=True)
class Scaffold:
    """What a folder is made of.

    Attributes:
        folder: Where it is made.
        package: The name of its package, which is that of the folder.
        environment: The name of the environment, as the server of the folder knows it.
        kwargs: Its keyword arguments.
        source: The file of the user's own environment, which is copied; None where there is none.
    """

    folder: Path
    package: str
    environment: str
    kwargs: Mapping[str, Any]
    source: Path | None = None


def planned(folder: Path, target: str, kwargs: Mapping[str, Any]) -> Scaffold:
    """Return what is to be made of an environment.

    Args:
        folder: A folder that is not there yet, or is empty.
        target: The name of the environment. What is named by its file is copied into the folder.
        kwargs: Its keyword arguments.

    Raises:
        InvalidRequestError: the folder has something in it, or a name that no package can have.
    """
    package = folder.absolute().name.replace("-", "_")
    if not package.isidentifier() or keyword.iskeyword(package) or package == _OURS:
        raise InvalidRequestError(
            f"expected a folder whose name can be that of a package, as cartpole_env, got "
            f"{folder.absolute().name!r}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidRequestError(
            f"expected a new or an empty folder, got {folder}; choose another"
        )
    file, colon, name = target.rpartition(":")
    if not colon and target.endswith(".py"):
        file = target
    if not file.endswith(".py"):
        return Scaffold(folder=folder, package=package, environment=target, kwargs=kwargs)
    module = f"{package}.server.{Path(file).stem}"
    return Scaffold(
        folder=folder,
        package=package,
        environment=f"{module}:{name}" if colon else module,
        kwargs=kwargs,
        source=Path(file),
    )


def write(scaffold: Scaffold, target: str) -> list[Path]:
    """Make the folder, and return its files.

    Args:
        scaffold: What to make.
        target: The name by which the environment is known here.

    Raises:
        SpaceError: the spaces of the environment are open.
        OpenEnvGymError: it cannot be built.
        InvalidRequestError: the folder cannot be written.
    """
    found = inspect(target, kwargs=dict(scaffold.kwargs))
    if found.problem:
        raise SpaceError(found.problem)
    words = _words(scaffold, found, target)
    written = []
    try:
        for path, text in _templates():
            written.append(scaffold.folder / path)
            written[-1].parent.mkdir(parents=True, exist_ok=True)
            written[-1].write_text(Template(text).substitute(words), encoding="utf-8")
        if scaffold.source is not None:
            written.append(scaffold.folder / "server" / scaffold.source.name)
            shutil.copyfile(scaffold.source, written[-1])
        outputs = scaffold.folder / "outputs" / ".gitkeep"  # `openenv push` asks for the folder
        outputs.parent.mkdir(exist_ok=True)
        outputs.touch()
    except OSError as exc:
        raise InvalidRequestError(f"{scaffold.folder} cannot be written: {exc}") from exc
    return sorted(written)


def _templates() -> list[tuple[Path, str]]:
    """Every template with its path in the folder."""
    found: list[tuple[Path, str]] = []

    def look(folder: Traversable, path: Path) -> None:
        for one in folder.iterdir():
            if one.is_dir():
                look(one, path / one.name)
            elif one.name.endswith(".txt"):
                name = one.name.removesuffix(".txt")
                found.append((path / _HIDDEN.get(name, name), one.read_text(encoding="utf-8")))

    look(resources.files(__name__) / "templates", Path())
    return found


def _words(scaffold: Scaffold, found: Inspection, target: str) -> dict[str, str]:
    models = _classes(found.models)
    state = models.get("State", "State")
    action, observation = models["Action"], models["Observation"]
    name = "".join(word.capitalize() for word in scaffold.package.split("_"))
    title = found.name
    messages = [one.message for one in found.examples]
    example = next(one["data"] for one in messages if one["type"] == "step")
    low, high, remark = _reward_range(target, scaffold.kwargs)
    return {
        "title": title,
        "package": scaffold.package,
        "distribution": scaffold.package.replace("_", "-"),
        "environment": scaffold.environment,
        "kwargs": _literal(dict(scaffold.kwargs)),
        "description": json.dumps(f"{title}, for OpenEnv and Gymnasium", ensure_ascii=False),
        "action": action,
        "observation": observation,
        "state": state,
        "state_import": "" if state in models.values() else ", State",
        "client": name if name.endswith("Env") else f"{name}Env",
        "models": ", ".join(sorted(models.values())),
        "example": _literal(example),
        "source": found.models.strip(),
        "reward_range": f"[{low}, {high}]",
        "reward_remark": remark,
        "tag": re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-"),
        "dependencies": ", ".join(json.dumps(one) for one in _dependencies(target)),
    }


def _literal(value: Any) -> str:
    """Python for a value of JSON, with double quotes where nothing speaks against it."""
    text = json.dumps(value)
    try:
        return text if ast.literal_eval(text) == value else repr(value)
    except ValueError:  # true, null and NaN are no Python
        return repr(value)


def _classes(source: str) -> dict[str, str]:
    """The names of the classes of a module of models, by their bases."""
    bases = {"Action", "Observation", "State"}
    return {
        base.id: node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name) and base.id in bases
    }


def _reward_range(target: str, kwargs: Mapping[str, Any]) -> tuple[float, float, str]:
    """The lowest and the highest reward of a step, and how they are known."""
    env = gym.make("openenv/gymnasium-v0", env_id=target, disable_env_checker=True, **kwargs)
    try:
        policy = policy_of("random", env, 0)
        rewards = [0.0]
        obs, info = env.reset(seed=0)
        for _ in range(_REWARD_STEPS):
            obs, reward, terminated, truncated, info = env.step(policy(obs, info))
            rewards.append(float(reward))
            if terminated or truncated:
                obs, info = env.reset()
    finally:
        env.close()
    known = [one for one in rewards if math.isfinite(one)]
    low, high = float(math.floor(min(known))), float(math.ceil(max(known)))
    remark = f"of {_REWARD_STEPS} steps at random; correct it where a step can pay more or less"
    return low, max(high, low + 1.0), remark


def _dependencies(target: str) -> list[str]:
    """The distributions that the server needs."""
    spec = gym.registry.get(target)
    entry = "" if spec is None or not isinstance(spec.entry_point, str) else spec.entry_point
    if entry.startswith("gymnasium.envs."):
        extra = _EXTRAS.get(entry.split(".")[2])
        return [_OURS] if extra is None else [_OURS, f"gymnasium[{extra}]"]
    module = (entry or target).partition(":")[0].partition(".")[0]
    known = metadata.packages_distributions().get(module, [])
    return [_OURS, *sorted(set(known) - {_OURS})]
