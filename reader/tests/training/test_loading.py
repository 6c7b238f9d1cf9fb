"""Batches through PyTorch's DataLoader: one gather a batch, any kind of worker, memory that does not grow."""

from __future__ import annotations

import io
import mmap
import multiprocessing
import os
import pickle
import subprocess
import sys
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
    FeatureSource,
    ImageDataset,
    LXMERTDataset,
    LXMERTTorchDataset,
    NLVR2Dataset,
    NLVR2TorchDataset,
    VQADataset,
    VQATorchDataset,
    collate,
)
from lxmert_data.training.batch_memory import BatchMemory

TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])
needs_batches = pytest.mark.skipif(TORCH < (2, 0), reason=f"PyTorch {torch.__version__} does not know __getitems__")
METHODS = [None, *(m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods())]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    write_folder(path)
    return path


def make_loader(dataset: Any, method: Any, **options: Any) -> Any:
    workers = {"num_workers": 2, "multiprocessing_context": method} if method else {}
    return torch.utils.data.DataLoader(dataset, batch_size=2, **{"collate_fn": collate, **workers, **options})


@pytest.mark.parametrize("method", METHODS)
def test_questions_with_workers(method: Any, root: Path) -> None:
    dataset = VQATorchDataset(VQADataset("train,nominival", root))
    want = [dataset[at] for at in range(6)]
    loader = make_loader(dataset, method)
    for _ in range(2):
        batches = list(loader)
        ids, features, boxes, sentences, targets = (list(column) for column in zip(*batches))
        assert torch.cat(ids).tolist() == [item[0] for item in want]
        assert [sentence for part in sentences for sentence in part] == [item[3] for item in want]
        assert np.array_equal(torch.cat(features).numpy(), np.stack([item[1] for item in want]))
        assert np.array_equal(torch.cat(boxes).numpy(), np.stack([item[2] for item in want]))
        assert torch.equal(torch.cat(targets), torch.stack([item[4] for item in want]))


@pytest.mark.parametrize("method", METHODS)
def test_pretraining_with_workers(method: Any, root: Path) -> None:
    dataset = LXMERTTorchDataset(LXMERTDataset("mscoco_train,vgnococo", root=root))
    examples = [example for batch in make_loader(dataset, method) for example in batch]
    assert [example.uid for example in examples] == [dataset[at].uid for at in range(12)]
    for at, example in enumerate(examples):
        assert np.array_equal(example.visual_feats[0], dataset[at].visual_feats[0])
        assert np.array_equal(example.attr_labels[1], dataset[at].attr_labels[1])


@needs_batches
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_gathered_once(method: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = VQATorchDataset(VQADataset("train", root))
    monkeypatch.setattr(VQATorchDataset, "__getitem__", None)
    monkeypatch.setattr(torch.utils.data.dataloader, "default_collate", None)
    for batch in make_loader(dataset, method):
        assert batch[1].shape == (2, 36, 2048)
        assert batch[1].is_shared() == (method is not None)


def test_images(tmp_path: Path) -> None:
    rows, others = make_rows(3), make_rows(2, 8, ["a", "b"])
    paths = [write_store(tmp_path / "1.safetensors", rows), write_store(tmp_path / "2.safetensors", others, "f16")]
    dataset = ImageDataset(paths, ("features", "boxes", "objects_id"))
    batch = dataset.__getitems__([4, 0, 3, 0]).collated()
    assert batch["img_id"] == ["b", rows[0]["img_id"], "a", rows[0]["img_id"]]
    want = [others[1], rows[0], others[0], rows[0]]
    assert np.array_equal(batch["objects_id"].numpy(), np.stack([row["objects_id"] for row in want]))
    expected = [FeatureStore(paths[1]).batch([1]), FeatureStore(paths[0]).batch([0])]
    for at in (0, 1):
        for name in ("features", "boxes"):
            assert np.array_equal(batch[name][at].numpy(), expected[at][name][0])
    assert dataset[-1]["img_id"] == "b"
    assert [sorted(part) for part in make_loader(dataset, None)] == [["boxes", "features", "img_id", "objects_id"]] * 3


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_a_process_forked_by_hand(dtype: str, tmp_path: Path) -> None:
    """PyTorch's threads of the parent are gone there; a parallel copy would wait for them for ever."""
    path = write_store(tmp_path / "s.safetensors", make_rows(4), dtype)
    code = """
import os, sys, torch
from lxmert_data.training import ImageDataset
data = ImageDataset([sys.argv[1]])
want = data.__getitems__([0, 1, 2, 3]).columns["features"].clone()
torch.randn(512, 512) @ torch.randn(512, 512)
child = os.fork()
if not child:
    os._exit(0 if (data.__getitems__([0, 1, 2, 3]).columns["features"].numpy() == want.numpy()).all() else 7)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", code, str(path)], timeout=120).returncode == 0


def test_memory_is_used_again_only_when_nobody_holds_it() -> None:
    memory = BatchMemory()
    shape = (8, 36, 2048)
    first = memory.take(shape)
    part = first[3]
    address = first.data_ptr()
    part.fill_(5)
    del first
    second = memory.take(shape)
    assert second.data_ptr() != address
    second.zero_()
    assert part.unique().tolist() == [5]
    view = part.numpy()
    del part
    third = memory.take(shape)
    assert third.data_ptr() != address
    del view
    assert memory.take(shape).data_ptr() == address
    assert memory.take((2, 3)).shape == (2, 3)
    assert not pickle.loads(pickle.dumps(memory)).pin_memory


def test_only_the_batch_is_saved() -> None:
    memory = BatchMemory()
    large = memory.take((8, 36, 2048))
    del large
    small = memory.take((4, 36, 2048))
    file = io.BytesIO()
    torch.save(small, file)
    assert len(file.getvalue()) < small.numel() * 4 + 10_000


class BusyBlock(mmap.mmap):
    """Memory during whose inspection another thread is busy."""

    meanwhile: Any = None

    def __len__(self) -> int:
        BusyBlock.meanwhile()
        return super().__len__()


@pytest.mark.parametrize("taken", [False, True])
def test_memory_is_found_while_other_threads_change_it(taken: bool) -> None:
    memory = BatchMemory()
    blocks = [mmap.mmap(-1, 1 << 21), BusyBlock(-1, 1 << 24), *(mmap.mmap(-1, 1 << 21) for _ in range(2))]
    memory._free = [*blocks]

    def give_back() -> None:
        memory._give_back(mmap.mmap(-1, 1 << 21))

    BusyBlock.meanwhile = memory._free.clear if taken else give_back
    tensor = memory.take((1 << 22,))
    assert tensor.fill_(7).shape == (1 << 22,)
    BusyBlock.meanwhile = len([]).bit_length
    memory._free = [*blocks] * 2
    give_back()
    assert len(memory._free) == 4


def test_memory_of_threads() -> None:
    """Batches that one thread makes and another drops do not overlap."""
    memory = BatchMemory()
    wrong: list[int] = []

    def work(mark: int) -> None:
        for _ in range(200):
            tensor = memory.take((4, 36, 2048))
            tensor.fill_(mark)
            if not bool((tensor == mark).all()):
                wrong.append(mark)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="no /proc/self/smaps_rollup")
def test_memory_does_not_grow_over_epochs(root: Path) -> None:
    dataset = VQATorchDataset(VQADataset("train,nominival", root))

    def private_bytes() -> int:
        with open("/proc/self/smaps_rollup") as file:
            return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Private_Dirty"))

    def run(epochs: int) -> None:
        for _ in range(epochs):
            for _ in make_loader(dataset, None, shuffle=True):
                pass

    run(50)
    before = private_bytes()
    run(300)
    # 900 batches of 590 kB each were made.
    assert private_bytes() - before < 20e6


def test_pickles_are_small(root: Path) -> None:
    dataset = VQATorchDataset(VQADataset("train", root))
    _ = dataset[0]
    text = pickle.dumps(dataset)
    assert len(text) < 20_000
    assert np.array_equal(pickle.loads(text)[2][1], dataset[2][1])


def test_find_takes_any_shape(root: Path) -> None:
    source = FeatureSource([root / "nlvr2_imgfeat" / "valid_obj36.safetensors"])
    names = np.array([[b"dev-1-0-img1", b"dev-2-0-img0"], [b"none", b"dev-1-0-img0"]])
    assert source.find(names).tolist() == [[1, 2], [-1, 0]]
    assert FeatureSource(source.stores, topk=2).find(names).tolist() == [[1, -1], [-1, 0]]
    with pytest.raises(ValueError, match="at least one store"):
        FeatureSource([])


def test_pinned_batches(root: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device to pin memory for")
    dataset = VQATorchDataset(VQADataset("train", root), pin_memory=True)
    assert dataset.__getitems__([0, 1]).features.is_pinned()


def test_pinning_asks_every_tensor(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 0)
    examples = LXMERTTorchDataset(LXMERTDataset("mscoco_train", root=root)).__getitems__([0, 1])
    pinned = examples.pin_memory()
    assert pinned.uids == examples.uids
    for name, column in examples.columns.items():
        assert pinned.columns[name].data_ptr() != column.data_ptr()
        assert torch.equal(pinned.columns[name], column)


def content(batch: Any) -> list[Any]:
    values = [value for part in vars(batch).values() for value in (part.values() if isinstance(part, dict) else [part])]
    return [value.numpy().tobytes() if isinstance(value, torch.Tensor) else value for value in values]


@pytest.mark.parametrize("kind", ["questions", "pairs", "sentences", "images"])
def test_indices_of_every_kind(kind: str, root: Path) -> None:
    """Arrays and tensors would take bytes and truth values for masks, and give other items or other images."""
    dataset: Any = {
        "questions": lambda: VQATorchDataset(VQADataset("nominival", root)),
        "pairs": lambda: NLVR2TorchDataset(NLVR2Dataset("train", root)),
        "sentences": lambda: LXMERTTorchDataset(LXMERTDataset("mscoco_minival", root=root)),
        "images": lambda: ImageDataset([root / "nlvr2_imgfeat" / "test_obj36.safetensors"]),
    }[kind]()
    assert len(dataset) == 2
    plain = [content(dataset.__getitems__([at])) for at in (0, 1)]
    both = content(dataset.__getitems__([1, 1]))
    for one in (-1, True, np.uint8(1), np.int64(1), torch.tensor(1), torch.tensor(1, dtype=torch.uint8)):
        assert content(dataset.__getitems__([one])) == plain[1]
        assert content(dataset.__getitems__([one, one])) == both
    assert content(dataset.__getitems__(np.array([0], np.uint8))) == plain[0]
    assert content(dataset.__getitems__(torch.tensor([1, 1]))) == both
    for outside in (2, -3, np.uint8(2)):
        with pytest.raises(IndexError):
            dataset.__getitems__([0, outside])
    for wrong in (1.0, "1", None, slice(0, 2), [0]):
        with pytest.raises(TypeError):
            dataset.__getitems__([wrong])
        with pytest.raises(TypeError):
            _ = dataset[wrong]


def test_subsets_and_concatenations(root: Path) -> None:
    data = torch.utils.data
    dataset = VQATorchDataset(VQADataset("train,nominival", root))
    numbers = np.array([3, 1, 0, 5], np.uint8)
    want = [14, 12, 11, 22]
    for part in (data.Subset(dataset, numbers), data.Subset(dataset, torch.from_numpy(numbers))):
        assert torch.cat([batch[0] for batch in make_loader(part, None)]).tolist() == want
    twice = data.ConcatDataset([data.Subset(dataset, numbers), dataset])
    batches = list(make_loader(twice, None))
    assert torch.cat([batch[0] for batch in batches]).tolist() == [*want, 11, 12, 13, 14, 21, 22]
    features = torch.cat([batch[1] for batch in batches]).numpy()
    assert np.array_equal(features, np.stack([dataset[at][1] for at in (3, 1, 0, 5, *range(6))]))


def test_batches_are_the_callers_own(root: Path) -> None:
    dataset = VQATorchDataset(VQADataset("train", root))
    want = dataset[0][1].copy()
    batch = dataset.__getitems__([0, 1])
    batch.features.fill_(3)
    dataset[0][1][:] = 4
    assert np.array_equal(dataset[0][1], want)
