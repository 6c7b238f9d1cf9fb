"""Oscar's `.pt` dicts for GQA, VQA and NLVR2, written with PyTorch: features of each image by its img_id and number."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from .._format.header import BOX_COUNT, FEATURE_SIZE
from ..errors import MissingLibraryError
from .checked_rows import Rows
from .numeric_ids import numeric_ids
from .oscar_regions import REGION_SIZE, make_regions
from .plan import Plan
from .writer import Columns, Reader, Sink, Writer


class OscarDictWriter(Writer):
    """Variants: `regions` has float32 [36, 2054], `objects` the 2,048 features alone."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._shape = (len(plan.ids), BOX_COUNT, FEATURE_SIZE if plan.variant == "objects" else REGION_SIZE)
        self._raw = f"{plan.path}.raw"

    @property
    def row_bytes(self) -> int:
        # The tensors are on the disk twice until the file is whole.
        return 2 * BOX_COUNT * REGION_SIZE * 4 + 600

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        with open(self._raw, "wb") as file:
            yield _RawSink(file, self.plan.variant)
        # Mapped, so that memory stays bounded; all tensors are views of one storage, which is written once.
        everything = torch.from_file(self._raw, size=int(np.prod(self._shape)), dtype=torch.float32).view(self._shape)
        torch.save(self._name_tensors(everything), self.plan.path)
        os.remove(self._raw)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        yield _DictReader(torch.load(self.plan.path, mmap=True, weights_only=True), len(self.plan.ids))

    def _name_tensors(self, everything: Any) -> dict[Any, Any]:
        """By img_id, and by number both as a text and as a number, since Oscar's JSON files have either."""
        tensors: dict[Any, Any] = dict(zip(self.plan.ids, everything))
        for number, tensor in zip(numeric_ids(self.plan.ids) or (), everything):
            tensors.setdefault(str(number), tensor)
            tensors[number] = tensor
        return tensors


def make_writer(plan: Plan) -> Writer:
    """Raises MissingLibraryError for a PyTorch that cannot map what it loads."""
    if "mmap" not in inspect.signature(torch.load).parameters:
        raise MissingLibraryError(
            "this PyTorch is too old for this format",
            None,
            "torch 2.1 or newer",
            str(torch.__version__),
            'install it: python -m pip install "torch>=2.1"',
        )
    return OscarDictWriter(plan)


class _RawSink(Sink):
    def __init__(self, file: Any, variant: str) -> None:
        self._file = file
        self._variant = variant

    def add(self, rows: Rows) -> None:
        regions = rows.columns["features"] if self._variant == "objects" else make_regions(rows)
        self._file.write(np.ascontiguousarray(regions).data.cast("B"))


class _DictReader(Reader):
    def __init__(self, tensors: dict[Any, Any], images: int) -> None:
        self._tensors = tensors
        self._images = images

    @property
    def count(self) -> int:
        first = next(iter(self._tensors.values()))
        # Of the storage that all share.
        return int(first.untyped_storage().nbytes()) // (first.numel() * 4)

    def read(self, row: int, img_id: str) -> Columns:
        return {"features": np.ascontiguousarray(self._tensors[img_id][:, :FEATURE_SIZE].numpy())}
