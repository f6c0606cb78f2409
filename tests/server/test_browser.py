"""A real browser: what pages of others get from a server on this machine, and what friends get."""

from __future__ import annotations

import json

import httpx
import pytest

from openenv_gym import create_app
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL
from openenv_gym.server.tokens import JSON_SUBPROTOCOL
from tests.server.test_gate import routes
from tests.server.test_tokens import protocol_of
from tests.support.browser_site import Site

TOKEN = "a-page-may-have-it"

ASK = """
const ask = async (url, options) => {
  try {
    const answer = await fetch(url, options);
    return answer.type === "opaque" ? "opaque" : answer.status;
  } catch (error) { return "unreadable"; }
};
const open = (url, protocols) => new Promise((done) => {
  const socket = new WebSocket(url.replace("http", "ws"), protocols);
  socket.onopen = () => { done("open " + socket.protocol); socket.close(); };
  socket.onerror = () => done("refused");
});
"""

ATTACK = (
    ASK
    + """
const found = {};
const bases = Object.entries(BASES);
for (const [method, path] of ROUTES) {
  const plain = method === "GET" || method === "HEAD" ? {method} : {method, body: '{"seed": 1}'};
  const json = {...plain, headers: {"Content-Type": "application/json"}};
  for (const [name, base] of bases) {
    const url = base + path, key = name + " " + method + " " + path;
    if (method === "websocket") {
      found[key] = [await open(url), await open(url, [BINARY])];
    } else {
      found[key] = [await ask(url, plain), await ask(url, json)];
      const is_simple = ["GET", "HEAD", "POST"].includes(method);
      if (is_simple) found["blind " + key] = [await ask(url, {...plain, mode: "no-cors"})];
    }
  }
}
return found;
"""
)


def attack(every: list[tuple[str, str]], **bases: str) -> str:
    text = ATTACK.replace("BASES", json.dumps(bases)).replace("BINARY", json.dumps(SUBPROTOCOL))
    return text.replace("ROUTES", json.dumps(every))


@pytest.fixture(scope="module")
def every_route() -> list[tuple[str, str]]:
    return routes(create_app("CartPole-v1", isolation="inline"))


def test_a_page_of_others_gets_nothing_by_any_name_of_the_server(
    of_one_session: ServerProcess, every_route: list[tuple[str, str]]
):
    url = of_one_session.base_url
    names = {
        "address": url,
        "localhost": url.replace("127.0.0.1", "localhost"),
        "rebound": url.replace("127.0.0.1", "other.example"),
    }
    with Site("evil.example") as site:
        found = site.told(attack(every_route, **names))
    assert isinstance(found, dict), found
    assert len(found) > len(names) * len(every_route)
    for what, answers in found.items():
        kind = "opaque" if what.startswith("blind") else "unreadable"
        assert set(answers) == {"refused" if "websocket" in what else kind}, what
    assert httpx.get(f"{url}/readyz").json()["sessions"] == 0


def test_a_page_whose_own_name_was_rebound_is_refused_on_all_routes(
    of_one_session: ServerProcess, every_route: list[tuple[str, str]]
):
    """The origin of the page leads to the server, so that the browser lets it read the answers."""
    url = of_one_session.base_url
    with Site("evil.example", behind=url) as site:
        # Its sockets are of the test above.
        found = site.told(attack([one for one in every_route if one[0] != "websocket"], own=""))
    assert isinstance(found, dict), found
    assert {status for answers in found.values() for status in answers} == {403}
    assert httpx.get(f"{url}/readyz").json()["sessions"] == 0


def test_a_page_that_is_allowed_shows_a_token():
    with Site("friend.example") as site:
        flags = ("--isolation=inline", f"--allow-origin={site.origin}")
        with ServerProcess("CartPole-v1", *flags, token=TOKEN) as server:
            found = site.told(
                ASK
                + f"""
                const url = "{server.base_url}", type = "application/json";
                const shown = {{"Authorization": "Bearer {TOKEN}", "Content-Type": type}};
                const post = {{method: "POST", body: "{{}}"}};
                const json = "{JSON_SUBPROTOCOL}", binary = "{SUBPROTOCOL}";
                const token = "{protocol_of(TOKEN)}", other = "{protocol_of(TOKEN[:-1])}";
                return [
                  await ask(url + "/schema"),
                  await ask(url + "/schema", {{headers: shown}}),
                  await ask(url + "/reset", post),
                  await ask(url + "/reset", {{...post, headers: shown}}),
                  await open(url + "/ws"),
                  await open(url + "/ws", [json, other]),
                  await open(url + "/ws", [json, token]),
                  await open(url + "/mcp", [json, token]),
                  await open(url + "/ws", [binary, token]),
                ];
                """
            )
    opened = [f"open {JSON_SUBPROTOCOL}", f"open {JSON_SUBPROTOCOL}", f"open {SUBPROTOCOL}"]
    assert found == [401, 200, 401, 200, "refused", "refused", *opened]
