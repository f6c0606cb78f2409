"""docs/interpreters.md: its Python runs, with interpreters and environments that are here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

PAGE = Path(__file__).parents[2] / "docs/interpreters.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs(block: str, gym026: str, gym021: str):
    new, old = (str(Path(python).parents[1]) for python in (gym026, gym021))
    here = {
        '"old/bin/python"': repr(gym026),
        '"old"': repr(new),
        '"uv:gym==0.26.2,numpy<2"': repr(gym026),
        '"venvs/robotics"': repr(new),
        '"venvs/dm_control"': repr(old),
        '"venvs/gym026"': repr(new),
        '"venvs/gym021"': repr(old),
        "my_env:MyEnv": "tests.support.gym_envs:Nested",
        "tasks:reach": "tests.support.gym_envs:Base",
        "tasks:balance": "tests.support.gym_envs:Pixels",
    }
    for shown, meant in here.items():
        block = block.replace(shown, meant)
    made: list[Any] = []
    names = {"gym": _Keeping(made)}
    exec(block.replace("import gymnasium as gym\n", ""), names)
    for env in made:
        env.reset(seed=1)
        env.close()
    assert made


class _Keeping:
    """Gymnasium, with a list of all that it made."""

    def __init__(self, made: list[Any]) -> None:
        self._made = made

    def make(self, *args: Any, **kwargs: Any) -> Any:
        self._made.append(gym.make(*args, **kwargs))
        return self._made[-1]

    def make_vec(self, *args: Any, **kwargs: Any) -> Any:
        self._made.append(gym.make_vec(*args, **kwargs))
        return self._made[-1]
