"""Reads JSON splits one record at a time, so that a split of millions of questions is never a tree of objects."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from ..errors import SplitError

_BLANKS = " \t\n\r"


def read_json(path: str) -> Any:
    """The whole document; raises SplitError where there is none."""
    try:
        return json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise SplitError("the file is no JSON", path, "JSON", str(error), "fetch it again") from None


def scan_records(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record of a JSON array of objects: its text and its value."""
    text = _read_text(path)
    decode = json.JSONDecoder().raw_decode
    at = _skip_blanks(text, 0)
    if text[at : at + 1] != "[":
        raise SplitError("the file is no JSON split", path, "an array of objects", repr(text[at : at + 20]))
    at = _skip_blanks(text, at + 1)
    count = 0
    while text[at : at + 1] != "]" or count:
        try:
            record, end = decode(text, at)
        except (ValueError, RecursionError) as error:
            raise SplitError(f"record {count} is no JSON", path, "JSON", str(error), "fetch the file again") from None
        if not isinstance(record, dict):
            raise SplitError(f"record {count} is no object", path, "an object", type(record).__name__)
        yield text[at:end], record
        count += 1
        at = _skip_blanks(text, end)
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            got = repr(text[at : at + 20]) if at < len(text) else "the end of the file"
            raise SplitError(f"the split ends or breaks after record {count - 1}", path, "a comma or ]", got)
        at = _skip_blanks(text, at + 1)
    if _skip_blanks(text, at + 1) != len(text):
        raise SplitError("something follows the last record", path, "the end of the file", repr(text[at + 1 :][:20]))


def _skip_blanks(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _BLANKS:
        at += 1
    return at


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        raise SplitError(
            "there is no such file",
            os.path.abspath(path),
            "a JSON file of LXMERT's data folder",
            "no such file",
            "lxmert-data fetch brings the splits and answer tables; `root` names the folder that holds vqa, gqa, …",
        ) from None
    except UnicodeDecodeError as error:
        raise SplitError("the file is no UTF-8 text", path, "UTF-8", str(error), "fetch it again") from None
