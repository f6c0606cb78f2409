"""docs/testing.md: its examples run, its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from openenv_gym.testing import KINDS, FaultProxy

PAGE = (Path(__file__).parents[2] / "docs/testing.md").read_text(encoding="utf-8")


def test_the_examples_run(tmp_path):
    names: dict[str, Any] = {"ledger_folder": str(tmp_path)}
    programs = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(programs) == 3
    for program in programs:
        exec(compile(program, "docs/testing.md", "exec"), names)


def test_the_tables_name_every_kind_and_every_method():
    first_cells = " ".join(re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE))
    named = set(re.findall(r"`(\w+)", first_cells))
    methods = {name for name in vars(FaultProxy) if not name.startswith("_")} - {"close"}
    assert {*KINDS, *methods} <= named
