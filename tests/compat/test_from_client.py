"""``from_client``: the client objects of both generations as Gymnasium environments."""

from __future__ import annotations

import site

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.children import ROOT
from openenv_gym.errors import CapacityError
from openenv_gym.launchers import ServerProcess
from openenv_gym.wire.error_codes import with_way_out

FORMS = ("async", "sync", "class")
ASYNC_OR_SYNC = ("async", "sync")
# For what costs a server or a timeout: what a form changes and what a generation does meet nowhere.
A_FORM_OF_EACH = pytest.mark.parametrize(
    ("generation", "form"),
    [
        *(("0.10", "async"), ("0.3", "sync")),
        pytest.param("0.10", "sync", marks=pytest.mark.long),
        pytest.param("0.3", "async", marks=pytest.mark.long),
    ],
    indirect=["generation"],
)
CATCH = ["Discrete(3)", "Box(0.0, 1.0, (50,), float32)"]


@pytest.fixture
def call(their_clients):
    """Calls a function of ``stock/from_client.py``."""

    def function(name, **arguments):
        return their_clients.call(f"from_client:{name}", **arguments)

    return function


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["count", "generic"])
def test_bounds_of_the_schemas_give_the_spaces(kind, form, call, their_servers):
    played = call(
        "play", kind=kind, url=their_servers["endless"], form=form, actions=[1, 2], seed=3
    )
    assert played["spaces"] == ["Discrete(4)", "Discrete(1000001)"]
    assert played["steps"] == [[0, {}], [1, 1.0, False, False, {}], [3, 2.0, True, False, {}]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["openspiel", "generic_openspiel"])
def test_overrides_say_what_a_server_of_theirs_does_not(kind, form, call, their_servers):
    url = their_servers["openspiel"]
    played = call("play", kind=kind, url=url, form=form, actions=[0] * 9, seed=3)
    assert played["spaces"] == CATCH
    (first, info), *steps = played["steps"]
    assert sum(first) == 2 and len(first) == 50
    assert (info["legal_actions"], info["game_phase"]) == ([0, 1, 2], "initial")
    assert [step[2] for step in steps] == [False] * 8 + [True]
    assert steps[-1][1] in (-1.0, 1.0)


@pytest.mark.parametrize("form", FORMS)
def test_the_annotation_of_our_server_narrows_the_fields_of_a_typed_client(form, call, serve):
    """The class says ``action_id: int`` and ``info_state: list[float]``, and nothing more."""
    url = serve("openspiel:catch").base_url
    actions = [0, 2, 1, 1, 0, 0, 2, 2, 1]
    played = call("play", kind="openspiel_annotated", url=url, form=form, actions=actions, seed=7)
    local = gym.make("openenv/catch-v0")
    expected = [local.reset(seed=7)[0].tolist()]
    rewards = []
    for action in actions:
        observation, reward, *_ = local.step(action)
        expected.append(observation.tolist())
        rewards.append(reward)
    local.close()
    assert played["spaces"] == [repr(local.action_space), repr(local.observation_space)]
    assert [step[0] for step in played["steps"]] == expected
    assert [step[1] for step in played["steps"][1:]] == rewards
    assert played["steps"][-1][2:4] == [True, False]


def test_a_generic_client_of_our_server_gets_infos_and_truncation(call, serve):
    url = serve("CartPole-v1").base_url
    played = call("play", kind="generic", url=url, form="async", actions=[1, 0], seed=7)
    env = gym.make("CartPole-v1")
    expected = [env.reset(seed=7)[0], env.step(1)[0], env.step(0)[0]]
    assert np.array_equal(np.array([s[0] for s in played["steps"]], np.float32), expected)
    assert played["steps"][-1][1:] == [1.0, False, False, {}]
    env.close()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "server"),
    [("count", "endless"), ("openspiel", "openspiel"), ("generic_openspiel", "openspiel")],
)
def test_check_env_of_gymnasium_passes(kind, server, form, call, their_servers):
    assert call("check", kind=kind, url=their_servers[server], form=form) == "passed"


@pytest.mark.filterwarnings(r"ignore:(?s).*pass action_space=:UserWarning")
@pytest.mark.parametrize(
    ("kind", "server"),
    [
        ("echo", "echo"),
        ("generic", "echo"),
        ("openspiel_annotated", "openspiel"),
        ("generic", "openspiel"),
        ("generic", "coding"),
        ("generic", "screen"),
        ("generic", "tools"),
    ],
)
def test_the_spaces_are_those_of_the_server(kind, server, call, their_servers):
    """Profiles, conventions, probing resets: as ``openenv/remote-v0``, and without overrides."""
    url = their_servers[server]
    env = gym.make("openenv/remote-v0", base_url=url).unwrapped
    env.reset()
    masks = env.action_masks().tolist() if hasattr(env, "action_masks") else None
    env.close()
    expected = [repr(env.action_space), repr(env.observation_space), masks]
    assert call("spaces", kind=kind, url=url) == expected
    assert call("check", kind=kind, url=url, form="async") == "passed"


def test_what_a_bare_done_means(call, their_servers):
    found = call("ends", url=their_servers["endless"])
    assert found == [[False, False], [False, True]]


@pytest.mark.parametrize("kind", ["openspiel_annotated", "generic"])
def test_check_env_passes_on_our_catch(kind, call, serve):
    assert call("check", kind=kind, url=serve("openspiel:catch").base_url, form="async") == "passed"


@pytest.mark.slow
def test_stable_baselines3_trains(call, serve):
    url = serve("openspiel:catch").base_url
    steps, episodes, returns = call("train", url=url, packages=site.getsitepackages()[0])
    assert (steps, episodes) == (256, 256 // 9)
    assert set(returns) <= {-1.0, 1.0}


def test_the_code_of_the_quickstart(call, serve):
    page = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    _, _, section = page.partition("## From a client object")
    code = section.split("```python\n")[1].split("```")[0]
    url = serve("openspiel:catch").base_url
    code = code.replace("http://localhost:8000", url)
    assert call("page", code=code) == [[50], [4, 50]]


def test_the_client_gets_an_action_of_its_class(call, their_servers):
    assert call("typed_actions", url=their_servers["traps"]) == [["TrapAction", 7]]


def test_a_client_that_names_no_class_of_its_actions(call, their_servers):
    assert call("named_action_type", url=their_servers["endless"]) == ["Discrete(4)", 3]


ANEW = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]  # of the new episode, each the answer to its step


@pytest.mark.parametrize("form", ASYNC_OR_SYNC)
@pytest.mark.parametrize(
    ("action", "error", "goes_on"),
    [
        ({"do": "raise"}, "RemoteEnvError", [5.0, 2.0]),
        ({"value": 1000}, "InvalidRequestError", [5.0, 1.0]),
        ({"value": 50, "sleep_s": 10.0}, "RequestTimeoutError", "ConnectionLostError"),
    ],
)
def test_errors_are_ours_and_no_reply_is_shifted(action, error, goes_on, form, call, their_servers):
    timeout_s = 0.5 if "sleep_s" in action else 60
    url = their_servers["traps"]
    answer = call("fault", url=url, form=form, action=action, timeout_s=timeout_s)
    assert (answer["error"], answer["goes_on"], answer["anew"]) == (error, goes_on, ANEW)
    assert answer["cause"] == ("TimeoutError" if "sleep_s" in action else "RuntimeError")


@A_FORM_OF_EACH
def test_a_server_that_dies_in_a_step(form, call, serve_theirs):
    url, _ = serve_theirs("traps")
    answer = call("fault", url=url, form=form, action={"do": "exit"}, timeout_s=60)
    assert answer["error"] == "ConnectionLostError" and answer["cause"] == "ConnectionClosedError"
    assert (answer["goes_on"], answer["anew"]) == ("ConnectionLostError", "UnreachableError")


@A_FORM_OF_EACH
def test_a_server_that_drains_is_the_fault(form, call):
    with ServerProcess("tests.faults.envs:Faulty-v0") as server:
        fault = call("drained", url=server.base_url, pid=server.pid, form=form)
    assert fault == ["server_draining", None]


@A_FORM_OF_EACH
def test_a_timeout_of_the_environment_gives_up_a_call_that_goes_on(form, call, their_servers):
    url = their_servers["traps"]
    assert call("own_timeout", url=url, form=form) == ["RequestTimeoutError", ANEW]


@pytest.mark.parametrize("form", ASYNC_OR_SYNC)
def test_an_interrupt_within_a_step(form, call, their_servers):
    found = call("interrupted", url=their_servers["traps"], form=form)
    assert found == ["interrupted", "ConnectionLostError", ANEW]


@pytest.mark.parametrize("form", ASYNC_OR_SYNC)
def test_a_socket_that_was_closed_ends_the_episode(form, call, their_servers):
    """The client of 0.10 would step on in a new session, which nobody has reset."""
    url = their_servers["traps"]
    assert call("idle_close", url=url, form=form) == ["ConnectionLostError", [3.0, 1.0]]


def test_a_reset_tells_of_a_connection_that_was_lost(call, their_servers):
    assert call("warned_reset", url=their_servers["traps"]) == [1, [3.0, 1.0]]


@A_FORM_OF_EACH
def test_a_full_server_says_so(form, call, serve_theirs):
    url, _ = serve_theirs("traps", app={"max_concurrent_envs": 2})
    answer = call("capacity", url=url, form=form, sessions=2)
    said = "Server at capacity: 2/2 sessions active. Cannot accept new connections."
    message = with_way_out(said, CapacityError.code)
    assert message != said
    assert answer["errors"] == [["CapacityError", message]] * 5
    assert answer["tries"] > 0 and answer["value"] == [6.0, 1.0]


@pytest.mark.parametrize("form", ASYNC_OR_SYNC)
def test_nobody_there(form, call):
    found = call("unreachable", url="http://127.0.0.1:9", form=form)
    assert found == ["UnreachableError", "ConnectionError"]


def test_a_client_that_an_event_loop_holds(call, their_servers):
    found = call("connected_elsewhere", url=their_servers["traps"])
    assert found["running"].startswith(
        "InvalidRequestError: TrapClient is connected in another event loop"
    )
    assert found["ended"] == [4.0, 1.0]


def test_a_client_in_a_with_block(generation, call, their_servers):
    if generation.version == "0.3":
        pytest.skip("a client of 0.3 has no such block without .sync()")
    assert call("in_a_with_block", url=their_servers["endless"]) == 2


def test_what_a_provider_starts_is_awaited_and_stopped(call, their_servers):
    found = call("provided", url=their_servers["endless"])
    assert found == [3, ["start counting", "wait", "stop"]]


def test_closing_what_was_never_reset_stops_the_provider(call, their_servers):
    assert call("never_reset", url=their_servers["endless"]) == ["stop"]


def test_a_client_that_starts_its_server_when_it_connects(generation, call, their_servers):
    if generation.version == "0.3":
        pytest.skip("a client of 0.3 needs an address")
    found = call("starts_its_server", url=their_servers["endless"])
    assert found == [3, ["start image", "wait", "stop"]]


def test_what_reset_does_not_take_is_dropped_with_one_warning(call, their_servers):
    found = call("seedless", url=their_servers["endless"])
    assert len(found["warnings"]) == 1
    assert "reset() of SeedlessClient takes episode_id" in found["warnings"][0]
    assert found["warnings"][0].endswith("has no effect: level, seed\x1b[0m")
    assert found["episode_id"] == "one"


def test_a_client_that_renders(call, their_servers):
    frame, modes, error, message = call("render", url=their_servers["endless"])
    assert (frame, modes, error) == ("total 1", ["ansi"], "UnsupportedRenderModeError")
    assert message == "CountClient has no method render(), so that it cannot be opened with " + (
        "render_mode='ansi'"
    )


def test_only_an_environment_of_a_class_is_copied(call, their_servers):
    found = call("copies", url=their_servers["endless"])
    assert found["totals"] == [2, 2]
    assert len(found["refusals"]) == 2
    assert all("from_client(CountClient, base_url=...)" in text for text in found["refusals"])


def test_who_closes_the_client(call, their_servers):
    assert call("ownership", url=their_servers["endless"]) == [False, True, True]


def test_what_is_refused(call, their_servers):
    beginnings = [
        "InvalidRequestError: expected an OpenEnv client, which has the methods reset, step",
        "InvalidRequestError: expected the address of a server beside the class CountClient",
        "InvalidRequestError: base_url and client_kwargs are for a client's class",
        "InvalidRequestError: from_client takes action_space, observation_space, action_key",
        "InvalidRequestError: expected an OpenEnv client, got <RemoteEnv",
        "InvalidRequestError: expected a client for each sub-environment, got one twice",
        "InvalidRequestError: expected at least one session, got none",
        "UnreachableError: GenericEnvClient cannot connect: Failed to connect to ws://127.0.0.1:9",
        "InvalidRequestError: done_means: expected 'terminated' or 'truncated', got 'over'",
        "SpaceError: ",
    ]
    errors = call("refused", url=their_servers["endless"])
    assert [
        error[: len(start)] for error, start in zip(errors, beginnings, strict=True)
    ] == beginnings


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_clients_as_a_vector_environment(mode, form, call, their_servers):
    url = their_servers["endless"]
    played = call("vector", kind="count", url=url, form=form, mode=mode)
    done = [[False] * 3, [True] * 3, [False] * 3]
    expected = {  # the sub-environments add 0 1 2 3 4 mod 3, 1 and 2; each second step is an end
        "NextStep": [[0, 1, 2], [1, 2, 4], [0, 0, 0], [0, 1, 2], [1, 2, 4]],
        "SameStep": [[0, 1, 2], [0, 0, 0], [2, 1, 2], [0, 0, 0], [1, 1, 2]],
        "Disabled": [[0, 1, 2], [1, 2, 4], [2, 1, 2], [2, 2, 4], [1, 1, 2]],
    }[mode]
    assert played["first"] == [0, 0, 0]
    assert [step[0] for step in played["steps"]] == expected
    assert [step[2] for step in played["steps"][:3]] == done
    assert played["type"] == "RemoteVectorEnv"
    assert played["loops"] <= 1


@A_FORM_OF_EACH
def test_all_steps_are_under_way_before_one_is_waited_for(form, call, their_servers):
    assert call("together", url=their_servers["traps"], form=form) == 3


@pytest.mark.long
def test_an_environment_that_nobody_closed(generation, call, serve_theirs):
    """Its class's client ends with it; a client that the caller made is the caller's."""
    url, _ = serve_theirs("endless", app={"max_concurrent_envs": 2})
    assert call("unclosed", url=url) == "left"
    with generation.player() as player:
        found = player.call("from_client:ownership", url=url)
    assert found == [False, True, True]
