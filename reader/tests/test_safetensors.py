"""Stock safetensors reads a store as it is, and the store reads what safetensors writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from store_writer import Row, make_metadata, make_tensors, read_tsv, write_store

from lxmert_data import FeatureStore

safetensors = pytest.importorskip("safetensors")
safetensors_numpy = pytest.importorskip("safetensors.numpy")


@pytest.mark.parametrize("dtype", ["f32", "f16"])
@pytest.mark.parametrize("six", [False, True])
def test_safe_open_reads_the_same_values(dtype: str, six: bool, tmp_path: Path, rows: list[Row]) -> None:
    path = write_store(tmp_path / "s.safetensors", rows, dtype, six)
    with FeatureStore(path) as store, safetensors.safe_open(path, "numpy") as stock:
        names = list(store._mapped().arrays)
        assert sorted(stock.keys()) == sorted(names)
        assert stock.metadata()["format"] == store.metadata["format"]
        for name in names:
            tensor = stock.get_tensor(name)
            assert tensor.dtype == store.raw(name).dtype
            assert np.array_equal(tensor, store.raw(name))


def test_safe_open_reads_real_rows(real_tsv: Path, tmp_path: Path) -> None:
    real = read_tsv(real_tsv)
    path = write_store(tmp_path / "s.safetensors", real)
    with safetensors.safe_open(path, "numpy") as stock:
        assert np.array_equal(stock.get_tensor("features"), np.stack([row["features"] for row in real]))


def test_a_store_that_safetensors_wrote_again_opens(tmp_path: Path, rows: list[Row]) -> None:
    """It sorts the tensors and drops the padding; values stay, and only the header checksum is lost."""
    tensors = make_tensors(rows)
    path = tmp_path / "again.safetensors"
    safetensors_numpy.save_file(tensors, path, make_metadata(tensors))
    with FeatureStore(path) as store:
        assert np.array_equal(store.batch([3])["features"][0], rows[3]["features"])
        assert store.index(rows[4]["img_id"]) == 4
        report = store.verify()
    assert report.damaged == ()
    assert [problem.split(":")[0] for problem in report.problems] == [
        "the header is damaged or was written by another tool"
    ]
