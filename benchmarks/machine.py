"""On what the figures were measured. No name of the host, of a user or of a folder is in it."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

SERVING = ("pydantic", "fastapi", "uvicorn", "uvloop", "websockets")
PACKAGES = ("gymnasium", "numpy", "msgspec", *SERVING)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine, and what runs on it."""

    cpu: str  # its model
    cores: int  # how many this process may use
    kernel: str  # the operating system and its version
    python: str  # implementation and version
    versions: dict[str, str]  # of the packages that are installed

    @property
    def summary(self) -> str:
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"{self.cpu}, {cores}, {self.kernel}, {self.python}"


def this_machine(packages: Sequence[str] = PACKAGES) -> Machine:
    release = re.match(r"[0-9.]*[0-9]", platform.release())  # without the name of the build
    kernel = f"{platform.system()} {release[0] if release else platform.release()}"
    has_affinity = hasattr(os, "sched_getaffinity")
    return Machine(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1,
        kernel=f"{kernel} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions=_versions(("openenv-gym", *packages)),
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
