"""The page at /web, in a browser: what a person sees and can do there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from openenv_gym.launchers import ServerProcess
from tests.support.browser import Browser
from tests.support.uvicorn_thread import serving
from tests.support.web_apps import HOSTILE, TOKEN, pages

DESKTOP, PHONE = (1280, 900), (360, 740)
HAS_FRAME = "document.querySelector('#scene img')?.naturalWidth > 0"
IS_LOADED = "document.querySelector('#act').children.length > 0"
LEGAL = "[...document.querySelectorAll('#act button:enabled')].map((one) => one.innerText)"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(pages()) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


class Player:
    """A person at a page."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self._url = browser, url

    def open(self, prefix: str, size: tuple[int, int] = DESKTOP, **how: bool) -> Browser:
        self.browser.open(f"{self._url}/{prefix}/web", *size, **how)
        self.browser.wait(IS_LOADED)
        return self.browser

    def reset(self, seed: int | None = None) -> None:
        if seed is not None:
            self.browser.type("#seed", str(seed))
        self.browser.js("document.querySelector('#status').textContent = ''")
        self.browser.click("#reset")
        self.browser.wait("document.querySelector('#status').textContent && !isBusy")

    def begin(self, prefix: str, seed: int | None = None) -> Browser:
        browser = self.open(prefix)
        self.reset(seed)
        return browser

    def await_steps(self, number: int) -> None:
        shown = "Number(document.querySelector('#steps').textContent)"
        self.browser.wait(f"{shown} >= {number} && (isAuto || !isBusy)")

    def unfold(self, panel: str) -> None:
        self.browser.js(f"document.querySelector('#{panel}-panel').open = true")

    def rows(self) -> list[str]:
        """The rows of the table of episodes that have ended, the newest first."""
        found = "[...document.querySelectorAll('#episodes tr[data-number]')]"
        texts = self.browser.js(f"{found}.map((one) => one.innerText)")
        return [" ".join(row.split()) for row in texts]

    def sent(self) -> list[dict[str, object]]:
        """The messages that the page has sent."""
        kept = "messages.filter((one) => one.sign === '→').map((one) => one.kept)"
        return [json.loads(text) for text in self.browser.js(kept)]


@pytest.fixture
def player(chromium: Browser, url: str) -> Iterator[Player]:
    yield Player(chromium, url)
    errors = [said for said in chromium.said if said.startswith("error")]
    assert errors == []


def test_catch_is_played_to_its_end_with_buttons(player: Player):
    browser = player.begin("catch", seed=3)
    for step in range(1, 10):
        assert browser.js(LEGAL) == ["0", "1", "2"]
        browser.click("#act button:nth-child(2)")
        player.await_steps(step)
    browser.wait("document.querySelectorAll('#act button:enabled').length === 0")
    (row,) = player.rows()
    assert row in ("1 3 9 1 terminated", "1 3 9 -1 terminated")


def test_tic_tac_toe_disables_what_is_illegal(player: Player):
    browser = player.begin("tic_tac_toe", seed=0)
    browser.wait(HAS_FRAME)
    moves = 0
    while not player.rows():
        legal = browser.js(LEGAL)
        browser.click("#act button:enabled")
        moves += 1
        player.await_steps(moves)
        browser.wait(f"!({LEGAL}).includes('{legal[0]}')")
        assert len(browser.js(LEGAL)) <= len(legal) - 1
    assert player.rows()[0].endswith("terminated")


def test_cartpole_shows_a_picture_and_takes_the_arrows(player: Player):
    browser = player.begin("cartpole", seed=1)
    browser.wait("document.querySelector('#scene img').naturalWidth === 600")
    browser.press("ArrowLeft")
    player.await_steps(1)
    browser.press("ArrowRight")
    player.await_steps(2)
    steps = [message["data"] for message in player.sent() if message["type"] == "step"]
    assert steps == [{"action": 0}, {"action": 1}]
    player.unfold("observation")
    browser.wait("document.querySelector('#observation').innerText.includes('pole angle')")


def test_pendulum_is_steered_with_a_slider(player: Player):
    browser = player.begin("pendulum", seed=1)
    browser.js("document.querySelector('#act input[type=range]').focus()")
    browser.press("ArrowRight")
    shown = float(browser.js("document.querySelector('#act input[type=number]').value"))
    assert 0 < shown <= 2
    browser.click("#act button.main")
    player.await_steps(1)
    assert player.sent()[-2:] == [{"type": "step", "data": {"action": [shown]}}, {"type": "render"}]


def test_breakout_is_a_picture_and_plays_by_itself(player: Player):
    browser = player.begin("breakout", seed=1)
    browser.wait("document.querySelector('#scene img').naturalHeight === 210")
    assert browser.text("#act").split() == ["noop0", "fireSpace", "right→", "left←"]
    browser.press("p")
    player.await_steps(3)
    browser.press("p")
    assert browser.js("document.querySelector('#auto').getAttribute('aria-pressed')") == "false"


def test_a_text_environment_takes_and_shows_text(player: Player):
    browser = player.begin("echo")
    browser.type("#act textarea", "hello, wörld")
    browser.click("#act button.main")
    player.await_steps(1)
    assert "hello, wörld" in browser.text("#scene")
    assert browser.text("#reward") == "12"
    browser.type("#act textarea", "bye")
    browser.click("#act button.main")
    browser.wait("document.querySelector('#episodes tr[data-number]')")
    assert player.rows() == ["1 \N{EN DASH} 2 15 done"]


def test_every_kind_of_action_has_fields(player: Player):
    browser = player.begin("fields", seed=0)
    fields = "[...document.querySelectorAll('#act input, #act select, #act textarea')]"
    assert sorted(set(browser.js(f"{fields}.map((one) => one.type)"))) == [
        "number",
        "range",
        "select-one",
        "textarea",
    ]
    browser.click("#auto")
    player.await_steps(2)
    browser.click("#auto")
    assert browser.js("document.querySelector('#notice').hidden")
    assert browser.js("document.querySelector('#scene canvas').width") == 16


@pytest.mark.parametrize("prefix", ["hostile", "hostile-text"])
def test_what_an_environment_says_stays_text(player: Player, prefix: str):
    browser = player.begin(prefix)
    taken = "b:not(#rate-shown), i:not(.bar i), u, body script + script, #scene img"
    elements = f"document.querySelectorAll('{taken}').length"
    for panel in ("observation", "messages", "server"):
        player.unfold(panel)
    assert "<script>document.title = 'taken'</script>" in browser.text("#scene")
    assert browser.js(elements) == 0
    browser.js("document.querySelector('#act button').click()")
    browser.wait("document.querySelectorAll('#messages li').length >= 4")
    assert browser.js(elements) == 0
    assert browser.js("document.title") != "taken"
    hidden = "[...document.body.innerText].filter((c) => c < ' ' && !'\\n\\t'.includes(c)).length"
    assert browser.js(hidden) == 0


def test_text_for_terminals_has_its_colours(player: Player):
    browser = player.begin("hostile-text")
    assert browser.text("#scene .b1") == "<b>red</b>"


def test_messages_are_copied_as_they_were_sent(player: Player):
    browser = player.begin("catch", seed=4)
    allowed = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    browser.send("Browser.grantPermissions", permissions=allowed)
    player.unfold("messages")
    browser.wait("document.querySelectorAll('#messages li').length === 4")
    browser.click("#copy-all")
    browser.wait("document.querySelector('#copied').textContent === 'Copied 4 messages.'")
    first, *_, last = browser.js("navigator.clipboard.readText()").splitlines()
    assert json.loads(first) == {"type": "reset", "data": {"seed": 4}}
    assert json.loads(last)["type"] == "rendered"


def test_an_error_of_the_environment_is_told_and_the_session_goes_on(player: Player):
    browser = player.begin("hostile")
    browser.click("#act button")
    browser.wait("document.querySelector('#notice').innerText.startsWith('EXECUTION_ERROR')")
    assert HOSTILE[:30] in browser.text("#notice")
    player.reset()
    assert browser.js("document.querySelector('#notice').hidden")


def test_a_seed_gives_the_same_start_again(player: Player):
    browser = player.open("cartpole")
    player.unfold("observation")
    starts = []
    for seed in (5, 6, 5):
        player.reset(seed)
        starts.append(browser.text("#observation"))
    assert starts[0] == starts[2] != starts[1]
    assert player.rows() == ["2 6 0 0 given up", "1 5 0 0 given up"]


def test_the_policy_lets_nothing_else_run(player: Player):
    browser = player.open("cartpole")
    attempts = {
        "document.body.insertAdjacentHTML('beforeend', '<b>taken</b>')": "TrustedHTML",
        "document.createElement('script').text = 'taken()'": "TrustedScript",
        "setTimeout('taken()')": "TrustedScript",
    }
    for attempt, refusal in attempts.items():
        said = browser.js(
            f"(() => {{ try {{ {attempt} }} catch (error) {{ return error.message; }} }})()"
        )
        assert refusal in said
    browser.js("fetch('https://example.org/').catch((error) => error.message)")
    assert any("connect-src 'self'" in said for said in browser.said)
    browser.said.clear()


@pytest.mark.sample(2)
@pytest.mark.parametrize("prefix", ["tic_tac_toe", "pendulum", "fields", "hostile"])
def test_a_phone_shows_it_without_scrolling_sideways(player: Player, prefix: str):
    browser = player.open(prefix, PHONE, is_phone=True)
    player.reset()
    for panel in ("observation", "messages", "keys", "server"):
        player.unfold(panel)
    assert browser.js("document.documentElement.scrollWidth") == PHONE[0]
    smallest = (
        "Math.min(...[...document.querySelectorAll('#act button')].map((one) => one.offsetHeight))"
    )
    assert browser.js(smallest) >= 44


def test_auto_play_stops_at_the_end_where_it_is_told_to(player: Player):
    browser = player.open("catch")
    browser.click("#goes-on")
    browser.js("document.querySelector('#rate').value = 30")
    browser.click("#auto")
    browser.wait("document.querySelector('#episodes tr[data-number]')")
    browser.wait("document.querySelector('#auto').getAttribute('aria-pressed') === 'false'")
    assert len(player.rows()) == 1


def test_the_token_is_asked_for_and_told_both_ways(player: Player):
    browser = player.browser
    browser.open(f"{player._url}/guarded/web")
    browser.wait("document.querySelector('#token-dialog').open")
    for token in ("wrong", TOKEN):
        browser.type("#token", token)
        browser.press("Enter")
        browser.wait(
            f"document.querySelector('#token-dialog').open === {json.dumps(token != TOKEN)}"
        )
    browser.wait(IS_LOADED)
    player.reset()
    assert browser.js("Object.keys(localStorage).length + document.cookie.length") == 0
    browser.said.clear()  # the browser logs each 401


def test_every_control_has_a_name_for_those_who_cannot_see_it(player: Player):
    browser = player.begin("fields")
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "textbox", "slider", "spinbutton", "combobox", "checkbox", "img", "image"}
    found = [
        one for one in nodes if one.get("role", {}).get("value") in roles and not one["ignored"]
    ]
    assert len(found) > 10
    assert [one for one in found if not one.get("name", {}).get("value")] == []


@pytest.mark.parametrize("is_dark", [False, True])
def test_text_has_the_contrast_that_people_need(player: Player, is_dark: bool):
    browser = player.open("cartpole", is_dark=is_dark)
    for selector in ("body", "#about", "#reset", ".sheet label span", "#status"):
        assert browser.js(f"{CONTRAST}({json.dumps(selector)})") >= 4.5, selector


CONTRAST = """((selector) => {
  const element = document.querySelector(selector);
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const parts = numbers(color).slice(0, 3).map((part) => part / 255);
    const linear = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  let behind = element;
  while (numbers(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const colors = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
  const both = colors.map(light);
  return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
})"""


@pytest.mark.long
def test_a_worker_that_dies_is_told_and_another_session_begins(
    chromium: Browser, serve: Callable[..., ServerProcess]
):
    server = serve("tests.support.envs:Scripted-v0", "--web")
    player = Player(chromium, server.base_url)
    chromium.open(f"{server.base_url}/web")
    chromium.wait(IS_LOADED)
    player.reset()
    chromium.press("5")  # its reward is infinite, and its observation not a number
    player.await_steps(1)
    assert chromium.text("#return") == "Infinity"
    chromium.press("2")  # its process exits
    chromium.wait("document.querySelector('#notice').innerText.startsWith('CONNECTION_LOST')")
    chromium.wait("document.querySelectorAll('#act button:enabled').length === 0")
    player.reset()
    assert player.rows() == ["1 \N{EN DASH} 1 Infinity the session ended"]
    assert chromium.js("document.querySelector('#notice').hidden")
    chromium.js("document.querySelector('#server-panel').open = true")
    chromium.click("#leave")
    chromium.wait("document.querySelector('#health').textContent.includes(' 0 of ')")
    assert chromium.said == []
