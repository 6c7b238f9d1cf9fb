"""Exports as the code bases read them: each rule is restated from the code base, none of its lines are here."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_writer import Row, make_rows, write_store

from lxmert_data import StoreError, StoreWarning
from lxmert_data.export import export_store

REGIONS = 2054


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    folder = tmp_path / "vocab"
    folder.mkdir()
    (folder / "objects_vocab.txt").write_text("\n".join(f"thing {at},synonym" for at in range(1600)))
    return folder


def read_line(tsv: Path, offset: int) -> list[str]:
    """A row of a TSV as TSVFile reads it: text mode, one line from an offset, split at tabs, stripped."""
    with open(tsv) as file:
        file.seek(offset)
        return [field.strip() for field in file.readline().split("\t")]


def regions_of(row: Row) -> np.ndarray:
    size = np.array([row["img_w"], row["img_h"]], np.float32)
    corner, extent = row["boxes"][:, :2] / size, (row["boxes"][:, 2:] - row["boxes"][:, :2]) / size
    return np.concatenate([row["features"], corner, corner + extent, extent], axis=1)


def test_mmf_pads_features_and_stacks_scores(store_path: Path, rows: list[Row]) -> None:
    torch, lmdb = pytest.importorskip("torch"), pytest.importorskip("lmdb")
    export_store(store_path, store_path.parent / "x.lmdb", "mmf-lmdb")
    env = lmdb.open(str(store_path.parent / "x.lmdb"), readonly=True, lock=False)
    with env.begin() as txn:
        items = [pickle.loads(txn.get(key)) for key in pickle.loads(txn.get(b"keys"))]
    # Its sample list keeps arrays as a list, which its LXMERT makes a tensor of; None among them would be an error.
    scores = torch.tensor(np.stack([item["cls_prob"] for item in items]))[:, :36, None]
    assert scores.shape == (5, 36, 1, 1600) and scores.dtype == torch.float32
    best = scores.max(-1)
    for at, row in enumerate(rows):
        assert np.array_equal(best.indices[at].view(-1).numpy(), row["objects_id"])
        assert np.array_equal(best.values[at].view(-1).numpy(), row["objects_conf"])
    # Its program that writes features back to single files takes these keys for granted.
    taken = ("bbox", "num_boxes", "image_height", "image_width", "objects", "cls_prob", "features")
    assert all(name in item for item in items for name in taken)
    env.close()


def test_mmf_scores_of_a_store_without_classes(tmp_path: Path, rows: list[Row]) -> None:
    lmdb = pytest.importorskip("lmdb")
    store = write_store(tmp_path / "s.safetensors", rows, six=True)
    export_store(store, tmp_path / "x.lmdb", "mmf-lmdb")
    with lmdb.open(str(tmp_path / "x.lmdb"), readonly=True, lock=False) as env, env.begin() as txn:
        item = pickle.loads(txn.get(rows[0]["img_id"].encode()))
    assert item["cls_prob"].shape == (36, 1600) and not item["cls_prob"].any()


@pytest.mark.parametrize(
    ("mode", "path"),
    [
        ("number", "train2014/COCO_train2014_000000000003.npy"),
        ("number", "COCO_train2014_000000000003.npy"),
        ("number", "3.npy"),
        ("folder", "train2014/COCO_train2014_000000000003.npy"),
        ("name", "COCO_train2014_000000000003.npy"),
    ],
)
def test_mmf_finds_images_by_its_annotations(mode: str, path: str, store_path: Path, rows: list[Row]) -> None:
    lmdb = pytest.importorskip("lmdb")
    out = store_path.parent / "x.lmdb"
    export_store(store_path, out, "mmf-lmdb", ids=mode)
    with lmdb.open(str(out), readonly=True, lock=False) as env, env.begin() as txn:
        known = set(pickle.loads(txn.get(b"keys")))
        # The number behind the last underscore first, then the whole path without its ending.
        whole = path.split(".npy")[0]
        key = str(int(whole.split("_")[-1])).encode()
        item = pickle.loads(txn.get(key if key in known else whole.encode()))
    assert np.array_equal(item["features"], rows[3]["features"])


def volta_item(out: Path, image: Any) -> dict[str, Any]:
    import lmdb

    with lmdb.open(str(out), max_readers=1, readonly=True, lock=False) as env, env.begin(write=False) as txn:
        key = str(image).encode()
        assert key in pickle.loads(txn.get(b"keys"))
        item = pickle.loads(txn.get(key))
    features = np.frombuffer(base64.b64decode(item["features"]), np.float32).reshape(-1, 2048)
    boxes = np.frombuffer(base64.b64decode(item["boxes"]), np.float32).reshape(-1, 4)
    return {**item, "features": features, "boxes": boxes, "size": (int(item["img_h"]), int(item["img_w"]))}


def test_volta_reads_coco_by_number_from_both_splits(tmp_path: Path) -> None:
    pytest.importorskip("lmdb")
    train = make_rows(3, 1)
    val = make_rows(2, 2, [f"COCO_val2014_{at:012d}" for at in (391895, 42)])
    stores = [write_store(tmp_path / "t.safetensors", train), write_store(tmp_path / "v.safetensors", val)]
    result = export_store(stores, tmp_path / "trainval_feat.lmdb", "volta-lmdb")
    assert result.rows == 5
    for image, row in [(2, train[2]), (391895, val[0]), (42, val[1])]:
        item = volta_item(tmp_path / "trainval_feat.lmdb", image)
        assert np.array_equal(item["features"], row["features"]) and np.array_equal(item["boxes"], row["boxes"])
        assert item["size"] == (row["img_h"], row["img_w"])
        assert np.array_equal(np.frombuffer(base64.b64decode(item["objects_id"]), np.int64), row["objects_id"])
    marker = json.loads((tmp_path / "trainval_feat.lmdb" / "lxmert-data-export.json").read_text())
    assert [store["rows"] for store in marker["stores"]] == ["3", "2"]


def test_volta_reads_nlvr2_by_name(tmp_path: Path) -> None:
    pytest.importorskip("lmdb")
    rows = make_rows(2, ids=["train-10171-0-img0", "train-10171-0-img1"])
    store = write_store(tmp_path / "s.safetensors", rows)
    export_store(store, tmp_path / "x.lmdb", "volta-lmdb")
    item = volta_item(tmp_path / "x.lmdb", "train-10171-0-img1")
    assert np.array_equal(item["features"], rows[1]["features"])


@pytest.mark.parametrize("mode", [None, "number"])
def test_oscar_vqa_seeks_by_the_offset_map(mode: Any, store_path: Path, rows: list[Row]) -> None:
    out = store_path.parent / "train_img_frcnn_feats.tsv"
    export_store(store_path, out, "oscar-vqa", ids=mode)
    offsets = json.loads((store_path.parent / "train_img_frcnn_feats_offset_map.json").read_text())
    for at, row in enumerate(rows):
        fields = read_line(out, offsets[str(at)])
        assert fields[0] == (row["img_id"] if mode is None else str(at)) and int(fields[1]) == 36
        regions = np.frombuffer(base64.b64decode(fields[2]), np.float32).reshape(-1, REGIONS)
        assert np.array_equal(regions, regions_of(row))
        if mode is None:
            assert offsets[row["img_id"]] == offsets[str(at)]


@pytest.mark.parametrize(("name", "size"), [("oscar-pt", REGIONS), ("oscar-pt-2048", 2048)])
def test_oscar_loads_a_dict_of_tensors(name: str, size: int, store_path: Path, rows: list[Row]) -> None:
    torch = pytest.importorskip("torch", minversion="2.1")
    out = store_path.parent / "gqa_img_frcnn_feats.pt"
    export_store(store_path, out, name)
    features = torch.load(out)
    for at, row in enumerate(rows):
        for key in (row["img_id"], str(at), at):
            assert features[key].shape == (36, size)
            assert np.array_equal(features[key].numpy(), regions_of(row)[:, :size])
        # As it pads them.
        assert torch.cat((features[at], torch.zeros(14, size)), 0).shape == (50, size)
    assert out.stat().st_size < 5 * 36 * size * 4 + 100_000
    assert sorted(path.name for path in store_path.parent.iterdir()) == [out.name, store_path.name]


@pytest.mark.parametrize("name", ["oscar", "vinvl"])
def test_oscar_reads_object_tags(name: str, store_path: Path, rows: list[Row], vocabulary: Path) -> None:
    out = store_path.parent / "x"
    export_store(store_path, out, name, vocab=vocabulary)
    for table, of_retrieval in (("label", False), ("predictions", True)):
        offsets = [int(line) for line in (out / f"{table}.lineidx").read_text().splitlines()]
        assert len(offsets) == len(rows)
        for at, row in enumerate(rows):
            key, text = read_line(out / f"{table}.tsv", offsets[at])
            found = json.loads(text)
            if of_retrieval:
                # Retrieval takes the key for a number, and sizes from beside the objects.
                assert int(key) == at and (found["image_h"], found["image_w"]) == (row["img_h"], row["img_w"])
                found = found["objects"]
            else:
                # Captioning takes the img_ids of the features, and a list.
                assert key == row["img_id"]
            assert " ".join(one["class"] for one in found) == " ".join(f"thing {at}" for at in row["objects_id"])
            assert np.array_equal(np.array([one["rect"] for one in found], np.float32), row["boxes"])
            assert np.array_equal(np.array([one["conf"] for one in found], np.float32), row["objects_conf"])


def test_tags_need_a_vocabulary_of_this_detector(store_path: Path, vocabulary: Path) -> None:
    warnings: list[StoreWarning] = []
    export_store(store_path, store_path.parent / "x", "oscar", on_warning=warnings.append)
    assert [warning.code for warning in warnings] == ["no_vocabulary"]
    assert not (store_path.parent / "x" / "label.tsv").exists()
    (vocabulary / "objects_vocab.txt").write_text("dog\ncat\n")
    with pytest.raises(StoreError, match="not the vocabulary of the 36-box detector") as caught:
        export_store(store_path, store_path.parent / "y", "oscar", vocab=vocabulary)
    assert "2 lines" in str(caught.value)
    with pytest.raises(StoreError, match="the vocabulary is not there"):
        export_store(store_path, store_path.parent / "y", "oscar", vocab=store_path.parent)
    with pytest.raises(StoreError, match="npz has no names of classes"):
        export_store(store_path, store_path.parent / "y", "npz", vocab=vocabulary)


def test_captioning_reads_three_folders(store_path: Path, rows: list[Row]) -> None:
    out = store_path.parent / "bu"
    export_store(store_path, out, "cocobu")
    for at, row in enumerate(rows):
        with np.load(out / "cocobu_att" / f"{at}.npz") as file:
            assert np.array_equal(file["feat"], row["features"]) and file["feat"].dtype == np.float32
        mean = np.load(out / "cocobu_fc" / f"{at}.npy")
        assert mean.shape == (2048,) and np.array_equal(mean, row["features"].mean(0))
        boxes = np.load(out / "cocobu_box" / f"{at}.npy")
        x1, y1, x2, y2 = np.hsplit(boxes, 4)
        area = (x2 - x1) * (y2 - y1) / (row["img_w"] * row["img_h"])
        assert np.array_equal(boxes, row["boxes"]) and area.min() > 0 and area.max() <= 1


def test_meshed_memory_reads_by_number(store_path: Path, rows: list[Row]) -> None:
    h5py = pytest.importorskip("h5py")
    out = store_path.parent / "coco_detections.hdf5"
    export_store(store_path, out, "meshed-memory")
    for at, row in enumerate(rows):
        number = int(f"{row['img_id']}.jpg".split("_")[-1].split(".")[0])
        with h5py.File(out, "r") as file:
            features = file[f"{number}_features"][()]
            order = np.argsort(np.max(file[f"{number}_cls_prob"][()], -1))[::-1]
            assert np.array_equal(file[f"{number}_boxes"][()], row["boxes"])
        assert number == at and np.array_equal(features, row["features"])
        assert np.array_equal(order, np.argsort(row["objects_conf"])[::-1])


def test_openvqa_of_gqa_asks_for_height_and_width(store_path: Path, rows: list[Row]) -> None:
    export_store(store_path, store_path.parent / "frcn", "npz")
    for row in rows:
        found = np.load(store_path.parent / "frcn" / f"{row['img_id']}.npz")
        scaled = np.zeros((36, 4), np.float32)
        for column, size in enumerate((found["width"], found["height"]) * 2):
            scaled[:, column] = found["bbox"][:, column] / float(size)
        size = np.array([row["img_w"], row["img_h"]] * 2, np.float32)
        assert np.allclose(scaled, row["boxes"] / size, atol=1e-7)
        padded = np.pad(found["x"], ((0, 100 - 36), (0, 0)), mode="constant", constant_values=0)
        assert np.array_equal(padded[:36], row["features"])


def test_groups_with_slashes_in_their_names(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    rows = make_rows(3, ids=["train/e1", "train/00", "dev/e1"])
    store = write_store(tmp_path / "s.safetensors", rows)
    export_store(store, tmp_path / "x.h5", "hdf5-groups")
    with h5py.File(tmp_path / "x.h5") as file:
        for row in rows:
            assert np.array_equal(file[f"{row['img_id']}/features"][()], row["features"])


@pytest.mark.parametrize("name", ["hdf5-flat", "hdf5-pos-boxes"])
def test_indexes_by_name_or_number(name: str, store_path: Path, rows: list[Row]) -> None:
    pytest.importorskip("h5py")
    by_name = {row["img_id"]: at for at, row in enumerate(rows)}
    for mode, want in (("name", by_name), ("number", {at: at for at in range(5)})):
        export_store(store_path, store_path.parent / f"{mode}.h5", name, ids=mode)
        assert pickle.loads((store_path.parent / f"{mode}_imgid2idx.pkl").read_bytes()) == want


def test_stores_that_do_not_go_together(tmp_path: Path) -> None:
    one = write_store(tmp_path / "1.safetensors", make_rows(2))
    six = write_store(tmp_path / "2.safetensors", make_rows(2, ids=["a", "b"]), six=True)
    same = write_store(tmp_path / "3.safetensors", make_rows(1, ids=["COCO_val2014_000000000001"]))
    with pytest.raises(StoreError, match="with and without object classes"):
        export_store([one, six], tmp_path / "x", "npy")
    with pytest.raises(StoreError, match="the same name in the export") as caught:
        export_store([one, same], tmp_path / "x", "npz", ids="number")
    assert "'1' for 'COCO_train2014_000000000001' and 'COCO_val2014_000000000001'" in str(caught.value)
    with pytest.raises(StoreError, match="the same name in the export"):
        export_store([one, one], tmp_path / "x", "npy")
    other = write_store(tmp_path / "4.safetensors", make_rows(1, ids=["a"]), weights="f" * 64)
    warnings: list[StoreWarning] = []
    export_store([one, other], tmp_path / "x", "npy", on_warning=warnings.append)
    assert [warning.code for warning in warnings] == ["mixed_detectors"]
    assert np.load(tmp_path / "x" / "img_id.npy").tolist()[-1] == "a"


def test_a_way_to_name_images_that_a_format_does_not_have(store_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot name images by folder"):
        export_store(store_path, store_path.parent / "x", "npz", ids="folder")
    with pytest.raises(StoreError, match="cannot name images by name"):
        export_store(store_path, store_path.parent / "x", "cocobu", ids="name")


@pytest.mark.parametrize("pair", [("\u00c9", "E\u0301"), ("stra\u00dfe", "STRASSE"), ("a", "A")])
def test_files_that_would_meet(pair: tuple[str, str], tmp_path: Path) -> None:
    assert pair[0] != pair[1]
    store = write_store(tmp_path / "s.safetensors", make_rows(2, ids=list(pair)))
    with pytest.raises(StoreError, match="the same file on some disks"):
        export_store(store, tmp_path / "x", "npz")
    assert [path.name for path in tmp_path.iterdir()] == ["s.safetensors"]
