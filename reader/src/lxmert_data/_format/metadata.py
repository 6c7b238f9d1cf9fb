"""Checks the `__metadata__` of a store against docs/format.md."""

from __future__ import annotations

import re
from typing import Any

from ..errors import quote, refuse
from .strict_json import load_json

FORMAT = "lxmert-data/obj36"
FORMAT_VERSION = 1
METADATA_KEYS = (
    "format",
    "format_version",
    "rows",
    "dtype",
    "columns",
    "detector",
    "sources",
    "conversion",
    "tool",
    "crc32_table",
    "header_crc32",
)
TEN_COLUMNS = [
    "img_id",
    "img_h",
    "img_w",
    "objects_id",
    "objects_conf",
    "attrs_id",
    "attrs_conf",
    "num_boxes",
    "boxes",
    "features",
]
SIX_COLUMNS = ["image_id", "image_w", "image_h", "num_boxes", "boxes", "features"]
FEATURE_DTYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16"}
_CONVERT = "make a store with lxmert-data's convert command"


def check_metadata(raw: object, where: str) -> dict[str, Any]:
    """The metadata with its JSON values parsed."""
    texts = _check_format(raw, where)
    _check_keys(texts, where)
    if re.fullmatch(r"[1-9][0-9]{0,14}", texts["rows"], re.ASCII) is None:
        refuse("metadata rows is no count", where, "a whole number from 1", quote(texts["rows"]))
    if texts["dtype"] not in FEATURE_DTYPES:
        refuse("metadata dtype is unknown", where, "f32, f16 or bf16", quote(texts["dtype"]))
    for key in ("crc32_table", "header_crc32"):
        # Lower case only: else one flipped bit would turn a digit into its capital unseen.
        if re.fullmatch(r"[0-9a-f]{8}", texts[key]) is None:
            refuse(f"metadata {key} is no checksum", where, "8 lower-case hex digits", quote(texts[key]))
    metadata: dict[str, Any] = dict(texts)
    for key, kind in (("columns", list), ("detector", dict), ("sources", list), ("conversion", dict)):
        metadata[key] = _parse_metadata_json(key, texts[key], kind, where)
    _check_columns(metadata["columns"], where)
    _check_detector(metadata["detector"], where)
    return metadata


def _check_format(raw: object, where: str) -> dict[str, str]:
    """The metadata of a store, as texts; whatever is no store of a known version is refused."""
    if not isinstance(raw, dict):
        refuse(
            "this is not an lxmert-data store",
            where,
            "__metadata__ with strings",
            "none" if raw is None else quote(raw),
            _CONVERT,
        )
    for key, value in raw.items():
        if not isinstance(value, str):
            refuse(f"metadata {quote(key)} is no string", where, "a string", quote(value))
    if raw.get("format") != FORMAT:
        refuse(
            "this is not an lxmert-data store",
            where,
            f"format {quote(FORMAT)}",
            quote(raw["format"]) if "format" in raw else "no format",
            _CONVERT,
        )
    _check_version(raw.get("format_version"), where)
    return raw


def _check_keys(texts: dict[str, str], where: str) -> None:
    for key in METADATA_KEYS:
        if key not in texts:
            refuse(f"metadata {quote(key)} is missing", where, "all keys of format version 1", quote(sorted(texts)))
    for key in texts:
        if key not in METADATA_KEYS:
            refuse(f"metadata {quote(key)} is unknown", where, "the keys of format version 1 only", quote(key))


def _check_version(version: object, where: str) -> None:
    if not isinstance(version, str) or re.fullmatch(r"[1-9][0-9]{0,8}", version, re.ASCII) is None:
        refuse("the format version is no number", where, f"{FORMAT_VERSION}", quote(version))
    if int(version) > FORMAT_VERSION:
        refuse(
            "the store is of a newer format version",
            where,
            f"at most {FORMAT_VERSION}",
            version,
            "install a newer lxmert_data",
        )


def _parse_metadata_json(key: str, text: str, kind: type, where: str) -> Any:
    name = "list" if kind is list else "object"
    try:
        value = load_json(text)
    except ValueError as error:
        refuse(f"metadata {key} is no JSON {name}", where, f"a JSON {name}", str(error))
    if not isinstance(value, kind):
        refuse(f"metadata {key} is no JSON {name}", where, f"a JSON {name}", quote(value))
    return value


def _check_columns(columns: list[Any], where: str) -> None:
    if columns not in (TEN_COLUMNS, SIX_COLUMNS):
        expected = "the ten columns of LXMERT or the six of bottom-up-attention"
        refuse("metadata columns are unknown", where, expected, quote(columns))


def _check_detector(detector: dict[str, Any], where: str) -> None:
    for key in ("name", "weights"):
        if not isinstance(detector.get(key), str):
            refuse(f"metadata detector has no {key}", where, "a string", quote(detector.get(key)))
    if re.fullmatch(r"unknown|untrained|[0-9a-f]{64}", detector["weights"]) is None:
        refuse(
            "metadata detector has wrong weights",
            where,
            "unknown, untrained or a sha256",
            quote(detector["weights"]),
        )
