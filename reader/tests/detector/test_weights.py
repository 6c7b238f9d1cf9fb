"""Every form of the weights file: canonical, caffemodel, other programs' pickles; and files that are none."""

from __future__ import annotations

import collections
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")

from numpy.typing import NDArray

from lxmert_data.detector.layers import list_blobs
from lxmert_data.detector.ports import _load_keys
from lxmert_data.detector.weights import Weights, load_weights, save_weights
from lxmert_data.errors import OutputExistsError, WeightsError

Blobs = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def blobs() -> Blobs:
    formula = load_weights("untrained").blobs
    values = {name: formula[name] for name in list_blobs()}
    # What ports keep: a BatchNorm factor of 1.
    values |= {name: np.ones(1, np.float32) for name in values if name.startswith("bn") and name.endswith("/2")}
    return values


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def write_caffemodel(path: Path, blobs: Blobs, *, legacy: bool) -> Path:
    layers: dict[str, list[NDArray[np.float32]]] = collections.defaultdict(list)
    for name in sorted(blobs):
        layers[name.rpartition("/")[0]].append(blobs[name])
    layer_field, name_field, blobs_field = (2, 4, 6) if legacy else (100, 1, 7)
    with path.open("wb") as file:
        file.write(field(1, b"a network") + field(3, b"input"))
        for name, values in layers.items():
            body = field(name_field, name.encode())
            for value in values:
                if legacy:
                    sizes = [1] * (4 - value.ndim) + list(value.shape)
                    shape = b"".join(varint(n << 3) + varint(size) for n, size in enumerate(sizes, 1))
                else:
                    shape = field(7, field(1, b"".join(map(varint, value.shape))))
                body += field(blobs_field, shape + field(5, value.tobytes()))
            file.write(field(layer_field, body))
    return path


def to_port(blobs: Blobs, layout: str) -> Blobs:
    """The inverse of what is done to a port's tensors."""
    keys = _load_keys()
    tensors: Blobs = {}
    for part in keys["convolutions"]:
        for blob, end in keys["convolution"].items():
            kind, _, index = blob.partition("/")
            tensors[f"{part['key']}.{end}"] = blobs[f"{part[kind]}/{index}"]
    for entry in keys["layouts"][layout]["tensors"]:
        values = blobs[entry["blob"]]
        for step in reversed(entry.get("steps", [])):
            if step["do"] == "zero-rows-before":
                values = values[step["rows"] :]
            elif step["do"] == "last-row-first":
                values = np.concatenate([values[1:], values[:1]])
            else:
                group = step["group"]
                rows = [(r * 4 + s) * group + i for s in range(4) for r in range(3) for i in range(group)]
                values = values[rows]
        tensors[entry["key"]] = values
    return tensors


def differing(actual: Any, expected: Blobs) -> list[str]:
    return [name for name, values in expected.items() if not np.array_equal(actual[name], values)]


def test_the_formula_gives_the_reference_weights() -> None:
    oracle = Path(__file__).resolve().parents[4] / "shared" / "oracle" / "weight_checksums.json"
    if not oracle.exists():
        pytest.skip("the reference values are not here")
    import zlib

    formula = load_weights("untrained").blobs
    checksums = json.loads(oracle.read_text())
    assert [n for n in list_blobs() if f"{zlib.crc32(formula[n].tobytes()):08x}" != checksums[n]["crc32"]] == []


def test_the_canonical_file(tmp_path: Path, blobs: Blobs) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "detector.safetensors"
    save_weights(Weights("ab" * 32, blobs), path)
    loaded = load_weights(path)
    assert loaded.id == "ab" * 32
    assert differing(loaded.blobs, blobs) == []
    assert differing(safetensors.load_file(path), blobs) == []
    with pytest.raises(OutputExistsError):
        save_weights(loaded, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["detector.safetensors"]
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(WeightsError, match="whole safetensors"):
        load_weights(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_caffemodel(tmp_path: Path, blobs: Blobs, legacy: bool) -> None:
    path = write_caffemodel(tmp_path / "a.caffemodel", blobs, legacy=legacy)
    loaded = load_weights(path)
    assert differing(loaded.blobs, blobs) == []
    assert len(loaded.id) == 64
    path.write_bytes(path.read_bytes()[: 100 << 20])
    with pytest.raises(WeightsError, match="whole caffemodel"):
        load_weights(path)


@pytest.mark.parametrize("layout", ["detectron2", "milvlg"])
@pytest.mark.parametrize("form", ["numpy", "torch", "legacy torch"])
def test_files_of_other_programs(tmp_path: Path, blobs: Blobs, layout: str, form: str) -> None:
    tensors = to_port(blobs, layout)
    path = tmp_path / "weights.bin"
    if form == "numpy":
        path.write_bytes(pickle.dumps({"model": tensors, "__author__": "someone"}, protocol=2))
    else:
        torch = pytest.importorskip("torch")
        values = {"model": {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}}
        torch.save(values, path, _use_new_zipfile_serialization=form == "torch")
    expected = dict(blobs)
    if layout == "detectron2":
        # Twelve scores stand for the difference of two: the background's are zero.
        for index in "01":
            kept = expected[f"rpn_cls_score/{index}"].copy()
            kept[:12] = 0
            expected[f"rpn_cls_score/{index}"] = kept
    assert differing(load_weights(path).blobs, expected) == []


class Runs:
    def __reduce__(self) -> Any:
        return (print, ("run",))


def test_no_pickle_runs_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"model": Runs()}, protocol=2))
    with pytest.raises(WeightsError, match="not needed for weights"):
        load_weights(path)
    assert capsys.readouterr().out == ""


OTHER_FILES = [
    b"",
    b"<html>",
    b"PK\x03\x04 and nothing",
    b"\x80\x02",
    b"\x80\x02}.",
    b"\x12\x05ab",
    b"\x02\0\0\0\0\0\0\0{}",
    b"\x0a" + b"\xff" * 9 + b"\x7f",
]


@pytest.mark.parametrize("content", OTHER_FILES)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(WeightsError):
        load_weights(path)
    with pytest.raises(WeightsError, match="does not exist"):
        load_weights(tmp_path / "missing")


def test_other_networks_are_named(tmp_path: Path, blobs: Blobs) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"layer1.0.conv1.weight": np.zeros(3, np.float32)}, protocol=4))
    with pytest.raises(WeightsError, match="classifier of torchvision"):
        load_weights(path)
    fewer = {name: values for name, values in blobs.items() if not name.startswith("fc_attr")}
    with pytest.raises(WeightsError, match="2 missing: fc_attr/0"):
        load_weights(write_caffemodel(tmp_path / "b.caffemodel", fewer, legacy=False))
