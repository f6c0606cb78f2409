"""``openenv-gym play``: by keys in a terminal, by lines, and by a policy."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces as gs

from openenv_gym.cli import main
from openenv_gym.cli.playing.choosing import form_of, typed_action
from openenv_gym.cli.playing.keys import keys_of
from openenv_gym.cli.playing.picture import fitted
from openenv_gym.errors import InvalidActionError, InvalidRequestError
from openenv_gym.spaces.labels import label

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class _Screen:
    """A pseudo-terminal with ``openenv-gym play`` in it."""

    def __init__(self, *arguments: str) -> None:
        self._file, theirs = pty.openpty()
        command = [sys.executable, "-m", "openenv_gym", "play", *arguments]
        env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=env
        )
        os.close(theirs)
        self.text = ""

    def see(self, words: str) -> None:
        end_s = time.monotonic() + 60
        while words not in self.text:
            assert time.monotonic() < end_s, self.text[-1000:]
            if select.select([self._file], [], [], 0.1)[0]:
                said = os.read(self._file, 65_536).decode("utf-8", "replace")
                self.text += _ESCAPE.sub("", said)

    def press(self, key: str) -> None:
        os.write(self._file, key.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._file)


@pytest.fixture
def catch():
    screen = _Screen("catch")
    yield screen
    screen.close()


def test_a_person_plays_by_keys(catch: _Screen):
    catch.see("1 ← LEFT   2 STAY   3 → RIGHT   n new episode   q quit")
    catch.press("1")
    catch.see("step 1")
    catch.press("\x1b[C")  # the arrow to the right
    catch.see("step 2")
    for step in range(3, 10):
        catch.press("2")
        catch.see(f"step {step}")
    catch.see("the episode has ended: terminated")
    catch.press("n")
    catch.see("openspiel:catch · step 0")
    catch.press("q")
    catch.see("1 episodes: return")
    assert catch.process.wait(20) == 0


def test_a_person_plays_by_lines(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("0.5\nmuch\n-1,0\nq\n"))
    assert main(["play", "Pendulum-v1", "--render-mode", "rgb_array"]) == 0
    out = capsys.readouterr().out
    assert "torque -2 to 2; n new episode   q quit >" in out
    assert "expected torque -2 to 2, got 'much'" in out
    assert "expected shape (1,), got (2,)" in out
    assert "▀" in out
    assert "1 episodes: return" in out


def test_a_legal_action_is_typed_by_its_name(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a2\na1a1\n"))  # and the end of the file
    assert main(["play", "openspiel:breakthrough", "--seed", "2"]) == 0
    out = capsys.readouterr().out
    first = re.search(r"\d+ ([a-h]\d[a-h]\d)", out)
    assert first is not None
    assert "got 'a2'" in out
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{first[1]}\n"))
    assert main(["play", "openspiel:breakthrough", "--seed", "2"]) == 0
    assert "step 1" in capsys.readouterr().out


def test_a_policy_plays_as_the_same_seeds_locally(tmp_path: Path, capsys):
    (tmp_path / "mine.py").write_text("def right(obs):\n    return 1\n")
    policy = f"{tmp_path}/mine.py:right"
    arguments = ["play", "CartPole", "--policy", policy, "--episodes=3", "--seed=5", "--json"]
    assert main(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["target"] == "CartPole-v1"
    ends = [(one["seed"], one["length"], one["end"]) for one in said["episodes"]]
    assert ends == [(5, 9, "terminated"), (6, 9, "terminated"), (7, 10, "terminated")]
    assert said["mean_return"] == pytest.approx(28 / 3)


def test_a_policy_is_filmed(tmp_path: Path):
    from PIL import Image

    film = tmp_path / "film.gif"
    arguments = ["play", "CartPole-v1", "--policy=random", "--episodes=1", f"--record={film}"]
    assert main(arguments) == 0
    with Image.open(film) as image:
        assert image.size == (600, 400)
        assert image.n_frames > 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--json"], "--json tells what a policy reached: add --policy"),
        (["--fps=0"], "--fps: expected more than 0"),
        (["--policy=os:getcwd"], "which needs 0 arguments"),
        (["--policy=nowhere:act"], "there is no module named 'nowhere'"),
        (["--record=film.avi"], "--record: expected a .mp4 or a .gif, got film.avi"),
        (["--record=/nowhere/film.gif"], "--record: there is no folder /nowhere"),
    ],
)
def test_wrong_arguments_of_play(arguments, says, capsys: pytest.CaptureFixture[str]):
    assert main(["play", "CartPole-v1", *arguments]) == 1
    assert says in capsys.readouterr().err


def test_keys_are_digits_letters_and_arrows():
    assert keys_of(["noop", "move_left", "FIRE"]) == {"1": 0, "2": 1, "3": 2, "←": 1, " ": 2}
    keys = keys_of([f"a{i}" for i in range(34)])
    assert len(keys) == 34
    assert not {"q", "n"} & set(keys)


@pytest.mark.parametrize(
    ("space", "text", "action"),
    [
        (gs.Discrete(3, start=-1), "-1", -1),
        (gs.Text(20), "north", "north"),
        (gs.Box(-1, 1, (2,)), "0.5 -1", np.array([0.5, -1], np.float32)),
        (gs.MultiBinary(3), "1,0,1", np.array([1, 0, 1], np.int8)),
        (gs.Dict(a=gs.Discrete(2)), '{"a": 1}', {"a": 1}),
    ],
)
def test_what_is_typed_is_an_action(space, text, action):
    found = typed_action(text, space)
    np.testing.assert_equal(found, action)


@pytest.mark.parametrize(
    ("space", "text"), [(gs.Discrete(3), "5"), (gs.Dict(a=gs.Discrete(2)), "a")]
)
def test_what_is_no_action_is_refused(space, text):
    with pytest.raises((InvalidActionError, InvalidRequestError), match="expected"):
        typed_action(text, space)


def test_the_form_of_an_action_in_words():
    box = label(gs.Box(-1, 1, (2,)), ["gas", "brake"])
    assert form_of(box) == "2 numbers (gas -1 to 1, brake -1 to 1)"
    assert form_of(gs.Discrete(3, start=1)) == "a number from 1 to 3"


def test_a_picture_keeps_thin_lines_and_its_proportions():
    frame = np.zeros((210, 160, 3), np.uint8)
    frame[100] = 255
    shown = fitted(frame, height=60, width=200)
    assert shown.shape == (60, 45, 3)
    assert shown.max() > 60
    assert fitted(np.full((2, 4, 3), 9, np.uint8), height=10, width=30).shape == (10, 20, 3)
    assert (fitted(np.full((1, 1, 3), 7, np.uint8), height=2, width=1) == 7).all()
