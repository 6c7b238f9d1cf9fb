"""Workers that are threads against workers that are processes and against flat HDF5, in turn, shuffled, from memory.

    npm run bench -- loaders [--images 4000] [--runs 3] [--seconds 3]

Makes the same images (rows of the true shape, made-up content) as a store and as flat HDF5 in BENCH_DIR or the
system's temporary folder. Every measurement is a process of its own; contenders take turns, so that others on the
machine disturb all of them. Prints images a second (medians) and ratios. Needs Linux, PyTorch 2 and h5py.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import tempfile
from typing import Any

from format_bench import Bench, say
from page_cache import load

CONTENDERS = {
    "threads": ("store", "store"),
    "processes": ("store-processes", "store"),
    "HDF5": ("hdf5-flat", "hdf5-flat"),
}
WORKERS = (0, 2, 4)


def measure(options: argparse.Namespace) -> dict[tuple[str, int], float]:
    """The median rate of each contender with each number of workers."""
    rates: dict[tuple[str, int], list[float]] = {}
    # Here, once, so that no measurement has the time for it in.
    for module in ("h5py", "lxmert_data.training"):
        importlib.import_module(module)
    with tempfile.TemporaryDirectory(prefix="lxmert-data-bench-", dir=os.environ.get("BENCH_DIR")) as folder:
        bench = Bench(folder, options)
        bench.write("store")
        paths = {what: bench.write(what)[0] for what in ("store", "hdf5-flat")}
        for run in range(options.runs):
            for workers in WORKERS:
                for name, (kind, what) in CONTENDERS.items():
                    load(paths[what])
                    found: Any = bench.probe(name, kind, paths[what], workers, images=options.images, seed=run)
                    rates.setdefault((name, workers), []).append(found["rate"])
                    say(f"run {run}, {workers} workers, {name}: {found['rate']:.0f} images/s")
    return {key: statistics.median(found) for key, found in rates.items()}


def make_table(rates: dict[tuple[str, int], float]) -> str:
    lines = [
        "| workers | threads | processes | flat HDF5 | to processes | to flat HDF5 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for workers in WORKERS:
        threads, processes, hdf5 = (rates[name, workers] for name in CONTENDERS)
        lines.append(
            f"| {workers} | {threads:,.0f} | {processes:,.0f} | {hdf5:,.0f} | {threads / processes:.1f} x | "
            f"{threads / hdf5:.1f} x |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000, help="images in each format (default 4000)")
    parser.add_argument("--measure", type=int, default=16_384, help="images a rate is taken over, at most")
    parser.add_argument("--seconds", type=float, default=3, help="and seconds, at most (default 3)")
    parser.add_argument("--runs", type=int, default=3, help="rounds of all contenders (default 3)")
    print(make_table(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
