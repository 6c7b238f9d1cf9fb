"""The loader with threads: PyTorch's order, epochs and draws, errors in their place, memory that does not grow."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxmert_folder import write_folder
from store_writer import make_rows, write_store

pytest.importorskip("torch")

import torch

from lxmert_data import FeatureStore
from lxmert_data.training import (
    BlockShuffleSampler,
    ImageDataset,
    LXMERTDataset,
    LXMERTTorchDataset,
    NLVR2Dataset,
    NLVR2TorchDataset,
    ThreadedDataLoader,
    VQADataset,
    VQATorchDataset,
    collate,
)

WORKERS = [0, 1, 2, 4]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    write_folder(path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Any:
    return ImageDataset([write_store(tmp_path / "s.safetensors", make_rows(23))])


def epochs_of(loader: Any, count: int = 3) -> list[list[Any]]:
    return [[list(batch["img_id"]) for batch in loader] for _ in range(count)]


def gather_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lxmert-data-gather")]


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("own_generator", [False, True])
def test_order_and_epochs_are_those_of_pytorch(workers: int, own_generator: bool, images: Any) -> None:
    def run(kind: Any, **options: Any) -> list[list[Any]]:
        torch.manual_seed(5)
        generator = torch.Generator().manual_seed(7) if own_generator else None
        return epochs_of(kind(images, 4, shuffle=True, generator=generator, **options))

    want = run(torch.utils.data.DataLoader, collate_fn=collate)
    assert want[0] != want[1]
    assert run(ThreadedDataLoader, num_workers=workers) == want


@pytest.mark.parametrize("workers", WORKERS)
def test_what_comes_is_what_is_stored(workers: int, images: Any) -> None:
    store = images.source.stores[0]
    for drop_last, batches in ((False, 6), (True, 5)):
        loader = ThreadedDataLoader(images, 4, num_workers=workers, drop_last=drop_last)
        found = [
            {"ids": batch["img_id"], **{k: batch[k].numpy().copy() for k in ("features", "boxes")}} for batch in loader
        ]
        assert len(found) == len(loader) == batches
        for batch in found:
            want = store.batch(batch["ids"])
            assert all(np.array_equal(batch[name], want[name]) for name in ("features", "boxes"))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_that_are_kept_stay_as_they_are(workers: int, images: Any) -> None:
    kept = [(batch["img_id"], batch["features"], batch["features"].clone()) for batch in images_loader(images, workers)]
    for _, now, then in kept:
        assert torch.equal(now, then)
    assert len({features.data_ptr() for _, features, _ in kept}) == len(kept)


def images_loader(images: Any, workers: int) -> Any:
    return ThreadedDataLoader(images, 4, num_workers=workers)


@pytest.mark.parametrize("workers", [0, 3])
def test_draws_are_reproducible(workers: int, root: Path) -> None:
    dataset = LXMERTTorchDataset(LXMERTDataset("mscoco_train", root=root), task_matched=True)

    def run(loader: Any) -> list[Any]:
        random.seed(3)
        torch.manual_seed(3)
        return [(example.sent, example.is_matched) for _ in range(2) for batch in loader for example in batch]

    want = run(torch.utils.data.DataLoader(dataset, 3, shuffle=True, collate_fn=collate))
    assert {matched for _, matched in want} == {0, 1}
    assert run(ThreadedDataLoader(dataset, 3, shuffle=True, num_workers=workers)) == want


@pytest.mark.parametrize("workers", [0, 2])
def test_questions_and_subsets(workers: int, root: Path) -> None:
    data = torch.utils.data
    dataset = VQATorchDataset(VQADataset("train", root))
    both = data.ConcatDataset([data.Subset(dataset, [3, 1]), dataset])
    for part, want in (
        (dataset, [11, 12, 13, 14]),
        (data.Subset(dataset, [3, 0]), [14, 11]),
        (both, [14, 12, 11, 12, 13, 14]),
    ):
        ids = [batch[0] for batch in ThreadedDataLoader(part, 2, num_workers=workers)]
        assert torch.cat(ids).tolist() == want
    pairs = next(iter(ThreadedDataLoader(NLVR2TorchDataset(NLVR2Dataset("train", root)), 2, num_workers=workers)))
    assert pairs[1].shape == (2, 2, 36, 2048)


def test_other_samplers(images: Any) -> None:
    sampler = BlockShuffleSampler(images, block_images=3, window_blocks=2, seed=1)
    want = [images.source.names(np.array([at]))[0] for at in sampler]
    found = [
        name for batch in ThreadedDataLoader(images, 4, sampler=sampler, num_workers=2) for name in batch["img_id"]
    ]
    assert sorted(found) == sorted(want) and len(set(found)) == 23
    batches = torch.utils.data.BatchSampler([5, 4, 3], 2, False)
    loader = ThreadedDataLoader(images, batch_sampler=batches, num_workers=2)
    assert [len(batch["img_id"]) for batch in loader] == [2, 1]


class Broken(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 20

    def __getitems__(self, indices: list[int]) -> list[int]:
        if 9 in indices:
            raise OSError("bad disk")
        return indices


@pytest.mark.parametrize("workers", WORKERS)
def test_an_error_comes_where_its_batch_would(workers: int) -> None:
    seen = []
    with pytest.raises(OSError, match="bad disk"):
        for batch in ThreadedDataLoader(Broken(), 4, collate_fn=list, num_workers=workers):
            seen.append(batch)
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert gather_threads() == []


@pytest.mark.parametrize("workers", [1, 3])
def test_leaving_early_ends_the_threads(workers: int, images: Any) -> None:
    batches = iter(ThreadedDataLoader(images, 2, num_workers=workers))
    next(batches)
    assert gather_threads()
    batches.close()
    assert gather_threads() == []


class Counting(torch.utils.data.Dataset):
    """Counts batches that were asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __len__(self) -> int:
        return 1000

    def __getitems__(self, indices: list[int]) -> list[int]:
        self.asked += 1
        return indices


def test_only_so_many_batches_are_under_way() -> None:
    dataset = Counting()
    batches = iter(ThreadedDataLoader(dataset, 1, collate_fn=list, num_workers=2, prefetch_factor=3))
    for taken in range(1, 20):
        next(batches)
        assert dataset.asked <= taken + 6
    batches.close()


def test_memory_is_used_again(tmp_path: Path) -> None:
    """Batches of 64 images take 19 MB; a loader that leaked one a batch would take 1.9 GB."""
    resource = pytest.importorskip("resource")
    dataset = ImageDataset([write_store(tmp_path / "s.safetensors", make_rows(128))])
    loader = ThreadedDataLoader(dataset, 64, shuffle=True, num_workers=2)

    def run(epochs: int) -> int:
        for _ in range(epochs):
            for batch in loader:
                assert batch["features"].shape[0] == 64
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    before = run(10)
    assert run(50) - before < 100_000  # kB


@pytest.mark.parametrize(
    ("options", "message"),
    [({"num_workers": -1}, "at least 0"), ({"prefetch_factor": 0}, "at least 1"), ({"batch_size": None}, "no batches")],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str, images: Any) -> None:
    with pytest.raises(ValueError, match=message):
        ThreadedDataLoader(images, **options)


@pytest.mark.parametrize("workers", [0, 2])
def test_one_line_from_a_store(workers: int, tmp_path: Path) -> None:
    rows = make_rows(7)
    store = FeatureStore(write_store(tmp_path / "s.safetensors", rows))
    dataset = store.to_torch_dataset()
    assert (
        isinstance(dataset, ImageDataset)
        and len(dataset) == 7
        and sorted(dataset[2]) == ["boxes", "features", "img_id"]
    )
    loader = store.to_dataloader(3, columns=("features", "objects_id"), shuffle=True, num_workers=workers)
    assert isinstance(loader, ThreadedDataLoader)
    by_id = {row["img_id"]: row for row in rows}
    seen = []
    for batch in loader:
        assert sorted(batch) == ["features", "img_id", "objects_id"]
        for at, name in enumerate(batch["img_id"]):
            seen.append(name)
            assert np.array_equal(batch["features"][at].numpy(), by_id[name]["features"])
            assert np.array_equal(batch["objects_id"][at].numpy(), by_id[name]["objects_id"])
    assert sorted(seen) == sorted(by_id)
