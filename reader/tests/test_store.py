from __future__ import annotations

import hashlib
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from store_writer import (
    TEN_COLUMNS,
    Row,
    encode_header,
    make_header,
    make_metadata,
    make_rows,
    make_tensors,
    read_tsv,
    to_bfloat16,
    write_store,
    write_tensors,
)

from lxmert_data import AmbiguousRowError, FeatureStore, StoreError, StoreWarning, UnknownImageError

COLUMNS = ["features", "boxes", "objects_id", "objects_conf", "attrs_id", "attrs_conf"]


def test_golden_bytes(tmp_path: Path) -> None:
    """One store whose every byte is fixed by a formula: the test's writer and the reader agree on it for good."""
    ramp = np.arange(2 * 36 * 2048, dtype="<u4").reshape(2, 36, 2048)
    rows = [
        {
            "img_id": img_id,
            "img_h": 480 + index,
            "img_w": 640 + index,
            "objects_id": np.arange(36, dtype="<i8") + index,
            "objects_conf": (np.arange(36) / 64).astype("<f4"),
            "attrs_id": np.arange(36, dtype="<i8") * 2 + index,
            "attrs_conf": (np.arange(36) / 128).astype("<f4"),
            "num_boxes": 36,
            "boxes": (np.arange(36)[:, None] + [0, 1, 2, 3.5]).astype("<f4"),
            "features": (ramp[index] % 1024 / 16).astype("<f4"),
        }
        for index, img_id in enumerate(["a", "bc"])
    ]
    tensors = make_tensors(rows)
    path = write_tensors(tmp_path / "golden.safetensors", tensors, make_metadata(tensors))
    data = path.read_bytes()
    assert data[:8] == (32760).to_bytes(8, "little")
    assert data[8:52] == b'{"__metadata__":{"format":"lxmert-data/obj36'
    assert data[32768 : 32768 + 12].hex() == "000000000000803d0000003e"  # 0, 1/16, 2/16
    assert data[-4:] == b"a\0bc"
    assert [f"{value:08x}" for value in tensors["crc32"]] == GOLDEN_ROW_CHECKSUMS
    assert hashlib.sha256(data).hexdigest() == GOLDEN_SHA256
    with FeatureStore(path) as store:
        assert store.verify().ok
        assert store["bc"].features[35, 2047] == 63.9375
        assert store["bc"].boxes[1].tolist() == [1, 2, 3, 4.5]
        assert list(store.ids) == ["a", "bc"]


GOLDEN_ROW_CHECKSUMS = ["1b4ff15d", "68c6d01c"]
GOLDEN_SHA256 = "39657144d61adec473fcb81d08a5e9b63abe90107edf6ebed7f024be11032210"


def test_rows_by_number_and_by_id(store_path: Path, rows: list[Row]) -> None:
    with FeatureStore(store_path) as store:
        assert len(store) == 5
        for index, (want, row) in enumerate(zip(rows, store)):
            for found in (row, store[index], store[want["img_id"]], store[index - 5], store[np.int64(index)]):
                assert found.index == index
                for key in TEN_COLUMNS:
                    got = getattr(found, key)
                    assert np.array_equal(got, want[key])
                    if isinstance(got, np.ndarray):
                        assert (got.dtype, got.shape) == (want[key].dtype, want[key].shape)
                    else:
                        assert type(got) is type(want[key])


def test_real_rows_come_back_bit_for_bit(real_tsv: Path, tmp_path: Path) -> None:
    real = read_tsv(real_tsv)
    assert len(real) == 6
    with FeatureStore(write_store(tmp_path / "real.safetensors", real)) as store:
        assert store.verify().ok
        for want in real:
            for key in TEN_COLUMNS:
                got = getattr(store[want["img_id"]], key)
                assert got.tobytes() == want[key].tobytes() if isinstance(got, np.ndarray) else got == want[key]


def test_whole_columns_are_views_of_the_file(store_path: Path, rows: list[Row]) -> None:
    with FeatureStore(store_path) as store:
        for name in COLUMNS:
            column = getattr(store, name)
            assert np.array_equal(column, np.stack([row[name] for row in rows]))
            assert not column.flags.owndata
            assert np.shares_memory(column, getattr(store[3], name))
        assert store.image_size.tolist() == [[row["img_h"], row["img_w"]] for row in rows]


def test_views_cannot_be_written(store_path: Path) -> None:
    before = store_path.read_bytes()
    with FeatureStore(store_path) as store:
        views = [store.features, store.boxes, store.image_size, store.raw("crc32"), store[0].features, store[0].boxes]
        for view in views:
            with pytest.raises(ValueError):
                view[...] = 1
            with pytest.raises(ValueError):
                view.setflags(write=True)
    assert store_path.read_bytes() == before


def test_features_begin_on_large_pages_of_the_file(store_path: Path) -> None:
    with FeatureStore(store_path) as store:
        assert store.features.ctypes.data % 4096 == 0


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_half_precision(dtype: str, tmp_path: Path, rows: list[Row]) -> None:
    with FeatureStore(write_store(tmp_path / "half.safetensors", rows, dtype)) as store:
        stored = np.stack([row["features"] for row in rows])
        if dtype == "f16":
            want = stored.astype("<f2").astype("<f4")
            assert store[1].features.dtype == np.float16
            assert np.shares_memory(store[1].features, store.features)
        else:
            want = (to_bfloat16(stored).astype("<u4") << 16).view("<f4")
            assert store[1].features.dtype == np.float32
            with pytest.raises(StoreError, match="NumPy has no dtype for the features of this store"):
                _ = store.features
            assert store.raw("features").dtype == np.uint16
        assert np.array_equal(store[1].features.astype("<f4"), want[1])
        assert store.batch([4, 1, 0])["features"].tobytes() == want[[4, 1, 0]].tobytes()
        assert store.verify().ok


def test_every_half_is_widened_exactly(tmp_path: Path) -> None:
    """All 65,536 bit patterns, also those a store should not hold: negative, subnormal, infinite, not a number."""
    tensors = make_tensors(make_rows(3), "f16")
    patterns = np.arange(65536, dtype="<u2")
    finite = np.resize(patterns[:0x7C00], 36 * 2048)
    everything = np.resize(patterns, 36 * 2048)
    for index, bits in enumerate([finite, everything, finite[::-1]]):
        tensors["features"][index] = bits.view("<f2").reshape(36, 2048)
    path = write_tensors(tmp_path / "halves.safetensors", tensors, make_metadata(tensors, "f16"))
    with FeatureStore(path) as store:
        got = store.batch([0, 1, 2])["features"]
        assert np.array_equal(got, tensors["features"].astype("<f4"), equal_nan=True)


def test_six_column_store(tmp_path: Path, rows: list[Row]) -> None:
    with FeatureStore(write_store(tmp_path / "six.safetensors", rows, six=True)) as store:
        assert not store.has_objects
        assert np.array_equal(store[2].boxes, rows[2]["boxes"])
        assert sorted(store.batch([0])) == ["boxes", "features", "image_size"]
        assert store.verify().ok
        with pytest.raises(StoreError) as caught:
            _ = store[2].objects_id
        assert caught.value.what == "the store has no objects_id"
        assert caught.value.hint == "the six-column rows it was made of have none"


def test_ids(tmp_path: Path) -> None:
    names = ["b", "a", "日本語-7", "a.b", "A", "ab", "ünïcode", "n161313", "x" * 255]
    with FeatureStore(write_store(tmp_path / "ids.safetensors", make_rows(len(names), ids=names))) as store:
        assert list(store.ids) == names
        assert (store.ids[2], store.ids[-1], store.ids[1:3]) == (names[2], names[-1], names[1:3])
        assert store.row_numbers(names[::-1]).tolist() == list(range(len(names)))[::-1]
        assert store.row_numbers(np.array(["ab", "a", "ab"])).tolist() == [5, 1, 5]
        for index, name in enumerate(names):
            assert name in store
            assert store.index(name) == index
        for absent in ["", "c", "a\0", "\0", "日本語", "日本語-77", "x" * 254, "x" * 256, "\ud800", "a "]:
            assert absent not in store
            with pytest.raises(UnknownImageError):
                store.index(absent)
        for other in (1, None, b"a"):
            assert other not in store


def test_unknown_id_is_a_key_error_with_a_clear_message(store_path: Path) -> None:
    with FeatureStore(store_path) as store, pytest.raises(KeyError) as caught:
        store.row_numbers(["COCO_train2014_000000000000", "nope", "no"])
    assert str(caught.value) == (
        f"{store_path}: no such image in the store\n"
        "  expected: one of its 5 img_ids\n"
        "  got:      'nope' and 1 more\n"
        "  what to do: check that this is the store of the right split"
    )


def test_an_id_that_is_there_twice_is_refused_on_lookup_and_by_verify(tmp_path: Path) -> None:
    path = write_store(tmp_path / "twice.safetensors", make_rows(3, ids=["a", "b", "a"]))
    with FeatureStore(path) as store:
        with pytest.raises(StoreError, match="an img_id is there twice"):
            store.index("b")
        assert store.verify().problems == ("row 2: the img_id b'a' is that of row 0 too",)


def test_untrained_weights_warn_on_opening(tmp_path: Path) -> None:
    path = write_store(tmp_path / "toy.safetensors", make_rows(1), weights="untrained")
    with pytest.warns(StoreWarning) as caught:
        FeatureStore(path)
    assert str(caught[0].message) == (
        f"{path}: these features come from an untrained detector; they are for trying things out, not for training"
    )
    assert caught[0].filename == __file__


def test_other_weights_do_not_warn(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for weights in ("unknown", "ab" * 32):
            FeatureStore(write_store(tmp_path / "s.safetensors", make_rows(1), weights=weights)).close()


def test_metadata_is_parsed(store_path: Path) -> None:
    with FeatureStore(store_path) as store:
        assert store.metadata["columns"] == TEN_COLUMNS
        assert store.metadata["sources"][0]["rows"] == 5
        with pytest.raises(TypeError):
            store.metadata["tool"] = "x"  # type: ignore[index]


def test_wrong_items_are_refused(store_path: Path) -> None:
    with FeatureStore(store_path) as store:
        for index in (5, -6):
            with pytest.raises(IndexError):
                _ = store[index]
        for items in ([5], [0, -1]):
            with pytest.raises(IndexError, match=f"row {items[-1]} is outside 0 to 4"):
                store.batch(items)
        for items in ([0.5], [True], [[0]], [None]):
            with pytest.raises(TypeError):
                store.batch(items)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            store.batch([store.ids[0], 1])  # type: ignore[list-item]
        with pytest.raises(TypeError, match="an img_id is a str, got 1"):
            store.index(1)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            _ = store[1:3]  # type: ignore[index]


def test_closed_store(store_path: Path, rows: list[Row]) -> None:
    store = FeatureStore(store_path)
    view = store[1].features
    store.close()
    store.close()
    assert np.array_equal(view, rows[1]["features"])
    assert repr(store) == f"FeatureStore({str(store_path)!r}, closed)"
    for use in (lambda: len(store), lambda: store[0], lambda: store.batch([0]), store.verify, store.__enter__):
        with pytest.raises(StoreError, match="the store is closed"):
            use()


# In a process of its own, whose peak of memory is not that of other tests.
OPEN_AND_LOOK = """
import resource, sys
import lxmert_data
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
with lxmert_data.FeatureStore(sys.argv[1]) as store:
    assert store.index(store.ids[len(store) - 1]) == len(store) - 1
    assert store[len(store) // 2].features.sum() == 0
    print(len(store), peak() - before)
"""


def test_opening_maps_and_does_not_read(tmp_path: Path) -> None:
    """A sparse store of 10 GB: opening, looking up an id and reading a row take less than 30 MB."""
    rows = 33_000
    tensors = make_tensors(make_rows(1))
    whole = {name: np.broadcast_to(array, (rows, *array.shape[1:])) for name, array in tensors.items()}
    width = tensors["img_id"].shape[1]
    header = encode_header(make_header(whole, {**make_metadata(tensors), "rows": str(rows)}))
    path = tmp_path / "sparse.safetensors"
    size = len(header) + sum(array.nbytes for array in whole.values())
    assert size > 9.7e9
    with open(path, "wb") as file:
        file.write(header)
        file.seek(size - rows * width)
        file.writelines(b"%0*d" % (width, index) for index in range(rows))
    done = subprocess.run([sys.executable, "-c", OPEN_AND_LOOK, path], capture_output=True, text=True, check=True)
    count, more_kib = map(int, done.stdout.split())
    assert count == rows
    assert more_kib < 30_000


def test_numbers_and_numeric_ids_are_not_confused(tmp_path: Path) -> None:
    rows = make_rows(3, ids=["7", "132417", "2"])
    store = FeatureStore(write_store(tmp_path / "s.safetensors", rows))
    assert store["2"].img_id == "2"
    assert store[0].img_id == "7"
    # Row 2 has the id "2", so both mean the same.
    assert store[2].img_id == "2"
    swapped = FeatureStore(write_store(tmp_path / "t.safetensors", make_rows(3, ids=["2", "1", "0"])))
    with pytest.raises(AmbiguousRowError, match='store\\["2"\\] for the img_id \\(row 0\\)') as error:
        swapped[2]
    assert isinstance(error.value, LookupError)
    assert swapped.row_at(2).img_id == "0"
    assert swapped.row_at(-3).img_id == "2"
    assert swapped[1].img_id == "1"
    with pytest.raises(AmbiguousRowError):
        store[132417]
    with pytest.raises(IndexError, match="row 5 is outside 0 to 2; an img_id is a str"):
        store[5]
    assert [row.img_id for row in swapped] == ["2", "1", "0"]
