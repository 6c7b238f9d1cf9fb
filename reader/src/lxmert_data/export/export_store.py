"""export_store: one store into one other format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ExportRequestError, StoreError
from .checked_rows import CheckedRows
from .formats import Format, find_format, load_writer
from .output import MARKER, Output, is_disk_full, no_space
from .plan import Plan, describe_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def export_store(
    store: str | os.PathLike[str],
    out: str | os.PathLike[str],
    to: str,
    dtype: str = "f32",
    force: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> ExportResult:
    """Writes `store` to `out` in the format `to`; `dtype` is that of the features, f32 or, where possible, f16.

    Every image is compared with its checksum as it is read, and images spread over the whole are read back before `out`
    gets its name. `on_progress` is called with the images done and all; what it raises ends the export. Memory stays
    bounded. Raises StoreError, and leaves nothing behind, where the store is damaged, `out` exists (and `force` is not
    given), or the disk is full.
    """
    entry = find_format(to)
    target = os.fspath(out)
    _check_request(entry, target, dtype)
    writer = load_writer(entry)
    if not os.path.exists(store):
        raise StoreError("there is no such file", os.fspath(store))
    rows = CheckedRows(os.fspath(store), dtype)
    _warn(rows, on_warning)
    output_plan = _make_plan(rows, entry, dtype, "")
    output = Output(target, entry.is_folder, force, writer.make_companions(output_plan, on_warning))
    output.check(rows.path, len(rows) * writer.row_bytes(output_plan) + _OVERHEAD_BYTES)
    plan = _make_plan(rows, entry, dtype, output.partial)
    try:
        output.begin()
        if entry.is_folder:
            _write_marker(plan)
        _write(writer, plan, rows, output, on_progress)
        _compare(writer, plan, rows)
        size = _measure(plan.path)
        if on_progress is not None:
            on_progress(len(rows), len(rows))
        output.publish(rows.path)
    except BaseException as error:
        output.discard()
        if is_disk_full(error):
            needed = len(rows) * writer.row_bytes(plan)
            raise no_space(os.path.dirname(output.target), needed, 0) from error
        raise
    lossless = rows.header.dtype == dtype == "f32"
    return ExportResult(output.target, to, len(rows), size, dtype, lossless)


def _check_request(entry: Format, target: str, dtype: str) -> None:
    if entry.suffixes and not target.endswith(entry.suffixes):
        ending = " or ".join(entry.suffixes)
        raise ExportRequestError(f"{entry.name} needs another name", target, f"one that ends in {ending}")
    if dtype not in entry.dtypes:
        raise ExportRequestError(f"{entry.name} has no features of {dtype}", None, " or ".join(entry.dtypes), dtype)


def _warn(rows: CheckedRows, on_warning: Callable[[str], None] | None) -> None:
    if on_warning is not None and rows.header.metadata["detector"]["weights"] == "untrained":
        on_warning(
            f"{rows.path}: these features come from an untrained detector; they are for trying things out, "
            "not for training"
        )


def _make_plan(rows: CheckedRows, entry: Format, dtype: str, path: str) -> Plan:
    provenance = describe_store(rows.header.metadata, dtype, entry.name)
    return Plan(path, entry.variant, rows.ids, rows.names, rows.dtype, provenance)


def _write_marker(plan: Plan) -> None:
    with open(os.path.join(plan.path, MARKER), "w", encoding="utf-8") as file:
        file.write(plan.provenance_json() + "\n")


def _write(
    writer: Any,
    plan: Plan,
    rows: CheckedRows,
    output: Output,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    with writer.open_writer(plan) as sink:
        for some in rows.read_all():
            # Asked for each time: libhdf5 does not survive a disk that is full.
            output.check_room((len(rows) - some.begin) * writer.row_bytes(plan) + _OVERHEAD_BYTES)
            sink.add(some)
            done = some.begin + len(some.ids)
            if on_progress is not None and done < len(rows):
                on_progress(done, len(rows))


def _compare(writer: Any, plan: Plan, rows: CheckedRows) -> None:
    """Opens what was written with the library of its format, and compares images with the store."""
    count = min(_CHECKED_IMAGES, len(rows))
    places = sorted({round(row) for row in np.linspace(0, len(rows) - 1, count)})
    with writer.open_reader(plan) as (found_rows, read_image):
        if found_rows != len(rows):
            raise _differs(plan, "the number of images", f"{len(rows)}", f"{found_rows}")
        for some in rows.read(places, 1):
            wanted = {name: column for name, column in some.image(0).items() if name in plan.names}
            _compare_image(plan, some.ids[0], wanted, read_image(some.begin, some.ids[0]))


def _compare_image(
    plan: Plan, img_id: str, wanted: Mapping[str, NDArray[Any]], got: Mapping[str, NDArray[Any]]
) -> None:
    """`got` may lack columns that the format does not hold, but not features and boxes."""
    if "features" not in got:
        raise _differs(plan, f"image {img_id}", "features", "none")
    for name, value in got.items():
        if value.dtype != wanted[name].dtype or value.tobytes() != wanted[name].tobytes():
            raise _differs(plan, f"{name} of image {img_id}", "what the store has", "something else")


def _differs(plan: Plan, what: str, expected: str, got: str) -> StoreError:
    return StoreError(
        f"the export is wrong: {what}", plan.path, expected, got, "nothing was published; try again, on another disk"
    )


def _measure(path: str) -> int:
    if os.path.isdir(path):
        return sum(entry.stat().st_size for entry in os.scandir(path))
    return os.path.getsize(path)
