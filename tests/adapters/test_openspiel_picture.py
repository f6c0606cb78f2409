"""Pictures of OpenSpiel games: boards are found in the text, and drawn where they changed."""

import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyspiel
import pytest

from openenv_gym.adapters.openspiel_boards import find_boards
from openenv_gym.adapters.openspiel_picture import SIZE, Picture, draw
from openenv_gym.errors import UnsupportedRenderModeError

BOARDS = {  # the number of places on each board
    "2048": [16],
    "battleship": [100, 100],
    "breakthrough": [64],
    "catch": [50],
    "checkers": [64],
    "chess": [64],
    "chinese_checkers": [121],
    "cliff_walking": [32],
    "einstein_wurfelt_nicht": [25],
    "connect_four": [42],
    "go": [361],
    "havannah": [169],
    "hex": [121],
    "othello": [64],
    "oware": [12],
    "pentago": [36],
    "phantom_go": [81, 81, 81],
    "shogi": [81],
    "tic_tac_toe": [9],
    "ultimate_tic_tac_toe": [81],
    "y": [190],
}
TEXTS = [
    "backgammon",
    "crazy_eights",
    "dots_and_boxes",
    "euchre",
    "gin_rummy",
    "hearts",
    "kuhn_poker",
    "leduc_poker",
    "liars_dice",
    "maedn",
    "mancala",
    "matrix_rps",
    "oh_hell",
    "solitaire",
    "spades",
]


def states(name: str, most: int = 300) -> Iterator[str]:
    """The texts of one random episode."""
    chooser = random.Random(name)
    state = pyspiel.load_game(name).new_initial_state()
    yield str(state)
    for _ in range(most):
        if state.is_terminal():
            return
        if state.is_chance_node():
            actions, chances = zip(*state.chance_outcomes(), strict=True)
            state.apply_action(chooser.choices(actions, chances)[0])
        elif state.is_simultaneous_node():
            players = range(state.get_game().num_players())
            state.apply_actions([chooser.choice(state.legal_actions(p) or [0]) for p in players])
        else:
            state.apply_action(chooser.choice(state.legal_actions()))
        yield str(state)


def assert_is_picture(picture: Picture) -> None:
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert picture.flags.writeable


def assert_shows_something(picture: Picture) -> None:
    assert_is_picture(picture)
    assert picture.min() < 128 < picture.max()


def places(text: str) -> list[int]:
    return [sum(not cell.label for cell in board.cells) for _, board in find_boards(text)[0]]


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", [*BOARDS, *TEXTS])
def test_whole_episodes_have_one_size_and_keep_their_board(name: str, every: int) -> None:
    for text in list(states(name))[::every]:
        assert_is_picture(draw(text))
        assert places(text) == BOARDS.get(name, [])


@pytest.mark.parametrize("place", range(9))
def test_a_move_changes_its_own_tile_and_no_other_pixel(place: int) -> None:
    state = pyspiel.load_game("tic_tac_toe").new_initial_state()
    before = draw(str(state))
    state.apply_action(place)
    changed = (draw(str(state)) != before).any(axis=2)
    side, first = 162, 13  # three tiles in 512 pixels without a margin of 12
    top, left = first + place // 3 * side, first + place % 3 * side
    assert changed[top : top + side, left : left + side].mean() > 0.3
    changed[top : top + side, left : left + side] = False
    assert not changed.any()


def test_the_two_players_and_an_empty_place_look_different() -> None:
    pictures = [draw(f"{mark}..\n...\n...") for mark in ".xo"]
    assert len({picture.tobytes() for picture in pictures}) == 3


def test_one_text_gives_one_picture_and_pictures_share_no_memory() -> None:
    for text in ("x.o\n...\n...", "some text"):
        first, second = draw(text), draw(text)
        np.testing.assert_array_equal(first, second)
        first[:] = 7
        np.testing.assert_array_equal(draw(text), second)


def test_forsyth_edwards_notation_is_a_board_of_64_places() -> None:
    [(caption, board)], rest = find_boards(str(pyspiel.load_game("chess").new_initial_state()))
    rows = ["".join(cell.token for cell in board.cells if cell.row == row) for row in range(8)]
    assert rows == ["rnbqkbnr", "pppppppp", *["........"] * 4, "PPPPPPPP", "RNBQKBNR"]
    assert (caption, rest) == ([], ["w KQkq - 0 1"])


def test_names_of_rows_and_columns_are_labels() -> None:
    state = pyspiel.load_game("breakthrough").new_initial_state()
    [(_, board)], _ = find_boards(str(state))
    assert {cell.token for cell in board.cells if not cell.label} == {"b", ".", "w"}
    assert {cell.token for cell in board.cells if cell.label} == {*"12345678abcdefgh"}


def test_rows_of_hexagonal_boards_are_shifted_by_half_a_place() -> None:
    [(_, board)], _ = find_boards(str(pyspiel.load_game("hex").new_initial_state()))
    starts = [min(c.column for c in board.cells if c.row == row) for row in range(11)]
    assert starts == [row / 2 for row in range(11)]


def test_the_text_beside_a_board_is_drawn_and_leaves_the_board_in_its_place() -> None:
    board = "...\n.x.\n..."
    one, two = draw(f"{board}\nPlayer: 0"), draw(f"{board}\nPlayer: 1")
    changed = (one != two).any(axis=(1, 2)).nonzero()[0]
    assert changed.size
    assert changed.min() > SIZE - 60


@pytest.mark.parametrize(
    "text",
    ["Call\nFold\nRaise", "+------\n|x.x|x", "one two\nthree", "-----\nCards", "8/8", "1-2\n3-4"],
)
def test_words_are_not_taken_for_a_board(text: str) -> None:
    assert places(text) == []
    assert_shows_something(draw(text))


def test_no_text_gives_an_empty_canvas() -> None:
    for text in ("", "\n\n", "   "):
        picture = draw(text)
        assert_is_picture(picture)
        assert picture.min() == picture.max()


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10_000,
        "word " * 2_000,
        "\n" * 10_000 + "x",
        "line\n" * 2_000,
        "x" + " " * 10_000 + "y",
        "." * 100 + "\n" + "." * 100,
        ("." * 60 + "\n") * 160,
        "7♠ é 中 🂡 🂠 🎲 ├─┤ \u0301 \ud800 \x00 \x1b[91mred\x1b[0m \t|",
    ],
    ids=["one word", "words", "blank lines", "lines", "a gap", "wide", "a large field", "marks"],
)
def test_every_text_can_be_drawn(text: str) -> None:
    draw(text)  # letters are drawn once and kept
    begin = time.thread_time()  # the time of others is not counted
    picture = draw(text, title="A title")
    assert time.thread_time() - begin < 0.5  # 0.05 on a machine that does nothing else
    assert_shows_something(picture)


def test_of_a_long_text_the_end_is_shown() -> None:
    history = "\n".join(f"move {number}" for number in range(1_000))
    assert (draw(history) != draw(history + "!")).any()
    np.testing.assert_array_equal(draw("earlier\n" + history), draw("before\n" + history))


def test_characters_that_the_font_lacks_have_a_replacement() -> None:
    np.testing.assert_array_equal(draw("中"), draw("🎲"))
    np.testing.assert_array_equal(draw("é"), draw("e"))
    assert_shows_something(draw("中"))


def test_a_title_stands_above_and_the_picture_keeps_its_size() -> None:
    titled, other = draw("x.o\n...\n...", title="One"), draw("x.o\n...\n...", title="Two")
    assert_is_picture(titled)
    assert (titled != other).any(axis=(1, 2)).nonzero()[0].max() < 40


def test_without_pillow_the_error_says_what_to_install(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.ImageFont", None)
    with pytest.raises(UnsupportedRenderModeError, match=r'pip install "openenv-gym\[render\]"'):
        draw("x.o")
