"""What a format provides: each module that formats.json names has `make_writer(plan)`, which returns a Writer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import StoreWarning
from .checked_rows import Rows
from .plan import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

Columns = Mapping[str, "NDArray[Any]"]
OnWarning = Callable[[StoreWarning], None]


class Sink(Protocol):
    """An export that is being written."""

    @abstractmethod
    def add(self, rows: Rows) -> None:
        """Appends neighbouring rows; called in the order of the store, until all are written."""


class Reader(Protocol):
    """A finished export, opened with the library of its format to be compared with the store."""

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of images found."""

    def read(self, row: int, img_id: str) -> Columns:
        """The columns of one image that the format holds, as the store has them; empty where it is not found."""
        return {}

    def find_difference(self, row: int, img_id: str, wanted: Columns) -> str | None:
        """The first column of an image that is not as it should be; None if all are equal. Features must be there."""
        got = self.read(row, img_id)
        if "features" not in got:
            return "features"
        for name, value in got.items():
            if value.dtype != wanted[name].dtype or value.tobytes() != wanted[name].tobytes():
                return name
        return None


class Writer(Protocol):
    """Writes one export, as `plan` says."""

    plan: Plan

    @property
    @abstractmethod
    def row_bytes(self) -> int:
        """At most so many bytes go to the disk for each image."""

    @abstractmethod
    def open_sink(self) -> AbstractContextManager[Sink]:
        """Begins the file or folder at `plan.path`; it is whole when the context ends."""

    @abstractmethod
    def open_reader(self) -> AbstractContextManager[Reader]:
        """Opens what was written."""

    def make_companions(self, on_warning: OnWarning | None) -> dict[str, bytes]:
        """Small files beside the export: what their names end in, and their content."""
        return {}
