"""Values ↔ payloads: binary per space, JSON per space, and both for free-form values."""

from openenv_gym.codecs.binary_codec import BinaryCodec, Buffer, Misfit, binary_codec
from openenv_gym.codecs.frames import shown_frames
from openenv_gym.codecs.freeform import append_freeform, pack_freeform, unpack_freeform
from openenv_gym.codecs.json_codec import JsonCodec, json_codec
from openenv_gym.codecs.json_info import (
    info_from_json,
    info_to_json,
    reward_from_json,
    reward_to_json,
)

__all__ = [
    "BinaryCodec",
    "Buffer",
    "JsonCodec",
    "Misfit",
    "append_freeform",
    "binary_codec",
    "info_from_json",
    "info_to_json",
    "json_codec",
    "pack_freeform",
    "reward_from_json",
    "reward_to_json",
    "shown_frames",
    "unpack_freeform",
]
