"""The data sets of fine-tuning: VQA, GQA and NLVR2, each as LXMERT's pair of questions and PyTorch data set."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import SplitError, StoreWarning, quote
from .answers import is_scores, read_answer_labels
from .batches import QuestionBatch
from .feature_source import FeatureSource, Stores, no_image_found
from .item_numbers import read_item_numbers
from .records import Records, RecordsById

if TYPE_CHECKING:
    from numpy.typing import NDArray

TINY_IMG_NUM = 512
FAST_IMG_NUM = 5000


class _Questions:
    """Questions of some splits; `splits` is a name or several with commas between, `root` LXMERT's data folder."""

    folder: str
    id_key: str
    image_keys: tuple[str, ...] = ("img_id",)

    def __init__(self, splits: str, root: str | os.PathLike[str] = "data") -> None:
        self.name = splits
        self.splits = splits.split(",")
        self.root = os.fspath(root)
        folder = os.path.join(self.root, self.folder)
        self.data = Records(
            [os.path.join(folder, f"{split}.json") for split in self.splits], self.id_key, self.image_keys
        )
        self.id2datum: Mapping[Any, dict[str, Any]] = RecordsById(self.data, self.id_key)
        self._read_answers(folder)

    def _read_answers(self, folder: str) -> None:
        pass

    def __len__(self) -> int:
        return len(self.data)

    def store_names(self) -> list[str]:
        """Paths of the stores below `root`, each once."""
        names = [self.store_of(split) for split in self.splits]
        return list(dict.fromkeys(names))

    def store_of(self, split: str) -> str:
        raise NotImplementedError

    def is_label(self, label: Any) -> bool:
        return is_scores(label)

    def target_of(self, label: Any, datum: Mapping[str, Any]) -> Any:
        raise NotImplementedError


class _AnsweredQuestions(_Questions):
    def _read_answers(self, folder: str) -> None:
        self.ans2label, self.label2ans = read_answer_labels(folder)

    @property
    def num_answers(self) -> int:
        return len(self.ans2label)


class VQADataset(_AnsweredQuestions):
    """VQA v2: train, valid, minival, nominival, test.

    `data` holds the records of the JSON files, `id2datum` finds them by question_id, `ans2label` and `label2ans` are
    the answers. Raises SplitError for files that cannot be used.
    """

    folder = "vqa"
    id_key = "question_id"
    _stores = {  # noqa: RUF012
        "train": "train2014",
        "valid": "val2014",
        "minival": "val2014",
        "nominival": "val2014",
        "test": "test2015",
    }

    def store_of(self, split: str) -> str:
        if split not in self._stores:
            raise SplitError("no store is known for this split of VQA", None, ", ".join(self._stores), split, _PASS)
        return f"mscoco_imgfeat/{self._stores[split]}_obj36"

    def target_of(self, label: Any, datum: Mapping[str, Any]) -> Any:
        return {self.ans2label[answer]: score for answer, score in label.items()}


class GQADataset(_AnsweredQuestions):
    """GQA: train, valid, testdev, submit and any other split; see VQADataset."""

    folder = "gqa"
    id_key = "question_id"

    def store_of(self, split: str) -> str:
        return f"vg_gqa_imgfeat/{'gqa_testdev' if split in ('testdev', 'testdev_all') else 'vg_gqa'}_obj36"

    def target_of(self, label: Any, datum: Mapping[str, Any]) -> Any:
        return {self.ans2label[answer]: score for answer, score in label.items() if answer in self.ans2label}


class NLVR2Dataset(_Questions):
    """NLVR2: train, valid, test and other names with test in them; `id2datum` finds records by uid."""

    folder = "nlvr2"
    id_key = "uid"
    image_keys = ("img0", "img1")

    def store_of(self, split: str) -> str:
        name = "test" if "test" in split else split
        if name not in ("train", "valid", "test"):
            raise SplitError("no store is known for this split of NLVR2", None, "train, valid or test", split, _PASS)
        return f"nlvr2_imgfeat/{name}_obj36"

    def is_label(self, label: Any) -> bool:
        return label in (0, 1)

    def target_of(self, label: Any, datum: Mapping[str, Any]) -> Any:
        return int(label)


_PASS = "name the stores: stores=[…]"


class _QuestionTorchDataset(torch.utils.data.Dataset):  # type: ignore[misc,name-defined,unused-ignore]
    """Questions with their images.

    An item is what LXMERT's is: (id, features float32 [36, 2048], boxes float32 [36, 4] of 0 to 1, sentence, target);
    without the target where the split has no labels. `tiny` and `fast` use the first 512 and 5,000 images of each
    store and the questions about them. `stores` names the stores where they are not at LXMERT's places.

    Questions about images that are not there are left out; unless `tiny` or `fast` is why, StoreWarning counts them.
    """

    def __init__(
        self,
        dataset: Any,
        tiny: bool = False,
        fast: bool = False,
        stores: Stores | None = None,
        pin_memory: bool = False,
    ) -> None:
        self.raw_dataset = dataset
        if stores is None:
            stores = [os.path.join(dataset.root, f"{name}.safetensors") for name in dataset.store_names()]
        self.source = FeatureSource(stores, self._choose_topk(tiny, fast), pin_memory)
        places = self.source.find(dataset.data.images)
        kept: NDArray[np.bool_] = np.all(places >= 0, axis=1)
        if self.source.complete:
            _warn_of_missing(dataset, self.source, places, kept)
        # Tensors, for workers map them instead of copying them, also under spawn.
        self._records = torch.from_numpy(np.flatnonzero(kept))
        self._places = torch.from_numpy(places[kept])

    def _choose_topk(self, tiny: bool, fast: bool) -> int | None:
        return TINY_IMG_NUM if tiny else FAST_IMG_NUM if fast else None

    @property
    def places(self) -> NDArray[np.int64]:
        """Which images of `source` each item shows: int64 [N, 1], of NLVR2 [N, 2]."""
        places: NDArray[np.int64] = self._places.numpy()
        return places

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        item: tuple[Any, ...] = self.__getitems__([index])[0]
        return item

    def __getitems__(self, indices: Sequence[int]) -> QuestionBatch:
        """A whole batch, its features gathered at once; what a DataLoader asks for from PyTorch 2.0 on."""
        numbers = read_item_numbers(indices, len(self))
        places = self.places[numbers]
        columns = self.source.gather(places.reshape(-1))
        if places.shape[1] > 1:
            columns = {name: column.view(*places.shape, *column.shape[1:]) for name, column in columns.items()}
        data = self.raw_dataset.data
        records = [data[at] for at in self._records[numbers].tolist()]
        ids = [record[self.raw_dataset.id_key] for record in records]
        sentences = [record["sent"] for record in records]
        return QuestionBatch(ids, columns["features"], columns["boxes"], sentences, self._targets(records))

    def _targets(self, records: Sequence[Mapping[str, Any]]) -> torch.Tensor | None:
        labelled = sum("label" in record for record in records)
        if not labelled:
            return None
        if labelled < len(records):
            raise SplitError(
                "a batch mixes questions with and without labels",
                self.raw_dataset.name,
                "splits with labels, or splits without",
                f"{labelled} of {len(records)} labelled",
            )
        return self._build_targets([self._convert(record) for record in records])

    def _convert(self, record: Mapping[str, Any]) -> Any:
        label = record["label"]
        if not self.raw_dataset.is_label(label):
            raise SplitError(
                f"the label of question {record[self.raw_dataset.id_key]} cannot be used",
                self.raw_dataset.name,
                "a score for each answer, or 0 or 1 for NLVR2",
                quote(label),
            )
        try:
            return self.raw_dataset.target_of(label, record)
        except KeyError as error:
            raise SplitError(
                f"a label of question {record[self.raw_dataset.id_key]} is no answer of the table",
                self.raw_dataset.name,
                "answers of trainval_ans2label.json",
                repr(error.args[0]),
            ) from None

    def _build_targets(self, labels: Sequence[Any]) -> torch.Tensor:
        targets = torch.zeros(len(labels), self.raw_dataset.num_answers)
        rows = [at for at, label in enumerate(labels) for _ in label]
        if rows:
            answers = [answer for label in labels for answer in label]
            scores = [score for label in labels for score in label.values()]
            targets[rows, answers] = torch.tensor(scores, dtype=targets.dtype)
        return targets


class VQATorchDataset(_QuestionTorchDataset):
    __doc__ = _QuestionTorchDataset.__doc__


class GQATorchDataset(_QuestionTorchDataset):
    __doc__ = _QuestionTorchDataset.__doc__

    def _choose_topk(self, tiny: bool, fast: bool) -> int | None:
        # testdev is small, and LXMERT always takes it whole.
        whole = {"testdev", "testdev_all"} & set(self.raw_dataset.splits)
        return None if whole else super()._choose_topk(tiny, fast)


class NLVR2TorchDataset(_QuestionTorchDataset):
    """Sentences with two images each: features [2, 36, 2048], boxes [2, 36, 4], target 0 or 1; see VQATorchDataset."""

    def _build_targets(self, labels: Sequence[Any]) -> torch.Tensor:
        return torch.tensor(labels)


def _warn_of_missing(dataset: Any, source: FeatureSource, places: NDArray[np.int64], kept: NDArray[np.bool_]) -> None:
    if kept.all():
        return
    first = dataset.data.images[places < 0][0].decode("utf-8", "replace")
    if not kept.any() and len(kept) > 0:
        raise no_image_found(f"{dataset.folder} {dataset.name}", first, source)
    warnings.warn(
        f"{len(kept) - int(kept.sum())} of {len(kept)} questions of {dataset.folder} {dataset.name} are left out: the "
        f"stores lack their images, first {first!r}; lxmert-data verify says what is missing",
        StoreWarning,
        stacklevel=3,
    )
