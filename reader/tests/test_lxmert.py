"""load_obj_tsv gives what LXMERT's own loader gives, and can be used the way LXMERT uses it."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_writer import SIX_COLUMNS, TEN_COLUMNS, Row, make_rows, read_tsv, write_store, write_tsv

from lxmert_data import StoreError, StoreWarning, load_obj_tsv


def assert_equal_items(got: Any, want: Row) -> None:
    assert list(got) == TEN_COLUMNS == list(want)
    for key in TEN_COLUMNS:
        assert type(got[key]) is type(want[key])
        if isinstance(want[key], np.ndarray):
            assert (got[key].dtype, got[key].shape) == (want[key].dtype, want[key].shape)
            assert got[key].tobytes() == want[key].tobytes()
            assert not got[key].flags.writeable
        else:
            assert got[key] == want[key]


def test_real_rows_equal_those_of_the_tsv(real_tsv: Path, tmp_path: Path) -> None:
    want = read_tsv(real_tsv)
    tsv = tmp_path / "train2014_obj36.tsv"
    write_store(tmp_path / "train2014_obj36.safetensors", want)
    got = load_obj_tsv(str(tsv))  # the TSV itself is not needed
    assert len(got) == len(want) == 6
    for got_item, want_item in zip(got, want):
        assert_equal_items(got_item, want_item)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_half_precision_items_are_float32(dtype: str, tmp_path: Path, rows: list[Row]) -> None:
    for item, row in zip(load_obj_tsv(write_store(tmp_path / "s.safetensors", rows, dtype)), rows):
        features = item["features"]
        assert (features.dtype, features.shape, features.flags.writeable) == (np.float32, (36, 2048), False)
        np.testing.assert_allclose(features, row["features"], rtol=2**-11 if dtype == "f16" else 2**-8, atol=6e-8)


@pytest.mark.parametrize("topk", [None, -1, 0, 1, 3, 5, 6, -7])
def test_topk_is_that_of_lxmert(topk: int | None, tmp_path: Path, rows: list[Row]) -> None:
    want = read_tsv(write_tsv(tmp_path / "s.tsv", rows), topk)
    store = write_store(tmp_path / "s.safetensors", rows)
    assert [item["img_id"] for item in load_obj_tsv(store, topk)] == [row["img_id"] for row in want]
    assert len(load_obj_tsv(store, topk=topk)) == len(want)


def test_the_ways_lxmert_uses_it(store_path: Path, rows: list[Row]) -> None:
    img_data: list[Any] = []
    img_data.extend(load_obj_tsv(str(store_path), topk=3))
    img_data.extend(load_obj_tsv(store_path, -1))
    assert len(img_data) == 8
    by_id = {}
    for datum in img_data:
        by_id[datum["img_id"]] = datum
    assert list(by_id) == [row["img_id"] for row in rows]
    for row in rows:
        info = by_id[row["img_id"]]
        feats, boxes = info["features"].copy(), info["boxes"].copy()
        assert info["num_boxes"] == len(boxes) == len(feats)
        boxes[:, (0, 2)] /= info["img_w"]
        boxes[:, (1, 3)] /= info["img_h"]
        np.testing.assert_array_less(boxes, 1 + 1e-5)
        np.testing.assert_array_less(-boxes, 0 + 1e-5)
        feats[0] = 7  # the copy is the caller's own
        assert np.array_equal(info["features"], row["features"])
        assert np.array_equal(info["features"][35], row["features"][35])


def test_features_are_views_of_the_file(store_path: Path) -> None:
    data = load_obj_tsv(store_path)
    assert np.shares_memory(data[1]["features"], data.store.features)
    assert np.shares_memory(data[1]["boxes"], data.store.boxes)


def test_items_are_small(tmp_path: Path) -> None:
    item = load_obj_tsv(write_store(tmp_path / "s.safetensors", make_rows(2)))[1]
    _ = item["features"], item["boxes"], dict(item)
    assert sys.getsizeof(item) <= 300  # Python 3.9 gives each dict a table at once; later versions take 80
    assert len(pickle.dumps([item] * 2)) < 1000


def test_list_behaviour(store_path: Path, rows: list[Row]) -> None:
    data = load_obj_tsv(store_path)
    ids = [row["img_id"] for row in rows]
    assert [item["img_id"] for item in data[1:4]] == ids[1:4]
    assert [item["img_id"] for item in data[::-2]] == ids[::-2]
    assert data[1:][-1]["img_id"] == ids[-1]
    assert [item["img_id"] for item in reversed(data)] == ids[::-1]
    assert [item["img_id"] for item in [*data[:1], *data[4:]]] == [ids[0], ids[4]]
    assert [item["img_id"] for item in data[:2] + data[3:4]] == [ids[0], ids[1], ids[3]]
    assert ([{"img_id": "x"}] + data[:1])[1]["img_id"] == ids[0]  # noqa: RUF005
    with pytest.raises(IndexError):
        _ = data[5]
    assert len(pickle.loads(pickle.dumps(data[2:]))) == 3


def test_dict_behaviour_unchanged(store_path: Path, rows: list[Row]) -> None:
    data = load_obj_tsv(store_path)
    item = data[2]
    assert isinstance(item, dict)
    assert len(item) == 10
    assert "features" in item
    assert "x" not in item
    assert item.get("img_h") == rows[2]["img_h"]
    assert item.get("x", 4) == 4
    with pytest.raises(KeyError):
        _ = item["x"]
    assert list(item.keys()) == TEN_COLUMNS == list(reversed(list(reversed(item))))
    for make in (dict, copy.copy, copy.deepcopy, lambda datum: {**datum}, lambda datum: datum.copy()):
        assert_equal_items(make(item), rows[2])
    assert_equal_items(dict(item.items()), rows[2])
    assert_equal_items(dict(zip(item.keys(), item.values())), rows[2])
    assert_equal_items(item | {}, rows[2])
    assert_equal_items({} | item, rows[2])
    assert_equal_items(pickle.loads(pickle.dumps(item)), rows[2])
    assert repr(item).startswith("{'img_id': 'COCO_train2014_000000000002', 'img_h': ")


def test_dict_behaviour_changed(store_path: Path, rows: list[Row]) -> None:
    def fresh() -> Any:
        return load_obj_tsv(store_path)[2]

    item = fresh()
    item["boxes"] = "mine"
    item["extra"] = 1
    assert (item["boxes"], list(item)) == ("mine", [*TEN_COLUMNS, "extra"])
    assert np.array_equal(item["features"], rows[2]["features"])
    again = pickle.loads(pickle.dumps(item))
    assert (again["extra"], list(again)) == (1, list(item))
    item = fresh()
    del item["features"]
    assert "features" not in item
    assert len(item) == 9
    with pytest.raises(KeyError):
        _ = item["features"]
    item = fresh()
    assert item.pop("img_h") == rows[2]["img_h"]
    assert item.pop("img_h", None) is None
    assert item.setdefault("img_w", 0) == rows[2]["img_w"]
    assert item.setdefault("new", 3) == 3
    item.update(img_w=5)
    item |= {"img_id": "other"}
    assert (item["img_w"], item["img_id"], item["new"]) == (5, "other", 3)
    assert item.popitem() == ("new", 3)
    item.clear()
    assert (len(item), list(item), dict(item)) == (0, [], {})


def test_six_column_store(tmp_path: Path, rows: list[Row]) -> None:
    item = load_obj_tsv(write_store(tmp_path / "s.safetensors", rows, six=True))[3]
    assert sorted(item) == sorted({*SIX_COLUMNS, "img_id", "img_h", "img_w"} - {"image_id", "image_h", "image_w"})
    assert np.array_equal(item["boxes"], rows[3]["boxes"])
    with pytest.raises(KeyError):
        _ = item["objects_id"]


def test_missing_store_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        load_obj_tsv(f"{tmp_path}/val2014_obj36.tsv")
    assert str(caught.value) == (
        f"{tmp_path}/val2014_obj36.tsv: there is no store to load\n"
        f"  expected: {tmp_path}/val2014_obj36.safetensors\n"
        "  got:      no such file\n"
        f"  what to do: make it: lxmert-data convert {tmp_path}/val2014_obj36.tsv"
    )


def test_a_tsv_that_is_not_the_stores_source_warns(tmp_path: Path, rows: list[Row]) -> None:
    tsv = write_tsv(tmp_path / "s.tsv", rows)
    write_store(tmp_path / "s.safetensors", rows)
    with pytest.warns(StoreWarning) as caught:
        load_obj_tsv(tsv)
    assert str(caught[0].message) == (
        f"{tmp_path}/s.safetensors was made from a TSV of {395182 * 5} bytes, but {tsv} has "
        f"{tsv.stat().st_size}; convert it again if it is newer"
    )
    assert caught[0].filename == __file__


def test_equality(tmp_path: Path) -> None:
    first, second = load_obj_tsv(write_store(tmp_path / "s.safetensors", make_rows(2)))
    for item in (first, second):
        for key in TEN_COLUMNS[3:]:
            del item[key]
    assert first != second
    assert first == {key: first[key] for key in TEN_COLUMNS[:3]}
    lazy = load_obj_tsv(tmp_path / "s.safetensors")[0]
    assert lazy != first
    assert lazy != 1
