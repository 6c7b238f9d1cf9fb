"""Writes the detector's weights as other programs do: write-weights.py BLOBS.safetensors FOLDER

BLOBS has Caffe's names. FOLDER gets one file for each form and layout, written by real PyTorch and NumPy. The names and
moves of rows are stated here anew, from the published model code, not read from detector-keys.json.
"""

import json
import pickle
import struct
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch


def read_blobs(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    return {
        name: np.frombuffer(data, np.float32, offset=8 + length + entry["data_offsets"][0], count=int(np.prod(entry["shape"]))).reshape(entry["shape"])
        for name, entry in header.items()
    }


def convolutions():
    yield "conv1", "_conv1", "backbone.stem.conv1"
    for stage, blocks in ((2, "a b c"), (3, "a b1 b2 b3"), (4, "a " + " ".join(f"b{i}" for i in range(1, 23))), (5, "a b c")):
        parent = "roi_heads" if stage == 5 else "backbone"
        for number, block in enumerate(blocks.split()):
            branches = [("2a", "conv1"), ("2b", "conv2"), ("2c", "conv3")] + ([("1", "shortcut")] if number == 0 else [])
            for branch, name in branches:
                suffix = f"{stage}{block}_branch{branch}"
                yield "res" + suffix, suffix, f"{parent}.res{stage}.{number}.{name}"


def common(blobs):
    port = OrderedDict()
    for layer, suffix, key in convolutions():
        factor = np.float64(blobs[f"bn{suffix}/2"][0])
        port[f"{key}.weight"] = blobs[f"{layer}/0"]
        port[f"{key}.norm.running_mean"] = (blobs[f"bn{suffix}/0"] / factor).astype(np.float32)
        port[f"{key}.norm.running_var"] = (blobs[f"bn{suffix}/1"] / factor).astype(np.float32)
        port[f"{key}.norm.weight"] = blobs[f"scale{suffix}/0"]
        port[f"{key}.norm.bias"] = blobs[f"scale{suffix}/1"]
    return port


def pair(port, key, weight, bias):
    port[f"{key}.weight"], port[f"{key}.bias"] = weight, bias


def milvlg(blobs):
    port = common(blobs)
    rpn, box = "proposal_generator.rpn_head", "roi_heads.box_predictor"
    for key, layer in (
        (f"{rpn}.conv", "rpn_conv/3x3"),
        (f"{rpn}.objectness_logits", "rpn_cls_score"),
        (f"{rpn}.anchor_deltas", "rpn_bbox_pred"),
        (f"{box}.cls_score", "cls_score"),
        (f"{box}.attr_linear1", "fc_attr"),
        (f"{box}.attr_linear2", "attr_score"),
    ):
        pair(port, key, blobs[f"{layer}/0"], blobs[f"{layer}/1"])
    port[f"{box}.cls_embed.weight"] = blobs["cls_embedding/0"]
    pair(port, f"{box}.bbox_pred", np.zeros((6404, 2048), np.float32), np.zeros(6404, np.float32))
    port["proposal_generator.anchor_generator.cell_anchors.0"] = np.zeros((12, 4), np.float32)
    return port


def detectron2(blobs):
    port = common(blobs)
    rpn, box = "proposal_generator.rpn_head", "roi_heads.box_predictor"
    # Position size * 3 + ratio of detectron2 is Caffe's ratio * 4 + size.
    order = [ratio * 4 + size for size in range(4) for ratio in range(3)]
    pair(port, f"{rpn}.conv", blobs["rpn_conv/3x3/0"], blobs["rpn_conv/3x3/1"])
    score = [blobs[f"rpn_cls_score/{i}"] for i in (0, 1)]
    pair(port, f"{rpn}.objectness_logits", *((one[12:] - one[:12])[order] for one in score))
    deltas = [blobs[f"rpn_bbox_pred/{i}"] for i in (0, 1)]
    pair(port, f"{rpn}.anchor_deltas", *(one.reshape(12, 4, *one.shape[1:])[order].reshape(one.shape) for one in deltas))
    pair(port, f"{box}.cls_score", *(np.roll(blobs[f"cls_score/{i}"], -1, axis=0) for i in (0, 1)))
    port[f"{box}.cls_embedding.weight"] = np.roll(blobs["cls_embedding/0"], -1, axis=0)
    pair(port, f"{box}.fc_attr", blobs["fc_attr/0"], blobs["fc_attr/1"])
    pair(port, f"{box}.attr_score", *(np.roll(blobs[f"attr_score/{i}"], -1, axis=0) for i in (0, 1)))
    pair(port, f"{box}.bbox_pred", np.zeros((6400, 2048), np.float32), np.zeros(6400, np.float32))
    return port


def tensors(port):
    return OrderedDict((key, torch.from_numpy(np.array(value))) for key, value in port.items())


def main(blobs, folder):
    blobs = read_blobs(blobs)
    ours, theirs = detectron2(blobs), milvlg(blobs)
    # As transformers saves it: plain BatchNorm with its counter, here with the older spelling of its parameters.
    counted = tensors(ours)
    for key in [key for key in counted if key.endswith(".running_var")]:
        counted[key.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    for key in [key for key in counted if ".norm." in key and key.endswith((".weight", ".bias"))]:
        stem, last = key.rsplit(".", 1)
        counted[f"{stem}.{'gamma' if last == 'weight' else 'beta'}"] = counted.pop(key)
    torch.save(counted, folder / "detectron2-zip.bin")
    # One storage for two tensors, and one that is a transposed view of its storage.
    state = tensors(theirs)
    key = "roi_heads.box_predictor.attr_linear1"
    both = torch.cat([state[f"{key}.weight"].t().reshape(-1), state[f"{key}.bias"]])
    state[f"{key}.weight"] = both[: 2304 * 512].view(2304, 512).t()
    state[f"{key}.bias"] = both[2304 * 512 :]
    torch.save({"model": state, "iteration": 3}, folder / "milvlg-legacy.pth", _use_new_zipfile_serialization=False)
    named = {"model": dict(ours), "__author__": "caffe", "matching_heuristics": True, "scale": np.float64(1.5)}
    new = pickle.dumps(named, protocol=2)
    spelling = (b"numpy._core.multiarray\n", b"numpy.core.multiarray\n")
    assert any(name in new for name in spelling)
    (folder / "detectron2-old.pkl").write_bytes(new.replace(*spelling))
    (folder / "detectron2-new.pkl").write_bytes(pickle.dumps(named, protocol=5))
    (folder / "detectron2-4.pkl").write_bytes(pickle.dumps(named, protocol=4).replace(*spelling[::-1]))


main(Path(sys.argv[1]), Path(sys.argv[2]))
