"""The venvs of tests that need another interpreter; ``python -m tests.venvs`` makes them all."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

from benchmarks.children import ROOT
from benchmarks.package_venv import InstallError, PackageVenv
from tests.compat.generations import VENVS

CLIENT = ("gymnasium", "numpy", "msgspec", "pydantic", "httpx", "websockets")
"""What a slim client needs."""

SLIM = PackageVenv(
    folder=ROOT / ".venv-slim",
    packages=tuple(f"{name}=={metadata.version(name)}" for name in CLIENT),
    alone=("--editable", str(ROOT)),
)

DM_CONTROL = PackageVenv(
    folder=ROOT / ".venv-dm-control",
    # 1.0.50 takes mujoco 4.0, which we have, and fails with it.
    packages=(
        *(f"{name}=={metadata.version(name)}" for name in (*CLIENT, "fastapi", "uvicorn")),
        "dm_control==1.0.50",
        "mujoco==3.17.0",
    ),
    alone=("--editable", str(ROOT)),
)


def install(venvs: Mapping[str, PackageVenv]) -> dict[str, InstallError]:
    """Make venvs that are not there yet, at the same time; return what went wrong."""
    failures: dict[str, InstallError] = {}

    def make(name: str) -> None:
        try:
            venvs[name].make()
        except InstallError as exc:
            failures[name] = exc

    with ThreadPoolExecutor() as pool:
        list(pool.map(make, venvs))
    return failures


def main() -> int:
    """Make all of them; tests skip where there is no package index, and so that is no failure."""
    failures = install({**VENVS, "slim": SLIM, "dm_control": DM_CONTROL})
    for name, failure in failures.items():
        print(f"the venv {name} could not be made: {failure}", file=sys.stderr)
    return int(not all(failure.is_unreachable for failure in failures.values()))


if __name__ == "__main__":
    sys.exit(main())
