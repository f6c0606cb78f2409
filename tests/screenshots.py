"""Makes the pictures of the page in docs/pictures: ``python -m tests.screenshots``.

Chance is seeded on both sides, so that a picture changes when the page does, and not with each run.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.support.browser import Browser
from tests.support.uvicorn_thread import serving
from tests.support.web_apps import pages

FOLDER = Path(__file__).parents[1] / "docs/pictures"
MOST_BYTES = 150_000

SEEDED_CHANCE = """(() => {
  let state = 7;
  Math.random = () => (state = (state * 16807) % 2147483647) / 2147483647;
})()"""


class Shot(NamedTuple):
    """One picture: which page, after how many episodes and steps, in what window."""

    name: str
    prefix: str
    episodes: int
    steps: int
    size: tuple[int, int] = (1200, 900)
    is_phone: bool = False
    is_dark: bool = False


SHOTS = (
    Shot("web-breakout", "breakout", episodes=1, steps=60),
    Shot("web-tic-tac-toe", "tic_tac_toe", episodes=4, steps=2),
    Shot("web-phone", "cartpole", 2, 14, size=(360, 760), is_phone=True, is_dark=True),
)


def take(browser: Browser, url: str, shot: Shot) -> bytes:
    """Play as far as ``shot`` says, and return what the window shows."""
    page = f"{url}/{shot.prefix}/web"
    browser.open(page, *shot.size, is_phone=shot.is_phone, is_dark=shot.is_dark)
    browser.wait("document.querySelector('#act').children.length > 0")
    browser.js(SEEDED_CHANCE)
    for episode in range(shot.episodes + 1):
        browser.js(f"document.querySelector('#seed').value = {episode + 1}")
        browser.js("play(reset)")
        most = shot.steps if episode == shot.episodes else 1_000
        browser.js(f"{PLAY}({most})")
    browser.js("showHealth()")
    browser.js("document.querySelector('#scene img')?.decode()")
    return browser.screenshot()


PLAY = """(async (most) => {
  for (let i = 0; i < most && !episode.isOver; i++) await play(randomStep);
})"""


def main() -> None:
    """Make all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with serving(pages()) as url, Browser() as browser:
        for shot in SHOTS:
            png = take(browser, url, shot)
            assert len(png) < MOST_BYTES, f"{shot.name} has {len(png)} bytes"
            (FOLDER / f"{shot.name}.png").write_bytes(png)
            print(f"{shot.name}.png: {len(png)} bytes")


if __name__ == "__main__":
    main()
