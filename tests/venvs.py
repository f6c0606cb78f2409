"""The venvs of tests that need another interpreter; ``python -m tests.venvs`` makes them all."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import pytest

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

SERVER = (*CLIENT, "fastapi", "uvicorn")
"""What a server needs beside the packages of what it serves."""

_WITHOUT_NUMPY = tuple(name for name in SERVER if name != "numpy")

GYMS = {
    "0.26": PackageVenv(
        folder=ROOT / ".venv-oldgym026",
        packages=("gym==0.26.2", "numpy<2", *_WITHOUT_NUMPY),
        alone=("--editable", str(ROOT)),
    ),
    # Its setup.py says `opencv-python>=3.`, which newer versions of setuptools and pip refuse.
    "0.21": PackageVenv(
        folder=ROOT / ".venv-oldgym021",
        packages=("gym==0.21.0", "numpy<1.24", *_WITHOUT_NUMPY),
        alone=("--editable", str(ROOT)),
        builders=("pip<24.1", "setuptools==65.5.0", "wheel==0.37.1", "hatchling", "editables"),
        pip_options=("--no-build-isolation",),
    ),
}
"""The newest gym, and the oldest that Python 3.11 can install. Newer Pythons have neither the numpy
nor the setuptools that they need."""

OLD_GYMS = GYMS if sys.version_info < (3, 12) else {}
"""Those that this Python can install."""

OTHERS = {
    "gym 0.26": PackageVenv(
        folder=ROOT / ".venv-gym026", packages=("gym==0.26.2", "numpy<2", "pygame-ce")
    ),
    "gym 0.21": PackageVenv(  # the oldest that Python 3.11 takes, with a setuptools of its time
        folder=ROOT / ".venv-gym021",
        packages=("gym==0.21.0", "numpy==1.23.5"),
        alone=("setuptools==65.5.0", "wheel==0.38.4"),
        pip_options=("--no-build-isolation",),
    ),
    "uv": PackageVenv(folder=ROOT / ".venv-uv", packages=("uv",)),
    "numpy": PackageVenv(folder=ROOT / ".venv-numpy1", packages=("numpy==1.26.4",)),
}
"""Interpreters without this package, and without Gymnasium."""

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

ATHERIS = PackageVenv(
    folder=ROOT / ".venv-atheris",
    packages=(*(f"{name}=={metadata.version(name)}" for name in CLIENT), "atheris>=3"),
    alone=("--editable", str(ROOT)),
)
"""Fuzzes decoders, guided by which lines an input reaches. Few Pythons have a wheel of it."""

SCHEMATHESIS = PackageVenv(folder=ROOT / ".venv-schemathesis", packages=("schemathesis>=4.32,<5",))
"""Asks a server what its OpenAPI page says, and what it does not say."""


def made(venv: PackageVenv, what: str) -> Path:
    """Return the interpreter of a venv; the test is skipped where there is no package index."""
    try:
        return venv.make()
    except InstallError as exc:
        if not exc.is_unreachable:
            raise
        pytest.skip(f"no package index to install {what} from: {exc}")


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
    """Make those of `make test`; tests skip where there is no package index: that is no failure."""
    gym = {f"served gym {name}": venv for name, venv in OLD_GYMS.items() if name == "0.26"}
    failures = install({**VENVS, **gym, **OTHERS, "slim": SLIM})
    for name, failure in failures.items():
        print(f"the venv {name} could not be made: {failure}", file=sys.stderr)
    return int(not all(failure.is_unreachable for failure in failures.values()))


if __name__ == "__main__":
    sys.exit(main())
