"""The block shuffle: every item once, in an order that is random but local."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from lxmert_data.training import BlockShuffleSampler


class Source:
    """Notes what is asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def prefetch(self, places: np.ndarray, columns: Any) -> None:
        assert columns == ("features",)
        self.asked.append(places.tolist())


def make_dataset(places: Any) -> Any:
    array = np.asarray(places)
    return SimpleNamespace(places=array if array.ndim == 2 else array[:, None], source=Source())


def shuffled(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(count)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64, 1000])
@pytest.mark.parametrize(("block", "window"), [(1, 1), (3, 2), (64, 8), (5000, 1)])
def test_every_item_once(count: int, block: int, window: int) -> None:
    sampler = BlockShuffleSampler(make_dataset(shuffled(count)), block, window)
    for _ in range(2):
        assert sorted(sampler) == list(range(count))
    assert len(sampler) == count


def test_items_of_an_image_stay_in_its_window() -> None:
    places = np.repeat(np.arange(0, 600, 2), 5)[shuffled(1500)]  # 300 images, 5 items each, every second row
    sampler = BlockShuffleSampler(make_dataset(places), 10, 3)
    order = places[list(sampler)]
    assert len(order) == 1500
    for window in order.reshape(10, 150):
        images = np.unique(window)
        assert len(images) == 30
        assert sorted(np.unique(images // 20).tolist()) == sorted({*(images // 20).tolist()})
        assert len(np.unique(images // 20)) == 3  # three blocks of ten neighbours
        assert (np.diff(window) != 0).any()


def test_orders() -> None:
    def order(**options: Any) -> list[int]:
        return list(BlockShuffleSampler(make_dataset(np.arange(200)), 10, 2, **options))

    assert order(seed=1) == order(seed=1)
    assert order(seed=1) != order(seed=2)
    sampler = BlockShuffleSampler(make_dataset(np.arange(200)), 10, 2)
    first, second = list(sampler), list(sampler)
    assert first != second
    sampler.set_epoch(0)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) == second


@pytest.mark.parametrize("count", [1, 5, 12, 101])
@pytest.mark.parametrize("drop_last", [False, True])
def test_ranks_share_one_order(count: int, drop_last: bool) -> None:
    dataset = make_dataset(shuffled(count))
    whole = list(BlockShuffleSampler(dataset, 7, 2))
    parts = [
        list(BlockShuffleSampler(dataset, 7, 2, rank=rank, world_size=4, drop_last=drop_last)) for rank in range(4)
    ]
    lengths = {len(part) for part in parts}
    assert lengths == {count // 4 if drop_last else -(-count // 4)}
    merged = [part[at] for at in range(lengths.pop()) for part in parts]
    assert merged[:count] == whole[: len(merged)]
    assert merged[count:] == [whole[at % count] for at in range(len(merged) - count)]


def test_the_next_window_is_asked_for_while_one_is_used() -> None:
    places = np.stack([np.arange(400), np.arange(400) + 1000], axis=1)  # two images an item
    dataset = make_dataset(places)
    sampler = BlockShuffleSampler(dataset, 50, 2)
    order: list[int] = []
    for at, item in enumerate(sampler):
        order.append(item)
        if at == 0:
            assert len(dataset.source.asked) == 1
        if at == 99:
            first = {place for piece in dataset.source.asked for place in piece}
    assert first == {*places[order[100:200]].reshape(-1).tolist()}
    assert all(len(piece) <= 32 and piece == sorted(piece) for piece in dataset.source.asked)
    silent = make_dataset(np.arange(100))
    list(BlockShuffleSampler(silent, 10, 2, read_ahead=False))
    assert silent.source.asked == []


def test_wrong_options() -> None:
    dataset = make_dataset(np.arange(4))
    for options in ({"rank": 2, "world_size": 2}, {"block_images": 0}, {"window_blocks": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            BlockShuffleSampler(dataset, **options)


def test_in_a_data_loader() -> None:
    class Numbers(torch.utils.data.Dataset):  # type: ignore[misc,name-defined]
        places = np.arange(50)[:, None]
        source = Source()

        def __len__(self) -> int:
            return 50

        def __getitem__(self, index: int) -> int:
            return index

    dataset = Numbers()
    loader = torch.utils.data.DataLoader(dataset, 8, sampler=BlockShuffleSampler(dataset, 10, 2))
    assert sorted(torch.cat(list(loader)).tolist()) == list(range(50))
