"""The catalogue: what a server may do to its clients, and the error that ends it."""

from __future__ import annotations

import gzip
import json
import struct
import time

from openenv_gym.codecs import pack_freeform
from openenv_gym.spaces.to_schema import ANNOTATION
from tests.hostile.servers import (
    DRIP_S,
    ESCAPES,
    NUMBER,
    Hostile,
    answer,
    around,
    doubling,
    error,
    forever,
    frame,
    handshake,
    head_of,
    nested,
    observed,
    observing,
    ours,
    reading,
    redirect,
    result,
    schemas,
    text,
    two_fields,
)

BUDGET = r"at most \d+ bytes together.*max_space_bytes"
HTTP_HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HTTP_HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
BOX = {"type": "Box", "dtype": "float32", "shape": [1_000_000_000], "low": 0, "high": 1}
LEAF = {"type": "Discrete", "n": 2, "start": 0, "dtype": "int64"}


def annotated(descriptor: object) -> object:
    return {ANNOTATION: descriptor}


def array(length: object, items: object = NUMBER) -> object:
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}


SCHEMAS = [
    Hostile(
        name="shape-of-a-box",
        http=observing(annotated(BOX)),
        expected=rf"\$\.observation\.o.*{BUDGET}",
    ),
    Hostile(
        name="many-boxes",
        http=observing(annotated({"type": "Tuple", "spaces": [{**BOX, "shape": [1 << 20]}] * 100})),
        expected=BUDGET,
    ),
    Hostile(
        name="shape-of-negative-lengths",
        http=observing(annotated({**BOX, "shape": [-(1 << 40), -4]})),
        expected="lengths from 0",
    ),
    Hostile(
        name="multi-binary",
        http=observing(annotated({"type": "MultiBinary", "n": 1 << 33})),
        expected=BUDGET,
    ),
    Hostile(
        name="alphabet",
        deadline_s=5.0,
        http=observing(
            annotated(
                {
                    "type": "Text",
                    "min_length": 0,
                    "max_length": 5,
                    "charset": "".join(map(chr, range(0xE000, 0x10FFFF))) * 2,
                }
            )
        ),
        expected=BUDGET,
    ),
    Hostile(
        name="many-small-spaces",
        deadline_s=5.0,
        http=observing(annotated({"type": "Tuple", "spaces": [LEAF] * 100_000})),
        expected=BUDGET,
    ),
    Hostile(name="array-of-the-schema", http=observing(array(1 << 40)), expected=BUDGET),
    Hostile(
        name="arrays-of-arrays", http=observing(array(1 << 16, array(1 << 16))), expected=BUDGET
    ),
    Hostile(
        name="texts-in-arrays",
        http=observing(array(1 << 30, {"type": "string", "maxLength": 2})),
        expected=BUDGET,
    ),
    Hostile(
        name="nan-lengths",
        http={
            "schema": answer(
                '{"action":{"properties":{"a":{"enum":[0,1]}}},"observation":{"properties":{"o":{"type":"array","items":{"type":"number"},"minItems":NaN,"maxItems":NaN}},"required":["o"]}}'
            )
        },
        expected=r"\$\.observation\.o",
    ),
    Hostile(
        name="references-that-double",
        http=observing(doubling(two_fields), **{"$defs": doubling(two_fields)["$defs"]}),
        expected=BUDGET,
    ),
    Hostile(
        name="unions-that-double",
        http=schemas(
            action={
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/n0"}},
                "required": ["a"],
                "$defs": doubling(lambda child: {"anyOf": [child, child]})["$defs"],
            }
        ),
        expected=BUDGET,
    ),
    Hostile(
        name="parts-that-double",
        http=observing(
            {"$ref": "#/$defs/n0"},
            **{"$defs": doubling(lambda child: {"allOf": [child, child]})["$defs"]},
        ),
        expected=BUDGET,
    ),
    Hostile(
        name="a-model-in-itself",
        http=observing(
            {"$ref": "#/$defs/n"}, **{"$defs": {"n": two_fields({"$ref": "#/$defs/n"})}}
        ),
        expected="no recursive schema",
    ),
    Hostile(
        name="deep-schema",
        deadline_s=5.0,
        http={
            "schema": answer(
                '{"action":{},"observation":{"properties":{"o":'
                + nested(100_000, '{"items":', "}", "{}")
                + "}}}"
            )
        },
        expected="no JSON",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="deep-spaces",
        http=observing(
            json.loads(
                f'{{"{ANNOTATION}":'
                + nested(200, '{"type":"Tuple","spaces":[', "]}", json.dumps(LEAF))
                + "}"
            )
        ),
        expected="64 deep",
    ),
    Hostile(
        name="members",
        deadline_s=5.0,
        http=schemas(
            action={"properties": {"a": {"enum": list(range(1_000_000))}}, "required": ["a"]}
        ),
        expected=BUDGET,
    ),
    Hostile(
        name="long-names",
        deadline_s=5.0,
        http=observing(
            {
                "type": "object",
                "properties": {
                    "x" * (1 << 20): {"properties": {str(i): {"type": 5} for i in range(20_000)}}
                },
            }
        ),
        expected=r"\$\.observation",
    ),
    Hostile(
        name="digits",
        deadline_s=5.0,
        http=schemas(
            action={
                "properties": {
                    "a": {
                        "allOf": [
                            {
                                "type": "integer",
                                "minimum": 0,
                                "maximum": 9,
                                "multipleOf": (1 << 60) + i,
                            }
                            for i in range(5000)
                        ]
                    }
                },
                "required": ["a"],
            }
        ),
        expected=r"\$\.action\.a",
    ),
    Hostile(
        name="pattern",
        deadline_s=5.0,
        http=observing(
            {"type": "string", "maxLength": 5, "pattern": "^[" + "\\a" * 300_000 + "]*$"}
        ),
        expected=r"\$\.observation\.o.*pattern",
    ),
    Hostile(
        name="pattern-that-backtracks",
        deadline_s=5.0,
        http=observing({"type": "string", "maxLength": 5, "pattern": "^(a+)+[" + "a-z" * 200_000}),
        expected=r"\$\.observation\.o.*pattern",
    ),
    Hostile(
        name="labels",
        deadline_s=5.0,
        http=observing(
            annotated(
                {
                    "type": "Discrete",
                    "n": 300_000,
                    "start": 0,
                    "dtype": "int64",
                    "labels": [f"a{i}" for i in range(299_999)] + ["a299998"],
                }
            )
        ),
        expected="distinct",
    ),
    Hostile(
        name="json-of-small-objects",
        deadline_s=5.0,
        http={
            "schema": answer(b'{"action":{},"observation":{},"x":[' + b"{}," * 4_000_000 + b"{}]}")
        },
        expected=BUDGET,
    ),
    Hostile(
        name="models-that-double",
        play="inspect",
        http=schemas(
            action={
                "properties": {"a": {"$ref": "#/$defs/n0"}},
                "$defs": doubling(lambda child: {"prefixItems": [child, child], "type": "array"})[
                    "$defs"
                ],
            }
        ),
        expected=BUDGET,
    ),
    Hostile(name="ours-of-a-large-space", http=ours(BOX), expected=BUDGET),
    Hostile(
        name="ours-of-many-batches",
        play="make_vec",
        http=ours(LEAF),
        talk=reading(),
        expected="no answer",
        error="RequestTimeoutError",
    ),
]

HTTP = [
    Hostile(
        name="headers-that-drip",
        http={"schema": forever(HTTP_HEAD, b"X", pause_s=DRIP_S)},
        expected="within 0.5 s",
        error="UnreachableError",
    ),
    Hostile(
        name="headers-without-end",
        http={"schema": forever(HTTP_HEAD, b"X: " + b"x" * 4096 + b"\r\n")},
        expected="is the server running",
        error="UnreachableError",
    ),
    Hostile(
        name="body-that-drips",
        http={"schema": forever(CHUNKED, b"1\r\n \r\n", pause_s=DRIP_S)},
        expected="no end of it",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="body-without-end",
        http={"schema": forever(CHUNKED, b"100000\r\n" + b" " * (1 << 20) + b"\r\n")},
        expected="max_message_bytes|no end of it",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="body-of-2-to-the-62",
        http={
            "schema": forever(
                HTTP_HEAD + b"Content-Length: 4611686018427387904\r\n\r\n", b" ", pause_s=DRIP_S
            )
        },
        expected="no end of it",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="compressed-body",
        deadline_s=5.0,
        http={"schema": answer(gzip.compress(bytes(1 << 28)), "200 OK", "Content-Encoding: gzip")},
        expected="not asked for",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="redirects-in-a-ring",
        http={"schema": around},
        expected="within 0.5 s|more than 10",
        error="OpenEnvGymError",
    ),
    Hostile(
        name="redirect-to-nowhere",
        deadline_s=5.0,
        http={"schema": redirect("http://" + "a" * 50_000 + ESCAPES.replace("\r\n", " "))},
        expected="redirects to|cannot connect",
        error="OpenEnvGymError",
    ),
    Hostile(
        name="silence",
        http={"schema": lambda sock, key: time.sleep(1)},
        expected="within 0.5 s",
        error="UnreachableError",
    ),
    Hostile(
        name="error-page",
        deadline_s=5.0,
        http={"schema": answer(ESCAPES * 100_000, "404 Not Found")},
        expected="HTTP 404",
        error="NotOpenEnvError",
    ),
]

SOCKETS = [
    Hostile(
        name="handshake-that-drips",
        http=observing(NUMBER),
        handshake=forever(b"HTTP/1.1 101 Switching Protocols\r\n", b"X", pause_s=DRIP_S),
        expected="no answer",
        error="RequestTimeoutError",
    ),
    Hostile(
        name="handshake-without-end",
        http=observing(NUMBER),
        handshake=forever(b"HTTP/1.1 101 Switching Protocols\r\n", b"X: " + b"x" * 4096 + b"\r\n"),
        expected="without an end",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="refusal-that-drips",
        http=observing(NUMBER),
        handshake=forever(b"HTTP/1.1 503 No\r\nContent-Length: 1000\r\n\r\n", b"x", pause_s=DRIP_S),
        expected="no answer",
        error="RequestTimeoutError",
    ),
    Hostile(
        name="compression-that-nobody-asked-for",
        http=observing(NUMBER),
        handshake=handshake("Sec-WebSocket-Extensions: permessage-deflate"),
        expected="expected a WebSocket",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="compressed-frame",
        http=observing(NUMBER),
        talk=reading(frame(b"x" * 100, 0xC1)),
        expected="compression",
        error="ConnectionLostError",
    ),
    Hostile(
        name="frame-that-drips",
        http=observing(NUMBER),
        talk=reading(forever(head_of(1000), b" ", pause_s=DRIP_S)),
        expected="no answer",
        error="RequestTimeoutError",
    ),
    Hostile(
        name="frame-of-2-to-the-62",
        http=observing(NUMBER),
        talk=reading(head_of(1 << 62)),
        expected="max_message_bytes",
        error="InvalidRequestError",
    ),
    Hostile(
        name="frame-larger-than-needed",
        deadline_s=5.0,
        http=observing(NUMBER),
        talk=reading(forever(head_of(1 << 29), b" " * (1 << 20))),
        expected="max_message_bytes",
        error="InvalidRequestError",
    ),
    Hostile(
        name="fragments-without-end",
        http=observing(NUMBER),
        talk=reading(forever(frame(b"{", 0x01), frame(b" " * (1 << 20), 0x00))),
        expected="max_message_bytes|no answer",
        error="OpenEnvGymError",
    ),
    Hostile(
        name="empty-fragments",
        http=observing(NUMBER),
        talk=reading(forever(frame(b"{", 0x01), frame(b"", 0x00) * 1000)),
        expected="no answer",
        error="RequestTimeoutError",
    ),
    Hostile(
        name="pings-without-end",
        http=observing(NUMBER),
        talk=reading(forever(frame(b"", 0x89), frame(b"x" * 125, 0x89) * 100)),
        expected="no answer|took no request",
        error="RequestTimeoutError",
    ),
    Hostile(
        name="long-ping",
        deadline_s=5.0,
        http=observing(NUMBER),
        talk=reading(forever(head_of(1 << 28, 0x89), bytes(1 << 20))),
        expected="control frames",
        error="ConnectionLostError",
    ),
    Hostile(
        name="reason-of-the-end",
        http=observing(NUMBER),
        talk=reading(frame(struct.pack("!H", 4000) + ESCAPES.encode(), 0x88)),
        expected=r"4000 \\x1b",
        error="ConnectionLostError",
    ),
    Hostile(
        name="silence-after-the-handshake",
        http=observing(NUMBER),
        expected="closed|no answer",
        error="TransportError",
    ),
]

REPLIES = [
    Hostile(
        name="reply-of-small-objects",
        deadline_s=5.0,
        http=observing(NUMBER),
        talk=reading(
            frame(b'{"type":"observation","data":{"x":[' + b"{}," * 4_000_000 + b"{}]}}", 0x81)
        ),
        expected="expected a reply that",
        error="ProtocolError",
    ),
    Hostile(
        name="deep-reply",
        deadline_s=5.0,
        http=observing(NUMBER),
        talk=reading(text(nested(500_000, "[", "]"))),
        expected="expected a JSON reply",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="error-with-escapes",
        deadline_s=5.0,
        http=observing(NUMBER),
        talk=reading(text(error(ESCAPES * 100_000))),
        expected=r"\\x1b\[2J",
        error="RemoteEnvError",
    ),
    Hostile(
        name="error-with-a-long-code",
        deadline_s=5.0,
        http=observing(NUMBER),
        talk=reading(text({"type": "error", "data": {"message": "x", "code": ESCAPES * 1000}})),
        expected="code",
        error="ServerError",
    ),
    Hostile(
        name="reply-of-an-unknown-type",
        deadline_s=5.0,
        http=observing(NUMBER),
        talk=reading(text({"type": ESCAPES * 100_000, "data": {}})),
        expected="expected an observation",
        error="ProtocolError",
    ),
    Hostile(
        name="number-of-many-digits",
        deadline_s=5.0,
        http=observing(NUMBER),
        talk=reading(
            text(
                '{"type":"observation","data":{"observation":{"o":'
                + "9" * 1_000_000
                + '},"done":false}}'
            )
        ),
        expected=".",
        error="OpenEnvGymError",
    ),
    Hostile(
        name="texts-of-a-large-dtype",
        http=observing(
            {"type": "number"},
        ),
        talk=reading(text(observed())),
        expected=".",
        error="OpenEnvGymError",
    ),
    Hostile(
        name="binary-reply-to-another-request",
        play="binary",
        http=ours(LEAF),
        talk=reading(frame(result(77, b""))),
        expected="expected the reply to request 1, got that to 77",
        error="ProtocolError",
    ),
    Hostile(
        name="binary-reply-that-is-cut",
        play="binary",
        http=ours(LEAF),
        talk=reading(frame(b"\x82")),
        expected="8 bytes",
        error="ProtocolError",
    ),
    Hostile(
        name="description-of-small-objects",
        deadline_s=5.0,
        play="binary",
        http=ours(LEAF),
        talk=reading(
            frame(
                struct.pack("<BBHI", 129, 0, 0, 1)
                + b'{"environment":"x","view":"gymnasium","metadata":{"x":['
                + b"{}," * 4_000_000
                + b"{}]}}"
            )
        ),
        expected=BUDGET,
    ),
    Hostile(
        name="failure-of-small-objects",
        deadline_s=5.0,
        play="binary",
        http=ours(LEAF),
        talk=reading(
            frame(
                struct.pack("<BBHI", 255, 0, 0, 1)
                + b"\xdd"
                + struct.pack(">I", 20_000_000)
                + b"\x80" * 20_000_000
            )
        ),
        expected="expected a reply that",
        error="ProtocolError",
    ),
    Hostile(
        name="failure-with-escapes",
        deadline_s=5.0,
        play="binary",
        http=ours(LEAF),
        talk=reading(
            frame(
                struct.pack("<BBHI", 255, 0, 0, 1)
                + pack_freeform(["EXECUTION_ERROR", ESCAPES * 10_000, ESCAPES * 10_000, None, ""])
            )
        ),
        expected=r"\\x1b\[2J",
        error="RemoteEnvError",
    ),
]

PRINTED = [
    Hostile(
        name="printed-names",
        deadline_s=5.0,
        play="command",
        http=observing({**NUMBER, "description": ESCAPES}, title=ESCAPES, description=ESCAPES),
        expected="printed: ",
        error="OpenEnvGymError",
    ),
    Hostile(
        name="printed-error",
        deadline_s=5.0,
        play="command",
        http=observing({"type": ESCAPES}, required=[ESCAPES]),
        expected="printed: ",
        error="OpenEnvGymError",
    ),
    Hostile(
        name="warnings",
        deadline_s=5.0,
        play="warned",
        http=ours(LEAF, warnings=[f"{ESCAPES}{i}" for i in range(10_000)]),
        expected="21 warnings",
        error="OpenEnvGymError",
    ),
]

ROWS = {row.name: row for row in (*SCHEMAS, *HTTP, *SOCKETS, *REPLIES, *PRINTED)}
