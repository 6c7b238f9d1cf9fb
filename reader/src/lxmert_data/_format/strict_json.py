"""JSON as the store allows it: no duplicate keys, no NaN, no numbers beyond any file size."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from ..errors import quote

_MAX_INTEGER_DIGITS = 15


class JsonProblem(ValueError):
    """What is wrong with a JSON text, in a few words."""


def load_json(text: str) -> Any:
    """Parses one JSON value; raises JsonProblem (or json's own ValueError) where it is not allowed."""
    try:
        return json.loads(
            text,
            object_pairs_hook=_refuse_duplicates,
            parse_int=_parse_integer,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise JsonProblem("values nested too deeply") from None


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise JsonProblem(f"the key {quote(double)} twice")
    return result


def _parse_integer(text: str) -> int:
    # Python's own conversion of very long digit strings is slow in some versions and an error in others.
    if len(text) > _MAX_INTEGER_DIGITS:
        raise JsonProblem(f"a number of {len(text)} digits")
    return int(text)


def _refuse_constant(text: str) -> NoReturn:
    raise JsonProblem(f"the value {text}")
