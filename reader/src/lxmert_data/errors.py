"""The errors and the warning of this package."""

from __future__ import annotations

import json
from typing import ClassVar, NoReturn

MAKE_AGAIN = "the file is damaged or no lxmert-data store; convert its source again"


class StoreError(Exception):
    """A store that cannot be used: what failed, where, what was expected, what was got, what to do.

    `code` is stable, for programs; the texts are for people and may change.
    """

    code: ClassVar[str] = "ERR_STORE"

    def __init__(
        self,
        what: str,
        where: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
    ) -> None:
        # All parts go to Exception so that an error crosses process borders whole.
        super().__init__(what, where, expected, got, hint)
        self.what = what
        self.where = where
        self.expected = expected
        self.got = got
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what if self.where is None else f"{self.where}: {self.what}"]
        if self.expected is not None:
            lines.append(f"  expected: {self.expected}")
        if self.got is not None:
            lines.append(f"  got:      {self.got}")
        if self.hint is not None:
            lines.append(f"  what to do: {self.hint}")
        return "\n".join(lines)


class UnknownImageError(StoreError, KeyError):
    """An img_id that the store does not hold; also a KeyError."""


class AmbiguousRowError(StoreError, LookupError):
    """A number that is the number of one row and, as text, the img_id of another."""


class SplitError(StoreError):
    """A JSON split or an answer table that cannot be used, alone or with the stores given."""


class ExportRequestError(StoreError):
    """An export that no format can be: another format, name or dtype must be asked for."""

    code = "ERR_USAGE"


class MissingFileError(StoreError):
    """An input that does not exist."""

    code = "ERR_INPUT"


class MissingLibraryError(StoreError):
    """A library that this Python does not have."""

    code = "ERR_LIBRARY"


class WeightsError(StoreError):
    """A file that is not, or not wholly, the weights of the detector."""

    code = "ERR_INPUT"


class ImageError(StoreError):
    """An image that cannot be read, or in which the detector finds too little."""

    code = "ERR_IMAGE"


class DeviceError(StoreError):
    """A device or a precision that this machine does not have."""

    code = "ERR_DEVICE"


class OutputError(StoreError):
    """An output that cannot be written where it is asked for."""

    code = "ERR_IO"


class OutputExistsError(OutputError):
    """An output whose name is taken."""

    code = "ERR_OUTPUT_EXISTS"


class DiskFullError(OutputError):
    """A disk without room for the output."""

    code = "ERR_NO_SPACE"


class StoreWarning(UserWarning):
    """Something about a store that its user should know, though it can be read. `code` is stable, for programs."""

    def __init__(self, message: str, code: str = "store") -> None:
        super().__init__(message)
        self.code = code


def refuse(what: str, where: str, expected: str, got: str, hint: str = MAKE_AGAIN) -> NoReturn:
    """Raises StoreError, with the usual advice for a file that breaks docs/format.md."""
    raise StoreError(what, where, expected, got, hint)


def quote(value: object) -> str:
    """A value from a file as safe, short ASCII text."""
    try:
        text = json.dumps(value, default=str)
    except RecursionError:
        return "deeply nested values"
    return text if len(text) <= 80 else text[:77] + "..."
