"""Caffe's own output for a few images, with the formula's weights, and a detector's differences to it.

The reference values are not part of the project.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lxmert_data._format.metadata import TEN_COLUMNS
from lxmert_data.detector import Detector
from lxmert_data.detector.images import make_input, read_pixels
from lxmert_data.detector.regions import choose_regions, decode_proposals, rate_regions

ORACLE = Path(__file__).resolve().parents[4] / "shared" / "oracle"
HAS_ORACLE = (ORACLE / "report.json").is_file()
REPORT: dict[str, dict[str, Any]] = json.loads((ORACLE / "report.json").read_text()) if HAS_ORACLE else {}
IMAGES = {name: ORACLE / "images" / entry["file"] for name, entry in REPORT.items()}
IMAGES = {name: path for name, path in IMAGES.items() if path.is_file()}
ROI_TOLERANCE = 1e-2
_DTYPES = {"objects_id": np.int64, "attrs_id": np.int64}
_TAPS = {
    "conv1": ("conv1_every8th", 8, 8),
    "pool1": ("pool1_channels8_every4th", 8, 4),
    "res2c": ("res2c_channels16_every4th", 16, 4),
    "res3b3": ("res3b3_channels16_every2nd", 16, 2),
    "res4b22": ("res4b22_channels16", 16, 1),
}
Arrays = dict[str, NDArray[Any]]


class Line(NamedTuple):
    """One line of the table: the largest difference at one stage of one image."""

    what: str
    got: float
    allowed: float
    note: str = ""


def read_expected_row(name: str) -> Arrays:
    """Arrays of the row that the original extraction wrote."""
    lines = (ORACLE / "expected_obj36.tsv").read_text("latin1").splitlines()
    fields = next(line.split("\t") for line in lines if line.startswith(f"{name}\t"))
    row = dict(zip(TEN_COLUMNS, fields))
    names = [key for key in TEN_COLUMNS[3:] if key != "num_boxes"]
    decoded = {key: np.frombuffer(base64.b64decode(row[key]), _DTYPES.get(key, np.float32)) for key in names}
    return decoded | {"boxes": decoded["boxes"].reshape(36, 4), "features": decoded["features"].reshape(36, 2048)}


def read_intermediates(name: str) -> Arrays:
    content = (ORACLE / "intermediates" / f"{name}.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    dtypes = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "I32": np.int32}
    arrays = {}
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(content[start + begin : start + end], dtypes[entry["dtype"]])
        arrays[key] = values.reshape(entry["shape"])
    return arrays


def compare_with_oracle(detector: Detector, name: str) -> list[Line]:
    """Runs one image through the detector and compares every stage with what Caffe made of it."""
    caffe, expected = read_intermediates(name), read_expected_row(name)
    prepared = make_input(read_pixels(IMAGES[name]))
    taps: dict[str, Any] = {}
    backbone = detector._network.run_backbone(prepared.data, taps)
    lines = [_compare_tap(blob, taps[blob].float().cpu().numpy()[0], caffe) for blob in _TAPS]
    probabilities, deltas = backbone.probabilities.cpu().numpy(), backbone.deltas.cpu().numpy()
    lines.append(Line("rpn_cls_prob", _differ(probabilities, caffe["rpn_cls_prob"].reshape(probabilities.shape)), 1e-4))
    lines.append(Line("rpn_bbox_pred", _differ(deltas, caffe["rpn_bbox_pred"].reshape(deltas.shape)), 1e-4))

    rois = detector._propose(backbone, prepared)
    boxes, scores = decode_proposals(probabilities, deltas, prepared.data.shape[1:], prepared.scale)
    by_box = {box.tobytes(): score for box, score in zip(boxes, scores)}
    matched, found = _match_regions(rois, caffe["rois"][:, 1:], np.array([by_box[roi.tobytes()] for roi in rois]))
    lines += found
    head = detector._run_head(backbone, rois)
    confidences = rate_regions(rois / np.float32(prepared.scale), head.objects.cpu().numpy())
    features = head.features.cpu().numpy()
    lines.append(Line("pool5 of every 10th roi", _differ(features[matched[::10]], caffe["pool5_every10th_roi"]), 1e-3))
    lines.append(Line("max_conf", _differ(confidences[matched], caffe["max_conf"]), 1e-4))
    moved = int((choose_regions(confidences) != matched[caffe["keep_boxes"].astype(int)]).sum())
    lines.append(Line("kept boxes in another place", moved, 0))

    row = detector._choose(prepared, rois, head)
    lines += [
        Line("object ids that differ", int((row.objects_id != expected["objects_id"]).sum()), 0),
        Line("attribute ids that differ", int((row.attrs_id != expected["attrs_id"]).sum()), 0),
        Line("object confidences", _differ(row.objects_conf, expected["objects_conf"]), 1e-4),
        Line("attribute confidences", _differ(row.attrs_conf, expected["attrs_conf"]), 1e-4),
        Line("boxes, pixels of the image", _differ(row.boxes, expected["boxes"]), ROI_TOLERANCE),
        Line("features", _differ(row.features, expected["features"]), 1e-3),
    ]
    return lines


def _compare_tap(blob: str, values: NDArray[Any], caffe: Arrays) -> Line:
    kept, channels, step = _TAPS[blob]
    thinned = values[::channels, ::step, ::step]
    return Line(blob, _differ(thinned, caffe[kept].reshape(thinned.shape)), 1e-3)


def _match_regions(rois: NDArray[Any], expected: NDArray[Any], scores: NDArray[Any]) -> tuple[NDArray[Any], list[Line]]:
    """Our row for each of the expected regions, the nearest that agrees; regions of nearly equal scores may swap."""
    matched, worst, missing, moved_by = [], 0.0, 0, []
    for index, wanted in enumerate(expected):
        differences = np.abs(rois - wanted).max(axis=1)
        near = np.flatnonzero(differences <= ROI_TOLERANCE)
        if len(near) == 0:
            missing += 1
            matched.append(0)
            continue
        row = near[np.abs(near - index).argmin()]
        worst = max(worst, float(differences[row]))
        if row != index:
            moved_by.append(abs(float(scores[row]) - float(scores[index])))
        matched.append(row)
    lines = [
        Line("rois not found", missing, 0),
        Line("rois, pixels", worst, ROI_TOLERANCE),
        Line("rois in other rows, by score", max(moved_by, default=0.0), 1e-5, f"{len(moved_by)}: "),
    ]
    return np.array(matched), lines


def _differ(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64)).max()
    return float("inf") if np.isnan(difference) else float(difference)
