"""``openenv-gym list``, as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from openenv_gym.adapters.openspiel_survey import decode_rows, encode_rows
from openenv_gym.cli import main
from openenv_gym.envs.catalog import markdown_table, text_table, with_table
from openenv_gym.envs.registration import GAMES_FILE
from openenv_gym.errors import InvalidRequestError

PAGE = Path(__file__).parents[2] / "docs" / "openspiel.md"
ROWS = decode_rows(Path(GAMES_FILE).read_bytes())  # tests/envs/test_openspiel_ids.py checks it


@pytest.fixture
def quick_survey(monkeypatch: pytest.MonkeyPatch):
    """The library's answer, without asking it for four seconds."""
    monkeypatch.setattr("openenv_gym.adapters.openspiel_survey.survey_games", lambda: ROWS)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["list", *arguments]) == 0
    return capsys.readouterr().out


# --- ids -------------------------------------------------------------------------------------


def test_it_lists_the_ids_in_groups(capsys: pytest.CaptureFixture[str]):
    text = shown(capsys)
    order = [
        "Any environment (4)\n  openenv/openspiel-v0  any game of OpenSpiel: game=",
        "\nGymnasium's own (",
        "  CartPole-v1, 500 steps at most\n",
        "\nGames of OpenSpiel (138)\n  openenv/2048-v0 ",
        "  1 player, sequential, 4 actions\n",
        "needs parameters: game='misere(game=tic_tac_toe())'\n",
        "  3 (1+) players, mean-field, 5 actions\n",
        "`openenv-gym list --openspiel` tells more",
    ]
    places = [text.find(part) for part in order]
    assert -1 not in places and places == sorted(places)
    assert "chat_game" not in text


def test_ids_as_json(capsys: pytest.CaptureFixture[str]):
    listed = {one["id"]: one for one in json.loads(shown(capsys, "--json"))}
    assert listed["openenv/catch-v0"] == {
        "id": "openenv/catch-v0",
        "group": "openspiel",
        "what": "1 player, sequential, 3 actions",
    }
    assert listed["openenv/CartPole-v1"]["group"] == "gymnasium"
    assert listed["openenv/remote-v0"]["group"] == "any"


def test_listing_the_ids_does_not_import_the_library():
    program = (
        "import sys; from openenv_gym.cli import main; main(['list']); "
        "sys.exit('pyspiel' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=100, check=True)


# --- games -----------------------------------------------------------------------------------


def test_games_are_columns_of_text(quick_survey: None, capsys: pytest.CaptureFixture[str]):
    lines = shown(capsys, "--openspiel").splitlines()
    assert len(lines) == 143
    assert " ".join(lines[0].split()) == (
        "ID PLAYERS DYNAMICS CHANCE REWARDS ACTIONS OBSERVATION NOTE"
    )
    found = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
    assert found["openenv/kuhn_poker-v0"] == (
        "2 (2-10) sequential explicit terminal 2 info_state 11, observation 7, string"
    )
    assert found["openenv/zerosum-v0"].endswith("string as zerosum(game=matrix_pd())")
    assert found["openenv/python_mfg_predator_prey-v0"] == (
        "3 (1+) mean-field explicit rewards 5 observation 21, string in Python"
    )
    assert found["efg_game"] == (
        "2 sequential deterministic terminal - - not supported: it reads a file"
    )
    dynamics = lines[0].index("DYNAMICS")
    assert {line[dynamics - 2 : dynamics] for line in lines} == {"  "}
    assert not [line for line in lines if line != line.rstrip()]


def test_games_as_json_are_one_on_each_line(
    quick_survey: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    text = shown(capsys, "--openspiel", "--json")
    assert text == encode_rows(ROWS) and len(text.splitlines()) == 144
    assert json.loads(text.splitlines()[1].rstrip(","))["name"] == "2048"
    path = tmp_path / "games.json"
    assert shown(capsys, "--openspiel", "--json", "--write", str(path)) == ""
    assert path.read_text(encoding="utf-8") == text


# --- the page --------------------------------------------------------------------------------


def test_the_page_has_the_table_of_the_library():
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page, markdown_table(ROWS)), (
        "write it anew: openenv-gym list --openspiel --write docs/openspiel.md"
    )
    assert page.count("| `openenv/") == 138


def test_markdown_is_what_the_page_has(quick_survey: None, capsys: pytest.CaptureFixture[str]):
    table = shown(capsys, "--openspiel", "--markdown")
    assert table in PAGE.read_text(encoding="utf-8")
    assert "142 games: 138 are supported, 4 are not.\n" in table


def test_only_the_table_is_written(
    quick_survey: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    page = PAGE.read_text(encoding="utf-8")
    path = tmp_path / "page.md"
    path.write_text(with_table(page, "| old |"), encoding="utf-8")
    assert shown(capsys, "--openspiel", "--write", str(path)) == ""
    assert path.read_text(encoding="utf-8") == page


def test_a_page_without_a_place_for_the_table():
    with pytest.raises(InvalidRequestError, match="<!-- table --> and <!-- end of the table -->"):
        with_table("# OpenSpiel\n", text_table(ROWS))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--markdown"], "add --openspiel"),
        (["--write", "page.md"], "add --openspiel"),
        (["--openspiel", "--write", "no/such/page.md"], "cannot be read: No such file"),
        (["--openspiel", "--json", "--write", "no/such/games.json"], "cannot be written: No such"),
    ],
)
def test_what_cannot_be(
    arguments: list[str], says: str, quick_survey: None, capsys: pytest.CaptureFixture[str]
):
    assert main(["list", *arguments]) == 1
    assert says in capsys.readouterr().err


def test_one_form_at_a_time(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(["list", "--openspiel", "--json", "--markdown"])
    assert "not allowed with argument --json" in capsys.readouterr().err
