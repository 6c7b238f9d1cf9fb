"""Scores answers and writes them in the form that the evaluation servers take."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ..errors import SplitError
from .pretraining import LXMERTDataset
from .questions import GQADataset, NLVR2Dataset, VQADataset


class _SoftEvaluator:
    """Scores answers by the label of their question."""

    id_name: str
    answer_name: str

    def __init__(self, dataset: VQADataset | GQADataset) -> None:
        self.dataset = dataset

    def evaluate(self, quesid2ans: Mapping[Any, str]) -> float:
        """The mean score of answers by question id; an answer that the label lacks scores 0."""
        return _mean([_label(self.dataset, name).get(answer, 0) for name, answer in quesid2ans.items()])

    def dump_result(self, quesid2ans: Mapping[Any, str], path: str | os.PathLike[str]) -> None:
        """Writes a JSON list of one object an answer."""
        result = [{self.id_name: name, self.answer_name: answer} for name, answer in quesid2ans.items()]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=4, sort_keys=True)


class VQAEvaluator(_SoftEvaluator):
    """VQA: `dump_result` writes question_id and answer."""

    id_name = "question_id"
    answer_name = "answer"


class GQAEvaluator(_SoftEvaluator):
    """GQA: `dump_result` writes questionId and prediction."""

    id_name = "questionId"
    answer_name = "prediction"


class NLVR2Evaluator:
    """NLVR2: accuracy of labels 0 and 1; `dump_result` writes lines of identifier and True or False."""

    def __init__(self, dataset: NLVR2Dataset) -> None:
        self.dataset = dataset

    def evaluate(self, quesid2ans: Mapping[str, int]) -> float:
        return _mean([float(_label(self.dataset, name) == answer) for name, answer in quesid2ans.items()])

    def dump_result(self, quesid2ans: Mapping[str, int], path: str | os.PathLike[str]) -> None:
        with open(path, "w", encoding="utf-8") as file:
            for name, answer in quesid2ans.items():
                file.write(f"{self.dataset.id2datum[name]['identifier']},{answer == 1}\n")


class LXMERTEvaluator:
    """The questions of pre-training: scores answers by uid, over all and for each data set."""

    def __init__(self, dataset: LXMERTDataset) -> None:
        self.raw_dataset = dataset
        self._entries: dict[tuple[str], int] | None = None

    def evaluate(self, uid2ans: Mapping[tuple[str], str], pprint: bool = False) -> tuple[float, dict[str, float]]:
        """The mean score and that of each data set; uids of sentences without labels do not count."""
        sentences, table = self.raw_dataset.sentences, self.raw_dataset.answer_table
        if self._entries is None:
            labelled = sentences.labelled.nonzero()[:, 0].tolist()
            self._entries = {sentences.uid(entry): entry for entry in labelled}
        scores: list[float] = []
        by_set: dict[str, list[float]] = defaultdict(list)
        for uid, answer in uid2ans.items():
            entry = self._entries.get(uid)
            if entry is None:
                continue
            label = sentences.label(entry) or {}
            score = label.get(table.ans2id(answer), 0.0) if table.used(answer) else 0.0
            scores.append(score)
            by_set[sentences.categories[int(sentences.category[entry])]].append(score)
        accuracy, each = _mean(scores), {name: _mean(part) for name, part in by_set.items()}
        if pprint:
            parts = "".join(f"{name} Accu {each[name]:0.4f}, " for name in sorted(each))
            print(f"Overall Accu {accuracy:0.4f}, {parts}")
        return accuracy, each


def _label(dataset: Any, name: Any) -> Any:
    datum = dataset.id2datum[name]
    if "label" not in datum:
        raise SplitError("there is nothing to score against", dataset.name, "a split with labels", f"{name} has none")
    return datum["label"]


def _mean(scores: list[float]) -> float:
    if not scores:
        raise ValueError("no answer to score")
    # Added in order, as LXMERT does, so that the sum is the same to the last bit.
    total = 0.0
    for score in scores:
        total += score
    return total / len(scores)
