"""One measurement of bench/formats.py, in a process of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from format_readers import make_loader


def read_memory() -> dict[str, float]:
    """Proportional set size of this process and its children in GB: all, private, of batches under way (shared)."""
    pids = [os.getpid(), *(int(pid) for pid in children(os.getpid()))]
    total = {"Pss": 0, "Pss_Anon": 0, "Pss_Shmem": 0, "Pss_File": 0}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                text = file.read()
        except OSError:
            continue
        for name in total:
            found = re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)
            total[name] += int(found[1]) if found else 0
    return {name: value * 1024 / 1e9 for name, value in total.items()}


def children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def run_apart(work: Callable[[dict[str, Any]], Any], job: dict[str, Any]) -> Any:
    """What `work(job)` gives in a forked process, which has the imports of this one; None where it died."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, work, job))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        return None
    finally:
        process.join()


def _run(answer: Connection, work: Callable[[dict[str, Any]], Any], job: dict[str, Any]) -> None:
    if job.get("cgroup") is not None:
        with open(job["cgroup"], "w") as file:
            file.write(str(os.getpid()))
    answer.send(work(job))
    # Workers may wait for their queues; nothing more is wanted of them.
    for pid in children(os.getpid()):
        os.kill(int(pid), 9)
    os._exit(0)


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds to the first batch, images a second, and memory, of one shuffling DataLoader."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(job["seed"])
    base = read_memory()
    with open(job["names"]) as file:
        names = json.load(file)[: job["images"]]
    start = time.perf_counter()
    loader = make_loader(job["kind"], job["path"], names, job["workers"], job["batch"])
    batches = iter(loader)
    next(batches)
    first = time.perf_counter()
    # The rate counts from the beginning: behind it one would see how fast workers' queues empty.
    begin = first if job["loads_all"] else start
    images, peak = job["batch"] * (not job["loads_all"]), dict.fromkeys(base, 0.0)
    checksum = 0.0
    while images < job["measure"] and time.perf_counter() - begin < job["seconds"]:
        batch = next(batches, None)
        if batch is None:
            batches = iter(loader)
            continue
        features = batch["features"] if isinstance(batch, dict) else batch[0]
        checksum += float(features[0, 0].sum())
        images += len(features)
        if job["memory"] and images % (job["batch"] * 4) < job["batch"]:
            now = read_memory()
            peak = {name: max(value, now[name]) for name, value in peak.items()}
        del batch, features
    seconds = time.perf_counter() - begin
    return {"first": first - start, "rate": images / seconds, "images": images, "memory": peak, "checksum": checksum}
