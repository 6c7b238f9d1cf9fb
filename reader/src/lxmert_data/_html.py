"""What notebooks show of stores and rows: text from files is escaped, and nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import html
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .row import ImageRow
    from .store import FeatureStore

_SHOWN_ROWS = 5
_MAX_IMAGE_BYTES = 16 << 20
_IMAGE_KINDS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif"}
_MAX_WIDTH = 640
_STYLE = "border-collapse:collapse;font-size:90%"


def describe_store(store: FeatureStore) -> str:
    """A table of facts, and the first images."""
    detector = store.metadata["detector"]
    facts = {
        "images": f"{len(store):,}",
        "features": f"{store.dtype}, 36 x 2048",
        "classes": "objects and attributes" if store.has_objects else "none (six-column rows)",
        "detector": f"{detector['name']}, weights {detector['weights'][:16]}",
        "made by": str(store.metadata["tool"]),
    }
    rows = [[str(row.index), row.img_id, f"{row.img_w} x {row.img_h}"] for row, _ in zip(store, range(_SHOWN_ROWS))]
    more = f"<p>and {len(store) - len(rows):,} more</p>" if len(store) > len(rows) else ""
    title = f"<p><b>FeatureStore</b> <code>{_escape(store.path)}</code></p>"
    return (
        title
        + _table([], [[name, value] for name, value in facts.items()])
        + _table(["row", "img_id", "size"], rows)
        + more
    )


def describe_row(row: ImageRow) -> str:
    """The boxes, on the image where it is at hand, and a table of them."""
    names = ["box", "x1", "y1", "x2", "y2"]
    columns: list[list[str]] = [[str(at) for at in range(row.num_boxes)]]
    columns += [[f"{value:.1f}" for value in row.boxes[:, side].tolist()] for side in range(4)]
    if row.has_objects:
        names += ["object", "confidence", "attribute", "confidence"]
        for ids, confidences in ((row.objects_id, row.objects_conf), (row.attrs_id, row.attrs_conf)):
            columns += [[str(value) for value in ids.tolist()], [f"{value:.3f}" for value in confidences.tolist()]]
    title = f"<p><b>{_escape(row.img_id)}</b>, row {row.index}, {row.img_w} x {row.img_h} pixels</p>"
    table = _table(names, [list(cells) for cells in zip(*columns)])
    return f"{title}{_draw(row)}<details><summary>36 boxes</summary>{table}</details>"


def find_image(folder: str | None, img_id: str) -> tuple[str, str] | None:
    """The path and the kind of an image below `folder`, which may have folders of splits; None if it is not there."""
    if folder is None or not _is_plain(img_id):
        return None
    found = [folder, *(entry.path for entry in os.scandir(folder) if entry.is_dir())] if os.path.isdir(folder) else []
    for parent in found:
        for ending, kind in _IMAGE_KINDS.items():
            path = os.path.join(parent, f"{img_id}{ending}")
            if os.path.isfile(path) and os.path.getsize(path) <= _MAX_IMAGE_BYTES:
                return path, kind
    return None


def _is_plain(img_id: str) -> bool:
    return not os.path.isabs(img_id) and ".." not in img_id.split("/") and "\\" not in img_id and "\0" not in img_id


def _draw(row: ImageRow) -> str:
    width, height = row.img_w, row.img_h
    parts = [f'<rect width="{width}" height="{height}" fill="#8883"/>']
    image = find_image(row.images, row.img_id)
    if image is not None:
        with open(image[0], "rb") as file:
            text = base64.b64encode(file.read()).decode("ascii")
        parts.append(f'<image width="{width}" height="{height}" href="data:image/{image[1]};base64,{text}"/>')
    stroke = max(width, height) / 320
    for at, (x1, y1, x2, y2) in enumerate(row.boxes.tolist()):
        hue = at * 137 % 360
        parts.append(
            f'<rect x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}" fill="none" '
            f'stroke="hsl({hue} 90% 50%)" stroke-width="{stroke:.1f}"><title>box {at}</title></rect>'
        )
    shown = min(width, _MAX_WIDTH)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{shown}" role="img" '
        f'aria-label="36 boxes of {_escape(row.img_id)}">{"".join(parts)}</svg>'
    )


def _table(names: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{_escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{_escape(cell)}</td>" for cell in cells) + "</tr>" for cells in rows)
    return f'<table style="{_STYLE}">' + (f"<tr>{head}</tr>" if names else "") + body + "</table>"


def _escape(text: Any) -> str:
    return html.escape(str(text).encode("utf-8", "replace").decode("utf-8"))
