"""Whether images can be files of a folder that is copied to any disk: no reserved name, and no two that meet."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ..errors import StoreError

_MAX_NAME_BYTES = 255
_FORBIDDEN = re.compile(r'[\\:*?"<>|\x00-\x1f\x7f]')
# Windows opens devices under these names, whatever follows their first dot.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_ONE_FILE = "export to one file, as hdf5-groups for instance"


def check_file_names(ids: Sequence[str], suffix: str, *, folders: bool = False) -> None:
    """Raises StoreError for the first img_id that cannot name a file; with `folders` a slash begins a folder.

    Names that differ in case or in the form of their Unicode only are one file on the disks of macOS and Windows.
    """
    seen: dict[str, str] = {}
    for img_id in ids:
        parts = img_id.split("/") if folders else [img_id]
        if not all(map(_is_name, parts)) or len(f"{parts[-1]}{suffix}".encode()) > _MAX_NAME_BYTES:
            raise StoreError(
                "this img_id cannot name a file",
                None,
                f'none of /\\:*?"<>|, no reserved name such as con, no outer blank or dot, at most '
                f"{_MAX_NAME_BYTES - len(suffix)} bytes",
                repr(img_id),
                _ONE_FILE,
            )
        key = _fold(img_id)
        if key in seen:
            raise StoreError(
                "two img_ids would be the same file on some disks",
                None,
                "ids that differ in more than case and the form of their Unicode",
                f"{seen[key]!a} and {img_id!a}",
                _ONE_FILE,
            )
        seen[key] = img_id


def _is_name(part: str) -> bool:
    if part == "" or "/" in part or _FORBIDDEN.search(part) is not None:
        return False
    if part != part.strip(" ."):
        return False
    return _RESERVED.fullmatch(part.split(".")[0].rstrip(" ")) is None


def _fold(img_id: str) -> str:
    once = unicodedata.normalize("NFD", img_id).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", once))
