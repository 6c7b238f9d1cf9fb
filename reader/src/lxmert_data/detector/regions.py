"""Proposals, suppression and the choice of 36 boxes, with the original's float32 arithmetic and order of equal scores.

The rules are those of bottom-up-attention's proposal_layer.py and cpu_nms.pyx and of LXMERT's extraction script.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .layers import ANCHORS_PER_CELL, FEATURE_STRIDE

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

BOXES = 36
_CANDIDATES = 6000
_PROPOSAL_OVERLAP, _CLASS_OVERLAP = 0.7, 0.3
_MIN_CONFIDENCE = 0.2
MIN_SIDE = 16
"""Smallest side of a proposal, in pixels of the image."""

# x1, y1, x2, y2 in the cell at the top left: ratios 0.5, 1, 2, each at scales 4, 8, 16, 32.
_ANCHORS = np.array(
    [
        [-38, -16, 53, 31],
        [-84, -40, 99, 55],
        [-176, -88, 191, 103],
        [-360, -184, 375, 199],
        [-24, -24, 39, 39],
        [-56, -56, 71, 71],
        [-120, -120, 135, 135],
        [-248, -248, 263, 263],
        [-14, -36, 29, 51],
        [-36, -80, 51, 95],
        [-80, -168, 95, 183],
        [-168, -344, 183, 359],
    ],
    np.float32,
)


def argsort_descending(values: Floats | Doubles) -> Integers:
    """`values.argsort()[::-1]` of the NumPy of the original's time, along the last axis.

    The order of equal scores decides which of two regions survives. NumPy sorts float32 and float64 differently on
    processors with AVX2 or AVX-512 since 1.25; of long doubles it knows one sort only, the old one.
    """
    return np.argsort(values.astype(np.longdouble), axis=-1)[..., ::-1]


def propose_regions(probabilities: Floats, deltas: Floats, size: tuple[int, int], scale: float, limit: int) -> Floats:
    """Decodes, clips, filters and thins the proposals of one image.

    `probabilities` (24, h, w): background of the 12 anchors, then foreground; `deltas` (48, h, w): dx, dy, dw, dh of
    anchor 0, of anchor 1, ...; `size`: height and width of the network's input. Gives up to `limit` regions, best
    first, in pixels of that input, (n, 4).
    """
    boxes, scores = decode_proposals(probabilities, deltas, size, scale)
    order = argsort_descending(scores)[:_CANDIDATES]
    boxes, scores = boxes[order], scores[order]
    return boxes[_suppress(boxes, scores, limit)]


def decode_proposals(
    probabilities: Floats, deltas: Floats, size: tuple[int, int], scale: float
) -> tuple[Floats, Floats]:
    """All proposals that are large enough, (n, 4), and their scores, (n): rows, then columns, then anchors."""
    height, width = probabilities.shape[1:]
    shifts = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 1, 2).astype(np.float32)
    anchors = _ANCHORS[None] + np.tile(shifts * np.float32(FEATURE_STRIDE), 2)
    moves = deltas.reshape(ANCHORS_PER_CELL, 4, -1).transpose(2, 0, 1)
    start, end = anchors[..., :2], anchors[..., 2:]
    sides = end - start + np.float32(1)
    centers = moves[..., :2] * sides + (start + np.float32(0.5) * sides)
    # Rounded once, whatever this NumPy's exp of float32 does.
    stretched = np.exp(moves[..., 2:].astype(np.float64)).astype(np.float32) * sides
    half = np.float32(0.5) * stretched
    most = np.array([size[1] - 1, size[0] - 1], np.float32)
    low, high = np.clip(centers - half, 0, most), np.clip(centers + half, 0, most)
    large = ((high - low + np.float32(1)).astype(np.float64) >= MIN_SIDE * float(np.float32(scale))).all(-1)
    scores = probabilities[ANCHORS_PER_CELL:].reshape(ANCHORS_PER_CELL, -1).T
    boxes: Floats = np.concatenate([low, high], -1).astype(np.float32)
    kept: Floats = boxes[large]
    return kept, scores[large].astype(np.float32, copy=False)


def _measure_overlaps(boxes: Floats, areas: Floats, box: Floats, area: np.float32) -> Floats:
    """Intersection over union of `boxes` (n, 4) with one of them, every step in float32; ends count as pixels."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]) + np.float32(1)
    sides = np.maximum(sides, np.float32(0))
    intersections = sides[:, 0] * sides[:, 1]
    overlaps: Floats = (intersections / (areas + area - intersections)).astype(np.float32, copy=False)
    return overlaps


def _measure_areas(boxes: Floats) -> Floats:
    sides = boxes[:, 2:] - boxes[:, :2] + np.float32(1)
    return sides[:, 0] * sides[:, 1]


def _suppress(boxes: Floats, scores: Floats, limit: int) -> Integers:
    """Greedy suppression: the first `limit` boxes, best first, that overlap none before them too much."""
    order = argsort_descending(scores)
    ordered = boxes[order]
    areas = _measure_areas(ordered)
    alive = np.ones(len(order), np.bool_)
    kept: list[int] = []
    for rank in range(len(order)):
        if len(kept) == limit:
            break
        if not alive[rank]:
            continue
        kept.append(rank)
        rest = slice(rank + 1, None)
        overlaps = _measure_overlaps(ordered[rest], areas[rest], ordered[rank], areas[rank])
        # Compared in double; an exact hit suppresses.
        alive[rest] &= overlaps.astype(np.float64) < _PROPOSAL_OVERLAP
    return order[kept]


def rate_regions(boxes: Floats, probabilities: Floats) -> Doubles:
    """Highest probability of each region over the object classes in which it survives suppression by overlap.

    `boxes` (n, 4) in pixels of the image, `probabilities` (n, 1601) with the background first. Gives float64 (n).
    """
    count = len(boxes)
    scores = np.ascontiguousarray(probabilities[:, 1:].T)
    order = argsort_descending(scores)
    overlaps = _pack_overlaps(boxes)
    classes = np.arange(len(scores))
    suppressed = np.zeros((len(scores), overlaps.shape[1]), np.uint64)
    survives = np.zeros(scores.shape, np.bool_)
    for rank in range(count):
        region = order[:, rank]
        word, bit = region >> 6, (region & 63).astype(np.uint64)
        alive = (suppressed[classes, word] >> bit) & np.uint64(1) == 0
        survives[classes, region] = alive
        suppressed |= np.where(alive[:, None], overlaps[region], np.uint64(0))
    return np.where(survives, scores, np.float32(0)).max(axis=0).astype(np.float64)


def _pack_overlaps(boxes: Floats) -> NDArray[np.uint64]:
    """(n, n / 64): bit j of row i says that of the regions i and j the better one suppresses the other."""
    areas = _measure_areas(boxes)
    count = len(boxes)
    marks = np.zeros((count, -(-count // 64) * 64), np.uint8)
    for region in range(count):
        overlaps = _measure_overlaps(boxes, areas, boxes[region], areas[region])
        marks[region, :count] = overlaps.astype(np.float64) >= _CLASS_OVERLAP
    return np.packbits(marks, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def choose_regions(confidences: Doubles) -> Integers:
    """The 36 regions of an image: exactly 36 above the threshold stay in order, else the best 36, best first."""
    above = np.flatnonzero(confidences >= _MIN_CONFIDENCE)
    return above if len(above) == BOXES else argsort_descending(confidences)[:BOXES]
