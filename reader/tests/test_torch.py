"""The store under PyTorch; skipped where PyTorch is not installed."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_writer import Row, write_store

from lxmert_data import FeatureStore, StoreError, load_obj_tsv

torch = pytest.importorskip("torch")


class RowDataset(torch.utils.data.Dataset):  # type: ignore[misc,name-defined]
    """One image an item, as LXMERT's data sets do it: through load_obj_tsv and copies."""

    def __init__(self, path: Path) -> None:
        self.images = {item["img_id"]: item for item in load_obj_tsv(path)}
        self.names = list(self.images)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[str, np.ndarray, np.ndarray]:
        image = self.images[self.names[index]]
        return image["img_id"], image["features"].copy(), image["boxes"].copy()


class BatchDataset(torch.utils.data.Dataset):  # type: ignore[misc,name-defined]
    """A whole batch an item, with one gather."""

    def __init__(self, path: Path) -> None:
        self.store = FeatureStore(path)

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> int:
        return index

    def __getitems__(self, indices: list[int]) -> dict[str, Any]:
        return self.store.batch(indices)


def to_tensors(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def loader_contexts() -> list[Any]:
    return [0, *[method for method in ("fork", "spawn") if method in multiprocessing.get_all_start_methods()]]


@pytest.mark.parametrize("method", loader_contexts())
@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_data_loader_of_rows(method: Any, dtype: str, tmp_path: Path, rows: list[Row]) -> None:
    path = write_store(tmp_path / "s.safetensors", rows, dtype)
    workers = {"num_workers": 2, "multiprocessing_context": method} if method else {}
    loader = torch.utils.data.DataLoader(RowDataset(path), batch_size=2, **workers)
    want = FeatureStore(path).batch(range(5), normalize_boxes=False)
    batches = list(loader)
    assert [name for names, _, _ in batches for name in names] == [row["img_id"] for row in rows]
    assert np.array_equal(torch.cat([features for _, features, _ in batches]).numpy(), want["features"])
    assert np.array_equal(torch.cat([boxes for _, _, boxes in batches]).numpy(), want["boxes"])


@pytest.mark.parametrize("method", loader_contexts())
def test_data_loader_of_batches(method: Any, store_path: Path, rows: list[Row]) -> None:
    if tuple(map(int, torch.__version__.split(".")[:1])) < (2,):
        pytest.skip(f"PyTorch {torch.__version__} does not know __getitems__")
    workers = {"num_workers": 2, "multiprocessing_context": method} if method else {}
    loader = torch.utils.data.DataLoader(BatchDataset(store_path), batch_size=2, collate_fn=to_tensors, **workers)
    features = torch.cat([batch["features"] for batch in loader])
    assert np.array_equal(features.numpy(), np.stack([row["features"] for row in rows]))


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_batch_fills_tensors(dtype: str, tmp_path: Path, rows: list[Row]) -> None:
    with FeatureStore(write_store(tmp_path / "s.safetensors", rows, dtype)) as store:
        out = {"features": torch.zeros(3, 36, 2048), "objects_id": torch.zeros(3, 36, dtype=torch.int64)}
        batch = store.batch([4, 0], out=out)
        want = store.batch([4, 0])
    assert isinstance(batch["features"], torch.Tensor)
    assert batch["features"].data_ptr() == out["features"].data_ptr()
    assert isinstance(batch["boxes"], np.ndarray)
    assert np.array_equal(out["features"][:2].numpy(), want["features"])
    assert np.array_equal(batch["objects_id"].numpy(), want["objects_id"])
    assert not out["features"][2].any()


def test_misfitting_tensor_is_refused(store_path: Path) -> None:
    with FeatureStore(store_path) as store:
        for tensor in (torch.zeros(2, 36, 2048, dtype=torch.float64), torch.zeros(2, 36, 2048, device="meta")):
            with pytest.raises(StoreError, match="does not fit the batch"):
                store.batch([0, 1], out={"features": tensor})


def test_rows_become_tensors(store_path: Path, rows: list[Row]) -> None:
    with FeatureStore(store_path) as store:
        tensor = torch.from_numpy(store[1].features.copy())
    assert np.array_equal(tensor.numpy(), rows[1]["features"])


def test_safe_open_of_torch_reads_the_same_values(tmp_path: Path, rows: list[Row]) -> None:
    safetensors = pytest.importorskip("safetensors")
    path = write_store(tmp_path / "s.safetensors", rows, "bf16")
    with FeatureStore(path) as store, safetensors.safe_open(path, "pt") as stock:
        features = stock.get_tensor("features")
        assert features.dtype == torch.bfloat16
        assert np.array_equal(features.float().numpy(), store.batch(range(5))["features"])
