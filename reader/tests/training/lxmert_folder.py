"""A small data folder as LXMERT's: TSVs, stores of the same rows, JSON splits and answer tables, all made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from store_writer import Row, make_rows, write_store, write_tsv

IMAGES = {
    "mscoco_imgfeat/train2014": [f"COCO_train2014_{at:012d}" for at in (9, 4, 7, 5)],
    "mscoco_imgfeat/val2014": [f"COCO_val2014_{at:012d}" for at in (3, 8, 1, 6)],
    "mscoco_imgfeat/test2015": [f"COCO_test2015_{at:012d}" for at in (2, 1)],
    "vg_gqa_imgfeat/vg_gqa": ["2375429", "n161313", "1", "713"],
    "vg_gqa_imgfeat/gqa_testdev": ["n1", "n2"],
    "nlvr2_imgfeat/train": [f"train-{pair}-0-img{side}" for pair in (3, 1) for side in (0, 1)],
    "nlvr2_imgfeat/valid": ["dev-1-0-img0", "dev-1-0-img1", "dev-2-0-img0"],
    "nlvr2_imgfeat/test": ["test1-1-0-img1", "test1-1-0-img0"],
}
VQA_ANSWERS = ["", "net", "yes", "no", "2"]
GQA_ANSWERS = ["pipe", "yes", "no"]
TABLE = [("0", ["vqa"]), ("2", ["vqa", "gqa"]), ("man", ["visual7w"]), ("gray", ["gqa"]), ("yes", ["vqa"])]


def vqa_question(number: int, img_id: str, **label: float) -> dict[str, Any]:
    datum = {
        "answer_type": "other",
        "img_id": img_id,
        "question_id": number,
        "question_type": "what",
        "sent": f"What is in {number} \u2014 ä?",
    }
    return {**datum, "label": label} if label else datum


def gqa_question(number: str, img_id: str, **label: float) -> dict[str, Any]:
    datum = {"img_id": img_id, "question_id": number, "sent": f" Is it {number}?"}
    return {**datum, "label": label} if label else datum


def nlvr2_sentence(name: str, number: int, label: int | None) -> dict[str, Any]:
    datum = {
        "identifier": f"{name}-{number}",
        "img0": f"{name}-img0",
        "img1": f"{name}-img1",
        "sent": f"One image shows {number}.",
        "uid": f"nlvr2_{name}_{number}",
    }
    return datum if label is None else {**datum, "label": label}


def make_splits() -> dict[str, Any]:
    train, val = IMAGES["mscoco_imgfeat/train2014"], IMAGES["mscoco_imgfeat/val2014"]
    test = IMAGES["mscoco_imgfeat/test2015"]
    return {
        "vqa/train": [
            vqa_question(11, train[2], net=1, yes=0.3),
            vqa_question(12, train[0], no=0.9),
            vqa_question(13, train[2], **{"": 0.6, "2": 0.3}),
            vqa_question(14, train[3], yes=1),
        ],
        "vqa/nominival": [vqa_question(21, val[3], no=1), vqa_question(22, val[2], yes=0.6)],
        "vqa/minival": [vqa_question(31, val[0], no=0.3), vqa_question(32, val[1], yes=1, no=0.3)],
        "vqa/test": [vqa_question(41, test[1]), vqa_question(42, test[0])],
        "vqa/trainval_label2ans": VQA_ANSWERS,
        "vqa/trainval_ans2label": {answer: label for label, answer in enumerate(VQA_ANSWERS)},
        "gqa/train": [
            gqa_question("07333408", "2375429", pipe=1.0),
            gqa_question("2", "713", no=1.0),
            gqa_question("3", "1", unheard=1.0, yes=0.5),
        ],
        "gqa/valid": [gqa_question("4", "n161313", yes=1.0)],
        "gqa/testdev": [gqa_question("5", "n2", yes=1.0), gqa_question("6", "n1", pipe=1.0)],
        "gqa/submit": [gqa_question("7", "n161313"), gqa_question("8", "1")],
        "gqa/trainval_label2ans": GQA_ANSWERS,
        "gqa/trainval_ans2label": {answer: label for label, answer in enumerate(GQA_ANSWERS)},
        "nlvr2/train": [nlvr2_sentence("train-1-0", 0, 1), nlvr2_sentence("train-3-0", 1, 0)],
        "nlvr2/valid": [nlvr2_sentence("dev-1-0", 0, 0)],
        "nlvr2/test": [nlvr2_sentence("test1-1-0", 0, 1)],
        "nlvr2/hidden_test": [nlvr2_sentence("test1-1-0", 5, None)],
        "lxmert/all_ans": [{"ans": answer, "dsets": sets} for answer, sets in TABLE],
        "lxmert/mscoco_train": [
            {
                "img_id": train[0],
                "sentf": {"mscoco": ["A cat.", "Two cats."], "vqa": ["How many?", "Who?", "What?"]},
                "labelf": {"vqa": [{"two": 1, "0": 0.3}, {"A man.": 0.9, "man": 0.3, "dog": 1}, {"dog": 1}]},
            },
            {"img_id": train[3], "sentf": {"mscoco": ["A dog.", "B", "C", "D", "E", "F"]}, "labelf": {}},
        ],
        "lxmert/mscoco_minival": [
            {
                "img_id": val[1],
                "sentf": {"visual7w": ["Which colour?"], "gqa": ["Is it there?"]},
                "labelf": {"visual7w": [{"the Grey": 1.0}], "gqa": [{"Yes": 1.0}]},
            }
        ],
        "lxmert/vgnococo": [{"img_id": "713", "sentf": {"vg": ["red thing"]}, "labelf": {}}],
    }


def write_folder(root: Path, tsv: bool = False) -> dict[str, Row]:
    """Writes the folder, with TSVs too if asked, and gives all rows by img_id."""
    for name, content in make_splits().items():
        path = root / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    images: dict[str, Row] = {}
    for seed, (name, ids) in enumerate(IMAGES.items()):
        rows = make_rows(len(ids), seed, ids)
        path = root / f"{name}_obj36.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_store(path, rows)
        if tsv:
            write_tsv(path.with_suffix(".tsv"), rows)
        images.update((row["img_id"], row) for row in rows)
    return images
