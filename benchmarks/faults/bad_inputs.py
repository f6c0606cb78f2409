"""Messages that no honest client sends, drawn from a seed: texts for JSON sessions, and bodies.

Some mutations come out harmless, and some are valid; what counts is that a server answers each.
What would end a session by right, a goodbye, is not drawn.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from openenv_gym.codecs import pack_freeform
from openenv_gym.protocol import BinaryMessages, GetState, Render, Reset, Step
from openenv_gym.protocol.binary_messages import CLOSE

ILLEGAL: tuple[Any, ...] = (
    *(10**9, -1, 9, 99, 2**31, -(2**31), 2**32, 2**63 - 1, 2**63, -(2**63), 10**30, 0, 4),
    *(1.5, True, "1", None, [], {}, [0], 1e308, -0.0),
)
WORDS = ("reset", "step", "state", "mcp", "type", "data", "seed", "options", "action_id", "")
VALID: tuple[dict[str, Any], ...] = (
    {"type": "reset", "data": {"seed": 7, "options": {}, "episode_id": "e"}},
    {"type": "step", "data": {"action_id": 4, "game_name": "tic_tac_toe", "game_params": {}}},
    {"type": "state"},
)
_EDGES = "\"'{}[]:,\\/0123456789-+.eENaInfinitytrue \n\x00\ud7ffé"
_NESTING = (16, 33, 65, 500, 5000)


class BadInputs:
    """Draws messages.

    Args:
        seed: The same ones for the same seed.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._texts: tuple[Callable[[], str | bytes], ...] = (
            *(self._illegal_step, self._mutated, self._replaced, self._any_json),
            *(self._nested, self._long_number, self._no_number, self._binary_frame),
        )
        self._bodies: tuple[Callable[[], bytes], ...] = (
            *(self._illegal_body, self._changed_body, self._foreign_kind, self._nested_body),
            *(self._any_bytes, self._long_claim),
        )

    def text(self) -> str | bytes:
        """Return a message for a JSON session; bytes are for a binary frame."""
        while True:
            message = self._random.choice(self._texts)()
            if isinstance(message, bytes) or "close" not in message:
                return message

    def body(self) -> bytes:
        """Return a body for a session of ``openenv-gym.v1``."""
        while True:
            body = self._random.choice(self._bodies)()
            if body[:1] != bytes((CLOSE,)):
                return body

    # Texts

    def _illegal_step(self) -> str:
        return json.dumps({"type": "step", "data": {"action_id": self._random.choice(ILLEGAL)}})

    def _mutated(self) -> str:
        text = json.dumps(self._random.choice(VALID))
        for _ in range(self._random.randint(1, 4)):
            at, end = sorted(self._random.choices(range(len(text) + 1), k=2))
            new = "".join(self._random.choices(_EDGES, k=self._random.randint(0, 3)))
            text = text[:at] + new + text[min(end, at + self._random.randint(0, 6)) :]
        return text

    def _replaced(self) -> str:
        """A valid message with something else in one place, or one thing more."""
        message = json.loads(json.dumps(self._random.choice(VALID)))
        place = message
        while isinstance(place.get("data"), dict) and self._random.random() < 0.7:
            place = place["data"]
        key = self._random.choice([*place, *WORDS])
        place[key] = self._value(3)
        return json.dumps(message)

    def _any_json(self) -> str:
        return json.dumps(self._value(4))

    def _nested(self) -> str:
        depth, opening = self._random.choice(_NESTING), self._random.choice(("[", '{"a":'))
        inner = opening * depth + "0" + ("]" if opening == "[" else "}") * depth
        return self._random.choice((inner, f'{{"type": "step", "data": {inner}}}'))

    def _long_number(self) -> str:
        digits = "".join(self._random.choices("0123456789", k=self._random.randint(20, 5000)))
        number = self._random.choice((digits, f"-{digits}", f"1e{digits[:5]}", f"0.{digits}"))
        return f'{{"type": "step", "data": {{"action_id": {number}}}}}'

    def _no_number(self) -> str:
        number = self._random.choice(("NaN", "Infinity", "-Infinity", '"NaN"'))
        name = self._random.choice(("action_id", "seed", "reward"))
        kind = self._random.choice(("step", "reset"))
        return f'{{"type": "{kind}", "data": {{"{name}": {number}}}}}'

    def _binary_frame(self) -> bytes:
        return self._random.randbytes(self._random.randint(0, 64))

    def _value(self, depth: int) -> Any:
        draw = self._random.random()
        if depth and draw < 0.2:
            return [self._value(depth - 1) for _ in range(self._random.randint(0, 4))]
        if depth and draw < 0.4:
            names = self._random.choices(WORDS, k=self._random.randint(0, 4))
            return {name: self._value(depth - 1) for name in names}
        if draw < 0.7:
            return self._random.choice(ILLEGAL)
        return self._random.choice((*WORDS, "\x00", "\ud800", "é" * 100, "a" * 2000, False))

    # Bodies

    def _seq(self) -> int:
        return self._random.getrandbits(32)

    def _valid_body(self) -> bytes:
        requests = (Step(4), Reset(7, {}, "e", {}), GetState(), Render())
        return BinaryMessages().encode_request(self._seq(), self._random.choice(requests))

    def _illegal_body(self) -> bytes:
        action = self._random.choice(ILLEGAL)
        if self._random.random() < 0.5:
            return BinaryMessages().encode_request(self._seq(), Step(action))
        number = action if isinstance(action, int) else 10**9
        compact = bytes((self._random.randint(0, 2),)) + (number % 2**64).to_bytes(8, "little")
        return b"\x03\x01\x00\x00" + self._seq().to_bytes(4, "little") + compact

    def _changed_body(self) -> bytes:
        body = bytearray(self._valid_body())
        for _ in range(self._random.randint(1, 6)):
            at = self._random.randrange(len(body) + 1)
            drawn = self._random.randbytes(self._random.randint(0, 3))
            body[at : at + self._random.randint(0, 3)] = drawn
        return bytes(body)

    def _foreign_kind(self) -> bytes:
        body = bytearray(self._valid_body())
        body[0], body[1] = self._random.randrange(256), self._random.randrange(256)
        return bytes(body)

    def _nested_body(self) -> bytes:
        depth = self._random.choice(_NESTING)
        inner = bytes((self._random.choice((0x91, 0x81)),)) * depth + b"\xc0"
        return b"\x02\x00\x00\x00" + self._seq().to_bytes(4, "little") + inner

    def _any_bytes(self) -> bytes:
        return self._random.randbytes(self._random.randint(0, 200))

    def _long_claim(self) -> bytes:
        """Lengths that the bytes do not have: of texts, lists, maps, arrays, values."""
        length = self._random.choice((2**32 - 1, 2**31, 2**24, 70000)).to_bytes(4, "big")
        claim = self._random.choice((b"\xdb", b"\xdd", b"\xdf", b"\xc6", b"\xc9")) + length
        array = pack_freeform({"a": [1, 2, 3]})[:-1] + b"\xc7\x0f\x02<f8\x00\x02" + length * 2
        payload = self._random.choice((claim, claim + b"\x02<f8\x00\x01", array, length + claim))
        kind = self._random.choice((1, 2, 3, 7))
        return bytes((kind, 0, 0, 0)) + self._seq().to_bytes(4, "little") + payload
