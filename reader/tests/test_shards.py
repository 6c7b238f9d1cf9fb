"""Shards for object storage, read back with webdataset and mosaicml-streaming themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_writer import Row, make_rows, write_store

from lxmert_data import StoreError
from lxmert_data.export import export_store

COLUMNS = ("boxes", "objects_id", "objects_conf", "attrs_id", "attrs_conf")
# Three images in each.
SHARD_BYTES = 1_000_000


def rounded(row: Row, dtype: str) -> np.ndarray:
    features: np.ndarray = row["features"].astype(np.float16 if dtype == "f16" else np.float32)
    return features


@pytest.fixture
def seven(tmp_path: Path) -> tuple[Path, list[Row]]:
    rows = make_rows(7)
    return write_store(tmp_path / "s.safetensors", rows), rows


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_webdataset_reads_its_shards(dtype: str, seven: tuple[Path, list[Row]]) -> None:
    webdataset = pytest.importorskip("webdataset")
    store, rows = seven
    out = store.parent / "x"
    export_store(store, out, "webdataset", dtype=dtype, shard_bytes=SHARD_BYTES)
    shards = sorted(out.glob("*.tar"))
    assert all(shard.stat().st_size <= SHARD_BYTES for shard in shards)
    index = json.loads((out / "index.json").read_text())
    assert [shard["url"] for shard in index["shardlist"]] == [shard.name for shard in shards]
    assert [shard["filesize"] for shard in index["shardlist"]] == [shard.stat().st_size for shard in shards]
    assert sum(shard["nsamples"] for shard in index["shardlist"]) == 7 and len(shards) > 1
    found: list[dict[str, Any]] = list(
        webdataset.WebDataset([str(shard) for shard in shards], shardshuffle=False).decode()
    )
    assert [sample["__key__"] for sample in found] == [row["img_id"] for row in rows]
    for sample, row in zip(found, rows):
        assert np.array_equal(sample["features.npy"], rounded(row, dtype))
        assert sample["features.npy"].dtype == rounded(row, dtype).dtype
        for name in COLUMNS:
            assert np.array_equal(sample[f"{name}.npy"], row[name])
        size = {"img_h": row["img_h"], "img_w": row["img_w"]}
        assert sample["json"] == {"img_id": row["img_id"], "num_boxes": 36, **size}


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_streaming_reads_its_shards(dtype: str, seven: tuple[Path, list[Row]]) -> None:
    streaming = pytest.importorskip("streaming")
    store, rows = seven
    out = store.parent / "x"
    export_store(store, out, "mds", dtype=dtype, shard_bytes=SHARD_BYTES)
    shards = sorted(out.glob("*.mds"))
    assert all(shard.stat().st_size <= SHARD_BYTES for shard in shards) and len(shards) > 1
    dataset = streaming.LocalDataset(str(out))
    assert len(dataset) == 7
    for at, row in enumerate(rows):
        sample = dataset[at]
        assert (sample["img_id"], sample["img_h"], sample["img_w"]) == (row["img_id"], row["img_h"], row["img_w"])
        assert np.array_equal(sample["features"], rounded(row, dtype))
        for name in COLUMNS:
            assert np.array_equal(sample[name], row[name]) and sample[name].dtype == row[name].dtype
    # As it streams from elsewhere, shard by shard.
    cache = store.parent / "cache"
    stream = streaming.StreamingDataset(remote=str(out), local=str(cache), shuffle=False, batch_size=1)
    assert [sample["img_id"] for sample in stream] == [row["img_id"] for row in rows]


@pytest.mark.parametrize("name", ["webdataset", "mds"])
def test_an_image_larger_than_a_shard_has_one_of_its_own(name: str, seven: tuple[Path, list[Row]]) -> None:
    store, _ = seven
    export_store(store, store.parent / "x", name, shard_bytes=1)
    assert len(list((store.parent / "x").glob("shard*"))) == 7


@pytest.mark.parametrize("name", ["webdataset", "mds"])
def test_the_same_store_gives_the_same_bytes(name: str, seven: tuple[Path, list[Row]]) -> None:
    store, _ = seven
    for folder in ("x", "y"):
        export_store(store, store.parent / folder, name, shard_bytes=SHARD_BYTES)
    for path in (store.parent / "x").iterdir():
        assert path.read_bytes() == (store.parent / "y" / path.name).read_bytes()


def test_shards_that_cannot_be(seven: tuple[Path, list[Row]]) -> None:
    store, _ = seven
    with pytest.raises(StoreError, match="a shard of MDS is too large"):
        export_store(store, store.parent / "x", "mds", shard_bytes=1 << 32)
    with pytest.raises(StoreError, match="a shard cannot be so small"):
        export_store(store, store.parent / "x", "mds", shard_bytes=0)


def test_folders_in_img_ids(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    rows = make_rows(2, ids=["train/e1", "train/00"])
    store = write_store(tmp_path / "s.safetensors", rows)
    export_store(store, tmp_path / "x", "webdataset")
    found = list(webdataset.WebDataset(str(tmp_path / "x" / "shard-000000.tar"), shardshuffle=False).decode())
    assert [sample["json"]["img_id"] for sample in found] == ["train/e1", "train/00"]
