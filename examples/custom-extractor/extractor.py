"""An extractor of one's own: 36 regions of a grid, each described by a histogram of its colours.

It keeps to the contract of docs/extractor.md: it reads batches of images from standard input, appends rows of the
published form to the files they name, and writes events to standard output. 2,048 bins (8 of red, 16 of green, 16 of
blue) fill the 2,048 features of a region. Needs NumPy and Pillow.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

GRID = 6
BINS = (8, 16, 16)
DETECTOR = {"name": "colour-histogram", "weights": "unknown"}


def emit(**event: Any) -> None:
    print(json.dumps(event), flush=True)


def make_row(img_id: str, path: str) -> bytes:
    """A line of the TSV: ten columns, 36 boxes, CR LF."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    if min(height, width) < GRID:
        raise ValueError(f"the image has {width} x {height} pixels, at least {GRID} x {GRID} are needed")
    rows, columns = np.linspace(0, height, GRID + 1).astype(int), np.linspace(0, width, GRID + 1).astype(int)
    boxes, features = [], []
    for top, bottom in zip(rows[:-1], rows[1:]):
        for left, right in zip(columns[:-1], columns[1:]):
            # Boxes end at the last pixel they hold, as Caffe's do.
            boxes.append((left, top, right - 1, bottom - 1))
            features.append(describe(pixels[top:bottom, left:right]))
    count = GRID * GRID
    arrays = [
        np.zeros(count, "<i8"),  # objects_id
        np.ones(count, "<f4"),  # objects_conf
        np.zeros(count, "<i8"),  # attrs_id
        np.ones(count, "<f4"),  # attrs_conf
    ]
    texts = [base64.b64encode(array.tobytes()).decode() for array in arrays]
    box_text = base64.b64encode(np.array(boxes, "<f4").tobytes()).decode()
    feature_text = base64.b64encode(np.array(features, "<f4").tobytes()).decode()
    fields = [img_id, str(height), str(width), *texts, str(count), box_text, feature_text]
    return ("\t".join(fields) + "\r\n").encode()


def describe(region: np.ndarray) -> np.ndarray:
    """The share of the region's pixels in each of 2,048 colours."""
    red, green, blue = (region[..., channel].astype(int) * bins // 256 for channel, bins in enumerate(BINS))
    colours = ((red * BINS[1] + green) * BINS[2] + blue).ravel()
    return np.bincount(colours, minlength=int(np.prod(BINS))) / len(colours)


def extract(batch: dict[str, Any]) -> None:
    """One batch: a row or a reason for each image, then the batch itself once its file is synced."""
    with open(batch["rows"], "ab", buffering=0) as file:
        for image in batch["images"]:
            names = {"lot": batch["lot"], "img_id": image["img_id"]}
            try:
                row = make_row(image["img_id"], image["path"])
            except (OSError, UnidentifiedImageError, ValueError) as error:
                emit(event="failed", **names, reason=str(error))
                continue
            file.write(row)
            emit(event="row", **names, bytes=len(row))
        os.fsync(file.fileno())
    emit(event="lot", lot=batch["lot"])


def main() -> None:
    emit(event="ready", detector=DETECTOR, device="cpu")
    for line in sys.stdin:
        if line.strip():
            extract(json.loads(line))


if __name__ == "__main__":
    main()
