"""Boards in the text of OpenSpiel's states: blocks of lines of one of four forms.

- a box: ``+---+``, then ``|...|`` of one width, then ``+---+``;
- the first word of a line in Forsyth-Edwards notation: ``rnbqkbnr/pppppppp/8/...``;
- characters or numbers at one distance: ``. x o``; rows may be shifted;
- lines of one width without blanks: ``x.o``; the second form may be numbered: ``8bb.bb``.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

_MOST_CELLS = 48  # in one direction; smaller tiles would show nothing

_CHARACTER = r"[A-Za-z0-9.+\-*#@?~<>^$&_]"
_NUMBERED = re.compile(rf"(\s*\d+ |\d)({_CHARACTER}{{3,}})")
_PLAIN = re.compile(rf"()({_CHARACTER}(?:{_CHARACTER}| ){{1,46}}{_CHARACTER})")
_TOKEN = re.compile(rf"\d{{1,6}}|{_CHARACTER}")  # two characters make a card
_FRAMED = re.compile(rf"{_CHARACTER}{{1,2}}")  # |b6||__|
_ALPHABETS = [
    alphabet[::step]
    for alphabet in ("abcdefghijklmnopqrstuvwxyz", "abcdefghjklmnopqrstuvwxyz")  # Go skips the i
    for step in (1, -1)
]


class Cell(NamedTuple):
    """One place of a board, or one label beside it."""

    row: int
    column: float  # rows may be shifted by a part of a tile
    token: str
    label: bool = False


class Board(NamedTuple):
    """A board that was found in a text.

    Attributes:
        cells: Its places and labels; the smallest column is 0.
        end: The line after it.
        rest: What follows it on its own last line.
    """

    cells: list[Cell]
    end: int
    rest: str = ""


def find_boards(text: str) -> tuple[list[tuple[list[str], Board]], list[str]]:
    """Cut the text of a state into boards and lines of text.

    Args:
        text: What ``str(state)`` says.

    Returns:
        Each board with the lines above it, and the lines that follow the last board.
    """
    lines = [line.rstrip() for line in text.split("\n")]
    panels: list[tuple[list[str], Board]] = []
    caption: list[str] = []
    at = 0
    while at < min(len(lines), 4 * _MOST_CELLS):  # no further: a long text is a history
        for find in (_find_box, _find_fen, _find_tokens, _find_characters):
            board = find(lines, at)
            if board and all(max(one.row, one.column) < _MOST_CELLS for one in board.cells):
                panels.append((caption, board))
                caption, at = [board.rest] if board.rest else [], board.end
                break
        else:
            caption.append(lines[at])
            at += 1
    return panels, caption + lines[at:]


def _find_box(lines: list[str], at: int) -> Board | None:
    """A frame of characters, whose blanks are empty places."""
    edge = lines[at]
    if not re.fullmatch(r"\+-{3,}\+", edge) or edge not in lines[at + 1 : at + _MOST_CELLS]:
        return None
    end = lines.index(edge, at + 1)
    rows = lines[at + 1 : end]
    if len(edge) > 2 * (len(rows) + 2):  # wider than boards are: a table of words, as cards are
        return None
    if any(len(row) != len(edge) or row[0] + row[-1] != "||" for row in rows):
        return None
    cells = [Cell(y, x, token) for y, row in enumerate(rows) for x, token in enumerate(row[1:-1])]
    return Board(cells, end + 1)


def _find_fen(lines: list[str], at: int) -> Board | None:
    """The notation of chess and shogi, in which a number stands for so many empty places."""
    match = re.match(r"((?:\d|\+?[A-Za-z]~?)+/){2,}(?:\d|\+?[A-Za-z]~?)+(?![^\s\[])", lines[at])
    if match is None:
        return None
    rows = []
    for part in match[0].split("/"):
        plain = re.sub(r"\d+", lambda found: "." * min(int(found[0]), _MOST_CELLS), part)
        rows.append(re.findall(r"\.|\+?[A-Za-z]", plain))
    if len({len(row) for row in rows}) != 1:
        return None
    cells = [Cell(y, x, token) for y, row in enumerate(rows) for x, token in enumerate(row)]
    return Board(cells, at + 1, lines[at][match.end() :].strip())


def _find_characters(lines: list[str], at: int) -> Board | None:
    """Lines of one width, each character a place; a board of boards has blanks between them."""
    for pattern in (_NUMBERED, _PLAIN):
        rows: list[tuple[int, re.Match[str]]] = []
        for number in range(at, min(at + _MOST_CELLS, len(lines))):
            match = pattern.fullmatch(lines[number])
            if match is not None and (not rows or len(match[2]) == len(rows[0][1][2])):
                rows.append((number - at, match))
            elif not rows or " " not in rows[0][1][2] or lines[number]:
                break
        if _are_rows([match for _, match in rows]):
            return _from_characters(lines, at, rows)
    return None


def _are_rows(rows: list[re.Match[str]]) -> bool:
    """Whether these lines are rows of a board, and not words of the same length by chance."""
    body = "".join(row[2] for row in rows)
    if len(rows) < 2 or re.search(r"\d-", body) or any(set(row[2]) == {"-"} for row in rows):
        return False
    if rows[0][1]:
        numbers = [int(row[1]) for row in rows]
        return {b - a for a, b in pairwise(numbers)} in ({1}, {-1})
    if " " in body:
        return "." in body and "-" not in body
    return len(rows) > 2 or not body.isalnum()


def _from_characters(lines: list[str], at: int, rows: list[tuple[int, re.Match[str]]]) -> Board:
    start = rows[0][1].start(2)
    cells: list[Cell] = []
    columns = enumerate(zip(*(match[2] for _, match in rows), strict=True))
    gaps = [x for x, places in columns if set(places) == {" "}]
    for y, match in rows:
        cells += [Cell(y, x, token) for x, token in enumerate(match[2]) if x not in gaps]
        if match[1]:
            cells.append(Cell(y, -1, match[1].strip(), label=True))
    end = at + rows[-1][0] + 1
    if end < len(lines) and _are_letters(list(lines[end].strip())):
        row = enumerate(lines[end])
        cells += [Cell(end - at, x - start, c, label=True) for x, c in row if c != " "]
        end += 1
    return _shifted(cells, end)


def _are_letters(tokens: list[str]) -> bool:
    word = "".join(tokens).lower()
    return len(tokens) > 2 and any(word in alphabet for alphabet in _ALPHABETS)


def _find_tokens(lines: list[str], at: int) -> Board | None:
    """Rows of short tokens at one distance; hexagonal boards shift them by half of it."""
    rows: list[list[tuple[int, str]]] = []  # (the column of the last character, the token)
    pitch = 0
    for line in lines[at : at + _MOST_CELLS]:
        bare = re.sub(r"\|(?=\w\w\|)|(?<=\w\w)\||\] (?=[a-z]$)|[\[\]]", " ", line)
        row = [(found.end(), found[0]) for found in re.finditer(r"\S+", bare)]
        gaps = {b[0] - a[0] for a, b in pairwise(row)} | ({pitch} - {0})
        form = _FRAMED if line.startswith("|") else _TOKEN
        if not row or len(gaps) > 1 or not all(form.fullmatch(token) for _, token in row):
            break
        pitch = max(gaps, default=0)
        rows.append(row)
    inner = [row for row in rows if not _are_letters([token for _, token in row])]
    if not 2 <= pitch <= 8 or len(inner) < 2 or max(map(len, inner)) < 3:
        return None
    if not _is_shape(inner):
        return None
    labels = _labels(rows)
    cells = [
        Cell(y, end / pitch, token, label=(y, end) in labels)
        for y, row in enumerate(rows)
        for end, token in row
    ]
    return _shifted(cells, at + len(rows))


def _is_shape(rows: list[list[tuple[int, str]]]) -> bool:
    """Whether rows of tokens make a rectangle or are shifted."""
    if {row[0][1] for row in rows} <= set("SHDC"):  # the suits of a hand of cards
        return False
    if all(token.isdigit() for row in rows for _, token in row):
        return len({len(row) for row in rows}) == 1
    return len(rows) > 2 and all(len(a) == len(b) for a, b in pairwise(rows) if a[0][0] == b[0][0])


def _labels(rows: list[list[tuple[int, str]]]) -> set[tuple[int, int]]:
    """The places, as (line, column), that name rows and columns: known by a line of letters."""
    headers = [y for y, row in enumerate(rows) if _are_letters([token for _, token in row])]
    labels = {(y, end) for y in headers for end, _ in rows[y]}
    inner = [y for y in range(len(rows)) if y not in headers]
    if not headers or all(token.isdigit() for y in inner for _, token in rows[y]):
        return labels
    last, letter = rows[headers[0]][-1]
    columns = set()
    for number, y in enumerate(inner, start=1):
        tokens = [token for _, token in rows[y][:2]]
        if str(number) not in tokens:
            return labels
        at = tokens.index(str(number))
        columns.add(rows[y][at][0])
        labels |= {(y, end) for end, _ in rows[y][: at + 1]}
        if rows[y][-1][1] == chr(ord(letter) + 1):  # the letters go on along the other side
            letter = rows[y][-1][1]
            labels.add((y, rows[y][-1][0]))
    if len(columns) == 1:  # not shifted, so that the letters stand above all of the places
        labels |= {(y, end) for y in inner for end, _ in rows[y] if end > last}
    return labels


def _shifted(cells: list[Cell], end: int) -> Board:
    left = min(cell.column for cell in cells)
    return Board([cell._replace(column=cell.column - left) for cell in cells], end)
