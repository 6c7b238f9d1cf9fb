"""Answers and their numbers: the table of pre-training with its rules of conversion, and the labels of fine-tuning."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import SplitError, quote
from .json_files import read_json

_NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS, 1)}
_SAME = {f"{article} {noun}": noun for article in ("a", "the") for noun in ("man", "woman")}
_SAME.update(_DIGITS, grey="gray")


class AnswerTable:
    """The answers of LXMERT's pre-training, 9,500 in all, and their ids: positions in `all_ans.json`.

    `dsets` keeps the answers that one of these data sets (vqa, gqa, visual7w) uses.
    """

    def __init__(self, dsets: Iterable[str] | None = None, root: str | os.PathLike[str] = "data") -> None:
        path = os.path.join(root, "lxmert", "all_ans.json")
        wanted = None if dsets is None else set(dsets)
        entries = read_json(path)
        _check_entries(entries, path)
        known = {name for entry in entries for name in entry["dsets"]}
        if wanted is not None and not wanted <= known:
            got = "a text" if isinstance(dsets, str) else ", ".join(sorted(wanted))
            raise SplitError("no such data set in the table", path, f"a set of {', '.join(sorted(known))}", got)
        self._answers: list[str] = [entry["ans"] for entry in entries if wanted is None or wanted & set(entry["dsets"])]
        self._ids = {answer: at for at, answer in enumerate(self._answers)}
        if len(self._ids) != len(self._answers):
            raise SplitError("an answer is in the table twice", path, "distinct answers", f"{len(self._ids)} of them")

    def convert_ans(self, ans: str) -> str:
        """An answer as the table writes it: lower case, no full stop, no article, digits, American gray."""
        ans = ans.lower()
        if ans.endswith("."):
            ans = ans[:-1].strip()
        for article in ("a ", "an ", "the "):
            if ans.startswith(article):
                ans = ans[len(article) :].strip()
        return _SAME.get(ans, ans)

    def convert_label(self, label: Mapping[str, float]) -> dict[str, float]:
        """Scores by answer, the answers converted; those that the table lacks are left out.

        Answers that stay keep their places, converted ones move to the end, and of two that become the same the one
        that was converted last gives the score.
        """
        result = dict(label)
        for ans in label:
            new = self.convert_ans(ans)
            if new == ans and self.used(new):
                continue
            score = result.pop(ans)
            if self.used(new):
                result[new] = score
        return result

    def ans2id(self, ans: str) -> int:
        return self._ids[ans]

    def id2ans(self, ans_id: int) -> str:
        return self._answers[ans_id]

    def ans2id_map(self) -> dict[str, int]:
        return self._ids.copy()

    def id2ans_map(self) -> list[str]:
        return self._answers.copy()

    def all_answers(self) -> list[str]:
        return self._answers.copy()

    def used(self, ans: str) -> bool:
        return ans in self._ids

    @property
    def num_answers(self) -> int:
        return len(self._answers)


def is_scores(label: Any) -> bool:
    """Whether a value from JSON is a label: an object of finite scores by answer."""
    return isinstance(label, dict) and all(
        isinstance(score, (int, float)) and abs(score) < math.inf for score in label.values()
    )


def _check_entries(entries: Any, path: str) -> None:
    expected = 'an array of objects with "ans", a text, and "dsets", an array of texts'
    for entry in entries if isinstance(entries, list) else [entries]:
        ans, dsets = (entry.get("ans"), entry.get("dsets")) if isinstance(entry, dict) else (None, None)
        if not isinstance(ans, str) or not _are_texts(dsets):
            raise SplitError("the file is no table of answers", path, expected, quote(entry))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def read_answer_labels(folder: str) -> tuple[dict[str, int], list[str]]:
    """`ans2label` and `label2ans` of a fine-tuning task; raises SplitError where they contradict each other."""
    first, second = (os.path.join(folder, f"trainval_{name}.json") for name in ("ans2label", "label2ans"))
    ans2label: dict[str, int] = read_json(first)
    label2ans: list[str] = read_json(second)
    if not _are_texts(label2ans):
        raise SplitError("the file is no table of answers", second, "an array of texts", quote(label2ans))
    inverse = {answer: label for label, answer in enumerate(label2ans)}
    if ans2label != inverse or len(inverse) < len(label2ans):
        raise SplitError(
            "the two answer tables differ", first, f"the inverse of {second}", "another", "fetch both again"
        )
    return ans2label, label2ans
