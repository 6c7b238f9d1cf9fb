"""The whole numbers that code bases of the VQA challenge use as names of images."""

from __future__ import annotations

import re
from collections.abc import Sequence


def numeric_id(img_id: str) -> int | None:
    """132417 for COCO_train2014_000000132417, 2375429 for 2375429; None for ids of another form."""
    found = re.fullmatch(r"(?:COCO_[a-z]+[0-9]{4}_)?([0-9]{1,18})", img_id, re.ASCII)
    return None if found is None else int(found[1])


def numeric_ids(ids: Sequence[str]) -> list[int] | None:
    """The numbers of all images, or None where one has none or two have the same."""
    numbers = [number for number in map(numeric_id, ids) if number is not None]
    return numbers if len(set(numbers)) == len(ids) else None
