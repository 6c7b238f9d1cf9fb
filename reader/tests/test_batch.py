from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from store_writer import Row, read_tsv, write_store

from lxmert_data import FeatureStore, StoreError


def lxmert_boxes(row: Row) -> np.ndarray:
    """Boxes as LXMERT's data sets hand them on."""
    boxes = row["boxes"].copy()
    boxes[:, (0, 2)] /= row["img_w"]
    boxes[:, (1, 3)] /= row["img_h"]
    return boxes


def test_batch_has_all_columns_in_the_order_asked(store_path: Path, rows: list[Row]) -> None:
    order = [3, 0, 3, 4]
    with FeatureStore(store_path) as store:
        by_number = store.batch(order)
        by_array = store.batch(np.array(order, np.int32))
        by_id = store.batch([rows[index]["img_id"] for index in order])
    for batch in (by_number, by_array, by_id):
        assert sorted(batch) == [
            "attrs_conf",
            "attrs_id",
            "boxes",
            "features",
            "image_size",
            "objects_conf",
            "objects_id",
        ]
        for at, index in enumerate(order):
            assert np.array_equal(batch["boxes"][at], lxmert_boxes(rows[index]))
            assert batch["image_size"][at].tolist() == [rows[index]["img_h"], rows[index]["img_w"]]
            for name in ("features", "objects_id", "objects_conf", "attrs_id", "attrs_conf"):
                assert np.array_equal(batch[name][at], rows[index][name])
                assert batch[name].dtype == rows[index][name].dtype


def test_normalised_boxes_of_real_rows_are_those_of_lxmert_bit_for_bit(real_tsv: Path, tmp_path: Path) -> None:
    real = read_tsv(real_tsv)
    with FeatureStore(write_store(tmp_path / "real.safetensors", real)) as store:
        boxes = store.batch(range(6))["boxes"]
        assert boxes.tobytes() == np.stack([lxmert_boxes(row) for row in real]).tobytes()
        np.testing.assert_array_less(boxes, 1 + 1e-5)
        np.testing.assert_array_less(-boxes, 1e-5)


def test_boxes_in_pixels_and_single_columns(store_path: Path, rows: list[Row]) -> None:
    with FeatureStore(store_path) as store:
        batch = store.batch([1, 2], normalize_boxes=False, columns=("boxes", "objects_id"))
        assert sorted(batch) == ["boxes", "objects_id"]
        assert np.array_equal(batch["boxes"], [rows[1]["boxes"], rows[2]["boxes"]])


def test_batch_is_a_copy_that_may_be_changed(store_path: Path) -> None:
    before = store_path.read_bytes()
    with FeatureStore(store_path) as store:
        for array in store.batch([0, 1]).values():
            array += 1
    assert store_path.read_bytes() == before


def test_out_is_filled_and_a_short_batch_uses_its_first_rows(store_path: Path, rows: list[Row]) -> None:
    out = {"features": np.full((4, 36, 2048), -1, np.float32), "boxes": np.full((4, 36, 4), -1, np.float32)}
    with FeatureStore(store_path) as store:
        batch = store.batch([2, 4, 1], out=out)
    assert batch["features"].shape == (3, 36, 2048)
    assert np.shares_memory(batch["features"], out["features"])
    assert np.array_equal(out["features"][1], rows[4]["features"])
    assert np.array_equal(out["boxes"][2], lxmert_boxes(rows[1]))
    assert (out["features"][3] == -1).all()
    assert batch["objects_id"].shape == (3, 36)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_out_with_gaps_between_its_rows(dtype: str, tmp_path: Path, rows: list[Row]) -> None:
    wide = np.zeros((2, 36, 4096), np.float32)
    with FeatureStore(write_store(tmp_path / "s.safetensors", rows, dtype)) as store:
        store.batch([1, 3], out={"features": wide[:, :, ::2]})
        assert np.array_equal(wide[:, :, ::2], store.batch([1, 3])["features"])
    assert not wide[:, :, 1::2].any()


def test_misfitting_out_is_refused(store_path: Path) -> None:
    read_only = np.zeros((2, 36, 2048), np.float32)
    read_only.setflags(write=False)
    misfits = [
        (np.zeros((2, 36, 2048), np.float64), "float64 [2, 36, 2048]"),
        (np.zeros((1, 36, 2048), np.float32), "float32 [1, 36, 2048]"),
        (np.zeros((2, 36 * 2048), np.float32), "float32 [2, 73728]"),
        (read_only, "a read-only array"),
        ([[0.0]], "builtins.list"),
    ]
    with FeatureStore(store_path) as store:
        for buffer, got in misfits:
            with pytest.raises(StoreError) as caught:
                store.batch([0, 1], out={"features": buffer})
            assert str(caught.value) == (
                'the buffer out["features"] does not fit the batch\n'
                "  expected: writable float32 array or CPU tensor [at least 2, 36, 2048]\n"
                f"  got:      {got}"
            )
        with pytest.raises(StoreError, match="no column 'feature' in a batch"):
            store.batch([0], out={"feature": read_only})
        with pytest.raises(StoreError, match="no column 'crc32' in a batch"):
            store.batch([0], columns=["crc32"])


def test_empty_batch(store_path: Path) -> None:
    with FeatureStore(store_path) as store:
        assert store.batch([])["boxes"].shape == (0, 36, 4)
        store.prefetch([])


def test_the_kernel_is_asked_for_every_row_before_the_copy(
    store_path: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page-aligned requests that cover each row asked for, neighbours in one."""
    from lxmert_data._format.mapped_file import MappedFile

    spans: list[tuple[int, int]] = []
    ask = MappedFile.will_need

    def record(self: MappedFile, start: int, end: int) -> None:
        spans.append((start, end))
        ask(self, start, end)

    monkeypatch.setattr(MappedFile, "will_need", record)
    with FeatureStore(store_path) as store:
        file = store._mapped()
        store.batch([4, 1, 0, 1])
        row_bytes = 36 * 2048 * 4
        start = file.header.tensors["features"].start
        assert (start, start + 2 * row_bytes) in spans
        assert (start + 4 * row_bytes, start + 5 * row_bytes) in spans
        for name in store.batch_columns:
            tensor = file.header.tensors[name]
            size = (tensor.end - tensor.start) // 5
            for row in (0, 1, 4):
                begin, end = tensor.start + row * size, tensor.start + (row + 1) * size
                covered = [span for span in spans if span[0] < end and span[1] > begin]
                assert min(span[0] for span in covered) <= begin
                assert max(span[1] for span in covered) >= end
        spans.clear()
        store.batch([4], columns=["boxes"])
        assert spans == []  # small columns are asked for once


def test_requests_stop_while_rows_are_in_memory_and_begin_again_with_reads_from_disk(
    store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lxmert_data._format import read_ahead
    from lxmert_data._format.mapped_file import MappedFile

    reads = [0]
    asked: list[int] = []
    monkeypatch.setattr(read_ahead, "count_disk_reads", lambda: (reads[0], 0))
    monkeypatch.setattr(MappedFile, "will_need", lambda self, start, end: asked.append(start))

    def requests_of_batches(count: int) -> list[bool]:
        result = []
        for _ in range(count):
            asked.clear()
            store.batch([0, 2])
            result.append(bool(asked))
        return result

    with FeatureStore(store_path) as store:
        assert requests_of_batches(6) == [True, True, True, True, False, False]
        reads[0] += 1
        assert requests_of_batches(6) == [True, True, True, True, False, False]
        asked.clear()
        store.prefetch([1])
        assert asked
        monkeypatch.setattr(read_ahead, "count_disk_reads", lambda: None)
        assert requests_of_batches(6) == [True] * 6
