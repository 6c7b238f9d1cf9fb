"""Images to LXMERT's rows: 36 boxes with features, classes and attributes."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import DeviceError, ImageError
from .images import ImageSource, NetworkInput, make_input, read_pixels
from .network import PRECISIONS, Backbone, Head, Network, Precision
from .regions import BOXES, choose_regions, propose_regions, rate_regions
from .weights import Weights, WeightsSource, load_weights

NAME = "bottom-up-attention (PyTorch)"
REGIONS = 300
# Regions at a time: on a CPU, what its caches hold; on a GPU, all of an image.
_ROIS_PER_BATCH = {"cpu": 10, "other": REGIONS}
_MOST_THREADS = 8

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class DetectorRow:
    """One image's row, with the published columns. `boxes` are float32 (36, 4): x1, y1, x2, y2 in pixels."""

    img_h: int
    img_w: int
    objects_id: NDArray[np.int64]
    objects_conf: Floats
    attrs_id: NDArray[np.int64]
    attrs_conf: Floats
    boxes: Floats
    features: Floats
    """(36, 2048)"""

    num_boxes = BOXES

    @property
    def visual_feats(self) -> torch.Tensor:
        """float32 (1, 36, 2048), what LXMERT of transformers takes."""
        return torch.from_numpy(self.features)[None]

    @property
    def visual_pos(self) -> torch.Tensor:
        """float32 (1, 36, 4): the boxes as parts of the image's width and height, as LXMERT's loaders make them."""
        size = np.array([self.img_w, self.img_h, self.img_w, self.img_h], np.float32)
        return torch.from_numpy(self.boxes / size)[None]


class Detector:
    """The detector of the published features: same network, same weights, same choice of boxes as in Caffe.

    `weights`: a file (see load_weights) or "untrained". `device`: as PyTorch names it; "auto" takes a CUDA device,
    Apple's GPU or the CPU. `precision`: "float32", which is exact; no other one has been measured. `rois_per_batch`
    bounds the memory of the network's head: a GPU that runs out of memory is given half as many from then on.

    One thread at a time runs the network. The result for an image does not depend on the images around it.
    """

    def __init__(
        self,
        weights: WeightsSource | Weights,
        device: str | torch.device = "auto",
        *,
        precision: Precision = "float32",
        rois: int = REGIONS,
        rois_per_batch: int | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, not {precision!r}")
        if not BOXES <= rois <= REGIONS:
            raise ValueError(f"rois is from {BOXES} to {REGIONS}, not {rois}")
        if rois_per_batch is not None and rois_per_batch < 1:
            raise ValueError(f"rois_per_batch is at least 1, not {rois_per_batch}")
        self.device = _open_device(device)
        loaded = weights if isinstance(weights, Weights) else load_weights(weights)
        self.weights = loaded.id
        self.precision = precision
        self.rois = rois
        self.rois_per_batch = rois_per_batch or _ROIS_PER_BATCH["cpu" if self.device.type == "cpu" else "other"]
        self._network = Network(loaded, self.device, precision)

    @property
    def name(self) -> str:
        """What rows are stamped with: another name for every precision."""
        return NAME if self.precision == "float32" else f"{NAME[:-1]}, {self.precision})"

    def __call__(self, image: ImageSource) -> DetectorRow:
        """The row of one image: a path, bytes, an image of PIL, or uint8 (height, width, 3) with blue first.

        Raises ImageError where it cannot be read or has fewer than 36 regions.
        """
        prepared = make_input(read_pixels(image))
        backbone = self._run_backbone(prepared)
        rois = self._propose(backbone, prepared)
        return self._choose(prepared, rois, self._run_head(backbone, rois))

    def map(
        self, images: Iterable[ImageSource], *, in_flight: int = 4, threads: int | None = None
    ) -> Iterator[DetectorRow | ImageError]:
        """Rows of many images, in their order; an image that cannot be used gives its ImageError instead.

        Decoding, proposals and the choice of boxes of some images run in threads while the device works on others.
        `in_flight` images are held at a time.
        """
        workers = threads or max(1, min(_MOST_THREADS, (os.cpu_count() or 1) - 1))
        with ThreadPoolExecutor(workers) as pool:
            yield from _Pipeline(self, pool, max(1, in_flight)).run(images)

    def _run_backbone(self, prepared: NetworkInput) -> Backbone:
        return self._network.run_backbone(prepared.data)

    def _propose(self, backbone: Backbone, prepared: NetworkInput) -> Floats:
        """Regions (n, 4) in pixels of the network's input."""
        probabilities, deltas = backbone.probabilities.cpu().numpy(), backbone.deltas.cpu().numpy()
        _check_finite(probabilities, "proposal scores")
        _, height, width = prepared.data.shape
        rois = propose_regions(probabilities, deltas, (height, width), prepared.scale, self.rois)
        if len(rois) < BOXES:
            raise ImageError(f"only {len(rois)} regions of at least 16 x 16 pixels were found, {BOXES} are needed")
        return rois

    def _run_head(self, backbone: Backbone, rois: Floats) -> Head:
        """Halves the number of regions at a time for good where the device is out of memory."""
        while True:
            try:
                return self._network.run_head(backbone.features, rois, self.rois_per_batch)
            except torch.OutOfMemoryError:
                if self.rois_per_batch == 1:
                    raise
            self.rois_per_batch = max(1, self.rois_per_batch // 2)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _choose(self, prepared: NetworkInput, rois: Floats, head: Head) -> DetectorRow:
        # Only the chosen features are copied from the device.
        objects, attributes = head.objects.cpu().numpy(), head.attributes.cpu().numpy()
        _check_finite(objects, "class probabilities")
        boxes = rois / np.float32(prepared.scale)
        chosen = choose_regions(rate_regions(boxes, objects))
        features = head.features[torch.from_numpy(chosen.copy()).to(head.features.device)].cpu().numpy()
        _check_finite(features, "features")
        objects, attributes = objects[chosen, 1:], attributes[chosen, 1:]
        _check_finite(attributes, "attribute probabilities")
        height, width = prepared.image_size
        return DetectorRow(
            img_h=height,
            img_w=width,
            objects_id=objects.argmax(axis=1),
            objects_conf=objects.max(axis=1),
            attrs_id=attributes.argmax(axis=1),
            attrs_conf=attributes.max(axis=1),
            boxes=boxes[chosen],
            features=features,
        )


class _Pipeline:
    """Images on their way: decoded, then in the backbone, proposals, in the head, choice of boxes.

    The calling thread drives the device. It queues the backbone of the next image before it waits for the proposals of
    this one, so that the device has work meanwhile.
    """

    def __init__(self, detector: Detector, pool: ThreadPoolExecutor, in_flight: int) -> None:
        self._detector = detector
        self._pool = pool
        self._in_flight = in_flight
        self._decoded: collections.deque[Future[NetworkInput]] = collections.deque()
        self._proposed: collections.deque[tuple[NetworkInput, Backbone, Future[Floats]] | ImageError] = (
            collections.deque()
        )
        self._done: collections.deque[Future[DetectorRow] | ImageError] = collections.deque()

    def run(self, images: Iterable[ImageSource]) -> Iterator[DetectorRow | ImageError]:
        source = iter(images)
        has_more = True
        while True:
            while has_more and self._count() < self._in_flight:
                try:
                    self._decoded.append(self._pool.submit(_prepare, next(source)))
                except StopIteration:
                    has_more = False
            if self._count() == 0:
                return
            # Two images beyond the backbone: one whose proposals are being made, one in the head.
            while self._decoded and len(self._proposed) < 2:
                self._start_backbone(self._decoded.popleft())
            if self._proposed:
                self._start_head(self._proposed.popleft())
            while self._done and (self._is_ready(self._done[0]) or not (self._decoded or self._proposed)):
                yield self._finish(self._done.popleft())

    def _count(self) -> int:
        return len(self._decoded) + len(self._proposed) + len(self._done)

    def _start_backbone(self, decoded: Future[NetworkInput]) -> None:
        try:
            prepared = decoded.result()
        except ImageError as error:
            self._proposed.append(error)
            return
        backbone = self._detector._run_backbone(prepared)
        proposals = self._pool.submit(self._detector._propose, backbone, prepared)
        self._proposed.append((prepared, backbone, proposals))

    def _start_head(self, proposed: tuple[NetworkInput, Backbone, Future[Floats]] | ImageError) -> None:
        if isinstance(proposed, ImageError):
            self._done.append(proposed)
            return
        prepared, backbone, proposals = proposed
        try:
            rois = proposals.result()
        except ImageError as error:
            self._done.append(error)
            return
        head = self._detector._run_head(backbone, rois)
        self._done.append(self._pool.submit(self._detector._choose, prepared, rois, head))

    @staticmethod
    def _is_ready(done: Future[DetectorRow] | ImageError) -> bool:
        return isinstance(done, ImageError) or done.done()

    @staticmethod
    def _finish(done: Future[DetectorRow] | ImageError) -> DetectorRow | ImageError:
        if isinstance(done, ImageError):
            return done
        try:
            return done.result()
        except ImageError as error:
            return error


def _prepare(image: ImageSource) -> NetworkInput:
    return make_input(read_pixels(image))


def _check_finite(values: NDArray[Any], name: str) -> None:
    if not np.isfinite(values).all():
        raise ImageError(f"the network's {name} are not finite")


def _open_device(device: str | torch.device) -> torch.device:
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        has_mps = getattr(torch.backends, "mps", None) is not None and torch.backends.mps.is_available()
        return torch.device("mps" if has_mps else "cpu")
    try:
        opened = torch.device(device)
        torch.zeros(1, device=opened)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DeviceError(
            "PyTorch cannot use this device", str(device), got=str(error).split("\n")[0], hint='take "cpu" or "auto"'
        ) from error
    return opened
