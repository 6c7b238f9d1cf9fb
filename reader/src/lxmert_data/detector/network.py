"""The network in PyTorch: image to features and proposals, regions to features and classes.

BatchNorm and Scale are folded into the convolutions before them, in double. conv1 and res2 are computed in double on
every device: their rounding errors grow through all later layers and would be most of the difference to an exact
result (docs/parity.md).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ..errors import DeviceError
from .layers import (
    BACKBONE_BLOCKS,
    BIASED_LAYERS,
    CONV1,
    FEATURE_CHANNELS,
    FEATURE_STRIDE,
    HEAD_BLOCKS,
    STEM_BLOCKS,
    Bottleneck,
    Convolution,
    list_convolutions,
)
from .weights import Weights

Precision = Literal["float32", "tf32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("float32",)
"""Those that are offered. How far the others differ has not been measured; bench/torch_detector.py would."""
_DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_BATCH_NORM_EPSILON = 1e-5
_POOLED = 14
# Sides of the squares whose maxima are kept for the pooling.
_SPANS = (1, 2, 4, 8)

Floats = NDArray[np.float32]


class Backbone(NamedTuple):
    """What the network makes of an image of which the map of features has h x w cells."""

    features: torch.Tensor
    """res4b22: (1, 1024, h, w)."""
    probabilities: torch.Tensor
    """rpn_cls_prob: (24, h, w), background of the 12 anchors, then foreground."""
    deltas: torch.Tensor
    """rpn_bbox_pred: (48, h, w)."""


class Head(NamedTuple):
    """What the network makes of n regions, float32."""

    features: torch.Tensor
    """pool5_flat: (n, 2048)."""
    objects: torch.Tensor
    """cls_prob: (n, 1601), background first."""
    attributes: torch.Tensor
    """attr_prob: (n, 401), "none" first."""


class Network:
    """The two halves of the detector on one device. `precision` is that of everything between conv1 and the classes."""

    def __init__(self, weights: Weights, device: torch.device, precision: Precision) -> None:
        if precision == "tf32" and device.type != "cuda":
            raise DeviceError("only CUDA devices compute with TF32", str(device), hint="use another precision")
        self.device = device
        self._precision = precision
        self._dtype = _DTYPES[precision]
        # Apple's GPUs have no double precision.
        self._stem_device = torch.device("cpu") if device.type == "mps" else device
        stem = {CONV1.layer, *(part.layer for block in STEM_BLOCKS for part in block if part is not None)}
        self._parameters: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        for part in list_convolutions():
            weight, bias = _fold(weights, part)
            in_stem = part.layer in stem
            self._put(part.layer, weight, bias, torch.float64 if in_stem else self._dtype, in_stem=in_stem)
        for layer, shape in BIASED_LAYERS.items():
            dtype = torch.float32 if len(shape) == 2 else self._dtype
            self._put(layer, weights.blobs[f"{layer}/0"], weights.blobs[f"{layer}/1"], dtype)
        self._embedding = torch.from_numpy(weights.blobs["cls_embedding/0"].copy()).to(device)

    def _put(
        self,
        layer: str,
        weight: NDArray[np.floating],
        bias: NDArray[np.floating],
        dtype: torch.dtype,
        *,
        in_stem: bool = False,
    ) -> None:
        device = self._stem_device if in_stem else self.device
        tensors = [torch.from_numpy(np.ascontiguousarray(values)).to(device, dtype) for values in (weight, bias)]
        if weight.ndim == 4 and not in_stem:
            tensors[0] = tensors[0].contiguous(memory_format=torch.channels_last)
        self._parameters[layer] = (tensors[0], tensors[1])

    def run_backbone(self, data: Floats, taps: dict[str, torch.Tensor] | None = None) -> Backbone:
        """`data` (3, H, W). Values of inner blobs are put into `taps`, by Caffe's names."""
        taps = {} if taps is None else taps
        with torch.inference_mode(), exact_arithmetic(self._precision):
            x = _upload(data[None], self._stem_device).double()
            x = torch.relu(self._convolve(CONV1, x))
            taps["conv1"] = x
            # Caffe rounds the size of a pooled map up and cuts the last windows off at the border.
            x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
            taps["pool1"] = x
            for block in STEM_BLOCKS:
                x = self._bottleneck(block, x)
            taps["res2c"] = x
            x = x.to(self.device, self._dtype).contiguous(memory_format=torch.channels_last)
            for block in BACKBONE_BLOCKS:
                x = self._bottleneck(block, x)
                taps[block.reduce.layer.partition("_")[0]] = x
            rpn = torch.relu(functional.conv2d(x, *self._parameters["rpn_conv/3x3"], padding=1))
            scores = functional.conv2d(rpn, *self._parameters["rpn_cls_score"]).float()
            deltas = functional.conv2d(rpn, *self._parameters["rpn_bbox_pred"]).float()
            probabilities = torch.softmax(scores.reshape(2, -1), dim=0).reshape(scores.shape[1:])
            return Backbone(x, probabilities, deltas[0])

    def run_head(self, features: torch.Tensor, rois: Floats, rois_per_batch: int) -> Head:
        """`rois` (n, 4): x1, y1, x2, y2 in pixels of the network's input; so many of them at a time."""
        with torch.inference_mode(), exact_arithmetic(self._precision):
            pooling = RegionPooling(features)
            starts = range(0, len(rois), rois_per_batch)
            parts = [self._classify(pooling.pool(rois[start : start + rois_per_batch])) for start in starts]
            return Head(*(torch.cat(tensors) for tensors in zip(*parts)))

    def _classify(self, pooled: torch.Tensor) -> Head:
        x = pooled
        for block in HEAD_BLOCKS:
            x = self._bottleneck(block, x)
        features = x.float().mean(dim=(2, 3))
        scores = functional.linear(features, *self._parameters["cls_score"])
        # Caffe's CPU code gives the last of equal scores; the background takes part.
        winners = scores.shape[1] - 1 - scores.flip(1).argmax(dim=1)
        joined = torch.cat([features, self._embedding[winners]], dim=1)
        hidden = torch.relu(functional.linear(joined, *self._parameters["fc_attr"]))
        attributes = functional.linear(hidden, *self._parameters["attr_score"])
        return Head(features, torch.softmax(scores, dim=1), torch.softmax(attributes, dim=1))

    def _convolve(self, part: Convolution, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self._parameters[part.layer]
        padding = part.dilation * (part.kernel // 2)
        return functional.conv2d(x, weight, bias, part.stride, padding, part.dilation)

    def _bottleneck(self, block: Bottleneck, x: torch.Tensor) -> torch.Tensor:
        y = self._convolve(block.reduce, x).relu_()
        y = self._convolve(block.spatial, y).relu_()
        y = self._convolve(block.expand, y)
        y += x if block.shortcut is None else self._convolve(block.shortcut, x)
        return y.relu_()


class RegionPooling:
    """Caffe's ROIPooling of one map of features: the maxima of 14 x 14 windows of whole cells for each region.

    The maxima of all squares of 1, 2, 4, … cells are made once; each window is covered by four rectangles of them.
    """

    def __init__(self, features: torch.Tensor) -> None:
        self._size = (features.shape[2], features.shape[3])
        longest = [-(-side // _POOLED) + 1 for side in self._size]
        spans = [[span for span in _SPANS if span == 1 or span <= most] for most in longest]
        levels = [_slide(_slide(features, 2, down), 3, across) for down in spans[0] for across in spans[1]]
        self._across = len(spans[1])
        # A last row of zeros for windows without a cell.
        channels = FEATURE_CHANNELS
        rows = [level.permute(0, 2, 3, 1).reshape(-1, channels) for level in levels]
        self._maxima = torch.cat([*rows, torch.zeros_like(rows[0][:1])])

    def pool(self, rois: Floats) -> torch.Tensor:
        """(n, 1024, 14, 14), channels last, of `rois` (n, 4)."""
        top, bottom, down = _find_windows(rois[:, 1], rois[:, 3], self._size[0])
        left, right, across = _find_windows(rois[:, 0], rois[:, 2], self._size[1])
        level = down[:, :, None] * self._across + across[:, None, :]
        empty = (bottom <= top)[:, :, None] | (right <= left)[:, None, :]
        spans = np.array(_SPANS)
        ys, xs = (top, bottom - spans[down]), (left, right - spans[across])
        pooled: torch.Tensor | None = None
        for y in ys:
            for x in xs:
                rows = (level * self._size[0] + y[:, :, None]) * self._size[1] + x[:, None, :]
                rows = np.where(empty, len(self._maxima) - 1, rows).reshape(-1)
                values = self._maxima[_upload(rows, self._maxima.device)]
                pooled = values if pooled is None else torch.maximum(pooled, values, out=pooled)
        assert pooled is not None
        return pooled.reshape(len(rois), _POOLED, _POOLED, -1).permute(0, 3, 1, 2)


def _upload(values: NDArray[Any], device: torch.device) -> torch.Tensor:
    """To a CUDA device from pinned memory, so that the copy waits in its queue and not here."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _slide(values: torch.Tensor, dim: int, span: int) -> torch.Tensor:
    """Maxima of `span` neighbours along `dim`, in a tensor of the same shape; at the end of fewer."""
    size = values.shape[dim]
    reach = 1
    while reach < min(span, size):
        longer = values.clone()
        kept = size - reach
        target = longer.narrow(dim, 0, kept)
        torch.maximum(target, values.narrow(dim, reach, kept), out=target)
        values, reach = longer, 2 * reach
    return values


def _find_windows(
    start: Floats, end: Floats, cells: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First cell, cell behind the last one and the index of the longest span that fits in, each (n, 14)."""
    # C's round: halves away from zero.
    first = np.floor(start.astype(np.float64) / FEATURE_STRIDE + 0.5)
    last = np.floor(end.astype(np.float64) / FEATURE_STRIDE + 0.5)
    side = np.maximum(last - first + 1, 1).astype(np.float32)[:, None] / np.float32(_POOLED)
    bins = np.arange(_POOLED, dtype=np.float32)[None]
    begin = np.clip(np.floor(bins * side) + first[:, None], 0, cells).astype(np.int64)
    stop = np.clip(np.ceil((bins + 1) * side) + first[:, None], 0, cells).astype(np.int64)
    longest = np.searchsorted(np.array(_SPANS), np.maximum(stop - begin, 1), side="right") - 1
    return begin, stop, longest


def _fold(weights: Weights, part: Convolution) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight and bias of a convolution with its BatchNorm and Scale in it."""
    blobs = {name: weights.blobs[name].astype(np.float64) for name in _normalization_blobs(part)}
    mean, variance, factor, gamma, beta = blobs.values()
    correction = 0.0 if factor[0] == 0 else 1 / factor[0]
    gain = gamma / np.sqrt(variance * correction + _BATCH_NORM_EPSILON)
    kernel = weights.blobs[f"{part.layer}/0"].astype(np.float64)
    return kernel * gain[:, None, None, None], beta - mean * correction * gain


def _normalization_blobs(part: Convolution) -> list[str]:
    return [*(f"bn{part.suffix}/{index}" for index in range(3)), *(f"scale{part.suffix}/{index}" for index in range(2))]


_SETTINGS_LOCK = threading.RLock()


@contextlib.contextmanager
def exact_arithmetic(precision: Precision) -> Iterator[None]:
    """Holds PyTorch to true float32 (or to TF32, if that is the precision) and to repeatable algorithms.

    The settings belong to the whole process, so they are set for the time of a call only, by one thread at a time.
    """
    convolution = torch.backends.cudnn
    allow = precision == "tf32"
    with _SETTINGS_LOCK:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if allow else "highest")
        try:
            with convolution.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=allow):
                yield
        finally:
            torch.set_float32_matmul_precision(before)
