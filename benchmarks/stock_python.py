"""A Python that has stock OpenEnv installed: made on the first run, or named by the caller."""

import json
import subprocess
from importlib import metadata
from pathlib import Path

from benchmarks.children import ROOT, BenchmarkError
from benchmarks.package_venv import InstallError, PackageVenv, last_line

STOCK = "openenv==0.10.0"
SERVING = ("pydantic", "fastapi", "uvicorn", "uvloop", "websockets")
PACKAGES = ("openenv", "gymnasium", "open-spiel", "numpy", *SERVING)

_ASK = f"""
import importlib, json, sys, openenv.core, gymnasium, uvicorn
from importlib import metadata
for name in sys.argv[1:]:
    importlib.import_module(name)
names = {{d.metadata["Name"].lower().replace("_", "-") for d in metadata.distributions()}}
print(json.dumps({{n: metadata.version(n) for n in {PACKAGES!r} if n in names}}))
"""


def stock_python(named: Path | None) -> Path:
    """Return ``named``, or the Python of a venv that is made here if it is not there yet."""
    if named is not None:
        return named
    # The same environments at both ends: only the way to them differs.
    same = [f"{name}=={metadata.version(name)}" for name in ("gymnasium", "open_spiel")]
    own = PackageVenv(folder=ROOT / ".venv-stock", packages=(STOCK, *same))
    if not own.is_made:
        print(f"Installing {' and '.join(own.packages)} into {own.folder.name}, once.", flush=True)
    try:
        return own.make()
    except InstallError as exc:
        raise BenchmarkError(
            f"cannot install {STOCK} for the stock peer: {exc}. Is a package index within "
            "reach? Else name a Python that has it with --stock-python PATH, or leave the peer out "
            "with --without-stock"
        ) from exc


def stock_versions(python: Path, *modules: str) -> dict[str, str]:
    """Return the versions of the packages that ``python`` has, ``modules`` among them."""
    command = [str(python), "-I", "-c", _ASK, *modules]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except OSError as exc:
        raise BenchmarkError(f"--stock-python: cannot run {python}: {exc.strerror}") from exc
    if done.returncode:
        expected = ", ".join([STOCK, "gymnasium", *modules])
        raise BenchmarkError(
            f"{python} cannot be the stock peer: expected {expected} in it, got "
            f"{last_line(done.stderr)!r}"
        )
    versions: dict[str, str] = json.loads(done.stdout)
    return versions
