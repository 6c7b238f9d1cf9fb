"""The order of equal scores and the suppression, against plain restatements of the rules."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")


from lxmert_data.detector.regions import argsort_descending, choose_regions, rate_regions


def sort_as_numpy_did(values: list[float]) -> list[int]:
    """NumPy's introsort of an argsort: median of three, Hoare partition, insertion sort of short runs."""
    order = list(range(len(values)))

    def swap_if_less(a: int, b: int) -> None:
        if values[order[a]] < values[order[b]]:
            order[a], order[b] = order[b], order[a]

    runs = [(0, len(values) - 1)]
    while runs:
        left, right = runs.pop()
        while right - left > 15:
            middle = left + ((right - left) >> 1)
            swap_if_less(middle, left)
            swap_if_less(right, middle)
            swap_if_less(middle, left)
            pivot = values[order[middle]]
            order[middle], order[right - 1] = order[right - 1], order[middle]
            up, down = left, right - 1
            while True:
                up += 1
                while values[order[up]] < pivot:
                    up += 1
                down -= 1
                while pivot < values[order[down]]:
                    down -= 1
                if up >= down:
                    break
                order[up], order[down] = order[down], order[up]
            order[up], order[right - 1] = order[right - 1], order[up]
            runs.append((left, up - 1))
            left = up + 1
        for i in range(left + 1, right + 1):
            index, hole = order[i], i
            while hole > left and values[index] < values[order[hole - 1]]:
                order[hole] = order[hole - 1]
                hole -= 1
            order[hole] = index
    return order


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 16, 17, 300, 6000, 20_000])
def test_equal_scores_are_ordered_as_by_the_old_numpy(count: int, dtype: type) -> None:
    values = np.random.default_rng(count).integers(0, max(1, count // 4), count).astype(dtype) / 7
    assert argsort_descending(values).tolist() == sort_as_numpy_did(values.tolist())[::-1]
    rows = np.stack([values, values[::-1]])
    assert argsort_descending(rows)[1].tolist() == sort_as_numpy_did(values[::-1].tolist())[::-1]


def test_regions_are_rated_class_by_class() -> None:
    rng = np.random.default_rng(1)
    start = rng.integers(0, 60, (90, 2)).astype(np.float32)
    boxes = np.concatenate([start, start + rng.integers(5, 60, (90, 2)).astype(np.float32)], 1)
    # Few different values, so that many are equal.
    probabilities = (rng.integers(0, 8, (90, 1601)) / 16).astype(np.float32)
    expected = np.zeros(90)
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    for scores in probabilities.T[1:]:
        kept: list[int] = []
        for region in sort_as_numpy_did(scores.tolist())[::-1]:
            low = np.maximum(boxes[region, :2], boxes[kept, :2])
            high = np.minimum(boxes[region, 2:], boxes[kept, 2:])
            sides = np.maximum(high - low + 1, 0)
            inter = sides[:, 0] * sides[:, 1]
            if not ((inter / (areas[kept] + areas[region] - inter)).astype(np.float64) >= 0.3).any():
                kept.append(region)
                expected[region] = max(expected[region], scores[region])
    assert np.array_equal(rate_regions(boxes, probabilities), expected)


def test_exactly_36_above_the_threshold_stay_in_order() -> None:
    confidences = np.full(300, 0.1)
    confidences[10:46] = np.linspace(0.2, 0.9, 36)
    assert choose_regions(confidences).tolist() == list(range(10, 46))
    confidences[100] = 0.95
    assert choose_regions(confidences)[0] == 100
    assert choose_regions(confidences[:40]).tolist()[0] == 39
