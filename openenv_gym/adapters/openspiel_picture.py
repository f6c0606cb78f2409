"""Pictures of OpenSpiel games, made from the text of their states.

OpenSpiel knows no pictures: ``str(state)`` is all that it offers. Where that text holds a board,
the board is drawn with tiles and pieces; everything else is drawn as text, in columns of one
width. Every picture has one size, because a video needs frames of one size.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openenv_gym.adapters.openspiel_boards import Board, find_boards
from openenv_gym.errors import UnsupportedRenderModeError

if TYPE_CHECKING:
    import PIL.ImageFont

Picture = npt.NDArray[np.uint8]

SIZE = 512  # the height and the width of every picture
_MARGIN = 12
_LONGEST = 20_000  # characters; of a longer text the end is drawn
_DARK, _LIGHT = (38, 38, 42), (246, 244, 236)
_TILES = ((226, 207, 170), (212, 190, 150))
_SOLID = {"*": (96, 104, 112), "#": (96, 104, 112)}  # walls and obstacles
_RED, _BLUE, _GREEN, _VIOLET = (196, 62, 54), (46, 110, 180), (56, 142, 74), (138, 84, 168)
_ORANGE, _TEAL, _PINK, _BROWN = (214, 134, 38), (30, 138, 146), (190, 74, 130), (120, 96, 70)
_PALETTE = (_RED, _BLUE, _GREEN, _VIOLET, _ORANGE, _TEAL, _PINK, _BROWN)
_STONES = {"x": _DARK, "@": _DARK, "b": _DARK, "+": _DARK, "o": _LIGHT, "w": _LIGHT}
_HEX = {"y": _DARK, "z": _DARK, "p": _LIGHT, "q": _LIGHT}  # stones that touch an edge
_ARMS = {"─": "lr", "│": "ud", "┌": "rd", "┐": "ld", "└": "ru", "┘": "lu", "├": "udr", "┤": "udl"}
_ARMS |= {"┬": "lrd", "┴": "lru", "┼": "lrud", "╴": "l", "╵": "u", "╶": "r", "╷": "d"}
_SUITS = dict(zip("♠♥♦♣", "shdc", strict=True))

RGB = tuple[int, int, int]


def draw(text: str, title: str = "") -> Picture:
    """Draw the text of a state.

    Args:
        text: What ``str(state)`` says.
        title: One line above the picture.

    Returns:
        A picture of :data:`SIZE` times :data:`SIZE` pixels in RGB. One text gives one picture.

    Raises:
        UnsupportedRenderModeError: Pillow is not installed.
    """
    try:
        import PIL.ImageFont  # noqa: F401 - is it there
    except ImportError:
        raise UnsupportedRenderModeError(
            'The render mode "rgb_array" of OpenSpiel needs Pillow 10.1 or newer: '
            'pip install "openenv-gym[render]", or pip install pillow.'
        ) from None
    canvas = np.full((SIZE, SIZE, 3), 250, np.uint8)
    top = _MARGIN
    if title:
        _write(canvas, [_plain(title[:_LONGEST])], (_MARGIN, top, SIZE - 2 * _MARGIN, 24))
        top += 28
    panels, rest = find_boards(_plain(text[-_LONGEST:]))
    height = SIZE - top - _MARGIN
    if not panels:
        _write(canvas, rest, (_MARGIN, top, SIZE - 2 * _MARGIN, height))
        return canvas
    footer = _band(rest)
    _write(canvas, rest, (_MARGIN, SIZE - _MARGIN - footer, SIZE - 2 * _MARGIN, footer))
    columns = 1 if len(panels) == 1 else 2  # two boards beside each other, three on two rows
    wide = (SIZE - _MARGIN) // columns
    high = (height - footer) // -(-len(panels) // columns)
    for index, (caption, board) in enumerate(panels):
        x, y = _MARGIN + index % columns * wide, top + index // columns * high
        band = _band(caption)
        _write(canvas, caption, (x, y, wide - _MARGIN, band))
        _draw_board(canvas, board, (x, y + band, wide - _MARGIN, high - band))
    return canvas


def _draw_board(canvas: Picture, board: Board, area: tuple[int, int, int, int]) -> None:
    """Draw a board as large as the area allows, in the middle of it."""
    x, y, width, height = area
    wide = max(cell.column for cell in board.cells) + 1
    high = max(cell.row for cell in board.cells) + 1
    side = max(int(min(width / wide, height / high)), 2)
    x, y = x + int(width - side * wide) // 2, y + int(height - side * high) // 2
    colours = _colours({cell.token for cell in board.cells if not cell.label})
    shifted = any(cell.column % 1 for cell in board.cells)
    for cell in board.cells:
        left, top = x + round(cell.column * side), y + cell.row * side
        shade = 2 if shifted else (cell.row + int(cell.column)) % 2
        colour = None if cell.label else colours[cell.token]
        tile = _tile(cell.token, side, -1 if cell.label else shade, colour)
        target = canvas[top : top + side, left : left + side]
        target[:] = tile[: target.shape[0], : target.shape[1]]


def _colours(tokens: set[str]) -> dict[str, RGB | None]:
    """The colour of each token of a board; None for an empty place."""
    empty = next((mark for mark in "._-+?0 " if mark in tokens or 2 * mark in tokens), ".")
    letters = {token for token in tokens if token.isalpha()}
    cased = len({token for token in letters if token.swapcase() in letters}) >= 6
    stones = _STONES | (_HEX if tokens <= set(".xoXOyzpq") else {})
    colours: dict[str, RGB | None] = {}
    for token in tokens:
        if token in (empty, 2 * empty, " "):
            colours[token] = None
        elif cased and token[-1].isalpha():
            colours[token] = _LIGHT if token.isupper() or token[-1].isupper() else _DARK
        elif token.isdigit():
            colours[token] = _PALETTE[int(token).bit_length() % len(_PALETTE)]
        else:
            hashed = _PALETTE[ord(token[0].lower()) % len(_PALETTE)]
            colours[token] = stones.get(token[0].lower(), _SOLID.get(token, hashed))
    return colours


@lru_cache(maxsize=256)
def _tile(token: str, side: int, shade: int, colour: RGB | None) -> Picture:
    """One tile: 0 and 1 are the shades, 2 is a round one for shifted rows, -1 none for labels."""
    from PIL import Image, ImageDraw

    fine = 4 * side  # drawn large and made smaller, for smooth edges
    ground = _TILES[shade] if shade in (0, 1) else (250, 250, 250)
    image = Image.new("RGB", (fine, fine), ground)
    pen = ImageDraw.Draw(image)
    ink = (110, 110, 110)
    if shade == 2:
        pen.ellipse((0, 0, fine - 1, fine - 1), fill=_TILES[0], outline=_TILES[1], width=side // 4)
    if colour is not None:
        ink = _DARK if sum(colour) > 450 else _LIGHT
        if token in _SOLID:
            pen.rectangle((fine * 0.06, fine * 0.06, fine * 0.94, fine * 0.94), fill=colour)
        else:
            box = (fine * 0.1, fine * 0.1, fine * 0.9, fine * 0.9)
            pen.ellipse(box, fill=colour, outline=_DARK, width=max(fine // 40, 1))
    if shade < 0 or (colour is not None and token not in {*_SOLID, *"xoXO@"}):
        size = fine * min(0.55, 1.0 / len(token))
        pen.text((fine / 2, fine / 2), token, font=_font(int(size)), fill=ink, anchor="mm")
    tile: Picture = np.asarray(image.reduce(4))
    return tile


def _band(lines: list[str]) -> int:
    """The height kept for lines beside a board: in few steps, so that boards keep their place."""
    rows = sum(1 + len(line) // 60 for line in "\n".join(lines).strip().split("\n") if line)
    return next(height for most, height in ((0, 0), (2, 44), (6, 84), (rows, 112)) if rows <= most)


def _write(canvas: Picture, lines: list[str], area: tuple[int, int, int, int]) -> None:
    """Write lines as large as they fit; what does not fit is cut from the beginning."""
    x, y, width, height = area
    lines = "\n".join(lines)[-_LONGEST:].strip("\n").split("\n")
    size, rows = _fit(lines, width, height)
    down, across = _pitch(size)
    for top, row in zip(range(y, y + height - down + 1, down), rows, strict=False):
        for left, character in zip(range(x, x + width - across + 1, across), row, strict=False):
            if character != " ":
                target = canvas[top : top + down, left : left + across]
                np.minimum(target, _glyph(character, size)[:, :, None], out=target)


def _pitch(size: int) -> tuple[int, int]:
    """The distances of two lines and of two characters."""
    return round(size * 1.25), round(size * 0.6)


def _fit(lines: list[str], width: int, height: int) -> tuple[int, list[str]]:
    """The largest size that lines fit in, broken ones as a last resort, and then their end."""
    longest = max(map(len, lines))
    for size in range(32, 11, -1):
        down, across = _pitch(size)
        if len(lines) * down <= height and longest * across <= width:
            return size, lines
    for size in range(18, 9, -1):
        down, across = _pitch(size)
        most, columns = max(height // down, 1), width // across
        if len(lines) <= most or size == 10:
            rows = [row for line in lines[-most:] for row in textwrap.wrap(line, columns) or [""]]
            if len(rows) <= most or size == 10:
                return size, rows[-most:]
    raise AssertionError("the smallest size always fits")


def _plain(text: str) -> str:
    """The text in characters that can be drawn: without colours, accents, tabs and suits."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).expandtabs().replace("\r", "")
    if text.isascii():
        return text
    return "".join(map(_substitute, unicodedata.normalize("NFC", text)))


@lru_cache(maxsize=1024)
def _substitute(character: str) -> str:
    """What is drawn in the place of a character; the playing cards become rank and suit."""
    if character.isascii() or character in _ARMS:
        return character
    suit, rank = divmod(ord(character) - 0x1F0A0, 16)
    if 0 <= suit < 4 and 0 < rank < 15:
        return "?A23456789TJCQK"[rank] + "shdc"[suit]
    base = unicodedata.normalize("NFKD", character)[0]
    return _SUITS.get(character, base if base.isascii() else "\ufffd")


@lru_cache(maxsize=4096)
def _glyph(character: str, size: int) -> Picture:
    """One character in its column: 255 is paper, 0 is ink."""
    from PIL import Image, ImageDraw

    down, across = _pitch(size)
    font = _font(size)
    wide = max(across, int(font.getlength(character)) + 1)
    image = Image.new("L", (wide, down), 255)
    pen = ImageDraw.Draw(image)
    if character in _ARMS:
        x, y = wide // 2, down // 2
        ends = {"l": (0, y), "r": (wide, y), "u": (x, 0), "d": (x, down)}
        for arm in _ARMS[character]:
            pen.line(((x, y), ends[arm]), fill=60)
    elif not character.isascii() or not character.isprintable():
        pen.rectangle((1, down // 5, wide - 2, size), outline=60)
    else:
        pen.text((wide / 2, size), character, font=font, fill=30, anchor="ms")
    glyph: Picture = np.asarray(image.resize((across, down)))
    return glyph


@lru_cache(maxsize=64)
def _font(size: int) -> PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont:
    import PIL.ImageFont

    return PIL.ImageFont.load_default(max(size, 4))
