"""Stores that are read instead of mapped: the same values, and an error where a mapped one would end the process."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from store_writer import Row, make_rows, write_store

from lxmert_data import FeatureStore, StoreError

COLUMNS = ("boxes", "image_size", "objects_id", "objects_conf", "attrs_id", "attrs_conf")


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_it_reads_what_a_mapped_store_does(dtype: str, tmp_path: Path, rows: list[Row]) -> None:
    path = write_store(tmp_path / "s.safetensors", rows, dtype)
    mapped, safe = FeatureStore(path), FeatureStore(path, safe=True)
    assert list(safe.ids) == list(mapped.ids) and len(safe) == 5
    for name in COLUMNS:
        whole = getattr(mapped, name)
        column = getattr(safe, name)
        assert column.shape == whole.shape and column.dtype == whole.dtype and len(column) == 5
        assert np.array_equal(np.asarray(column), whole)
        for item in (1, -1, slice(1, 4), slice(None, None, 2), np.array([4, 0, 4]), (2, 0), (slice(None), 1)):
            assert np.array_equal(column[item], whole[item]), (name, item)
        assert np.array_equal(column[np.array([True, False, True, False, False])], whole[[0, 2]])
        with pytest.raises(IndexError):
            column[5]
    for at in range(5):
        assert np.array_equal(safe[at].features, mapped[at].features) and safe[at].img_h == mapped[at].img_h
    batch, want = safe.batch([3, 0, 3]), mapped.batch([3, 0, 3])
    assert all(np.array_equal(batch[name], want[name]) for name in want)
    safe.prefetch([0, 4])
    again = pickle.loads(pickle.dumps(safe))
    assert not isinstance(again.boxes, np.ndarray) and np.array_equal(again[2].features, mapped[2].features)
    safe.close()
    with pytest.raises(StoreError, match="closed"):
        safe[0].boxes  # noqa: B018


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_training_reads_it_too(dtype: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = write_store(tmp_path / "s.safetensors", make_rows(5), dtype)
    batches = [list(FeatureStore(path, safe=safe).to_dataloader(2, num_workers=2)) for safe in (False, True)]
    for mapped, safe in zip(*batches):
        assert mapped["img_id"] == safe["img_id"]
        assert np.array_equal(mapped["features"].numpy(), safe["features"].numpy())
        assert np.array_equal(mapped["boxes"].numpy(), safe["boxes"].numpy())


TOUCH = """
import os, sys
from lxmert_data import FeatureStore
store = FeatureStore(sys.argv[1], safe=sys.argv[2] == "safe")
os.truncate(sys.argv[1], 40000)
store.batch([len(store) - 1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="no SIGBUS on this system")
@pytest.mark.parametrize("mode", ["mapped", "safe"])
def test_a_file_that_becomes_shorter(mode: str, tmp_path: Path, rows: list[Row]) -> None:
    path = write_store(tmp_path / "s.safetensors", rows)
    done = subprocess.run([sys.executable, "-c", TOUCH, path, mode], capture_output=True, text=True, check=False)
    if mode == "mapped":
        assert done.returncode == -signal.SIGBUS
    else:
        assert done.returncode == 1 and "the file became shorter while it was read" in done.stderr


def test_no_descriptor_stays_open(store_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else pytest.skip("no /proc")
    for _ in range(5):
        store = FeatureStore(store_path, safe=True)
        boxes = store.boxes
        store.close()
        assert boxes[0].shape == (36, 4)
        del store, boxes
    with pytest.raises(StoreError):
        FeatureStore(__file__, safe=True)
    assert len(os.listdir("/proc/self/fd")) == before
