"""Packages that declare schemes: what pip leaves of them, without pip."""

from __future__ import annotations

from pathlib import Path


def declare(folder: Path, package: str, scheme: str, value: str, version: str = "1.2") -> None:
    """Write the metadata of an installed package that declares one scheme."""
    info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[openenv_gym.adapters]\n{scheme} = {value}\n")
