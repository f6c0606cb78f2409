"""Answers whatever is asked with whatever comes to its mind."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.conformance.clean_server import Clean

ODD = (
    None, True, 5, -0.0, 1e999, float("nan"), "", "done", [], [[]], {}, {"done": 1}, 10**30,
    {"place": "here"}, {"properties": {"a": 5}}, {"type": 5}, {"action": [], "observation": {}},
    "\ud800", {"\udfff": None}, {"type": ["observation"]}, json.loads("[" * 200 + "]" * 200),
)  # fmt: skip


class Odd(Clean):
    """A clean server in which every tenth value is another one."""

    max_sessions = 100

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)

    def spoilt(self, data: Any) -> Any:
        if self.random.random() < 0.1:
            return self.random.choice(ODD)
        if isinstance(data, dict):
            return {name: self.spoilt(item) for name, item in data.items()}
        return [self.spoilt(item) for item in data] if isinstance(data, list) else data

    def health(self) -> Any:
        return _printable(self.spoilt(super().health()))

    def metadata(self) -> Any:
        return _printable(self.spoilt(super().metadata()))

    def schema(self) -> Any:
        return _printable(self.spoilt(super().schema()))

    def openapi(self) -> Any:
        return _printable(self.spoilt(super().openapi()))

    async def answer(self, walk: Any, text: str) -> Any:
        found = await super().answer(walk, text)
        return None if found is None else self.spoilt(found)


def _printable(data: Any) -> Any:
    """Without what the JSON of FastAPI refuses to write."""
    return json.loads(json.dumps(data).replace("NaN", "0").replace("Infinity", "0"))
