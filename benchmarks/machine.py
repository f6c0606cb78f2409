"""On what the figures were measured. No name of the host, of a user or of a folder is in it."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "gymnasium",
    "numpy",
    "msgspec",
    "pydantic",
    "fastapi",
    "uvicorn",
    "uvloop",
    "websockets",
)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine, and what runs on it.

    Attributes:
        cpu: Model.
        cores: How many this process may use.
        kernel: The operating system and its version.
        python: Implementation and version.
        versions: Of the packages that are measured; what is not there is not installed.
    """

    cpu: str
    cores: int
    kernel: str
    python: str
    versions: dict[str, str]

    @property
    def summary(self) -> str:
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"{self.cpu}, {cores}, {self.kernel}, {self.python}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def this_machine(packages: Sequence[str] = PACKAGES) -> Machine:
    import openenv_gym

    return Machine(
        cpu=_cpu_model(),
        cores=_cores(),
        kernel=f"{platform.system()} {_release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions={"openenv-gym": openenv_gym.__version__, **_versions(packages)},
    )


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def load_average() -> list[float]:
    """Over one, five and fifteen minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _release() -> str:
    """The kernel's version without the name of its build."""
    match = re.match(r"[0-9.]*[0-9]", platform.release())
    return match[0] if match else platform.release()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
