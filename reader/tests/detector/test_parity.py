"""Rows and inner values against those of Caffe, for every image of the reference values."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")

from oracle import HAS_ORACLE, IMAGES, REPORT, compare_with_oracle

from lxmert_data.detector import Detector
from lxmert_data.detector.images import make_input, read_pixels

pytestmark = pytest.mark.skipif(not HAS_ORACLE, reason="the reference values are not here")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector("untrained", device="cpu")


@pytest.mark.parametrize("name", IMAGES)
def test_pixels_and_input_are_opencvs_bit_for_bit(name: str) -> None:
    pixels = read_pixels(IMAGES[name])
    prepared = make_input(pixels)
    assert f"{zlib.crc32(pixels.tobytes()):08x}" == REPORT[name]["crc32_im_bgr_u8"]
    assert f"{zlib.crc32(prepared.data.tobytes()):08x}" == REPORT[name]["crc32_data_f32"]
    assert prepared.scale == REPORT[name]["im_scale"]


@pytest.mark.parametrize("name", IMAGES)
def test_every_stage_agrees_with_caffe(name: str, detector: Detector) -> None:
    lines = compare_with_oracle(detector, name)
    assert [line for line in lines if not line.got <= line.allowed] == []
    # Far better than what is allowed: the aim.
    assert next(line.got for line in lines if line.what == "features") < 1e-4


def test_a_row_does_not_depend_on_the_images_around_it() -> None:
    # The head takes most of the time, for each region the same.
    detector = Detector("untrained", device="cpu", rois=60)
    small = IMAGES["pano1000x150"]
    alone = detector(small)
    found = list(detector.map([small, b"no image", read_pixels(small)], in_flight=2))
    assert [type(row).__name__ for row in found] == ["DetectorRow", "ImageError", "DetectorRow"]
    for row in (found[0], found[2]):
        assert row.features.tobytes() == alone.features.tobytes()  # type: ignore[union-attr]
        assert row.boxes.tobytes() == alone.boxes.tobytes()  # type: ignore[union-attr]
    assert alone.visual_feats.shape == (1, 36, 2048)
    assert alone.visual_pos.shape == (1, 36, 4)
    assert np.allclose(alone.visual_pos[0, :, 2].numpy(), alone.boxes[:, 2] / 1000)
