"""export_store: one store, or several one after the other, into one other format."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from ..errors import ExportRequestError, MissingFileError, StoreError, StoreWarning
from .formats import Format, find_format, load_writer
from .output import MARKER, Output, is_disk_full, no_space
from .plan import Plan, describe_stores
from .source import ExportSource
from .vocabulary import read_vocabulary
from .writer import OnWarning, Writer

OnProgress = Callable[[int, int], None]
StorePath = Union[str, "os.PathLike[str]"]

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
    # What images are named by: name, number or folder; None as the format has it.
    ids: str | None = None
    # The folder of objects_vocab.txt, for formats with the names of classes.
    vocab: str | os.PathLike[str] | None = None
    # The most that a shard holds, for formats with shards.
    shard_bytes: int = 256 << 20
    # Is called with the number of images done and of all; what it raises ends the export.
    on_progress: OnProgress | None = None
    on_warning: OnWarning | None = None


def export_store(store: StorePath | Sequence[StorePath], out: StorePath, to: str, **settings: Any) -> ExportResult:
    """Writes `store`, or several one after the other, to `out` in the format `to`; see `ExportSettings` for the rest.

    Every image is compared with its checksum as it is read, and images spread over the whole are read back before `out`
    gets its name. Memory stays bounded. Raises StoreError, and leaves nothing behind, where a store is damaged, `out`
    exists (and `force` is not given), or the disk is full.
    """
    paths = [store] if isinstance(store, (str, os.PathLike)) else list(store)
    return _Export([os.fspath(path) for path in paths], os.fspath(out), to, ExportSettings(**settings)).run()


class _Export:
    """One export, from its request to its result."""

    def __init__(self, stores: Sequence[str], target: str, to: str, settings: ExportSettings) -> None:
        self._settings = settings
        self._format = find_format(to)
        _check_request(self._format, target, settings)
        make_writer = load_writer(self._format)
        for store in stores:
            if not os.path.exists(store):
                raise MissingFileError("there is no such file", store)
        self._source = ExportSource(stores, settings.dtype, settings.ids or self._format.ids)
        self._output = Output(target, is_folder=self._format.is_folder, force=settings.force)
        self._plan = _make_plan(self._source, self._format, settings, self._output.path)
        self._writer: Writer = make_writer(self._plan)

    def run(self) -> ExportResult:
        source, output = self._source, self._output
        _warn(source, self._settings.on_warning)
        companions = self._writer.make_companions(self._settings.on_warning)
        output.check(source.paths, companions, self._bytes_from(0))
        try:
            output.begin()
            if self._format.is_folder:
                _write_marker(self._plan)
            self._write()
            _compare(self._writer, source)
            size = _measure(self._plan.path)
            self._report(len(source))
            output.publish(source.paths)
        except BaseException as error:
            output.discard()
            if is_disk_full(error):
                raise no_space(os.path.dirname(output.target), self._bytes_from(0), 0) from error
            raise
        dtype = self._settings.dtype
        lossless = source.lossless and dtype == "f32"
        return ExportResult(output.target, self._format.name, len(source), size, dtype, lossless)

    def _bytes_from(self, row: int) -> int:
        """Room that the rows from this one on need."""
        return (len(self._source) - row) * self._writer.row_bytes + _OVERHEAD_BYTES

    def _report(self, done: int) -> None:
        if self._settings.on_progress is not None:
            self._settings.on_progress(done, len(self._source))

    def _write(self) -> None:
        with self._writer.open_sink() as sink:
            for some in self._source.read_all():
                # Asked for each time: libhdf5 does not survive a disk that is full.
                self._output.check_room(self._bytes_from(some.begin))
                sink.add(some)
                done = some.begin + len(some.ids)
                if done < len(self._source):
                    self._report(done)


def _check_request(entry: Format, target: str, settings: ExportSettings) -> None:
    if entry.suffixes and not target.endswith(entry.suffixes):
        ending = " or ".join(entry.suffixes)
        raise ExportRequestError(f"{entry.name} needs another name", target, f"one that ends in {ending}")
    dtype, ids = settings.dtype, settings.ids
    if dtype not in entry.dtypes:
        raise ExportRequestError(f"{entry.name} has no features of {dtype}", None, " or ".join(entry.dtypes), dtype)
    if ids is not None and ids not in entry.id_modes:
        raise ExportRequestError(f"{entry.name} cannot name images by {ids}", None, " or ".join(entry.id_modes), ids)
    if settings.vocab is not None and not entry.has_tags:
        raise ExportRequestError(f"{entry.name} has no names of classes", None, "no vocabulary")
    if settings.shard_bytes < 1:
        raise ExportRequestError("a shard cannot be so small", None, "at least one byte", f"{settings.shard_bytes}")


def _warn(source: ExportSource, on_warning: OnWarning | None) -> None:
    if on_warning is None:
        return
    for store in source.stores:
        if store.header.metadata["detector"]["weights"] == "untrained":
            message = (
                f"{store.path}: these features come from an untrained detector; they are for trying things out, "
                "not for training"
            )
            on_warning(StoreWarning(message, "untrained"))
    detectors = {json.dumps(store.header.metadata["detector"]["weights"]) for store in source.stores}
    if len(detectors) > 1:
        message = f"the stores have features of {len(detectors)} different detectors, which do not fit together"
        on_warning(StoreWarning(message, "mixed_detectors"))


def _make_plan(source: ExportSource, entry: Format, settings: ExportSettings, path: str) -> Plan:
    metadata = [store.header.metadata for store in source.stores]
    return Plan(
        path=path,
        variant=entry.variant,
        ids=source.ids,
        names=source.names,
        dtype=source.dtype,
        provenance=describe_stores(metadata, settings.dtype, entry.name),
        id_mode=settings.ids,
        vocabulary=None if settings.vocab is None else read_vocabulary(os.fspath(settings.vocab)),
        shard_bytes=settings.shard_bytes,
    )


def _write_marker(plan: Plan) -> None:
    with open(os.path.join(plan.path, MARKER), "w", encoding="utf-8") as file:
        file.write(plan.provenance_json() + "\n")


def _compare(writer: Writer, rows: ExportSource) -> None:
    """Opens what was written with the library of its format, and compares images with the store."""
    plan = writer.plan
    count = min(_CHECKED_IMAGES, len(rows))
    indexes = sorted({round(row) for row in np.linspace(0, len(rows) - 1, count)})
    with writer.open_reader() as reader:
        if reader.count != len(rows):
            raise _differs(plan, "the number of images", f"{len(rows)}", f"{reader.count}")
        for some in rows.read_single(indexes):
            wanted = {name: column for name, column in some.image(0).items() if name in plan.names}
            column = reader.find_difference(some.begin, some.ids[0], wanted)
            if column is not None:
                raise _differs(plan, f"{column} of image {some.ids[0]}", "what the store has", "something else")


def _differs(plan: Plan, what: str, expected: str, got: str) -> StoreError:
    return StoreError(
        f"the export is wrong: {what}", plan.path, expected, got, "nothing was published; try again, on another disk"
    )


def _measure(path: str) -> int:
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)
