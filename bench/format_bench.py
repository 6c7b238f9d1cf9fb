"""Makes each format of bench/formats.py and measures it."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
from typing import Any

from format_probe import measure, run_apart
from page_cache import disk_bytes, evict, load, memory_limit, resident
from synthetic_store import write_large_store, write_large_tsv

from lxmert_data.export import export_store

BATCH = 256
# name, reader of format_readers.py, what is written
FORMATS = (
    ("store-f32", "store", "store"),
    ("mapped", "mapped", "store"),
    ("memory", "memory", "store"),
    ("store-f32-processes", "store-processes", "store"),
    ("store-f16", "store", "store-f16"),
    ("hdf5-flat", "hdf5-flat", "hdf5-flat"),
    ("hdf5-groups", "hdf5-groups", "hdf5-groups"),
    ("lmdb", "mmf-lmdb", "mmf-lmdb"),
    ("npz", "npz", "npz"),
    ("arrow", "arrow", "arrow"),
    ("webdataset", "webdataset", "webdataset"),
    ("mds", "mds", "mds"),
    ("tsv", "tsv", "tsv"),
)
ALL_IN_MEMORY = ("memory", "tsv")
# Every process decodes them all before its first batch, which takes some 4 ms for each.
TSV_IMAGES = 4096
SUFFIXES = {"hdf5-flat": ".h5", "hdf5-groups": ".h5", "mmf-lmdb": ".lmdb", "arrow": ".arrow"}


class Bench:
    def __init__(self, folder: str, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.names = os.path.join(folder, "names.json")
        self.store = os.path.join(folder, "x.safetensors")

    def write(self, what: str) -> tuple[str, float]:
        """Makes one format; returns its path and the seconds it took (of the export, for those that are exports)."""
        start = time.perf_counter()
        if what == "store":
            path = self.store
            if not os.path.exists(path):
                names = write_large_store(path, self.options.images)
                with open(self.names, "w") as file:
                    json.dump(names, file)
        elif what == "store-f16":
            path = os.path.join(self.folder, "x.f16.safetensors")
            write_large_store(path, self.options.images, "f16")
        elif what == "tsv":
            path = os.path.join(self.folder, "x.tsv")
            with open(self.names) as file:
                write_large_tsv(path, json.load(file)[: self.images_of("tsv")])
        else:
            path = os.path.join(self.folder, f"x-{what}{SUFFIXES.get(what, '')}")
            if run_apart(_export, {"store": self.store, "out": path, "to": what}) is None:
                raise SystemExit(f"the export to {what} failed")
        return path, time.perf_counter() - start

    def images_of(self, name: str) -> int:
        """Formats that are held in memory have no more images than a third of it takes."""
        if name not in ALL_IN_MEMORY:
            return self.options.images
        with open("/proc/meminfo") as file:
            free = int(next(line for line in file if line.startswith("MemAvailable")).split()[1]) * 1024
        most = TSV_IMAGES if name == "tsv" else free // 3 // 320_000 // BATCH * BATCH
        return max(BATCH * 4, min(self.options.images, most))

    def probe(
        self, name: str, kind: str, path: str, workers: int, cgroup: str | None = None, **more: Any
    ) -> dict[str, Any] | None:
        """One process; None where it died, as one does that needs more memory than it may have."""
        job = {
            "kind": kind,
            "path": path,
            "names": self.names,
            "workers": workers,
            "images": more.pop("images"),
            "batch": BATCH,
            "measure": self.options.measure,
            "seconds": self.options.seconds,
            "memory": False,
            "loads_all": name in ALL_IN_MEMORY,
            "seed": 1,
            "cgroup": cgroup,
            **more,
        }
        result: dict[str, Any] | None = run_apart(measure, job)
        if result is None and cgroup is None:
            raise SystemExit(f"{name} with {workers} workers failed")
        return result

    def measure(self, name: str, kind: str, path: str) -> dict[str, Any]:
        result: dict[str, Any] = {"images": self.images_of(name), "bytes": disk_bytes(path)}
        images = result["images"]
        say(f"{name}: {images} images, {result['bytes'] / 1e9:.2f} GB")
        for state in ("cold", "warm"):
            for workers in (0, 2, 4):
                if state == "cold":
                    evict(path)
                    result["cold_resident"] = max(result.get("cold_resident", 0.0), resident(path))
                else:
                    load(path)
                    result["warm_resident"] = min(result.get("warm_resident", 1.0), resident(path))
                if state == "cold" and name in ALL_IN_MEMORY and workers > 0:
                    continue  # past the load, memory is memory
                found = self.probe(name, kind, path, workers, images=images, seed=workers + 1)
                assert found is not None
                result[f"{state}_{workers}"] = found["rate"]
                if workers == 0:
                    result[f"first_{state}"] = found["first"]
                say(f"  {state}, {workers} workers: {found['rate']:.0f} images/s, first {found['first'] * 1e3:.0f} ms")
        for workers in (1, 4):
            found = self.probe(name, kind, path, workers, images=images, memory=True)
            assert found is not None
            result[f"memory_{workers}"] = found["memory"]
            say(f"  memory, {workers} workers: {found['memory']['Pss']:.2f} GB")
        self.measure_limited(name, kind, path, result)
        return result

    def measure_limited(self, name: str, kind: str, path: str, result: dict[str, Any]) -> None:
        """With less memory than the features take: half of them, but enough for the batches under way."""
        limit = max(self.options.images * 294_912 // 2, 1 << 30)
        if limit >= os.path.getsize(self.store):
            return
        for workers in (0, 2):
            evict(path)
            with memory_limit(limit) as cgroup:
                if cgroup is None:
                    say("  limited memory: this machine gives no cgroup to write to; not measured")
                    return
                # Two epochs' worth of what fits, so that the cache is full and has to give way.
                found = self.probe(
                    name, kind, path, workers, cgroup, images=result["images"], measure=self.options.images
                )
            result["limit"] = limit
            result[f"limited_{workers}"] = None if found is None else found["rate"]
            say(f"  {limit / 1e9:.1f} GB of memory, {workers} workers: {'dies' if found is None else found['rate']}")


def _export(job: dict[str, str]) -> bool:
    export_store(job["store"], job["out"], job["to"])
    return True


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run(options: argparse.Namespace) -> dict[str, Any]:
    results = read_figures(options)
    # Here, once, so that no measurement has the time for it in.
    for module in ("h5py", "pyarrow", "lmdb", "datasets", "webdataset", "streaming", "lxmert_data.training"):
        importlib.import_module(module)
    with tempfile.TemporaryDirectory(prefix="lxmert-data-bench-", dir=os.environ.get("BENCH_DIR")) as folder:
        bench = Bench(folder, options)
        bench.write("store")
        for name, kind, what in FORMATS:
            if options.only is not None and name not in options.only.split(","):
                continue
            path, seconds = bench.write(what)
            results[name] = {**bench.measure(name, kind, path), "write_seconds": seconds}
            # After each, so that an interrupted run is not for nothing.
            if options.json is not None:
                write_figures(options, results)
            if path != bench.store:
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    return {"images": options.images, "batch": BATCH, "formats": results}


def read_figures(options: argparse.Namespace) -> dict[str, Any]:
    """Figures of formats that are not to be measured again, where there is a file with them."""
    if options.only is None or options.json is None or not os.path.exists(options.json):
        return {}
    with open(options.json) as file:
        found = json.load(file)
    return dict(found["formats"]) if found["images"] == options.images else {}


def write_figures(options: argparse.Namespace, results: dict[str, Any]) -> None:
    with open(options.json, "w") as file:
        json.dump({"images": options.images, "batch": BATCH, "formats": results}, file, indent=1)
