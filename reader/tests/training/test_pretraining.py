"""Pre-training data as LXMERT gives them, restated by hand."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxmert_folder import IMAGES, write_folder
from store_writer import Row

pytest.importorskip("torch")

from lxmert_data import SplitError, StoreWarning
from lxmert_data.training import AnswerTable, LXMERTDataset, LXMERTEvaluator, LXMERTTorchDataset


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module", autouse=True)
def images(root: Path) -> dict[str, Row]:
    return write_folder(root)


FIRST = "COCO_train2014_000000000009"


@pytest.mark.parametrize(
    ("answer", "converted"),
    [
        ("Two", "2"),
        ("TEN.", "10"),
        ("a man", "man"),
        ("The Woman.", "woman"),
        ("the a man", "man"),
        ("an owl .", "owl"),
        ("a an the x", "x"),
        ("grey", "gray"),
        ("grey cat", "grey cat"),
        ("a", "a"),
        ("", ""),
        (".", ""),
        ("1..", "1."),
    ],
)
def test_answers_are_converted(answer: str, converted: str, root: Path) -> None:
    assert AnswerTable(root=root).convert_ans(answer) == converted


def test_answer_table(root: Path) -> None:
    table = AnswerTable(root=root)
    assert table.all_answers() == table.id2ans_map() == ["0", "2", "man", "gray", "yes"]
    assert (table.ans2id("gray"), table.id2ans(2), table.num_answers) == (3, "man", 5)
    assert AnswerTable({"gqa", "visual7w"}, root).ans2id_map() == {"2": 0, "man": 1, "gray": 2}
    assert list(table.convert_label({"two": 1, "0": 0.3, "cat": 1}).items()) == [("0", 0.3), ("2", 1)]
    assert table.convert_label({"A man.": 0.9, "man": 0.3}) == {"man": 0.9}


@pytest.mark.parametrize("text", ["null", "{}", '["a"]', '[{"ans": "a"}]', '[{"ans": 7, "dsets": []}]'])
def test_broken_answer_tables_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "lxmert").mkdir()
    (tmp_path / "lxmert" / "all_ans.json").write_text(text)
    with pytest.raises(SplitError, match="the file is no table of answers"):
        AnswerTable(root=tmp_path)


def test_unknown_data_sets_of_answers_are_refused(root: Path) -> None:
    for name in ({"VQA"}, {"vqa", "vg"}, "vqa,gqa"):
        with pytest.raises(SplitError, match="no such data set in the table"):
            AnswerTable(name, root)


def test_items(root: Path, images: dict[str, Row]) -> None:
    sentences = LXMERTDataset("mscoco_train,mscoco_minival,vgnococo", root=root)
    assert len(sentences) == 4
    items = [*map(LXMERTTorchDataset(sentences).__getitem__, range(14))]
    assert [item.uid for item in items[:6]] == [
        (f"{FIRST}_mscoco_000",),
        (f"{FIRST}_mscoco_001",),
        (f"{FIRST}_vqa_000",),
        (f"{FIRST}_vqa_001",),
        (f"{FIRST}_vqa_002",),
        ("COCO_train2014_000000000005_mscoco_000",),
    ]
    assert [item.sent for item in items[9:]] == ["E", "F", "Which colour?", "Is it there?", "red thing"]
    labels = [item.label for item in items]
    assert labels[:5] == [None, None, {0: 0.3, 1: 1.0}, {2: 0.9}, {}]
    assert labels[5:] == [None] * 6 + [{3: 1.0}, {4: 1.0}, None]
    assert {item.is_matched for item in items} == {1}
    for item, name in zip((items[0], items[12], items[13]), (FIRST, "COCO_val2014_000000000008", "713")):
        row = images[name]
        pairs = zip(
            (*item.visual_feats, *item.obj_labels, *item.attr_labels),
            ("features", "boxes", "objects_id", "objects_conf", "attrs_id", "attrs_conf"),
        )
        for array, key in pairs:
            want = row[key] / np.array([row["img_w"], row["img_h"]] * 2, "<f4") if key == "boxes" else row[key]
            assert array.dtype == want.dtype
            assert np.array_equal(array, want)


def test_matching_draws_sentences_of_other_images(root: Path) -> None:
    dataset = LXMERTTorchDataset(LXMERTDataset("mscoco_train", root=root), task_matched=True)
    own = [example.sent for example in LXMERTTorchDataset(LXMERTDataset("mscoco_train", root=root))]
    random.seed(1)
    items = [item for _ in range(60) for item in dataset.__getitems__(range(11))]
    assert 0.4 < np.mean([item.is_matched for item in items]) < 0.6
    groups = (set(own[:5]), set(own[5:]))
    for at, item in enumerate(items):
        group = at % 11 >= 5
        assert item.sent == own[at % 11] if item.is_matched else item.sent in groups[not group]
    others = {item.sent for item in items if not item.is_matched}
    assert others == groups[0] | groups[1]
    with pytest.raises(SplitError, match="no other image"):
        LXMERTTorchDataset(LXMERTDataset("vgnococo", root=root), task_matched=True)


def test_random_features_are_regions_of_items(root: Path, images: dict[str, Row]) -> None:
    dataset = LXMERTTorchDataset(LXMERTDataset("mscoco_train", root=root))
    random.seed(2)
    number, box = random.randint(0, 10), random.randint(0, 35)
    random.seed(2)
    row = images[FIRST if number < 5 else "COCO_train2014_000000000005"]
    assert np.array_equal(dataset.random_feat(), row["features"][box])


def test_limits(root: Path) -> None:
    sentences = LXMERTDataset("mscoco_train", root=root)
    assert [len(LXMERTTorchDataset(sentences, topk)) for topk in (-1, 0, 1, 3, 4, 5)] == [11, 11, 5, 5, 11, 11]
    tiny = LXMERTTorchDataset(sentences, 1, tiny=True)
    fast = LXMERTTorchDataset(sentences, 1, fast=True)
    assert (tiny.source._topk, fast.source._topk, len(tiny)) == (500, 5000, 11)


def test_missing_images_are_told(root: Path) -> None:
    store = root / "mscoco_imgfeat" / "val2014_obj36.safetensors"
    sentences = LXMERTDataset("mscoco_train,mscoco_minival", root=root)
    with pytest.warns(StoreWarning, match=rf"2 of 3 images of .* left out: the stores lack them, first '{FIRST}'"):
        assert len(LXMERTTorchDataset(sentences, stores=[store])) == 2


def test_evaluator(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge = LXMERTEvaluator(LXMERTDataset("mscoco_train,mscoco_minival", root=root))
    other = "COCO_val2014_000000000008"
    answers = {
        (f"{FIRST}_vqa_000",): "2",
        (f"{FIRST}_vqa_001",): "man",
        (f"{FIRST}_vqa_002",): "dog",
        (f"{FIRST}_mscoco_000",): "2",
        (f"{other}_visual7w_000",): "yes",
        (f"{other}_gqa_000",): "yes",
    }
    score, each = judge.evaluate(answers, pprint=True)
    assert score == (1 + 0.9 + 0 + 0 + 1) / 5
    assert each == {"vqa": 1.9 / 3, "visual7w": 0, "gqa": 1}
    assert capsys.readouterr().out == (
        "Overall Accu 0.5800, gqa Accu 1.0000, visual7w Accu 0.0000, vqa Accu 0.6333, \n"
    )


def test_broken_splits_are_refused(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "lxmert", tmp_path / "lxmert")
    path = tmp_path / "lxmert" / "mscoco_train.json"
    name = IMAGES["mscoco_imgfeat/train2014"][0]
    path.write_text(json.dumps([{"img_id": name, "sentf": {}}]))
    with pytest.raises(SplitError, match="record 0 lacks 'labelf'"):
        LXMERTDataset("mscoco_train", root=tmp_path)
    path.write_text(json.dumps([{"img_id": name, "sentf": {"vqa": ["a", "b"]}, "labelf": {"vqa": [{}]}}]))
    with pytest.raises(SplitError, match="1 labels for 2 sentences"):
        LXMERTDataset("mscoco_train", root=tmp_path)
    good = {"img_id": name, "sentf": {"vqa": ["a"]}, "labelf": {"vqa": [{"two": 1}]}}
    broken: list[tuple[dict[str, Any], str]] = [
        ({"img_id": 7}, "a record names no image"),
        ({"img_id": name + "\0"}, "a record names no image"),
        ({"sentf": ["a"]}, "sentf of record 0 is no object"),
        ({"labelf": None}, "labelf of record 0 is no object"),
        ({"sentf": {"vqa": "a"}}, "vqa in sentf of record 0 cannot be used"),
        ({"sentf": {"vqa": [7]}}, "vqa in sentf of record 0 cannot be used"),
        ({"labelf": {"vqa": None}}, "vqa in labelf of record 0 cannot be used"),
        ({"labelf": {"vqa": [["two"]]}}, "vqa in labelf of record 0 cannot be used"),
        ({"labelf": {"vqa": [{"two": None}]}}, "vqa in labelf of record 0 cannot be used"),
        ({"labelf": {"vqa": [{"two": float("nan")}]}}, "vqa in labelf of record 0 cannot be used"),
    ]
    for change, message in broken:
        path.write_text(json.dumps([{**good, **change}]))
        with pytest.raises(SplitError, match=message):
            LXMERTDataset("mscoco_train", root=tmp_path)
    with pytest.raises(SplitError, match="no store is known for this source"):
        shutil.copy(root / "lxmert" / "vgnococo.json", tmp_path / "lxmert" / "mine.json")
        LXMERTTorchDataset(LXMERTDataset("mine", root=tmp_path))
