"""A device that runs out of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")

import torch

from lxmert_data.detector import Detector


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector("untrained", "cpu", rois=36)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    # A strip of noise has few proposals, and takes a tenth of the time.
    return np.random.default_rng(7).integers(0, 256, (24, 640, 3), dtype=np.uint8)


def test_a_device_without_memory_is_given_half_as_many_regions_for_good(
    detector: Detector, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector.rois_per_batch = 9
    expected = detector(pixels)
    detector.rois_per_batch = 36
    run_head = detector._network.run_head
    asked: list[int] = []

    def run_in_little_memory(features: Any, rois: Any, rois_per_batch: int) -> Any:
        asked.append(rois_per_batch)
        if rois_per_batch > 9:
            raise torch.OutOfMemoryError("no memory for so many")
        return run_head(features, rois, rois_per_batch)

    monkeypatch.setattr(detector._network, "run_head", run_in_little_memory)
    row = detector(pixels)
    assert asked == [36, 18, 9]
    assert row.features.tobytes() == expected.features.tobytes()
    assert row.boxes.tobytes() == expected.boxes.tobytes()
    detector(pixels)
    assert asked == [36, 18, 9, 9]


def test_a_device_without_memory_for_one_region_says_so(
    detector: Detector, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector.rois_per_batch = 2

    def run_without_memory(*_: Any) -> Any:
        raise torch.OutOfMemoryError("none at all")

    monkeypatch.setattr(detector._network, "run_head", run_without_memory)
    with pytest.raises(torch.OutOfMemoryError, match="none at all"):
        detector(pixels)
    assert detector.rois_per_batch == 1
