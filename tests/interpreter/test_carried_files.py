"""The files for other interpreters need Python 3.8, numpy, and nothing else."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import openenv_gym.interpreter

FILES = sorted(Path(openenv_gym.interpreter.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_carried_file_has_the_syntax_of_python_3_8(file: Path):
    assert ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_carried_file_imports_the_standard_library_numpy_and_its_neighbours(file: Path):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    named = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    named += [
        str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level
    ]
    others = {name.partition(".")[0] for name in named} - sys.stdlib_module_names
    assert others <= {"numpy"}
