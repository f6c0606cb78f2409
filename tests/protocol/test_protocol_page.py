"""docs/protocol.md is normative: its tables and its exchanges are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gymnasium.spaces as gs
import msgspec
import numpy as np
import pytest

from openenv_gym.codecs import freeform
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.protocol import (
    BatchResult,
    BinaryMessages,
    ClientSession,
    Close,
    Closed,
    Failed,
    GetState,
    Open,
    Opened,
    Render,
    Rendered,
    Reset,
    Result,
    ServerSession,
    SessionState,
    StateReply,
    Step,
    Use,
    Used,
    binary_messages,
)
from openenv_gym.protocol.json_messages import JsonClientMessages, JsonServerMessages
from openenv_gym.protocol.states import TRANSITIONS, Outcome
from openenv_gym.spaces import infer
from openenv_gym.wire.description import Description, description_from_json
from openenv_gym.wire.error_codes import error_for
from openenv_gym.wire.schema_view import SchemaView
from openenv_gym.wire.typed import GymnasiumView

PAGE = (Path(__file__).parents[2] / "docs/protocol.md").read_text(encoding="utf-8")
REQUESTS = {
    "open": Open, "reset": Reset, "step": Step, "state": GetState, "render": Render, "use": Use,
    "close": Close,
}  # fmt: skip
REPLIES = {
    "opened": Opened,
    "result": Result,
    "batch_result": BatchResult,
    "state": StateReply,
    "rendered": Rendered,
    "used": Used,
    "closed": Closed,
    "failed": Failed,
}
STATES = {
    "opening": SessionState.OPENING,
    "ready": SessionState.READY,
    "episode": SessionState.EPISODE,
    "ended": SessionState.ENDED,
    "closed": SessionState.CLOSED,
    "broken": SessionState.BROKEN,
}


def table(*columns: str) -> list[dict[str, str]]:
    """The rows of the table that begins with these columns."""
    head = "| " + " | ".join(columns)
    lines = PAGE[PAGE.index("\n" + head) :].strip().splitlines()
    names = cells(lines[0])
    rows = []
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(names, cells(line), strict=True)))
    assert rows
    return rows


def cells(line: str) -> list[str]:
    return [cell.strip(" `") for cell in line.strip("|").split("|")]


def block(kind: str) -> str:
    return PAGE.partition(f"```{kind}\n")[2].partition("\n```")[0]


def test_what_is_legal_in_a_state_is_in_the_table():
    for row in table("state", "legal requests"):
        named = {REQUESTS[name] for name in row["legal requests"].split(", ") if name}
        state = STATES[row["state"]]
        assert named == {kind for before, kind in TRANSITIONS if before is state}
    assert len(table("state", "legal requests")) == len(SessionState)


def test_the_next_state_is_in_the_table():
    rows = table("request", "reply", "next state")
    seen = set()
    for row in rows:
        kind, failed = REQUESTS[row["request"]], row["reply"] == "failed"
        first = row["next state"].partition(",")[0].partition(":")[0]
        for (before, other), after in TRANSITIONS.items():
            if other is not kind:
                continue
            expected = before if first == "as it was" else STATES[first]
            assert after[Outcome.FAILED if failed else Outcome.DONE] is expected
            if Outcome.ENDS in after and not failed:
                assert after[Outcome.ENDS] is SessionState.ENDED
                assert "or ended" in row["next state"]
            seen.add((before, other, failed))
    assert len(seen) == 2 * len(TRANSITIONS)


EXAMPLES: dict[type[Any], Any] = {
    **{kind: kind() for kind in (Open, Reset, GetState, Render, Close, Closed)},
    Step: Step(1),
    Opened: Opened(Description(environment="E", view="model")),
    Result: Result(1, None, False, False, {}),
    BatchResult: BatchResult(1, None, None, None, {}),
    StateReply: StateReply({}),
    Rendered: Rendered(None),
    Use: Use("name"),
    Used: Used([]),
    Failed: Failed("CODE", "text"),
}


def test_every_kind_is_in_the_table():
    rows = table("kind", "message", "sent by")
    for row in rows:
        is_client = row["sent by"] == "client"
        message = EXAMPLES[(REQUESTS if is_client else REPLIES)[row["message"]]]
        messages = BinaryMessages()
        encode = messages.encode_request if is_client else messages.encode_reply
        assert encode(1, message)[0] == int(row["kind"])
    assert len(rows) == len(REQUESTS) + len(REPLIES)


def test_every_flag_is_in_the_table():
    for row in table("flag", "name"):
        assert getattr(binary_messages, row["name"]) == int(row["flag"])


def test_the_fields_of_requests_are_in_the_table():
    payloads = {row["message"]: row["payload"] for row in table("kind", "message", "sent by")}
    for name, kind in (("open", Open), ("reset", Reset), ("failed", Failed)):
        places = [payloads[name].index(field) for field in kind.__struct_fields__]
        assert places == sorted(places)


EXTENSIONS = {
    "tuple": (1,),
    "array": np.zeros(1),
    "scalar": np.float32(1),
    "integer": 2**70,
    "graph": gs.GraphInstance(np.zeros(1), None, None),
    "array of objects": np.array([None, 1], dtype=object),
}


def test_every_extension_type_is_in_the_table():
    rows = table("type", "name", "payload")
    for row in rows:
        value = msgspec.msgpack.decode(freeform.pack_freeform(EXTENSIONS[row["name"]]))
        assert value.code == int(row["type"])
    assert {row["name"] for row in rows} == set(EXTENSIONS)


def test_every_error_code_is_in_the_table():
    rows = table("code", "exception", "meaning")
    for row in rows:
        assert type(error_for(row["code"], "text")).__name__ == row["exception"]
    known = {row["code"] for row in rows}
    for kind in all_kinds(OpenEnvGymError):
        if type(error_for(kind.code, "text")) is kind:
            assert kind.code in known or kind.__name__ == "ServerError"


def all_kinds(kind: type[OpenEnvGymError]) -> list[type[OpenEnvGymError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in all_kinds(child))]


def hex_exchange() -> list[tuple[str, bytes]]:
    """The messages of the binary exchange, with who sends them."""
    text = re.sub(r"#.*", "", block("hex"))
    text = text.replace("{description}", block("json description").encode().hex())
    messages = re.split(r"^(?=[<>])", text, flags=re.MULTILINE)[1:]
    return [(message[0], bytes.fromhex(message[1:])) for message in messages]


OBS = np.array([0.5, -0.0], np.float32)
BINARY: list[tuple[Any, Any]] = [
    (Open("Push-v0"), None),
    (Reset(7), Result(OBS, None, False, False, {})),
    (Step(2), Result(OBS, -1.5, True, False, {"mask": np.array([1, 0], np.int8)})),
    (Step(1), Failed("RESET_NEEDED", "reset first")),
    (GetState(), StateReply({"step_count": 1})),
    (Close(), Closed()),
]


def test_the_binary_exchange_is_what_the_code_writes_and_reads():
    written = []
    client, server = BinaryMessages(), BinaryMessages()
    description = description_from_json(block("json description").encode())
    for seq, (request, reply) in enumerate(BINARY, start=1):
        body = client.encode_request(seq, request)
        assert server.decode_request(body) == (seq, request)
        answer = server.encode_reply(seq, reply or Opened(description))
        assert client.decode_reply(answer)[0] == seq
        written += [(">", body), ("<", answer)]
    assert hex_exchange() == written


def test_the_example_environment_has_the_spaces_that_the_page_says():
    description = description_from_json(block("json description").encode())
    assert description.action_space == gs.Discrete(3)
    assert description.observation_space == gs.Box(-1, 1, (2,), np.float32)


END = np.array([np.nan, 1], np.float32)
JSON_REPLIES: list[Any] = [
    Result(OBS, None, False, False, {}),
    None,
    Result(END, float("-inf"), True, False, {"mask": np.array([1, 0], np.int8)}),
    None,
    StateReply({"episode_id": "e1", "step_count": 1}),
]


def test_the_json_exchange_is_what_the_code_writes_and_reads():
    view = GymnasiumView(description_from_json(block("json description").encode()))
    server = ServerSession(JsonServerMessages(view), SessionState.READY)
    lines = block("json exchange").splitlines()
    for line, answer, reply in zip(lines[::2], lines[1::2], JSON_REPLIES, strict=True):
        assert (line[0], answer[0]) == (">", "<")
        try:
            server.receive(line[1:])
            body = server.send(reply)
        except OpenEnvGymError as exc:
            assert reply is None
            body = server.refuse(exc)
        expected = json.loads(answer[1:], parse_constant=pytest.fail)
        assert json.dumps(json.loads(body)) == json.dumps(expected)


def test_our_client_writes_the_requests_of_the_json_exchange_and_reads_its_replies():
    view = GymnasiumView(description_from_json(block("json description").encode()))
    schemas = view.action_schema, view.observation_schema
    messages = JsonClientMessages(SchemaView(infer(*schemas), schemas[1]))
    client = ClientSession(messages, SessionState.READY)
    lines = block("json exchange").splitlines()
    for request, place, kind in [
        (Reset(7), 0, Result), (Step(2), 4, Result), (GetState(), 8, StateReply)
    ]:  # fmt: skip
        assert json.loads(client.send(request)) == json.loads(lines[place][1:])
        assert type(client.receive(lines[place + 1][1:].encode())) is kind


def test_the_route_and_the_subprotocol_have_their_names():
    assert binary_messages.SUBPROTOCOL in PAGE
    assert "x-openenv-gym" in PAGE
