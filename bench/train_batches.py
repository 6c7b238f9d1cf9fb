"""Batches for training from a store, against features that are in memory already and against a plain mapped read.

    npm run bench -- train-batches [--images 8000] [--runs 3] [--dtypes f32,f16] [--only warm,cold,first,memory]

Needs PyTorch 2 and the package of reader/. Makes stores of made-up rows of the true shape in BENCH_DIR or the system's
temporary folder, deleted at the end. The sides of a comparison run in turn; medians are printed. Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import mmap
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from lxmert_data import FeatureStore
from lxmert_data.training import BlockShuffleSampler, ImageDataset, collate

BOXES, SIZE = 36, 2048
BATCH = 256
ID_BYTES = 27
COLUMNS = "img_id img_h img_w objects_id objects_conf attrs_id attrs_conf num_boxes boxes features"
HALF = {"f32": "<f4", "f16": "<f2"}


def write_store(path: str, rows: int, dtype: str) -> None:
    """A store whose features are random and whose other columns say little; its checksums are not true."""
    kinds = {
        "features": ({"f32": "F32", "f16": "F16"}[dtype], np.dtype(HALF[dtype]), (BOXES, SIZE)),
        "objects_id": ("I64", np.dtype("<i8"), (BOXES,)),
        "attrs_id": ("I64", np.dtype("<i8"), (BOXES,)),
        "boxes": ("F32", np.dtype("<f4"), (BOXES, 4)),
        "objects_conf": ("F32", np.dtype("<f4"), (BOXES,)),
        "attrs_conf": ("F32", np.dtype("<f4"), (BOXES,)),
        "image_size": ("I32", np.dtype("<i4"), (2,)),
        "crc32": ("U32", np.dtype("<u4"), ()),
        "img_id": ("U8", np.dtype("u1"), (ID_BYTES,)),
    }
    document: dict[str, Any] = {
        "__metadata__": {
            "format": "lxmert-data/obj36",
            "format_version": "1",
            "rows": str(rows),
            "dtype": dtype,
            "columns": json.dumps(COLUMNS.split()),
            "detector": json.dumps({"name": "none", "weights": "unknown", "caffe_edge": [0, rows]}),
            "sources": "[]",
            "conversion": json.dumps({"first": None, "skip_bad": False}),
            "tool": "bench/train_batches.py",
            "crc32_table": "00000000",
            "header_crc32": "00000000",
        }
    }
    offset = 0
    for name, (code, kind, shape) in kinds.items():
        end = offset + rows * kind.itemsize * int(np.prod(shape, dtype=int))
        document[name] = {"dtype": code, "shape": [rows, *shape], "data_offsets": [offset, end]}
        offset = end
    header = json.dumps(document).encode()
    header += b" " * (-(8 + len(header)) % 32768)
    random = np.random.default_rng(0)
    some = np.maximum(random.standard_normal((64, BOXES, SIZE), np.float32), 0).astype(HALF[dtype])
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for row in range(rows):
            file.write(some[row % 64].tobytes())
        for name in [*kinds][1:]:
            _, kind, shape = kinds[name]
            if name == "img_id":
                for row in range(rows):
                    file.write(f"COCO_train2014_{row:012d}".encode())
            elif name == "boxes":
                file.write(np.tile(np.array([0, 0, 99, 99], "<f4"), rows * BOXES).tobytes())
            else:
                file.write(np.full((rows, *shape), 100 if name == "image_size" else 0, kind).tobytes())
        os.fsync(file.fileno())


class RowsInMemory(torch.utils.data.Dataset):  # type: ignore[misc,name-defined,unused-ignore]
    """What LXMERT does: a list of arrays, an item copies its own."""

    def __init__(self, features: np.ndarray, boxes: np.ndarray) -> None:
        self.features, self.boxes = list(features), list(boxes)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        boxes = self.boxes[index].copy()
        boxes /= 100
        return self.features[index].copy(), boxes


class TensorInMemory(torch.utils.data.Dataset):  # type: ignore[misc,name-defined,unused-ignore]
    """The best of a plain data set: one tensor in memory, a batch by index_select."""

    def __init__(self, features: np.ndarray, boxes: np.ndarray) -> None:
        self.features, self.boxes = torch.from_numpy(features), torch.from_numpy(boxes)

    def __len__(self) -> int:
        return len(self.features)

    def __getitems__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.tensor(indices)
        return self.take(rows), self.boxes.index_select(0, rows) / 100

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        if torch.utils.data.get_worker_info() is None:
            return self.features.index_select(0, rows)
        # In a worker as PyTorch's own collate function: straight into shared memory.
        empty = torch.empty(0)
        out = empty.new(empty._typed_storage()._new_shared(len(rows) * BOXES * SIZE)).view(-1, BOXES, SIZE)
        return torch.index_select(self.features, 0, rows, out=out)


class RowsIntoKeptMemory(TensorInMemory):
    """The same copy and batch memory as the package's, so that where the features lie is all that differs."""

    def __init__(self, features: np.ndarray, boxes: np.ndarray, memory: Any) -> None:
        super().__init__(features, boxes)
        self.array = features
        self.memory = memory

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        out = self.memory.take((len(rows), BOXES, SIZE))
        target = out.numpy()
        for at, row in enumerate(rows.tolist()):
            target[at] = self.array[row]
        return out


def as_given(batch: Any) -> Any:
    return batch


def drop_cache(path: str) -> None:
    """Empties the page cache of a file, and checks it."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        size = os.fstat(file.fileno()).st_size
        view = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ | mmap.PROT_WRITE, flags=mmap.MAP_PRIVATE)
        pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        anchor = (ctypes.c_char * 1).from_buffer(view)
        ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(anchor)), ctypes.c_size_t(size), pages)
        resident = float((np.frombuffer(pages, np.uint8) & 1).mean())
        del anchor
        view.close()
    if resident > 0.01:
        sys.exit(f"{resident:.1%} of {path} stayed in the page cache")


def rate(batches: Iterator[Any], count: int) -> float:
    start = time.perf_counter()
    seen = 0
    for _ in batches:
        seen += BATCH
        if seen >= count:
            break
    return seen / (time.perf_counter() - start)


def in_turn(sides: dict[str, Callable[[], float]], runs: int) -> dict[str, float]:
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, side in sides.items():
            seen[name].append(side())
    return {name: statistics.median(values) for name, values in seen.items()}


def show(title: str, rates: dict[str, float], ours: str) -> None:
    print(f"\n{title}")
    for name, value in rates.items():
        relation = "" if name == ours else f"   {ours} is {rates[ours] / value:5.2f} x this"
        print(f"  {name:44s} {value:9.0f} images/s  {value * BOXES * SIZE * 4 / 1e9:5.2f} GB/s{relation}")


def measure_warm(path: str, dtype: str, images: int, runs: int) -> None:
    dataset = ImageDataset([path])
    store = dataset.source.stores[0]
    half = min(images, 8000)
    features = np.empty((half, BOXES, SIZE), np.float32)
    for row in range(half):
        features[row] = store.raw("features")[row]
    boxes = np.array(store.boxes[:half])
    plain = TensorInMemory(features, boxes)
    kept = RowsIntoKeptMemory(features, boxes, dataset.source.memory)
    np.asarray(store.raw("features")).reshape(-1)[::1024].sum()

    for workers in (0, 2, 4):

        def loader(data: Any, function: Any, workers: int = workers) -> Any:
            return torch.utils.data.DataLoader(
                data,
                BATCH,
                shuffle=True,
                num_workers=workers,
                collate_fn=function,
                drop_last=True,
                persistent_workers=workers > 0,
            )

        ours = loader(torch.utils.data.Subset(dataset, range(half)), collate)
        sides = {"store": ours, "one tensor in memory": loader(plain, as_given)}
        sides["one tensor in memory, same batch memory"] = loader(kept, as_given)
        sides["list in memory, as LXMERT"] = loader(RowsInMemory(features, boxes), None)
        for side in sides.values():
            rate(iter(side), BATCH * 4)
        rates = in_turn({name: (lambda side=side: rate(iter(side), half)) for name, side in sides.items()}, runs)
        show(f"warm, shuffled, {dtype}, {workers} workers", rates, "store")


def measure_cold(path: str, dtype: str, images: int, runs: int) -> None:
    count = min(images // BATCH, 12) * BATCH
    random = np.random.default_rng()

    def plain() -> float:
        drop_cache(path)
        store = FeatureStore(path)
        features = store.raw("features")
        out = np.empty((BATCH, BOXES, SIZE), np.float32)
        order = random.permutation(len(store))[: min(count, 4 * BATCH)].reshape(-1, BATCH)
        start = time.perf_counter()
        for rows in order:
            for at, row in enumerate(rows.tolist()):
                out[at] = features[row]
        return order.size / (time.perf_counter() - start)

    def shuffled() -> float:
        drop_cache(path)
        data = ImageDataset([path])
        return rate(iter(torch.utils.data.DataLoader(data, BATCH, shuffle=True, collate_fn=collate)), count)

    def blocks() -> float:
        drop_cache(path)
        data = ImageDataset([path])
        sampler = BlockShuffleSampler(data, block_images=256, window_blocks=4)
        loader = torch.utils.data.DataLoader(data, BATCH, sampler=sampler, collate_fn=collate)
        return rate(iter(loader), images // BATCH * BATCH)

    sides = {"plain mapped read": plain, "store": shuffled, "store, block shuffle": blocks}
    show(f"cold, shuffled, {dtype}, 0 workers", in_turn(sides, runs), "store")


FIRST = """
import sys, time
import torch
from lxmert_data.training import BlockShuffleSampler, ImageDataset, collate
start = time.perf_counter()
data = ImageDataset([sys.argv[1]])
sampler = BlockShuffleSampler(data) if sys.argv[2] == 'block' else torch.utils.data.RandomSampler(data)
batch = next(iter(torch.utils.data.DataLoader(data, int(sys.argv[3]), sampler=sampler, collate_fn=collate)))
print(time.perf_counter() - start)
"""


def measure_first(path: str, runs: int) -> None:
    print("\ntime to the first shuffled batch, from nothing but imported modules")
    for state in ("warm", "cold"):
        for order in ("shuffle", "block"):
            for batch in (32, BATCH):
                seen = []
                for _ in range(runs):
                    if state == "cold":
                        drop_cache(path)
                    words = [sys.executable, "-c", FIRST, path, order, str(batch)]
                    seen.append(float(subprocess.run(words, check=True, capture_output=True, text=True).stdout))
                print(f"  {state}, {order:8s} batch of {batch:4d}: {statistics.median(seen) * 1e3:7.1f} ms")


def read_memory(process: int) -> dict[str, int]:
    """Pss and private bytes of a process."""
    found = {"Pss": 0, "Private_Clean": 0, "Private_Dirty": 0}
    with open(f"/proc/{process}/smaps_rollup") as file:
        for line in file:
            name = line.split(":")[0]
            if name in found:
                found[name] = int(line.split()[1]) * 1024
    return found


def measure_memory(path: str, start_method: str) -> None:
    print(f"\nmemory with workers ({start_method}), after each of 3 epochs: proportional share of all processes (MB)")
    whole: dict[int, float] = {}
    for workers in (1, 4):
        data = ImageDataset([path])
        loader = torch.utils.data.DataLoader(
            data,
            32,
            shuffle=True,
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=True,
            prefetch_factor=8 // workers,
            multiprocessing_context=start_method,
        )
        shares, private = [], []
        for _ in range(3):
            iterator = iter(loader)
            for _ in iterator:
                pass
            processes = [worker.pid for worker in iterator._workers]
            readings = [read_memory(process) for process in processes]
            private.append(max(reading["Private_Dirty"] for reading in readings) / 1e6)
            shares.append((sum(reading["Pss"] for reading in readings) + read_memory(os.getpid())["Pss"]) / 1e6)
        whole[workers] = shares[-1]
        print(
            f"  {workers} workers: {', '.join(f'{share:.0f}' for share in shares)}; "
            f"a worker's own at most {', '.join(f'{share:.0f}' for share in private)}"
        )
        del loader, iterator
    print(f"  4 workers take {whole[4] / whole[1]:.2f} x what 1 takes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dtypes", default="f32,f16")
    parser.add_argument("--only", default="warm,cold,first,memory")
    options = parser.parse_args()
    wanted = options.only.split(",")
    warnings.filterwarnings("ignore", message=".*not write?able")
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {options.images} images")
    with tempfile.TemporaryDirectory(prefix="lxmert-data-bench-", dir=os.environ.get("BENCH_DIR")) as folder:
        for dtype in options.dtypes.split(","):
            path = os.path.join(folder, f"{dtype}.safetensors")
            write_store(path, options.images, dtype)
            if "warm" in wanted:
                measure_warm(path, dtype, options.images, options.runs)
            if "cold" in wanted:
                measure_cold(path, dtype, options.images, options.runs)
            if "first" in wanted:
                measure_first(path, options.runs)
            if "memory" in wanted and dtype == "f32":
                for method in ("fork", "spawn"):
                    measure_memory(path, method)
            os.unlink(path)


if __name__ == "__main__":
    main()
