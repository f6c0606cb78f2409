"""Tables on a terminal and in Markdown, and the block of a file that is rewritten."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        heads: Of the columns.
        rows: Of cells.
        texts: How many columns, from the left, are texts; the others are numbers.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int


def show(table: Table) -> None:
    """Print the table, by rich where it is installed."""
    try:
        from rich.console import Console
        from rich.table import Table as RichTable
    except ImportError:
        print(plain(table))
        return
    view = RichTable()
    for i, head in enumerate(table.heads):
        side: Literal["left", "right"] = "left" if i < table.texts else "right"
        view.add_column(head, justify=side, overflow="fold")
    for row in table.rows:
        style = {"hit": "green", "missed": "red"}.get(row[-1])
        view.add_row(*row, style=style)
    Console().print(view)


def plain(table: Table) -> str:
    lines = [table.heads, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.heads))]
    return "\n".join("  ".join(_aligned(table, line, widths)).rstrip() for line in lines) + "\n"


def _aligned(table: Table, line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        f"{cell:<{width}}" if i < table.texts else f"{cell:>{width}}"
        for i, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def markdown(table: Table) -> str:
    rule = ["---" if i < table.texts else "---:" for i in range(len(table.heads))]
    cells = [[cell.replace("*", r"\*") for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [table.heads, rule, *cells])


def replace_block(path: Path, name: str, text: str) -> None:
    """Put ``text`` between the two comments that mark the block ``name`` of a Markdown file.

    A file that is not there is begun; one without the marks gets them at its end.
    """
    begin, end = f"<!-- {name}: begin, written by the benchmark -->", f"<!-- {name}: end -->"
    block = f"{begin}\n\n{text}\n\n{end}"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    new, count = pattern.subn(lambda match: block, old)
    path.write_text(new if count else f"{old}\n{block}\n".lstrip("\n"), encoding="utf-8")
