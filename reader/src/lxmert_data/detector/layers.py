"""The bottom-up-attention network as data: ResNet-101 Faster R-CNN over Visual Genome, as in its Caffe prototxt.

What must agree with the prototxt about layers and shapes of blobs is in this file. A blob is named `LAYER/INDEX`.
"""

from __future__ import annotations

from typing import NamedTuple

FEATURE_CHANNELS = 1024
FEATURE_STRIDE = 16
FEATURE_SIZE = 2048
ANCHORS_PER_CELL = 12
OBJECT_CLASSES = 1601
"""With the background, which is class 0."""
ATTRIBUTE_CLASSES = 401
"""With "none", which is class 0."""


class Convolution(NamedTuple):
    """A convolution with a BatchNorm and a Scale layer behind it, and without a bias of its own."""

    layer: str
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1

    @property
    def suffix(self) -> str:
        """What the names of its BatchNorm and Scale layers end with."""
        return "_conv1" if self.layer == "conv1" else self.layer[len("res") :]


class Bottleneck(NamedTuple):
    """Two 1x1 convolutions around a 3x3 one; the first block of a stage has a convolution in its shortcut."""

    reduce: Convolution
    spatial: Convolution
    expand: Convolution
    shortcut: Convolution | None


def _stage(
    name: str, blocks: list[str], middle: int, inputs: int, *, stride: int = 1, dilation: int = 1
) -> list[Bottleneck]:
    outer = 4 * middle
    stage = []
    for block in blocks:
        first = block == "a"
        entry, step = (inputs, stride) if first else (outer, 1)
        branch = f"{name}{block}_branch"
        stage.append(
            Bottleneck(
                # The stride is on the first 1x1, as in the original ResNet.
                Convolution(branch + "2a", entry, middle, 1, step),
                Convolution(branch + "2b", middle, middle, 3, 1, dilation),
                Convolution(branch + "2c", middle, outer),
                Convolution(branch + "1", entry, outer, 1, step) if first else None,
            )
        )
    return stage


def _numbered(count: int) -> list[str]:
    return ["a", *(f"b{number}" for number in range(1, count + 1))]


CONV1 = Convolution("conv1", 3, 64, 7, 2)
STEM_BLOCKS = _stage("res2", ["a", "b", "c"], 64, 64)
BACKBONE_BLOCKS = [
    *_stage("res3", _numbered(3), 128, 256, stride=2),
    *_stage("res4", _numbered(22), 256, 512, stride=2),
]
HEAD_BLOCKS = _stage("res5", ["a", "b", "c"], 512, FEATURE_CHANNELS, dilation=2)
"""Run for each region: no stride, every 3x3 dilated by 2."""

BIASED_LAYERS: dict[str, tuple[int, ...]] = {
    "rpn_conv/3x3": (512, FEATURE_CHANNELS, 3, 3),
    "rpn_cls_score": (2 * ANCHORS_PER_CELL, 512, 1, 1),
    "rpn_bbox_pred": (4 * ANCHORS_PER_CELL, 512, 1, 1),
    "cls_score": (OBJECT_CLASSES, FEATURE_SIZE),
    "fc_attr": (512, FEATURE_SIZE + 256),
    "attr_score": (ATTRIBUTE_CLASSES, 512),
}
"""Layers with a weight of this shape and one bias for each of its rows."""


def list_convolutions() -> list[Convolution]:
    blocks = [*STEM_BLOCKS, *BACKBONE_BLOCKS, *HEAD_BLOCKS]
    return [CONV1, *(part for block in blocks for part in block if part is not None)]


def list_blobs() -> dict[str, tuple[int, ...]]:
    """Shapes of the blobs that the network reads: 637 of a caffemodel's 639 (`bbox_pred` has no effect on features)."""
    blobs: dict[str, tuple[int, ...]] = {}
    for part in list_convolutions():
        channels = (part.outputs,)
        blobs[f"{part.layer}/0"] = (part.outputs, part.inputs, part.kernel, part.kernel)
        blobs |= {f"bn{part.suffix}/0": channels, f"bn{part.suffix}/1": channels, f"bn{part.suffix}/2": (1,)}
        blobs |= {f"scale{part.suffix}/0": channels, f"scale{part.suffix}/1": channels}
    for layer, shape in BIASED_LAYERS.items():
        blobs |= {f"{layer}/0": shape, f"{layer}/1": shape[:1]}
    blobs["cls_embedding/0"] = (OBJECT_CLASSES, 256)
    return blobs
