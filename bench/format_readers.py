"""A PyTorch data set for each format of bench/formats.py: features and boxes from 0 to 1 of an image, by row number.

Each reads as the code bases of its format do. Files are opened in the process that reads, on first use.
"""

from __future__ import annotations

import base64
import csv
import importlib
import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from lxmert_data import FeatureStore

SHAPE = (36, 2048)


def scale(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    boxes = boxes.astype(np.float32)
    boxes[:, (0, 2)] /= width
    boxes[:, (1, 3)] /= height
    return boxes


class Rows(torch.utils.data.Dataset):
    """One image an item; `open` is called once in each process."""

    collate: Callable[[Any], Any] | None = None

    def __init__(self, path: str, names: list[str]) -> None:
        self.path = path
        self.names = names
        self.pid = -1

    def __len__(self) -> int:
        return len(self.names)

    def open(self) -> None: ...

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError

    def __getitem__(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        if self.pid != os.getpid():
            self.open()
            self.pid = os.getpid()
        return self.read(row)


class Mapped(Rows):
    """The features of the f32 store through a plain memory map, row by row, without any hint to the kernel."""

    def open(self) -> None:
        store = FeatureStore(self.path)
        # The header is read by the package, the rows are not.
        start = store._mapped().header.tensors["features"].start
        self.features = np.memmap(self.path, "<f4", "r", start, (len(self.names), *SHAPE))
        self.boxes, self.sizes = np.array(store.boxes), np.array(store.image_size)

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        return self.features[row], scale(self.boxes[row], *self.sizes[row])


class InMemory(Mapped):
    """All features in memory before training begins, as one tensor; a batch is one index_select."""

    def __init__(self, path: str, names: list[str]) -> None:
        super().__init__(path, names)
        Mapped.open(self)
        self.pid = os.getpid()
        self.tensor = torch.empty((len(names), *SHAPE))
        for begin in range(0, len(names), 256):
            self.tensor[begin : begin + 256] = torch.from_numpy(np.array(self.features[begin : begin + 256]))
        size = self.sizes.astype(np.float32)[:, None, [1, 0, 1, 0]]
        self.scaled = torch.from_numpy(self.boxes / size)
        del self.features

    def __getitems__(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        index = torch.tensor(rows)
        return self.tensor.index_select(0, index), self.scaled.index_select(0, index)

    @staticmethod
    def collate(batch: Any) -> Any:
        return batch


class HdfFlat(Rows):
    def open(self) -> None:
        h5py = importlib.import_module("h5py")
        self.file = h5py.File(self.path, "r")
        self.features, self.spatial = self.file["image_features"], self.file["spatial_features"]

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        return self.features[row], self.spatial[row][:, :4]


class HdfGroups(Rows):
    def open(self) -> None:
        h5py = importlib.import_module("h5py")
        self.file = h5py.File(self.path, "r")

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        name = self.names[row]
        features = np.zeros(SHAPE, np.float32)
        self.file[f"{name}/features"].read_direct(features)
        height, width = self.file[f"{name}/img_h"][()], self.file[f"{name}/img_w"][()]
        return features, scale(self.file[f"{name}/boxes"][()], height, width)


class Lmdb(Rows):
    def open(self) -> None:
        lmdb = importlib.import_module("lmdb")
        self.env = lmdb.open(self.path, readonly=True, lock=False, readahead=False, meminit=False)

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        with self.env.begin(buffers=True) as txn:
            item = pickle.loads(txn.get(self.names[row].encode()))
        features = np.zeros(SHAPE, np.float32)
        features[:] = item["features"]
        return features, scale(item["bbox"], item["image_height"], item["image_width"])


class Npz(Rows):
    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        with np.load(os.path.join(self.path, f"{self.names[row]}.npz")) as file:
            return file["x"], scale(file["bbox"], int(file["image_h"]), int(file["image_w"]))


class Arrow(Rows):
    def open(self) -> None:
        datasets = importlib.import_module("datasets")
        self.rows = datasets.Dataset.from_file(self.path).select_columns(["features", "boxes", "img_h", "img_w"])
        self.rows = self.rows.with_format("numpy")

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        item = self.rows[row]
        return item["features"], scale(item["boxes"], item["img_h"], item["img_w"])


class ListOfDicts(Rows):
    """LXMERT's way, restated: every row of the TSV decoded and kept before training begins."""

    COLUMNS = ("img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf", "num_boxes")

    def __init__(self, path: str, names: list[str]) -> None:
        super().__init__(path, names)
        csv.field_size_limit(1 << 30)
        kinds = {"objects_id": "<i8", "objects_conf": "<f4", "attrs_id": "<i8", "attrs_conf": "<f4"}
        self.images: list[dict[str, Any]] = []
        with open(path) as file:
            for fields in csv.DictReader(file, (*self.COLUMNS, "boxes", "features"), delimiter="\t"):
                image: dict[str, Any] = dict(fields)
                for name in ("img_h", "img_w", "num_boxes"):
                    image[name] = int(image[name])
                for name, kind in kinds.items():
                    image[name] = np.frombuffer(base64.b64decode(image[name]), kind)
                image["boxes"] = np.frombuffer(base64.b64decode(image["boxes"]), "<f4").reshape(-1, 4)
                image["features"] = np.frombuffer(base64.b64decode(image["features"]), "<f4").reshape(SHAPE)
                self.images.append(image)
                if len(self.images) == len(names):
                    break

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        image = self.images[row]
        return image["features"].copy(), scale(image["boxes"], image["img_h"], image["img_w"])


class Mds(Rows):
    """A shard's samples by number, as mosaicml-streaming's own dataset of a local folder reads them."""

    def open(self) -> None:
        self.rows = importlib.import_module("streaming").LocalDataset(self.path)

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        item = self.rows[row]
        return item["features"], scale(item["boxes"], item["img_h"], item["img_w"])


def open_webdataset(path: str, workers: int, batch: int) -> Any:
    """Shards in random order and samples shuffled among 1,000: webdataset reads in sequence only."""
    webdataset = importlib.import_module("webdataset")
    shards = sorted(os.path.join(path, name) for name in os.listdir(path) if name.endswith(".tar"))
    dataset = webdataset.WebDataset(shards, shardshuffle=len(shards), empty_check=False).shuffle(1000).decode()
    pairs = dataset.map(read_sample).batched(batch, collation_fn=torch.utils.data.default_collate)
    return torch.utils.data.DataLoader(pairs, batch_size=None, num_workers=workers)


def read_sample(sample: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    about = sample["json"]
    return sample["features.npy"], scale(sample["boxes.npy"], about["img_h"], about["img_w"])


def open_store(path: str, names: list[str]) -> tuple[torch.utils.data.Dataset, Callable[[Any], Any]]:
    """The store with this package: its data set for training."""
    training = importlib.import_module("lxmert_data.training")
    return training.ImageDataset([path]), training.collate


READERS: dict[str, type[Rows]] = {
    "mapped": Mapped,
    "memory": InMemory,
    "hdf5-flat": HdfFlat,
    "hdf5-groups": HdfGroups,
    "mmf-lmdb": Lmdb,
    "npz": Npz,
    "arrow": Arrow,
    "mds": Mds,
    "tsv": ListOfDicts,
}


def make_loader(kind: str, path: str, names: list[str], workers: int, batch: int) -> torch.utils.data.DataLoader:
    """A shuffling DataLoader over `path`; that of the store has threads for workers unless it is to have processes."""
    if kind == "webdataset":
        return open_webdataset(path, workers, batch)
    if kind == "store":
        return FeatureStore(path).to_dataloader(batch, shuffle=True, num_workers=workers)
    if kind == "store-processes":
        dataset, collate = open_store(path, names)
    else:
        dataset = READERS[kind](path, names)
        collate = type(dataset).collate
    return torch.utils.data.DataLoader(dataset, batch, shuffle=True, num_workers=workers, collate_fn=collate)
