"""Collate functions: for LXMERT's own models, and for those of Hugging Face transformers with any tokenizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .batch_memory import BatchMemory
from .batches import ExampleBatch, ImageBatch, InputExample, QuestionBatch

_IGNORED = -100


def collate(batch: Any) -> Any:
    """Passes a batch on as it was gathered, without another copy.

    Gives [ids, features, boxes, sentences(, targets)] for VQA, GQA and NLVR2, as LXMERT's models take them; an
    `ExampleBatch`, which passes as a list of examples, for pre-training; a dict for `ImageDataset`. Before
    PyTorch 2.0, which knows no batches of a data set's own, it falls back on PyTorch's function.
    """
    if isinstance(batch, (QuestionBatch, ExampleBatch, ImageBatch)):
        return batch.collated()
    if isinstance(batch[0], InputExample):
        return batch
    return torch.utils.data.dataloader.default_collate(batch)


class HuggingFaceCollate:
    """Makes inputs of `LxmertModel`, or `LxmertForQuestionAnswering`, from batches of VQA, GQA or NLVR2.

    Gives a dict of `inputs` (input_ids, attention_mask, token_type_ids [B, max_length], visual_feats [B, 36, 2048],
    visual_pos [B, 36, 4]) for `model(**batch["inputs"])`, `ids`, and `targets`, None where there are no labels. Of
    NLVR2 inputs have 2 B rows: the first and the second image of each sentence in turn.
    """

    def __init__(self, tokenizer: Any, max_length: int = 20) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length

    def __call__(self, batch: Any) -> dict[str, Any]:
        ids, features, boxes, sentences, *rest = collate(batch)
        sentences = [sentence.strip() for sentence in sentences]
        if features.dim() == 4:
            features, boxes = features.flatten(0, 1), boxes.flatten(0, 1)
            sentences = [sentence for sentence in sentences for _ in range(2)]
        inputs = _tokenize(self._tokenizer, sentences, self._max_length)
        inputs.update(visual_feats=features, visual_pos=boxes)
        return {"inputs": inputs, "ids": ids, "targets": rest[0] if rest else None}


class PretrainingCollate:
    """Makes inputs of `LxmertForPreTraining` from batches of pre-training, with LXMERT's masking.

    15 % of words and of regions are to be predicted: 80 % of them are hidden, 10 % replaced (a word by any of the
    vocabulary, a region by any of the batch), 10 % left. One answer is drawn by its score. Gives a dict for
    `model(**batch)`: labels and ans hold -100 where nothing is to be predicted (-1 in LXMERT: `ignored`), and are left
    out where that is so for the whole batch, as their loss would be no number. Draws from PyTorch's generator.
    """

    def __init__(
        self,
        tokenizer: Any,
        max_length: int = 20,
        word_mask_rate: float = 0.15,
        object_mask_rate: float = 0.15,
        ignored: int = _IGNORED,
    ) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._word_rate = word_mask_rate
        self._object_rate = object_mask_rate
        self._ignored = ignored
        self._memory = BatchMemory()

    def __call__(self, batch: ExampleBatch | list[InputExample]) -> dict[str, Any]:
        whole = batch if isinstance(batch, ExampleBatch) else _stack_examples(batch)
        sentences = [sentence.strip() for sentence in whole.sentences]
        inputs = _tokenize(self._tokenizer, sentences, self._max_length)
        inputs["labels"] = self._mask_words(inputs["input_ids"], inputs["attention_mask"])
        features = whole.columns["features"]
        masked, mask = self._mask_regions(features)
        inputs.update(
            visual_feats=masked,
            visual_pos=whole.columns["boxes"],
            obj_labels={
                "obj": (whole.columns["objects_id"], whole.columns["objects_conf"]),
                "attr": (whole.columns["attrs_id"], whole.columns["attrs_conf"]),
                "feat": (features, mask),
            },
            matched_label=torch.tensor(whole.matched),
            ans=torch.tensor([self._draw_answer(whole, at) for at in range(len(whole))]),
        )
        for name in ("labels", "ans"):
            if (inputs[name] == self._ignored).all():
                del inputs[name]
        return inputs

    def _mask_words(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Hides words in place and gives the labels."""
        special = torch.tensor([*self._tokenizer.all_special_ids])
        # An unknown word is a word all the same.
        special = special[special != self._tokenizer.unk_token_id]
        words = attention_mask.bool() & ~torch.isin(input_ids, special)
        chosen = words & (torch.rand(input_ids.shape) < self._word_rate)
        labels = torch.where(chosen, input_ids, torch.full_like(input_ids, self._ignored))
        fate = torch.rand(input_ids.shape)
        input_ids[chosen & (fate < 0.8)] = self._tokenizer.mask_token_id
        replaced = chosen & (fate >= 0.8) & (fate < 0.9)
        input_ids[replaced] = torch.randint(len(self._tokenizer), (int(replaced.sum()),))
        return labels

    def _mask_regions(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features with some regions hidden, and 1 for those to be predicted, float32 [B, 36]."""
        masked = self._memory.take(tuple(features.shape), features.dtype).copy_(features)
        shape = features.shape[:2]
        chosen, fate = torch.rand(shape) < self._object_rate, torch.rand(shape)
        masked[chosen & (fate < 0.8)] = 0
        replaced = chosen & (fate >= 0.8) & (fate < 0.9)
        regions = features.flatten(0, 1)
        masked[replaced] = regions[torch.randint(len(regions), (int(replaced.sum()),))]
        return masked, chosen.float()

    def _draw_answer(self, batch: ExampleBatch, at: int) -> int:
        label = batch.labels[at]
        if not label or not batch.matched[at]:
            return self._ignored
        scores = torch.tensor(list(label.values()), dtype=torch.float64)
        return list(label)[int(torch.multinomial(scores, 1))] if len(label) > 1 else next(iter(label))


def _tokenize(tokenizer: Any, sentences: list[str], max_length: int) -> dict[str, Any]:
    encoded = tokenizer(sentences, padding="max_length", truncation=True, max_length=max_length, return_tensors="pt")
    names = ("input_ids", "attention_mask", "token_type_ids")
    return {name: encoded[name] for name in names if name in encoded}


def _stack_examples(examples: list[InputExample]) -> ExampleBatch:
    """A batch of single items, as PyTorch hands them over before 2.0."""

    def stack(arrays: Any) -> torch.Tensor:
        return torch.from_numpy(np.stack(list(arrays)))

    columns = {
        "features": stack(example.visual_feats[0] for example in examples),
        "boxes": stack(example.visual_feats[1] for example in examples),
        "objects_id": stack(example.obj_labels[0] for example in examples),
        "objects_conf": stack(example.obj_labels[1] for example in examples),
        "attrs_id": stack(example.attr_labels[0] for example in examples),
        "attrs_conf": stack(example.attr_labels[1] for example in examples),
    }
    return ExampleBatch(
        [example.uid for example in examples],
        [example.sent for example in examples],
        columns,
        [example.is_matched for example in examples],
        [example.label for example in examples],
    )
