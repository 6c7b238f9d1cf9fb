"""What images are called in an export: as in the store, by number, or with the folder of their split before."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import ExportRequestError, StoreError
from .numeric_ids import numeric_id, numeric_ids

ID_MODES = ("name", "number", "folder")


def name_images(ids: Sequence[str], mode: str) -> list[str]:
    """The name of each image, all distinct.

    `name`: the img_id itself. `number`: 132417 for COCO_train2014_000000132417 and for 132417. `folder`:
    train2014/COCO_train2014_000000132417. `number-if-all`: numbers where every image has one of its own, else names.
    Raises StoreError for an img_id that has no such name, and for two images of the same name.
    """
    if mode == "number-if-all":
        numbers = numeric_ids(ids)
        names = list(ids) if numbers is None else [str(number) for number in numbers]
    else:
        names = [_name_image(img_id, mode) for img_id in ids]
    _check_distinct(ids, names)
    return names


def _name_image(img_id: str, mode: str) -> str:
    if mode == "name":
        return img_id
    if mode == "number":
        number = numeric_id(img_id)
        if number is None:
            raise StoreError(
                "this img_id has no number",
                None,
                "COCO_train2014_000000132417 or 132417, for instance",
                repr(img_id),
                "export with --ids name, where the format has it",
            )
        return str(number)
    if mode == "folder":
        found = re.fullmatch(r"COCO_([a-z]+[0-9]{4})_[0-9]{12}", img_id, re.ASCII)
        if found is None:
            raise StoreError(
                "this img_id does not say which folder it belongs to",
                None,
                "COCO_train2014_000000132417, for instance",
                repr(img_id),
                "export with --ids name",
            )
        return f"{found[1]}/{img_id}"
    raise ExportRequestError("images cannot be named in this way", None, ", ".join(ID_MODES), mode)


def _check_distinct(ids: Sequence[str], names: Sequence[str]) -> None:
    if len(set(names)) == len(names):
        return
    seen: dict[str, str] = {}
    for img_id, name in zip(ids, names):
        if name in seen:
            raise StoreError(
                "two images would have the same name in the export",
                None,
                "distinct names",
                f"{name!r} for {seen[name]!r} and {img_id!r}",
                "export the stores apart from each other, or choose another --ids",
            )
        seen[name] = img_id
