"""Frames as text and PNG."""

from __future__ import annotations

import io

import numpy as np
import pytest

from openenv_gym.codecs import shown_frames
from openenv_gym.codecs.frames import to_png
from openenv_gym.errors import RemoteEnvError

SHAPES = [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4), (1, 1, 3), (300, 2, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_png_has_the_pixels_of_the_array(shape):
    image = pytest.importorskip("PIL.Image", reason="needs Pillow to read it")
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with image.open(io.BytesIO(to_png(picture))) as read:
        read.load()
        pixels = np.asarray(read)
    assert (pixels == picture.reshape(pixels.shape)).all()


def test_a_picture_that_is_a_view_is_written_as_it_looks():
    picture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    turned = picture[::-1, ::2]
    assert to_png(turned) == to_png(turned.copy())


def test_lists_of_frames_are_flat_and_nothing_is_no_frame():
    picture = np.zeros((2, 2, 3), np.uint8)
    assert shown_frames(["a", (picture, "b")]) == ["a", to_png(picture), "b"]
    assert shown_frames(None) == []


@pytest.mark.parametrize(
    "frame", [np.zeros((2, 2, 3)), np.zeros((2, 2, 2), np.uint8), np.zeros((0, 2, 3), np.uint8), 5]
)
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(RemoteEnvError, match="render: expected text or a picture of uint8"):
        shown_frames(frame)
    with pytest.raises(ValueError, match="expected a picture of uint8"):
        to_png(frame)
