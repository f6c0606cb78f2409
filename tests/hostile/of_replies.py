"""Replies that cannot be read, and texts that act on a terminal."""

from __future__ import annotations

import struct

from openenv_gym.codecs import pack_freeform
from tests.hostile.parts import (
    BUDGET,
    HEAVY,
    LEAF,
    SMALL_OBJECTS,
    annotated,
    array,
)
from tests.hostile.servers import (
    ESCAPES,
    NUMBER,
    Hostile,
    error,
    frame,
    head_of_reply,
    large_png,
    nested,
    observed,
    observing,
    opened,
    ours,
    reading,
    schemas,
    text,
)

REPLIES = [
    Hostile(
        name="reply-of-small-objects",
        deadline_s=5.0,
        http=observing(NUMBER),
        talk=reading(frame(b'{"type":"observation","data":{"x":[' + SMALL_OBJECTS + b"]}}", 0x81)),
        expected="expected a message that",
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
        http=schemas(
            observation={
                "properties": {"obs": annotated(LEAF), "info": {}, "info_types": {}},
                "required": ["obs"],
            }
        ),
        talk=reading(
            text(
                observed(
                    observation={
                        "obs": 0,
                        "info": {"a": ["x"] * 1000},
                        "info_types": {"/a": "ndarray:U999999:1000"},
                    }
                )
            )
        ),
        expected=r"\$\.info_types.*bytes together",
        error="InvalidRequestError",
    ),
    Hostile(
        name="binary-reply-to-another-request",
        play="binary",
        http=ours(LEAF),
        talk=reading(frame(opened(LEAF, seq=77))),
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
                head_of_reply(129, 1)
                + b'{"environment":"x","view":"gymnasium","metadata":{"x":['
                + SMALL_OBJECTS
                + b"]}}"
            )
        ),
        expected=HEAVY,
        error="ProtocolError",
    ),
    Hostile(
        name="picture",
        http=schemas(
            observation={"properties": {"screen": {"type": "string"}}, "required": ["screen"]}
        ),
        talk=reading(
            text(observed(observation={"screen": large_png(10_000)})),
            text({"type": "state", "data": {}}),
        ),
        expected="got a StateReply",
        error="ProtocolError",
        deadline_s=5.0,
    ),
    Hostile(
        name="picture-of-the-limit",
        is_slow=True,
        http=schemas(
            observation={"properties": {"screen": {"type": "string"}}, "required": ["screen"]}
        ),
        talk=reading(
            text(observed(observation={"screen": large_png(3_900)})),
            text({"type": "state", "data": {}}),
        ),
        expected=BUDGET,
        deadline_s=5.0,
    ),
    Hostile(
        name="shape-in-the-state",
        http=observing({"type": "array", "items": NUMBER}),
        talk=reading(
            text(observed(observation={"o": [1.0]})),
            text(
                {
                    "type": "state",
                    "data": {"observation_spec": {"shape": [1 << 40], "dtype": "float64"}},
                }
            ),
        ),
        expected=BUDGET,
    ),
    Hostile(
        name="tools-of-large-arguments",
        http=schemas(
            action={
                "properties": {"tool_name": {"type": "string"}, "arguments": {"type": "object"}},
                "required": ["tool_name", "arguments"],
            }
        ),
        talk=reading(
            text(
                observed(
                    observation={
                        "tools": [
                            {
                                "name": "x",
                                "input_schema": {
                                    "properties": {"a": array(1 << 40)},
                                    "required": ["a"],
                                },
                            }
                        ]
                    }
                )
            ),
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
                head_of_reply(255, 1)
                + b"\xdd"
                + struct.pack(">I", 20_000_000)
                + b"\x80" * 20_000_000
            )
        ),
        expected="expected a message that",
        error="ProtocolError",
    ),
    Hostile(
        name="failure-with-escapes",
        deadline_s=5.0,
        play="binary",
        http=ours(LEAF),
        talk=reading(
            frame(
                head_of_reply(255, 1)
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
        error="Seen",
    ),
    Hostile(
        name="printed-error",
        deadline_s=5.0,
        play="command",
        http=observing({"type": ESCAPES}, required=[ESCAPES]),
        expected="printed: ",
        error="Seen",
    ),
    Hostile(
        name="warnings",
        deadline_s=5.0,
        play="warned",
        http=ours(LEAF, warnings=[f"{ESCAPES}{i}" for i in range(10_000)]),
        expected="21 warnings",
        error="Seen",
    ),
]
