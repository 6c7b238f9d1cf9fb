"""For the Trainer of Hugging Face transformers: a collate function that it takes as it is, and a loss."""

from __future__ import annotations

from typing import Any

import torch

from .collate import HuggingFaceCollate

# What cross entropy leaves out.
_NO_ANSWER = -100


class TrainerCollate:
    """Makes flat inputs of `LxmertForQuestionAnswering` from batches of VQA or GQA; `data_collator` of a Trainer.

    Gives a dict of input_ids, attention_mask, token_type_ids [B, max_length], visual_feats [B, 36, 2048], visual_pos
    [B, 36, 4] and, where there are labels, `labels`: with `labels="classes"`, as the model's own cross entropy wants
    them, int64 [B], the answer of the highest score, -100 for a question without one; with `labels="scores"` float32
    [B, answers], for `compute_loss_func=soft_target_loss`. For pre-training, a Trainer takes `PretrainingCollate`.

    Use `remove_unused_columns=False`: otherwise Trainer takes batches apart and they are put together once more.
    """

    def __init__(self, tokenizer: Any, max_length: int = 20, labels: str = "classes") -> None:
        if labels not in ("classes", "scores"):
            raise ValueError(f"labels must be classes or scores, got {labels!r}")
        self._collate = HuggingFaceCollate(tokenizer, max_length)
        self._labels = labels

    def __call__(self, batch: Any) -> dict[str, torch.Tensor]:
        whole = self._collate(batch)
        inputs: dict[str, torch.Tensor] = whole["inputs"]
        targets = whole["targets"]
        if targets is not None:
            inputs["labels"] = choose_answers(targets) if self._labels == "classes" else targets
        return inputs


def choose_answers(targets: torch.Tensor) -> torch.Tensor:
    """The answer of the highest score in each row of soft targets [B, answers], int64 [B]; -100 for a row of zeros."""
    scores, answers = targets.max(dim=1)
    return torch.where(scores > 0, answers, torch.full_like(answers, _NO_ANSWER))


def soft_target_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    """LXMERT's loss of VQA: binary cross entropy times the number of answers; `compute_loss_func` of a Trainer."""
    logits = outputs["question_answering_score"]
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="sum")
    # With gradients accumulated over several batches, Trainer says how many labels all of them have.
    count = len(logits) if num_items_in_batch is None else num_items_in_batch / labels.shape[1]
    return loss / count
