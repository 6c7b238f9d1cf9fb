"""LXMERT's VQA files from the official ones, written from the description of the rule and not from the TypeScript code.

restate-vqa.py RAW OUT RULE MINIVAL: the official JSON is in RAW, OUT gets train, nominival, minival and test.
Of RULE only the table of contractions is read.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

MARKS = r""";/[]"{}()=+\_-><@`,?!"""
NUMBERS = dict(zip("zero one two three four five six seven eight nine ten".split(), map(str, range(11))), none="0")


def normalise(text, contractions):
    original = text
    for mark in MARKS:
        touches_space = (mark + " ") in original or (" " + mark) in original
        if touches_space or re.search(r"[0-9],[0-9]", original):
            text = "".join(text.split(mark))
        else:
            text = " ".join(text.split(mark))
    text = re.sub(r"[.](?![0-9])", "", text, count=32)
    words = [NUMBERS.get(word, word) for word in text.lower().split()]
    words = [contractions.get(word, word) for word in words if word not in ("a", "an", "the")]
    return " ".join(words).replace(",", "")


def main(raw, out, rule, minival):
    contractions = {
        wrong: right
        for right, wrongs in json.loads(rule.read_text())["contractions"].items()
        for wrong in wrongs
    }
    pinned = set(minival.read_text().split())

    def load(name, key):
        return json.loads((raw / name).read_text(encoding="utf-8"))[key]

    annotations = {
        split: load(f"v2_mscoco_{split}_annotations.json", "annotations") for split in ("train2014", "val2014")
    }
    asked = {}
    for split in annotations.values():
        for one in split:
            asked.setdefault(normalise(one["multiple_choice_answer"], contractions), set()).add(one["question_id"])
    kept = {answer for answer, ids in asked.items() if len(ids) >= 9}
    results = {"train": [], "nominival": [], "minival": [], "test": []}
    for split in ("train2014", "val2014", "test2015"):
        by_id = {one["question_id"]: one for one in annotations.get(split, [])}
        for question in load(f"v2_OpenEnded_mscoco_{split}_questions.json", "questions"):
            image = "COCO_%s_%012d" % (split, question["image_id"])
            record = {"img_id": image, "question_id": question["question_id"], "sent": question["question"]}
            name = "test"
            if split != "test2015":
                one = by_id[question["question_id"]]
                given = Counter(answer["answer"] for answer in one["answers"])
                record["label"] = {
                    answer: {1: 0.3, 2: 0.6, 3: 0.9}.get(count, 1) for answer, count in given.items() if answer in kept
                }
                record["answer_type"] = one["answer_type"]
                record["question_type"] = one["question_type"]
                name = "train" if split == "train2014" else "minival" if image in pinned else "nominival"
            results[name].append(record)
    for name, records in results.items():
        with open(out / f"{name}.json", "w") as file:
            json.dump(records, file, indent=4, sort_keys=True)
    print(len(kept))


main(*map(Path, sys.argv[1:]))
