"""The PyTorch detector on a device: its differences to Caffe, its speed and memory, and how busy the device is.

    python bench/torch_detector.py --device cuda             # a few minutes on a GPU; prints tables for docs/parity.md
    python bench/torch_detector.py --device cpu --dry-run    # everything once, small

The plain loop is what ports do: one image after the other, nothing overlapped. The rate of a large product in float32
(TF32 off) is measured in the same run. The parity table needs the reference values in ../shared/oracle.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "reader" / "src"), str(ROOT / "reader" / "tests" / "detector")]

from oracle import HAS_ORACLE, IMAGES, compare_with_oracle  # noqa: E402

from lxmert_data.detector import Detector  # noqa: E402
from lxmert_data.detector.network import PRECISIONS, Network, exact_arithmetic  # noqa: E402
from lxmert_data.detector.weights import load_weights  # noqa: E402

OPERATIONS = 1.91e12
"""Of an image of 600 x 800 input with 300 regions, as bench/count-operations.ts counts them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precisions", default="float32,tf32,bf16,fp16")
    parser.add_argument("--images", type=int, default=64, help="photographs of 640 x 480 for each measurement")
    parser.add_argument("--threads", type=int, help="of the network on a CPU")
    parser.add_argument("--skip-parity", action="store_true")
    parser.add_argument("--dry-run", action="store_true", help="one small image and 36 regions")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = Detector("untrained", options.device, rois=36).device if options.dry_run else torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    print(f"device {name}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
    product = measure_product(device, 256 if options.dry_run else 8192 if device.type == "cuda" else 2048)
    print(f"one matrix product in float32: {product / 1e9:.0f} GFLOP/s", flush=True)
    for precision in options.precisions.split(","):
        if precision == "tf32" and device.type != "cuda":
            continue
        rois = 36 if options.dry_run else 300
        if precision not in PRECISIONS:  # not offered before it is measured
            detector = Detector("untrained", device, rois=rois)
            detector._network = Network(load_weights("untrained"), device, precision)
        else:
            detector = Detector("untrained", device, precision=precision, rois=rois)
        if HAS_ORACLE and not options.skip_parity:
            print_parity(detector, list(IMAGES)[2:3] if options.dry_run else list(IMAGES))
        measure_speed(detector, 1 if options.dry_run else options.images, product, small=options.dry_run)


def measure_product(device: torch.device, size: int) -> float:
    """Operations a second of a product of two square matrices: cuBLAS on a CUDA device."""
    a, b = torch.randn(2, size, size, device=device)
    best = float("inf")
    with exact_arithmetic("float32"):
        for _ in range(5):
            synchronize(device)
            start = time.perf_counter()
            torch.mm(a, b)
            synchronize(device)
            best = min(best, time.perf_counter() - start)
    return float(2 * size**3 / best)


def print_parity(detector: Detector, names: list[str]) -> None:
    print(
        f"\n{detector.name}\n\n| largest difference | allowed | {' | '.join(names)} |\n|{' --- |' * (len(names) + 2)}"
    )
    columns = [compare_with_oracle(detector, name) for name in names]
    for lines in zip(*columns):
        cells = [f"{line.note}{show(line.got)}{'' if line.got <= line.allowed else ' **too much**'}" for line in lines]
        print(f"| {' | '.join([lines[0].what, show(lines[0].allowed), *cells])} |", flush=True)


def show(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1e}"


def measure_speed(detector: Detector, count: int, product: float, *, small: bool) -> None:
    rng = np.random.default_rng(0)
    shape = (60, 400, 3) if small else (480, 640, 3)
    blocks = rng.integers(0, 256, (count, shape[0] // 20, shape[1] // 20, 3), dtype=np.uint8)
    images = [np.repeat(np.repeat(block, 20, axis=0), 20, axis=1) for block in blocks]
    detector(images[0])
    print(
        "\n| way | images a second | memory of the device, GB | busy | share of the product |\n"
        "| --- | --- | --- | --- | --- |"
    )
    report("plain loop", detector, lambda: [detector(image) for image in images], count, product)
    for in_flight in (1, 4, 16):
        report(
            f"{in_flight} in flight",
            detector,
            lambda n=in_flight: list(detector.map(images, in_flight=n)),
            count,
            product,
        )
    print(f"\npeak memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB", flush=True)


def report(way: str, detector: Detector, work: Any, count: int, product: float) -> None:
    is_cuda = detector.device.type == "cuda"
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(detector.device)
    synchronize(detector.device)
    start = time.perf_counter()
    work()
    synchronize(detector.device)
    elapsed = time.perf_counter() - start
    memory = f"{torch.cuda.max_memory_reserved(detector.device) / 1e9:.2f}" if is_cuda else ""
    busy = f"{100 * measure_busy(work):.0f} %" if is_cuda else ""
    share = 100 * OPERATIONS * count / elapsed / product
    print(f"| {way} | {count / elapsed:.2f} | {memory} | {busy} | {share:.0f} % |", flush=True)


def measure_busy(work: Any) -> float:
    """Share of the time in which kernels ran, by PyTorch's profiler."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        elapsed = time.perf_counter() - start
    kernels = sum(event.self_device_time_total for event in profiler.key_averages())
    return kernels / 1e6 / elapsed


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
