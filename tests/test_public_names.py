"""The public names of the package: the stub, ``dir()``, ``__all__`` and the documentation agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import openenv_gym

ROOT = Path(__file__).parents[1]
STUB = (ROOT / "openenv_gym/__init__.pyi").read_text(encoding="utf-8")


def test_the_names_are_those_of_the_stub():
    imported = re.findall(r"^from \S+ import (\w+)", STUB, re.MULTILINE)
    assert len(imported) == len(set(imported))
    assert imported == openenv_gym.__all__
    assert dir(openenv_gym) == sorted([*openenv_gym.__all__, "__version__"])


@pytest.mark.parametrize("name", openenv_gym.__all__)
def test_a_name_is_imported_from_where_the_stub_says(name: str):
    public = getattr(openenv_gym, name)
    assert public.__name__ == name
    assert f"from {public.__module__} import {name} as {name}\n" in STUB


def test_the_documentation_lists_all_of_them():
    page = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")
    table = page.partition("## The public names")[2]
    rows = re.findall(r"^\| (`[^|]*`) \|", table, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(openenv_gym.__all__)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'openenv_gym' has no attribute 'RemoteEnvs'"):
        openenv_gym.RemoteEnvs  # noqa: B018 - that it raises is the test
