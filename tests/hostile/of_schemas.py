"""Schemas and descriptors that ask for more than there is."""

from __future__ import annotations

import json

from openenv_gym.codecs import pack_freeform
from openenv_gym.spaces.to_schema import ANNOTATION
from tests.hostile.parts import (
    BOX,
    BUDGET,
    HEAVY,
    LEAF,
    MANY,
    SMALL_OBJECTS,
    ZEROS,
    annotated,
    array,
)
from tests.hostile.servers import (
    Hostile,
    answer,
    doubling,
    frame,
    nested,
    observing,
    opened,
    ours,
    reading,
    result,
    schemas,
    two_fields,
)

SCHEMAS = [
    Hostile(
        name="shape-of-a-box",
        http=observing(annotated(BOX)),
        expected=rf"\$\.observation\.o.*{BUDGET}",
    ),
    Hostile(
        name="many-boxes",
        is_slow=True,
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
        is_slow=True,
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
        http=observing(array(float("nan"))),
        expected=r"\$\.observation\.properties\.o\.minItems: expected a number >= 0, got nan",
    ),
    Hostile(
        name="references-that-double",
        http=observing(doubling(two_fields), **{"$defs": doubling(two_fields)["$defs"]}),
        expected=BUDGET,
    ),
    Hostile(
        name="unions-that-double",
        is_slow=True,
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
        is_slow=True,
        http=observing(
            {"$ref": "#/$defs/n0"},
            **{"$defs": doubling(lambda child: {"allOf": [child, child]}, 25)["$defs"]},
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
        is_slow=True,
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
        http={"schema": answer(b'{"action":{},"observation":{},"x":[' + SMALL_OBJECTS + b"]}")},
        expected=HEAVY,
        error="ProtocolError",
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
        play="binary_vec",
        http=ours(LEAF),
        talk=reading(frame(opened(LEAF, num_envs=1 << 40))),
        expected="sub-environments, got 1099511627776",
    ),
    Hostile(
        name="ours-of-many-sessions",
        play="vec",
        http=ours(LEAF, shards=1 << 40, deadlines={"start": 1e300, "reset": 1e300, "step": 1e300}),
        expected="closed the connection",
        error="ConnectionLostError",
    ),
    Hostile(
        name="ours-of-many-copies",
        play="binary_vec",
        http=ours(LEAF),
        talk=reading(
            frame(opened({"type": "Sequence", "space": LEAF, "stack": False}, num_envs=1 << 20))
        ),
        expected=BUDGET,
    ),
    Hostile(
        name="texts-without-end",
        play="inspect",
        http=observing({"type": "string", "minLength": 1 << 40, "maxLength": 1 << 40}),
        expected="printed",
        error="Seen",
    ),
    Hostile(
        name="many-actions",
        play="masks",
        http=ours(LEAF, action=MANY, has_action_masks=True),
        talk=reading(
            frame(opened(LEAF, action=MANY, has_action_masks=True)),
            frame(result(2, ZEROS + pack_freeform({"legal_actions": [0]}), 1 | 16)),
        ),
        expected="at most 16777216 actions",
    ),
    Hostile(
        name="flat-numbers",
        is_slow=True,
        play="flat",
        http=schemas(
            observation={
                "properties": {
                    "o": {"enum": list(range(3))},
                    "p": {"type": "integer", "minimum": 0, "maximum": 1 << 23},
                },
                "required": ["p", "o"],
            }
        ),
        expected=BUDGET,
    ),
]
