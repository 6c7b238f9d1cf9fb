"""LXMERT's pre-training data: every sentence about an image is an item, with the labels of the image's regions."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import SplitError, StoreWarning, quote
from .answers import AnswerTable, is_scores
from .batches import ExampleBatch, InputExample, Label
from .feature_source import FeatureSource, Stores, no_image_found
from .item_numbers import read_item_numbers
from .json_files import scan_records
from .records import encode_image_id
from .text_column import TextColumn, TextColumnBuilder

if TYPE_CHECKING:
    from numpy.typing import NDArray

TINY_IMG_NUM = 500
FAST_IMG_NUM = 5000
COLUMNS = ("features", "boxes", "objects_id", "objects_conf", "attrs_id", "attrs_conf")

_STORES = {
    "mscoco_train": "mscoco_imgfeat/train2014_obj36",
    "mscoco_minival": "mscoco_imgfeat/val2014_obj36",
    "mscoco_nominival": "mscoco_imgfeat/val2014_obj36",
    "vgnococo": "vg_gqa_imgfeat/vg_gqa_obj36",
}


class LXMERTDataset:
    """Sentences of pre-training: `splits` names mscoco_train, mscoco_nominival, mscoco_minival, vgnococo.

    `answer_table` has the answers; `qa_sets` keeps those of these data sets (vqa, gqa, visual7w). Answers are
    converted and looked up here, once, and answers that the table lacks dropped. The length counts images.
    """

    def __init__(
        self, splits: str, qa_sets: Sequence[str] | set[str] | None = None, root: str | os.PathLike[str] = "data"
    ) -> None:
        self.name = splits
        self.sources = splits.split(",")
        self.root = os.fspath(root)
        self.answer_table = AnswerTable(qa_sets, root)
        self.sentences = _Sentences()
        for source in self.sources:
            path = os.path.join(self.root, "lxmert", f"{source}.json")
            for _, record in scan_records(path):
                self.sentences.add(record, self.answer_table, path)
        self.sentences.finish()

    def __len__(self) -> int:
        return len(self.sentences.images)

    def store_names(self) -> list[str]:
        """Paths of the stores below `root`, each once."""
        for source in self.sources:
            if source not in _STORES:
                raise SplitError(
                    "no store is known for this source", None, ", ".join(_STORES), source, "name the stores: stores=[…]"
                )
        return list(dict.fromkeys(_STORES[source] for source in self.sources))


class _Sentences:
    """All sentences of a split as columns. Entry i is a sentence; `image_of[i]` numbers its image."""

    def __init__(self) -> None:
        self.categories: list[str] = []
        self._builder = TextColumnBuilder()
        self._images = TextColumnBuilder()
        self._image_count = 0
        # image, category, number in the category, labelled or not, count of answers
        self._entries: list[tuple[int, int, int, bool, int]] = []
        self._labels: list[tuple[int, float]] = []

    def add(self, record: Mapping[str, Any], table: AnswerTable, path: str) -> None:
        """Takes in one image."""
        try:
            img_id, sentf, labelf = record["img_id"], record["sentf"], record["labelf"]
        except KeyError as error:
            raise SplitError(f"record {self._image_count} lacks {error}", path, "img_id, sentf and labelf") from None
        _check_record(record, self._image_count, path)
        self._images.append(img_id)
        for category, sentences in sentf.items():
            if category not in self.categories:
                self.categories.append(category)
            labels = labelf.get(category)
            if labels is not None and len(labels) < len(sentences):
                got = f"{len(labels)} labels for {len(sentences)} sentences"
                raise SplitError(f"labels of {img_id} are missing", path, f"one for each {category} sentence", got)
            for at, sentence in enumerate(sentences):
                label = {} if labels is None else table.convert_label(labels[at])
                self._builder.append(sentence)
                self._labels.extend((table.ans2id(answer), score) for answer, score in label.items())
                kind = self.categories.index(category)
                self._entries.append((self._image_count, kind, at, labels is not None, len(label)))
        self._image_count += 1

    def finish(self) -> None:
        entries = np.array(self._entries, np.int64).reshape(-1, 5)
        labels = np.array(self._labels, np.float64).reshape(-1, 2)
        self.image_of = torch.from_numpy(entries[:, 0].astype(np.int32))
        self.category = torch.from_numpy(entries[:, 1].astype(np.int16))
        self.number = torch.from_numpy(entries[:, 2].astype(np.int32))
        self.labelled = torch.from_numpy(entries[:, 3].astype(np.bool_))
        self.label_starts = torch.from_numpy(np.concatenate([[0], np.cumsum(entries[:, 4])]))
        self.label_answers = torch.from_numpy(labels[:, 0].astype(np.int32))
        self.label_scores = torch.from_numpy(labels[:, 1].copy())
        self.texts: TextColumn = self._builder.finish()
        self.images: TextColumn = self._images.finish()
        del self._builder, self._images, self._entries, self._labels

    def uid(self, entry: int) -> tuple[str]:
        image, category = self.images[int(self.image_of[entry])], self.categories[int(self.category[entry])]
        # A tuple of one, as LXMERT's is.
        return (f"{image}_{category}_{int(self.number[entry]):03d}",)

    def label(self, entry: int) -> Label:
        """Scores by answer id; None for a sentence without labels, empty where the table has none of its answers."""
        if not self.labelled[entry]:
            return None
        start, end = self.label_starts[entry : entry + 2].tolist()
        return dict(zip(self.label_answers[start:end].tolist(), self.label_scores[start:end].tolist()))


# Numbers of items, and of each the entry whose sentence it has and 1 where that is its own, else 0.
ItemPlan = tuple[list[int], list[tuple[int, int]]]


class LXMERTTorchDataset(torch.utils.data.Dataset):  # type: ignore[misc,name-defined,unused-ignore]
    """Items of pre-training, each an `InputExample`; a batch of them passes as a list of examples.

    `topk` uses the first images of each store, as LXMERT does for its validation; `tiny` and `fast` are 500 and 5,000.
    With `task_matched` every second sentence, drawn with Python's `random` as in LXMERT, is that of another image.
    Images that the stores lack are left out; unless a limit is why, StoreWarning counts them.
    """

    def __init__(
        self,
        dataset: LXMERTDataset,
        topk: int = -1,
        tiny: bool = False,
        fast: bool = False,
        task_matched: bool = False,
        stores: Stores | None = None,
        pin_memory: bool = False,
    ) -> None:
        self.raw_dataset = dataset
        self.task_matched = task_matched
        if stores is None:
            stores = [os.path.join(dataset.root, f"{name}.safetensors") for name in dataset.store_names()]
        limit = TINY_IMG_NUM if tiny else FAST_IMG_NUM if fast else topk
        self.source = FeatureSource(stores, limit, pin_memory)
        sentences = dataset.sentences
        names = [name.encode("utf-8", "surrogatepass") for name in sentences.images]
        found = self.source.find(np.array(names, np.bytes_))
        if self.source.complete:
            _warn_of_missing(dataset, self.source, found)
        places = found[sentences.image_of.numpy()]
        self._entries = torch.from_numpy(np.flatnonzero(places >= 0))
        self._places = torch.from_numpy(places[places >= 0])
        if task_matched and len(self) and bool((self._places == self._places[0]).all()):
            raise SplitError(
                "there is no other image to take a sentence from", dataset.name, "two images or more", "one"
            )

    @property
    def places(self) -> NDArray[np.int64]:
        """Which image of `source` each item shows, int64 [N, 1]."""
        places: NDArray[np.int64] = self._places.numpy()[:, None]
        return places

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> InputExample:
        example: InputExample = self.__getitems__([index])[0]
        return example

    def __getitems__(self, indices: Sequence[int]) -> ExampleBatch:
        """A whole batch, its columns gathered at once; what a DataLoader asks for from PyTorch 2.0 on."""
        return self.gather_items(self.plan_items(indices))

    def plan_items(self, indices: Sequence[int]) -> ItemPlan:
        """Numbers of items, each with its sentence and whether that matches: all that is drawn at random."""
        numbers = read_item_numbers(indices, len(self))
        return numbers, [self._choose_sentence(number) for number in numbers]

    def gather_items(self, plan: ItemPlan) -> ExampleBatch:
        """The batch of a plan; any thread may do this."""
        numbers, chosen = plan
        sentences = self.raw_dataset.sentences
        entries = self._entries[numbers].tolist()
        return ExampleBatch(
            [sentences.uid(entry) for entry in entries],
            [sentences.texts[entry] for entry, _ in chosen],
            self.source.gather(self._places[numbers].numpy(), COLUMNS),
            [matched for _, matched in chosen],
            [sentences.label(entry) for entry in entries],
        )

    def _choose_sentence(self, index: int) -> tuple[int, int]:
        """The entry whose sentence goes with item `index`, and whether that is its own: 1 or 0."""
        if self.task_matched and random.random() < 0.5:
            other = index
            while self._places[other] == self._places[index]:
                other = random.randint(0, len(self) - 1)
            return int(self._entries[other]), 0
        return int(self._entries[index]), 1

    def random_feat(self) -> NDArray[np.float32]:
        """The features of some region of some item's image, float32 [2048], drawn with Python's `random`."""
        place = int(self._places[random.randint(0, len(self) - 1)])
        return self.source.region(place, random.randint(0, 35))


def _check_record(record: Mapping[str, Any], number: int, path: str) -> None:
    encode_image_id(record, "img_id", path)
    checks = (("sentf", "texts", lambda part: isinstance(part, str)), ("labelf", "labels", is_scores))
    for name, parts, is_part in checks:
        value = record[name]
        if not isinstance(value, dict):
            raise SplitError(f"{name} of record {number} is no object", path, "an object", type(value).__name__)
        for category, found in value.items():
            if not isinstance(found, list) or not all(map(is_part, found)):
                expected = f"an array of {parts}"
                raise SplitError(
                    f"{category} in {name} of record {number} cannot be used", path, expected, quote(found)
                )


def _warn_of_missing(dataset: LXMERTDataset, source: FeatureSource, found: NDArray[np.int64]) -> None:
    missing = np.flatnonzero(found < 0)
    if len(missing) == len(found) and len(found) > 0:
        raise no_image_found(dataset.name, dataset.sentences.images[0], source)
    if len(missing):
        warnings.warn(
            f"{len(missing)} of {len(found)} images of {dataset.name} are left out: the stores lack them, first "
            f"{dataset.sentences.images[int(missing[0])]!r}; lxmert-data verify says what is missing",
            StoreWarning,
            stacklevel=3,
        )
