"""Frames come out of a stream however it was cut."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openenv_gym.errors import ProtocolError
from openenv_gym.protocol import FrameReader, frame
from tests.support.examples import examples

bodies_of_any_size = st.lists(st.binary(max_size=40), max_size=8)


def cut(stream: bytes, lengths: list[int]) -> list[bytes]:
    chunks = []
    for length in lengths:
        chunks.append(stream[:length])
        stream = stream[length:]
    return [*chunks, stream]


@settings(max_examples=examples(500), deadline=None)
@given(bodies_of_any_size, st.lists(st.integers(0, 50), max_size=20))
def test_bodies_come_out_in_order_of_any_chunks(bodies: list[bytes], lengths: list[int]):
    reader, read = FrameReader(), []
    for chunk in cut(b"".join(map(frame, bodies)), lengths):
        read += reader.feed(chunk)
    assert read == bodies


@given(bodies_of_any_size)
def test_bodies_come_out_as_soon_as_they_are_complete(bodies: list[bytes]):
    reader = FrameReader()
    for body in bodies:
        framed = frame(body)
        assert [each for byte in framed[:-1] for each in reader.feed(bytes([byte]))] == []
        assert reader.feed(framed[-1:]) == [body]


def test_a_frame_is_a_length_and_a_body():
    assert frame(b"abc") == b"\3\0\0\0abc"
    assert frame(b"") == b"\0\0\0\0"
    assert frame(bytes(300))[:4] == b"\x2c\1\0\0"


@pytest.mark.parametrize("rest", [b"", b"x", b"x" * 11, b"x" * 100])
def test_a_longer_frame_than_allowed_is_refused(rest: bytes):
    reader = FrameReader(max_frame_bytes=10)
    with pytest.raises(ProtocolError, match="at most 10 bytes, got one of 11"):
        reader.feed(b"\x0b\0\0\0" + rest)


def test_the_longest_frame_is_read():
    assert FrameReader(max_frame_bytes=10).feed(frame(b"0123456789")) == [b"0123456789"]


@pytest.mark.parametrize("step", [1000, 70_000, 1 << 20])
@pytest.mark.parametrize("length", [1 << 16, (1 << 16) + 1, 300_000])
def test_a_long_body_is_received_in_place(length: int, step: int):
    body = np.random.default_rng(0).bytes(length)
    stream, reader, read = memoryview(frame(b"a") + frame(body) + frame(b"b")), FrameReader(), []
    while stream:
        room = reader.room()
        if room is None:
            part, stream = stream[:step], stream[step:]
            read += reader.feed(bytes(part))
            continue
        count = min(step, len(room), len(stream))
        room[:count] = stream[:count]
        read += reader.feed(room[:count])
        stream = stream[count:]
    assert read == [b"a", body, b"b"]
    if step < length:
        assert isinstance(read[1], memoryview) and not read[1].readonly


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0, 3, 65_535, 65_536, 90_000]), max_size=5), st.data())
def test_long_bodies_come_out_of_chunks_too(lengths: list[int], data: st.DataObject):
    bodies = [bytes([i]) * length for i, length in enumerate(lengths)]
    stream, reader, read = b"".join(map(frame, bodies)), FrameReader(), []
    while stream:
        size = data.draw(st.integers(1, 100_000))
        read += reader.feed(stream[:size])
        stream = stream[size:]
    assert read == bodies


def test_a_length_alone_takes_no_memory():
    reader = FrameReader()
    tracemalloc.start()
    try:
        assert reader.feed((1 << 30).to_bytes(4, "little")) == []
        assert tracemalloc.get_traced_memory()[1] < 2**16
    finally:
        tracemalloc.stop()


def test_many_frames_in_one_chunk_take_time_in_proportion():
    stream = frame(b"x") * 100_000
    assert len(FrameReader().feed(stream)) == 100_000
