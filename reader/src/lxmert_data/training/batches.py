"""Batches as the data sets give them: all images of a batch in one tensor, its items made when asked for.

PyTorch's own collate function, which looks at items, works on them too; `collate` takes the tensors as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Union

import numpy as np
import torch

Label = Union["dict[int, float]", None]


class _Items:
    """Items by number; deliberately no Sequence, whose items PyTorch would pin one by one."""

    def __len__(self) -> int:
        raise NotImplementedError

    def sample(self, index: int) -> Any:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        return self.sample(range(len(self))[index])

    def __iter__(self) -> Iterator[Any]:
        return map(self.sample, range(len(self)))

    def pin_memory(self, device: Any = None) -> Any:
        """What a DataLoader with pin_memory=True calls."""
        pinned = {name: pin(value) for name, value in vars(self).items()}
        return replace(self, **pinned)  # type: ignore[type-var]


def pin(value: Any) -> Any:
    """The same with every tensor in pinned memory, also inside dicts, lists, tuples and batches of this module."""
    if isinstance(value, (torch.Tensor, _Items)):
        return value.pin_memory()
    if isinstance(value, dict):
        return {name: pin(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(pin(part) for part in value)
    return value


@dataclass
class QuestionBatch(_Items):
    """B questions. Features float32 [B, 36, 2048], boxes float32 [B, 36, 4]; of NLVR2 [B, 2, 36, …].

    `targets` are float32 [B, answers] of soft scores, of NLVR2 int64 [B], or None where there are no labels.
    """

    ids: list[Any]
    features: torch.Tensor
    boxes: torch.Tensor
    sentences: list[str]
    targets: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.ids)

    def sample(self, index: int) -> tuple[Any, ...]:
        """(id, features, boxes, sentence[, target]), the arrays NumPy's, as an item of LXMERT's."""
        start = (self.ids[index], self.features[index].numpy(), self.boxes[index].numpy(), self.sentences[index])
        if self.targets is None:
            return start
        target = self.targets[index]
        return (*start, target if target.dim() else int(target))

    def collated(self) -> list[Any]:
        """The tensors as PyTorch's collate function would make them of the items."""
        numbers = all(isinstance(name, int) for name in self.ids)
        start = [torch.tensor(self.ids) if numbers else tuple(self.ids), self.features, self.boxes]
        start.append(tuple(self.sentences))
        return start if self.targets is None else [*start, self.targets]


@dataclass
class ImageBatch(_Items):
    """B images: their img_ids and the columns of FeatureStore.batch as tensors."""

    ids: list[str]
    columns: dict[str, torch.Tensor]

    def __len__(self) -> int:
        return len(self.ids)

    def sample(self, index: int) -> dict[str, Any]:
        return {"img_id": self.ids[index], **{name: column[index] for name, column in self.columns.items()}}

    def collated(self) -> dict[str, Any]:
        return {"img_id": self.ids, **self.columns}


class InputExample:
    """One item of pre-training, with the attributes of LXMERT's.

    `visual_feats` are features and boxes, `obj_labels` and `attr_labels` class ids and confidences, `label` scores by
    answer id, or None where the sentence is no question.
    """

    def __init__(
        self,
        uid: tuple[str],
        sent: str,
        visual_feats: tuple[np.ndarray, np.ndarray],
        obj_labels: tuple[np.ndarray, np.ndarray],
        attr_labels: tuple[np.ndarray, np.ndarray],
        is_matched: int,
        label: Label,
    ) -> None:
        self.uid = uid
        self.sent = sent
        self.visual_feats = visual_feats
        self.obj_labels = obj_labels
        self.attr_labels = attr_labels
        self.is_matched = is_matched
        self.label = label


@dataclass
class ExampleBatch(_Items):
    """B items of pre-training; `columns` are features, boxes, objects_id, objects_conf, attrs_id, attrs_conf."""

    uids: list[tuple[str]]
    sentences: list[str]
    columns: dict[str, torch.Tensor]
    matched: list[int]
    labels: Sequence[Label]

    def __len__(self) -> int:
        return len(self.uids)

    def sample(self, index: int) -> InputExample:
        def row(name: str) -> np.ndarray:
            array: np.ndarray = self.columns[name][index].numpy()
            return array

        return InputExample(
            self.uids[index],
            self.sentences[index],
            (row("features"), row("boxes")),
            (row("objects_id"), row("objects_conf")),
            (row("attrs_id"), row("attrs_conf")),
            self.matched[index],
            self.labels[index],
        )

    def collated(self) -> ExampleBatch:
        """Itself: LXMERT's pre-training takes a list of examples."""
        return self
