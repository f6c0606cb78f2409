"""What several rows say: schemas, descriptors, messages, and patterns of errors."""

from __future__ import annotations

import struct

import gymnasium.spaces as gs

from openenv_gym.codecs import binary_codec
from openenv_gym.spaces.to_schema import ANNOTATION
from tests.hostile.servers import (
    NUMBER,
)

BUDGET = r"at most \d+ bytes together.*max_space_bytes"
HTTP_HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HTTP_HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
MANY = {"type": "Discrete", "n": 1 << 40, "start": 0, "dtype": "int64"}
ZEROS = struct.pack("<d", 0.0) + binary_codec(gs.Discrete(2)).pack(0)
"""A reward and an observation."""
BOX = {"type": "Box", "dtype": "float32", "shape": [1_000_000_000], "low": 0, "high": 1}
HEAVY = r"at most \d+ bytes of memory when it is read"
SMALL_OBJECTS = b"{}," * 4_000_000 + b"{}"
LEAF = {"type": "Discrete", "n": 2, "start": 0, "dtype": "int64"}


def annotated(descriptor: object) -> object:
    return {ANNOTATION: descriptor}


def array(length: object, items: object = NUMBER) -> object:
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}
