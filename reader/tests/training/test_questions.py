"""VQA, GQA and NLVR2 as LXMERT gives them, restated by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxmert_folder import IMAGES, nlvr2_sentence, write_folder
from store_writer import Row, make_header, make_metadata, make_rows, make_tensors, write_store

pytest.importorskip("torch")

import torch

from lxmert_data import SplitError, StoreError, StoreWarning
from lxmert_data.training import (
    GQADataset,
    GQAEvaluator,
    GQATorchDataset,
    NLVR2Dataset,
    NLVR2Evaluator,
    NLVR2TorchDataset,
    VQADataset,
    VQAEvaluator,
    VQATorchDataset,
    collate,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module", autouse=True)
def images(root: Path) -> dict[str, Row]:
    return write_folder(root)


def assert_image(features: Any, boxes: Any, row: Row) -> None:
    assert (features.dtype, features.shape) == (np.float32, (36, 2048))
    assert np.array_equal(features, row["features"])
    size = np.array([row["img_w"], row["img_h"]] * 2, np.float32)
    assert (boxes.dtype, boxes.shape) == (np.float32, (36, 4))
    assert np.array_equal(boxes, row["boxes"] / size)


def test_vqa(root: Path, images: dict[str, Row]) -> None:
    questions = VQADataset("train,nominival", root)
    assert (len(questions), questions.num_answers, questions.label2ans[1]) == (6, 5, "net")
    assert questions.id2datum[22]["label"] == {"yes": 0.6}
    items = [*map(VQATorchDataset(questions).__getitem__, range(6))]
    assert [item[0] for item in items] == [11, 12, 13, 14, 21, 22]
    assert items[0][3] == "What is in 11 \u2014 ä?"
    scores = [
        [0, 1, 0.3, 0, 0],
        [0, 0, 0, 0.9, 0],
        [0.6, 0, 0, 0, 0.3],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0.6, 0, 0],
    ]
    assert torch.equal(torch.stack([item[4] for item in items]), torch.tensor(scores))
    names = [7, 9, 7, 5]
    for item, name in zip(items, [f"COCO_train2014_{at:012d}" for at in names]):
        assert_image(item[1], item[2], images[name])
    for item, name in zip(items[4:], ("COCO_val2014_000000000006", "COCO_val2014_000000000001")):
        assert_image(item[1], item[2], images[name])


def test_vqa_without_labels(root: Path) -> None:
    dataset = VQATorchDataset(VQADataset("test", root))
    assert [len(item) for item in map(dataset.__getitem__, range(2))] == [4, 4]
    assert [dataset[-1][0], dataset[0][0]] == [42, 41]
    with pytest.raises(IndexError):
        _ = dataset[2]


def test_gqa(root: Path, images: dict[str, Row]) -> None:
    dataset = GQATorchDataset(GQADataset("train,valid", root))
    items = [*map(dataset.__getitem__, range(4))]
    assert [item[0] for item in items] == ["07333408", "2", "3", "4"]
    assert items[0][3] == " Is it 07333408?"
    # An answer that the table lacks is left out.
    assert [item[4].tolist() for item in items] == [[1, 0, 0], [0, 0, 1], [0, 0.5, 0], [0, 1, 0]]
    for item, name in zip(items, ("2375429", "713", "1", "n161313")):
        assert_image(item[1], item[2], images[name])


def test_gqa_testdev_with_others(root: Path, images: dict[str, Row]) -> None:
    dataset = GQATorchDataset(GQADataset("testdev,train", root), tiny=True)
    items = [*map(dataset.__getitem__, range(len(dataset)))]
    assert [item[0] for item in items] == ["5", "6", "07333408", "2", "3"]
    assert_image(items[0][1], items[0][2], images["n2"])


def test_nlvr2(root: Path, images: dict[str, Row]) -> None:
    dataset = NLVR2TorchDataset(NLVR2Dataset("train", root))
    name, features, boxes, sentence, label = dataset[0]
    assert (name, sentence, label, type(label)) == ("nlvr2_train-1-0_0", "One image shows 0.", 1, int)
    assert (features.shape, boxes.shape) == ((2, 36, 2048), (2, 36, 4))
    for side in (0, 1):
        assert_image(features[side], boxes[side], images[f"train-1-0-img{side}"])
    batch = collate(dataset.__getitems__([1, 0]))
    assert torch.equal(batch[4], torch.tensor([0, 1]))
    assert_image(batch[1][0, 1].numpy(), batch[2][0, 1].numpy(), images["train-3-0-img1"])
    assert len(NLVR2TorchDataset(NLVR2Dataset("hidden_test", root))[0]) == 4


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_half_precision_stores_widen(dtype: str, root: Path, tmp_path: Path, images: dict[str, Row]) -> None:
    ids = IMAGES["mscoco_imgfeat/train2014"]
    rows = [images[name] for name in ids]
    store = write_store(tmp_path / "half.safetensors", rows, dtype)
    dataset = VQATorchDataset(VQADataset("train", root), stores=[store])
    batch = dataset.__getitems__([0, 1, 2, 3])
    stored = make_tensors(rows, dtype)["features"]
    if dtype == "bf16":
        stored = (stored.astype("<u4") << 16).view("<f4")
    want = stored[[ids.index(f"COCO_train2014_{at:012d}") for at in (7, 9, 7, 5)]].astype(np.float32)
    assert batch.features.dtype == torch.float32
    assert np.array_equal(batch.features.numpy(), want)


def write_empty_store(path: Path, ids: list[str]) -> Path:
    """A store of many images whose features are a hole in the file."""
    tensors = make_tensors(make_rows(1))
    count, width = len(ids), max(map(len, ids))
    for name, array in tensors.items():
        tensors[name] = np.broadcast_to(array[:1], (count, *array.shape[1:]))
    tensors["features"] = np.broadcast_to(np.float16(0), (count, 36, 2048))
    tensors["img_id"] = np.array([list(name.ljust(width, "\0").encode()) for name in ids], np.uint8)
    document = make_header(tensors, make_metadata({**tensors, "crc32": np.zeros(count, "<u4")}, "f16"))
    body = json.dumps(document).encode()
    body += b" " * (-(8 + len(body)) % 32768)
    with open(path, "wb") as file:
        file.write(len(body).to_bytes(8, "little") + body)
        file.seek(tensors["features"].size * 2, 1)
        for name in [*tensors][1:]:
            file.write(tensors[name].tobytes())
    return path


def test_tiny_and_fast_take_the_first_512_and_5000_images(root: Path, tmp_path: Path) -> None:
    names = [f"COCO_train2014_{at * 7919 % 5003:012d}" for at in range(5003)]
    store = write_empty_store(tmp_path / "many.safetensors", names)
    folder = tmp_path / "data"
    shutil.copytree(root / "vqa", folder / "vqa")
    # Two questions an image, in another order than the images.
    questions = [
        {"img_id": name, "question_id": 2 * number + which, "sent": "?", "label": {}}
        for which in (0, 1)
        for number, name in reversed([*enumerate(names)])
    ]
    (folder / "vqa" / "train.json").write_text(json.dumps(questions))
    data = VQADataset("train", folder)

    def numbers(dataset: Any) -> list[int]:
        return [question["question_id"] for question in (data.data[int(at)] for at in dataset._records)]

    def expected(images: int) -> list[int]:
        return [question["question_id"] for question in questions if question["question_id"] < 2 * images]

    assert numbers(VQATorchDataset(data, tiny=True, stores=[store])) == expected(512)
    assert numbers(VQATorchDataset(data, fast=True, stores=[store])) == expected(5000)
    assert numbers(VQATorchDataset(data, tiny=True, fast=True, stores=[store])) == expected(512)
    assert numbers(VQATorchDataset(data, stores=[store])) == expected(5003)


def test_missing_images_are_told(root: Path, tmp_path: Path, images: dict[str, Row]) -> None:
    ids = IMAGES["mscoco_imgfeat/train2014"][:3]
    store = write_store(tmp_path / "part.safetensors", [images[name] for name in ids])
    with pytest.warns(StoreWarning) as caught:
        dataset = VQATorchDataset(VQADataset("train", root), stores=[store])
    assert str(caught[0].message) == (
        "1 of 4 questions of vqa train are left out: the stores lack their images, first "
        "'COCO_train2014_000000000005'; lxmert-data verify says what is missing"
    )
    assert caught[0].filename == __file__
    assert [dataset[at][0] for at in range(len(dataset))] == [11, 12, 13]


def test_no_image_at_all_is_an_error(root: Path, tmp_path: Path) -> None:
    rows = make_rows(4, 99, ["132417", "132418", "132419", "132420"])
    store = write_store(tmp_path / "numbers.safetensors", rows)
    with pytest.raises(SplitError, match="none of the images of vqa train") as caught:
        VQATorchDataset(VQADataset("train", root), stores=[store])
    assert caught.value.expected == "images such as COCO_train2014_000000000007"
    assert caught.value.got == "images such as 132417"
    assert caught.value.hint is not None and "--ids" in caught.value.hint


def test_the_last_store_wins(root: Path, tmp_path: Path) -> None:
    rows = make_rows(4, 99, IMAGES["mscoco_imgfeat/train2014"])
    other = write_store(tmp_path / "other.safetensors", rows)
    first = root / "mscoco_imgfeat" / "train2014_obj36.safetensors"
    item = VQATorchDataset(VQADataset("train", root), stores=[first, other])[1]
    assert_image(item[1], item[2], rows[0])


def test_a_box_outside_of_its_image(root: Path, tmp_path: Path) -> None:
    rows = make_rows(4, 5, IMAGES["mscoco_imgfeat/train2014"])
    rows[3]["boxes"] = rows[3]["boxes"].copy()
    rows[3]["boxes"][7, 2] = rows[3]["img_w"] * 1.01
    dataset = VQATorchDataset(VQADataset("train", root), stores=[write_store(tmp_path / "s.safetensors", rows)])
    assert len(dataset.__getitems__([0, 1, 2])) == 3
    with pytest.raises(StoreError, match=r"a box of 'COCO_train2014_000000000005' is outside of its image"):
        _ = dataset[3]


RECORD = '{"img_id": "a", "question_id": 1, "sent": "?"}'


def write_split(root: Path, folder: Path, text: str) -> Path:
    shutil.copytree(root / "vqa", folder / "vqa", dirs_exist_ok=True)
    (folder / "vqa" / "train.json").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is no JSON split"),
        ("{}", "the file is no JSON split"),
        ("[", "record 0 is no JSON"),
        ("[1]", "record 0 is no object"),
        (f"[{RECORD}", "the split ends or breaks after record 0"),
        (f"[{RECORD},]", "record 1 is no JSON"),
        (f"[{RECORD} {RECORD}]", "the split ends or breaks after record 0"),
        (f"[{RECORD}] []", "something follows the last record"),
        ("[" * 100_000, "record 0 is no JSON"),
        ("\ufeff[]", "the file is no JSON split"),
        ('[{"img_id": 7, "question_id": 1, "sent": "?"}]', "a record names no image"),
        ('[{"img_id": "a\\u0000", "question_id": 1, "sent": "?"}]', "a record names no image"),
        ('[{"question_id": 7, "sent": "?"}]', "a record names no image"),
        ('[{"img_id": "a", "sent": "?"}]', "a record has no question_id"),
        ('[{"img_id": "a", "question_id": [1], "sent": "?"}]', "a record has no question_id"),
        ('[{"img_id": "a", "question_id": 1}]', "a record has no sent"),
        ('[{"img_id": "a", "question_id": 1, "sent": 7}]', "a record has no sent"),
    ],
)
def test_broken_splits_are_refused(text: str, message: str, root: Path, tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=message):
        VQADataset("train", write_split(root, tmp_path, text))


def test_empty_split(root: Path, tmp_path: Path) -> None:
    questions = VQADataset("train", write_split(root, tmp_path, " [ ] \n"))
    assert len(questions) == len(questions.id2datum) == 0
    store = root / "mscoco_imgfeat" / "train2014_obj36.safetensors"
    assert len(VQATorchDataset(questions, stores=[store])) == 0


def test_missing_files_say_what_to_do(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"no such file\n  what to do: lxmert-data fetch"):
        VQADataset("absent", root)
    with pytest.raises(SplitError, match="no store is known for this split"):
        shutil.copy(root / "vqa" / "train.json", root / "vqa" / "mine.json")
        VQATorchDataset(VQADataset("mine", root))


def test_labels_that_do_not_fit(root: Path, tmp_path: Path) -> None:
    name = IMAGES["mscoco_imgfeat/train2014"][0]
    with_label = {"img_id": name, "question_id": 1, "sent": "?", "label": {"unheard": 1}}
    without = {"img_id": name, "question_id": 2, "sent": "?"}
    folder = write_split(root, tmp_path, json.dumps([with_label, without]))
    store = root / "mscoco_imgfeat" / "train2014_obj36.safetensors"
    dataset = VQATorchDataset(VQADataset("train", folder), stores=[store])
    with pytest.raises(SplitError, match="a label of question 1 is no answer of the table"):
        _ = dataset[0]
    with pytest.raises(SplitError, match="mixes questions with and without labels"):
        dataset.__getitems__([0, 1])
    (folder / "vqa" / "trainval_ans2label.json").write_text('{"": 0, "net": 2}')
    with pytest.raises(SplitError, match="the two answer tables differ"):
        VQADataset("train", folder)
    (folder / "vqa" / "trainval_ans2label.json").write_text('{"a": 1}')
    (folder / "vqa" / "trainval_label2ans.json").write_text('["a", "a"]')
    with pytest.raises(SplitError, match="the two answer tables differ"):
        VQADataset("train", folder)
    for text in ("null", '{"0": "a"}', '[["a"]]'):
        (folder / "vqa" / "trainval_label2ans.json").write_text(text)
        with pytest.raises(SplitError, match="the file is no table of answers"):
            VQADataset("train", folder)


@pytest.mark.parametrize("label", [None, ["net"], "net", {"net": "1"}, {"net": None}, {"net": float("nan")}, 1])
def test_labels_that_are_none(label: Any, root: Path, tmp_path: Path) -> None:
    datum = {"img_id": IMAGES["mscoco_imgfeat/train2014"][0], "question_id": 1, "sent": "?", "label": label}
    folder = write_split(root, tmp_path, json.dumps([datum]))
    store = root / "mscoco_imgfeat" / "train2014_obj36.safetensors"
    dataset = VQATorchDataset(VQADataset("train", folder), stores=[store])
    with pytest.raises(SplitError, match="the label of question 1 cannot be used"):
        _ = dataset[0]


@pytest.mark.parametrize("label", [None, "1", 0.5, [1], 2])
def test_nlvr2_labels_are_0_or_1(label: Any, root: Path, tmp_path: Path) -> None:
    (tmp_path / "nlvr2").mkdir()
    (tmp_path / "nlvr2" / "train.json").write_text(json.dumps([{**nlvr2_sentence("train-1-0", 0, 1), "label": label}]))
    store = root / "nlvr2_imgfeat" / "train_obj36.safetensors"
    dataset = NLVR2TorchDataset(NLVR2Dataset("train", tmp_path), stores=[store])
    with pytest.raises(SplitError, match="the label of question nlvr2_train-1-0_0 cannot be used"):
        _ = dataset[0]


def test_records_are_a_sequence(root: Path) -> None:
    data = VQADataset("train", root).data
    assert [record["question_id"] for record in data[1:3]] == [12, 13]
    assert (data[-1]["question_id"], data[:0]) == (14, [])


def test_evaluators(root: Path, tmp_path: Path) -> None:
    vqa = VQAEvaluator(VQADataset("train", root))
    assert vqa.evaluate({11: "yes", 12: "no", 13: "net", 14: "yes"}) == (0.3 + 0.9 + 0 + 1) / 4
    vqa.dump_result({11: "yes"}, tmp_path / "vqa.json")
    assert json.loads((tmp_path / "vqa.json").read_text()) == [{"question_id": 11, "answer": "yes"}]
    gqa = GQAEvaluator(GQADataset("train", root))
    assert gqa.evaluate({"2": "no", "3": "unheard", "07333408": "yes"}) == 2 / 3
    gqa.dump_result({"07333408": "pipe"}, tmp_path / "gqa.json")
    assert json.loads((tmp_path / "gqa.json").read_text()) == [{"questionId": "07333408", "prediction": "pipe"}]
    nlvr2 = NLVR2Evaluator(NLVR2Dataset("train", root))
    uids = ["nlvr2_train-1-0_0", "nlvr2_train-3-0_1"]
    assert nlvr2.evaluate({uids[0]: 1, uids[1]: 1}) == 0.5
    nlvr2.dump_result({uids[0]: 1, uids[1]: 0}, tmp_path / "nlvr2.csv")
    assert (tmp_path / "nlvr2.csv").read_bytes() == b"train-1-0-0,True\ntrain-3-0-1,False\n"
    with pytest.raises(ValueError, match="no answer to score"):
        vqa.evaluate({})
    with pytest.raises(SplitError, match="nothing to score against"):
        VQAEvaluator(VQADataset("test", root)).evaluate({41: "yes"})


def test_the_published_answer_tables(tmp_path: Path) -> None:
    samples = Path(__file__).resolve().parents[3].parent / "shared" / "samples" / "answers"
    if not samples.exists():
        pytest.skip("no published answer tables")
    for name in ("vqa", "gqa"):
        shutil.copytree(samples / name, tmp_path / name)
        (tmp_path / name / "none.json").write_text("[]")
    vqa, gqa = VQADataset("none", tmp_path), GQADataset("none", tmp_path)
    assert (vqa.num_answers, gqa.num_answers) == (3129, 1842)
    assert (vqa.label2ans[0], vqa.ans2label[""]) == ("", 0)
