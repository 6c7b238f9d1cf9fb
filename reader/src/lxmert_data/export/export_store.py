"""export_store: one store into one other format."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ExportRequestError, MissingFileError, StoreError, StoreWarning
from .checked_rows import CheckedRows
from .formats import Format, find_format, load_writer
from .output import MARKER, Output, is_disk_full, no_space
from .plan import Plan, describe_store
from .writer import OnWarning, Writer

OnProgress = Callable[[int, int], None]

# Images, spread evenly from the first to the last, that are read back and compared before an export gets its name.
_CHECKED_IMAGES = 64
# Room on the disk beyond the rows themselves: headers, indexes, what a library still holds in memory.
_OVERHEAD_BYTES = 16 << 20


@dataclass(frozen=True)
class ExportResult:
    """`out` holds `rows` images in `bytes` bytes; `lossless` is False where features are rounded."""

    out: str
    format: str
    rows: int
    bytes: int
    dtype: str
    lossless: bool


@dataclass(frozen=True)
class ExportSettings:
    """How a store is exported."""

    # Of the features: f32 or, where the format has it, f16.
    dtype: str = "f32"
    # Replaces an export of that name.
    force: bool = False
    # Is called with the number of images done and of all; what it raises ends the export.
    on_progress: OnProgress | None = None
    on_warning: OnWarning | None = None


def export_store(store: str | os.PathLike[str], out: str | os.PathLike[str], to: str, **settings: Any) -> ExportResult:
    """Writes `store` to `out` in the format `to`; the other arguments are those of `ExportSettings`.

    Every image is compared with its checksum as it is read, and images spread over the whole are read back before `out`
    gets its name. Memory stays bounded. Raises StoreError, and leaves nothing behind, where the store is damaged, `out`
    exists (and `force` is not given), or the disk is full.
    """
    return _Export(os.fspath(store), os.fspath(out), to, ExportSettings(**settings)).run()


class _Export:
    """One export, from its request to its result."""

    def __init__(self, store: str, target: str, to: str, settings: ExportSettings) -> None:
        self._settings = settings
        self._format = find_format(to)
        _check_request(self._format, target, settings.dtype)
        make_writer = load_writer(self._format)
        if not os.path.exists(store):
            raise MissingFileError("there is no such file", store)
        self._rows = CheckedRows(store, settings.dtype)
        self._output = Output(target, is_folder=self._format.is_folder, force=settings.force)
        self._plan = _make_plan(self._rows, self._format, settings.dtype, self._output.path)
        self._writer: Writer = make_writer(self._plan)

    def run(self) -> ExportResult:
        rows, output = self._rows, self._output
        _warn(rows, self._settings.on_warning)
        companions = self._writer.make_companions(self._settings.on_warning)
        output.check(rows.path, companions, self._bytes_from(0))
        try:
            output.begin()
            if self._format.is_folder:
                _write_marker(self._plan)
            self._write()
            _compare(self._writer, rows)
            size = _measure(self._plan.path)
            self._report(len(rows))
            output.publish(rows.path)
        except BaseException as error:
            output.discard()
            if is_disk_full(error):
                raise no_space(os.path.dirname(output.target), self._bytes_from(0), 0) from error
            raise
        dtype = self._settings.dtype
        lossless = rows.header.dtype == dtype == "f32"
        return ExportResult(output.target, self._format.name, len(rows), size, dtype, lossless)

    def _bytes_from(self, row: int) -> int:
        """Room that the rows from this one on need."""
        return (len(self._rows) - row) * self._writer.row_bytes + _OVERHEAD_BYTES

    def _report(self, done: int) -> None:
        if self._settings.on_progress is not None:
            self._settings.on_progress(done, len(self._rows))

    def _write(self) -> None:
        with self._writer.open_sink() as sink:
            for some in self._rows.read_all():
                # Asked for each time: libhdf5 does not survive a disk that is full.
                self._output.check_room(self._bytes_from(some.begin))
                sink.add(some)
                done = some.begin + len(some.ids)
                if done < len(self._rows):
                    self._report(done)


def _check_request(entry: Format, target: str, dtype: str) -> None:
    if entry.suffixes and not target.endswith(entry.suffixes):
        ending = " or ".join(entry.suffixes)
        raise ExportRequestError(f"{entry.name} needs another name", target, f"one that ends in {ending}")
    if dtype not in entry.dtypes:
        raise ExportRequestError(f"{entry.name} has no features of {dtype}", None, " or ".join(entry.dtypes), dtype)


def _warn(rows: CheckedRows, on_warning: OnWarning | None) -> None:
    if on_warning is not None and rows.header.metadata["detector"]["weights"] == "untrained":
        message = (
            f"{rows.path}: these features come from an untrained detector; they are for trying things out, "
            "not for training"
        )
        on_warning(StoreWarning(message, "untrained"))


def _make_plan(rows: CheckedRows, entry: Format, dtype: str, path: str) -> Plan:
    provenance = describe_store(rows.header.metadata, dtype, entry.name)
    return Plan(path, entry.variant, rows.ids, rows.names, rows.dtype, provenance)


def _write_marker(plan: Plan) -> None:
    with open(os.path.join(plan.path, MARKER), "w", encoding="utf-8") as file:
        file.write(plan.provenance_json() + "\n")


def _compare(writer: Writer, rows: CheckedRows) -> None:
    """Opens what was written with the library of its format, and compares images with the store."""
    plan = writer.plan
    count = min(_CHECKED_IMAGES, len(rows))
    indexes = sorted({round(row) for row in np.linspace(0, len(rows) - 1, count)})
    with writer.open_reader() as reader:
        if reader.count != len(rows):
            raise _differs(plan, "the number of images", f"{len(rows)}", f"{reader.count}")
        for some in rows.read(indexes, 1):
            wanted = {name: column for name, column in some.image(0).items() if name in plan.names}
            column = reader.find_difference(some.begin, some.ids[0], wanted)
            if column is not None:
                raise _differs(plan, f"{column} of image {some.ids[0]}", "what the store has", "something else")


def _differs(plan: Plan, what: str, expected: str, got: str) -> StoreError:
    return StoreError(
        f"the export is wrong: {what}", plan.path, expected, got, "nothing was published; try again, on another disk"
    )


def _measure(path: str) -> int:
    if os.path.isdir(path):
        return sum(entry.stat().st_size for entry in os.scandir(path))
    return os.path.getsize(path)
