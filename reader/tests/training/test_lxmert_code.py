"""LXMERT's own data sets, unchanged but for the loader, give the same from TSVs and stores, and so do ours.

LXMERT_CODE names a checkout of LXMERT; its code is no part of this project.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxmert_folder import write_folder

pytest.importorskip("torch")

import torch

import lxmert_data
from lxmert_data import training

CODE = os.environ.get("LXMERT_CODE")

pytestmark = [
    pytest.mark.skipif(CODE is None, reason="LXMERT_CODE does not name a checkout of LXMERT"),
    pytest.mark.filterwarnings("ignore:.*was made from a TSV"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lxmert")
    write_folder(root / "data", tsv=True)
    return root


@pytest.fixture
def lxmert(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that imports a module of LXMERT's, in its folder, with no arguments."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["lxmert"])
    monkeypatch.syspath_prepend(str(Path(str(CODE)) / "src"))
    yield importlib.import_module
    for name in [*sys.modules]:
        if name.split(".")[0] in ("param", "utils", "tasks", "pretrain"):
            del sys.modules[name]


def plain(value: Any) -> Any:
    """Comparable without loss: arrays and tensors as dtype, shape and bytes."""
    if isinstance(value, torch.Tensor):
        return ("tensor", *plain(value.numpy())[1:])
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, (list, tuple)):
        return (type(value), *map(plain, value))
    if isinstance(value, dict):
        return list(value.items())
    return (type(value), value) if isinstance(value, (int, float, str, type(None))) else plain(vars(value))


def example(value: Any) -> Any:
    return {name: plain(part) for name, part in vars(value).items()}


TASKS = [
    ("vqa", "VQA", splits)
    for splits in ("train", "train,nominival", "nominival,train", "minival", "minival,nominival", "test")
]
TASKS += [("gqa", "GQA", splits) for splits in ("train", "train,valid", "testdev", "submit")]
TASKS += [("nlvr2", "NLVR2", splits) for splits in ("train", "valid", "train,valid", "test", "hidden_test")]


@pytest.mark.parametrize("size", ["all", "tiny", "fast"])
@pytest.mark.parametrize(("module", "name", "splits"), TASKS)
def test_questions(
    module: str, name: str, splits: str, size: str, lxmert: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = lxmert(f"tasks.{module}_data")
    monkeypatch.setattr(theirs.args, "tiny", size == "tiny")
    monkeypatch.setattr(theirs.args, "fast", size == "fast")
    for number, constant in ((2, "TINY_IMG_NUM"), (3, "FAST_IMG_NUM")):
        assert getattr(theirs, constant) == getattr(sys.modules["lxmert_data.training.questions"], constant)
        monkeypatch.setattr(theirs, constant, number)
        monkeypatch.setattr(sys.modules["lxmert_data.training.questions"], constant, number)
    questions = getattr(theirs, f"{name}Dataset")(splits)
    from_tsv = getattr(theirs, f"{name}TorchDataset")(questions)
    monkeypatch.setattr(theirs, "load_obj_tsv", lxmert_data.load_obj_tsv)
    if module == "gqa":
        theirs.gqa_buffer_loader.key2data.clear()
    from_store = getattr(theirs, f"{name}TorchDataset")(questions)

    our_questions = getattr(training, f"{name}Dataset")(splits)
    ours = getattr(training, f"{name}TorchDataset")(our_questions, **({size: True} if size != "all" else {}))
    want = [plain(from_tsv[at]) for at in range(len(from_tsv))]
    assert [plain(from_store[at]) for at in range(len(from_store))] == want
    assert [plain(ours[at]) for at in range(len(ours))] == want
    assert len(questions) == len(our_questions)
    assert dict(our_questions.id2datum) == questions.id2datum
    if size == "all":
        assert len(want) == len(questions)
    if not want:
        return

    # Whole batches, as their collate function and ours make them.
    load = torch.utils.data.DataLoader
    batches = [plain(batch) for batch in load(from_tsv, batch_size=2)]
    assert [plain(batch) for batch in load(ours, batch_size=2, collate_fn=training.collate)] == batches
    assert [plain(batch) for batch in load(ours, batch_size=2)] == batches

    # The evaluators.
    if "label" in questions.data[0]:
        answers = {
            datum[our_questions.id_key]: 1 if name == "NLVR2" else ("yes" if at % 2 else next(iter(datum["label"])))
            for at, datum in enumerate(questions.data)
        }
        judge, our_judge = (getattr(theirs, f"{name}Evaluator"), getattr(training, f"{name}Evaluator"))
        assert our_judge(our_questions).evaluate(answers) == judge(questions).evaluate(answers)
        judge(questions).dump_result(answers, "theirs")
        our_judge(our_questions).dump_result(answers, "ours")
        assert Path("theirs").read_bytes() == Path("ours").read_bytes()


@pytest.mark.parametrize("matched", [False, True])
@pytest.mark.parametrize("qa_sets", [None, {"vqa"}, {"gqa", "visual7w"}])
@pytest.mark.parametrize(
    ("splits", "topk"),
    [("mscoco_train", -1), ("mscoco_train,mscoco_minival,vgnococo", -1), ("mscoco_minival", 2), ("mscoco_train", 1)],
)
def test_pretraining(
    splits: str, topk: int, qa_sets: set[str] | None, matched: bool, lxmert: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = lxmert("pretrain.lxmert_data")
    monkeypatch.setattr(theirs.args, "task_matched", matched)
    assert (theirs.TINY_IMG_NUM, theirs.FAST_IMG_NUM) == (500, 5000)
    sentences = theirs.LXMERTDataset(splits, qa_sets)
    from_tsv = theirs.LXMERTTorchDataset(sentences, topk)
    monkeypatch.setattr(theirs, "load_obj_tsv", lxmert_data.load_obj_tsv)
    from_store = theirs.LXMERTTorchDataset(sentences, topk)
    our_sentences = training.LXMERTDataset(splits, qa_sets)
    one_image = matched and len({datum["img_id"] for datum in from_tsv.data}) == 1
    if one_image:  # theirs would look for another image for ever
        with pytest.raises(lxmert_data.SplitError, match="no other image"):
            training.LXMERTTorchDataset(our_sentences, topk, task_matched=matched)
        return
    ours = training.LXMERTTorchDataset(our_sentences, topk, task_matched=matched)

    def run(dataset: Any) -> list[Any]:
        random.seed(3)
        items = [example(dataset[at]) for _ in range(3) for at in range(len(dataset))]
        return [items, [plain(dataset.random_feat()) for _ in range(9)]]

    want = run(from_tsv)
    assert run(from_store) == want
    assert run(ours) == want
    loader = torch.utils.data.DataLoader
    random.seed(4)
    theirs_batches = [example(item) for batch in loader(from_tsv, 3, collate_fn=lambda x: x) for item in batch]
    random.seed(4)
    our_batches = [example(item) for batch in loader(ours, 3, collate_fn=lambda x: x) for item in batch]
    assert our_batches == theirs_batches

    assert our_sentences.answer_table.ans2id_map() == sentences.answer_table.ans2id_map()
    answers = {datum["uid"]: "2" for datum in from_tsv.data}
    if any(datum["labelf"] for datum in sentences.data):
        want_score = theirs.LXMERTEvaluator(sentences).evaluate(answers)
        assert training.LXMERTEvaluator(our_sentences).evaluate(answers) == want_score


def test_answer_conversion(lxmert: Any) -> None:
    table = lxmert("pretrain.qa_answer_table").AnswerTable()
    ours = training.AnswerTable()
    words = [
        "",
        ".",
        "A",
        "a ",
        "a man",
        "The Man.",
        "the a man",
        "an owl .",
        "a an the x",
        "TEN",
        "ten.",
        "grey",
        "the",
    ]
    words += ["two", "an one", "the woman", "a  b", " a b", "Grey cat", "the the man", "1.", "..", "a man."]
    assert [ours.convert_ans(word) for word in words] == [table.convert_ans(word) for word in words]
