"""python -m lxmert_data.detector: the detector as an extractor, which keeps to docs/extractor.md."""

from __future__ import annotations

import argparse
import base64
import json
import os
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import DeviceError, ImageError, WeightsError

_DONE, _FAILED, _USAGE, _WEIGHTS, _DEVICE = 0, 1, 2, 3, 4
# Waiting for these, and being decoded, while the device is at work.
_IN_FLIGHT = {"cpu": 3, "other": 8}


class _Image(NamedTuple):
    lot: dict[str, Any]
    img_id: str
    path: str
    is_last: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads lots of images from standard input, writes events to standard output and rows to the lots' files."""
    parser = argparse.ArgumentParser("python -m lxmert_data.detector")
    parser.add_argument("--weights", default="untrained", metavar="FILE")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--precision", default="float32", choices=("float32",))
    parser.add_argument("--rois", type=int, default=300, metavar="N")
    parser.add_argument("--batch", type=int, metavar="N", help="regions in the network at a time")
    parser.add_argument("--threads", type=int, metavar="N", help="of the network on a CPU")
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    # cuBLAS is repeatable with this only; it is read when a device is opened.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    import torch

    from .detector import REGIONS, Detector

    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        settings = {"precision": options.precision, "rois": options.rois, "rois_per_batch": options.batch}
        detector = Detector(options.weights, options.device, **settings)
    except (ValueError, WeightsError, DeviceError) as error:
        print(error, file=sys.stderr)
        return _WEIGHTS if isinstance(error, WeightsError) else _DEVICE if isinstance(error, DeviceError) else _USAGE
    stamp: dict[str, Any] = {"name": detector.name, "weights": detector.weights}
    if detector.rois != REGIONS:
        stamp["rois"] = detector.rois
    device = str(detector.device)
    if detector.device.type == "cuda":
        device = f"{device} ({torch.cuda.get_device_name(detector.device)})"
    _emit(event="ready", detector=stamp, device=device)
    _extract(detector, _IN_FLIGHT["cpu" if detector.device.type == "cpu" else "other"])
    return _DONE


def _extract(detector: Any, in_flight: int) -> None:
    lots: queue.Queue[dict[str, Any] | None] = queue.Queue()
    threading.Thread(target=_read_lots, args=(lots,), daemon=True).start()
    lot = lots.get()
    while lot is not None:
        # The lots that are here; the next ones may come only when these are done.
        asked: queue.SimpleQueue[_Image] = queue.SimpleQueue()
        following: list[dict[str, Any] | None] = []
        paths = _list_paths(lot, lots, asked, following)
        file: int | None = None
        for result in detector.map(paths, in_flight=in_flight):
            image = asked.get()
            file = _report(image, result, file)
        lot = following[0] if following else lots.get()


def _list_paths(
    lot: dict[str, Any],
    lots: queue.Queue[dict[str, Any] | None],
    asked: queue.SimpleQueue[_Image],
    following: list[dict[str, Any] | None],
) -> Iterator[str]:
    """Paths of a lot and of those that have come by the time it has been handed out."""
    while True:
        last = len(lot["images"]) - 1
        for index, entry in enumerate(lot["images"]):
            asked.put(_Image(lot, entry["img_id"], entry["path"], index == last))
            yield entry["path"]
        try:
            upcoming = lots.get_nowait()
        except queue.Empty:
            return
        if upcoming is None:
            following.append(None)
            return
        lot = upcoming


def _report(image: _Image, result: Any, file: int | None) -> int | None:
    """Writes a row, or the reason it failed; returns the open file of the batch, or None at its end."""
    number = image.lot["lot"]
    if file is None:
        file = os.open(image.lot["rows"], os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0))
    if isinstance(result, ImageError):
        reason = result.what if result.got is None else f"{result.what}: {result.got}"
        _emit(event="failed", lot=number, img_id=image.img_id, reason=reason)
    else:
        row = format_row(image.img_id, result)
        written = os.write(file, row)
        if written != len(row):
            raise OSError(f"{image.lot['rows']}: {written} of {len(row)} bytes were written")
        _emit(event="row", lot=number, img_id=image.img_id, bytes=len(row))
    if not image.is_last:
        return file
    os.fsync(file)
    os.close(file)
    _emit(event="lot", lot=number)
    return None


def format_row(img_id: str, row: Any) -> bytes:
    """The row as one line of a published TSV: ten columns, arrays in base64, CR LF."""
    columns = (row.objects_id, row.objects_conf, row.attrs_id, row.attrs_conf)
    classes = [base64.b64encode(values.tobytes()).decode() for values in columns]
    arrays = [base64.b64encode(values.tobytes()).decode() for values in (row.boxes, row.features)]
    fields = [img_id, str(row.img_h), str(row.img_w), *classes, str(row.num_boxes), *arrays]
    return ("\t".join(fields) + "\r\n").encode()


def _read_lots(lots: queue.Queue[dict[str, Any] | None]) -> None:
    for line in sys.stdin:
        if line.strip():
            lots.put(json.loads(line))
    lots.put(None)


def _emit(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
