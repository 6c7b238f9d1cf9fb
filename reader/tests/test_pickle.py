from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_writer import Row, make_rows, write_store

from lxmert_data import FeatureStore, StoreError, load_obj_tsv


def sum_rows(store: FeatureStore, indices: list[int]) -> tuple[int, list[float], str]:
    batch = store.batch(indices)
    return os.getpid(), batch["features"].sum(axis=(1, 2), dtype=np.float64).tolist(), store[indices[0]].img_id


def sum_datum(datum: Any) -> tuple[int, float]:
    return os.getpid(), float(datum["features"].sum(dtype=np.float64))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_workers_read_the_store(method: str, dtype: str, tmp_path: Path, rows: list[Row]) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    store = FeatureStore(write_store(tmp_path / "s.safetensors", rows, dtype))
    data = list(load_obj_tsv(store.path))
    want = store.batch(range(5))["features"].sum(axis=(1, 2), dtype=np.float64).tolist()
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.starmap(sum_rows, [(store, [index, 0]) for index in range(5)], chunksize=1)
        sums = pool.map(sum_datum, data, chunksize=1)
    assert os.getpid() not in {result[0] for result in results}
    assert [result[1] for result in results] == [[value, want[0]] for value in want]
    assert [result[2] for result in results] == [row["img_id"] for row in rows]
    assert [value for _, value in sums] == want


def read_inherited(queue: Any) -> None:
    assert INHERITED is not None
    queue.put((INHERITED.index(INHERITED.ids[3]), float(INHERITED[3].features.sum(dtype=np.float64))))


INHERITED: FeatureStore | None = None


def test_forked_child_uses_the_parents_mapping(store_path: Path, rows: list[Row]) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this system")
    global INHERITED
    INHERITED = FeatureStore(store_path)
    # The name is gone, so the child cannot have opened it anew.
    store_path.unlink()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=read_inherited, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == (3, rows[3]["features"].sum(dtype=np.float64))
    child.join()
    INHERITED = None


def test_pickles_are_small_and_open_on_first_use(store_path: Path, rows: list[Row]) -> None:
    with FeatureStore(store_path) as store:
        store.index(store.ids[0])
        data = pickle.dumps(store)
        assert len(data) < 1000
        assert len(pickle.dumps(store[2])) < 1000
        assert len(pickle.dumps(list(load_obj_tsv(store_path)))) < 1500
    again = pickle.loads(data)
    assert again._file is None
    assert np.array_equal(again[2].features, rows[2]["features"])
    row = pickle.loads(pickle.dumps(again[2]))
    assert np.array_equal(row.features, rows[2]["features"])
    assert np.array_equal(copy.deepcopy(again)[1].boxes, rows[1]["boxes"])


def test_relative_path_survives_a_change_of_folder(
    store_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store_path.parent)
    data = pickle.dumps(FeatureStore(store_path.name))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert len(pickle.loads(data)) == 5


def test_a_store_that_changed_in_between_is_refused(store_path: Path, tmp_path: Path) -> None:
    data = pickle.dumps(FeatureStore(store_path))
    status = store_path.stat()
    write_store(store_path, make_rows(4))
    with pytest.raises(StoreError) as caught:
        len(pickle.loads(data))
    assert caught.value.what == "the store has changed since it was opened"
    assert caught.value.hint == "open it again with FeatureStore(path) and start the workers anew"
    assert str(status.st_size) in str(caught.value.expected)
    # The same length and time, another header.
    write_store(store_path, make_rows(5), weights="ab" * 32)
    good = store_path.read_bytes()
    data = pickle.dumps(FeatureStore(store_path))
    status = store_path.stat()
    store_path.write_bytes(good.replace(b"abab", b"cdab", 1))
    os.utime(store_path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(StoreError, match="has changed since"):
        len(pickle.loads(data))
    # The same length and header, another time: data may differ.
    store_path.write_bytes(good)
    os.utime(store_path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with pytest.raises(StoreError, match="has changed since"):
        len(pickle.loads(data))
    store_path.unlink()
    with pytest.raises(FileNotFoundError):
        len(pickle.loads(data))


def test_errors_cross_process_borders_whole() -> None:
    error = StoreError("what", "where", "expected", "got", "hint")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.hint) == (str(error), "hint")
