"""The description of an environment, as JSON and back."""

from __future__ import annotations

import gymnasium.spaces as gs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openenv_gym.errors import ProtocolError
from openenv_gym.spaces import to_descriptor
from openenv_gym.wire.description import Description, description_from_json
from tests.support.spaces import CATALOGUE, NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_description_comes_back_with_its_spaces(name: str):
    descriptor = to_descriptor(CATALOGUE[name])
    description = Description(
        environment="E-v0", view="gymnasium", action=descriptor, observation=descriptor
    )
    again = description_from_json(description.to_json())
    assert again == description
    assert again.action_space == again.observation_space == CATALOGUE[name]


def test_spaces_may_be_unknown():
    description = Description(environment="E-v0", view="model")
    assert description.action_space is None
    assert description.observation_space is None


MALFORMED = [b"", b"{}", b"[]", b"\xff", b'{"environment": 5, "view": "x"}', b"[" * 100_000]


@pytest.mark.parametrize("payload", MALFORMED, ids=lambda payload: payload[:20])
def test_a_malformed_description_is_refused(payload: bytes):
    with pytest.raises(ProtocolError, match="expected the description"):
        description_from_json(payload)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(payload: bytes):
    with pytest.raises(ProtocolError):
        description_from_json(payload)


def test_another_version_of_the_protocol_is_refused():
    payload = msgspec.json.encode({"environment": "E", "view": "gymnasium", "protocol": 2})
    with pytest.raises(ProtocolError, match="expected protocol version 1, got 2; install"):
        description_from_json(payload)


def test_a_description_is_plain_json_for_others():
    text = Description(environment="E", view="gymnasium", action=to_descriptor(gs.Discrete(2)))
    assert msgspec.json.decode(text.to_json())["action"]["type"] == "Discrete"
