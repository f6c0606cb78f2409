"""Calls functions of client modules for the tests, in one process for each generation.

A line of stdin is ``{"call": "module:function", "arguments": {...}}``; a line of stdout is
``{"value": ...}``, or ``{"error": [class, text]}`` of what the function raised.
"""

import asyncio
import importlib
import inspect
import json
import sys
from typing import Any


def call(line: str) -> dict[str, Any]:
    request = json.loads(line)
    module, _, name = request["call"].partition(":")
    try:
        value = getattr(importlib.import_module(module), name)(**request["arguments"])
        if inspect.isawaitable(value):
            value = asyncio.run(awaited(value))
    except Exception as exc:  # the test is told, and judges
        return {"error": [type(exc).__name__, str(exc)]}
    return {"value": value}


async def awaited(value: Any) -> Any:
    return await value


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(call(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
