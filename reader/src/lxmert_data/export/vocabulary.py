"""Names of the detector's classes: objects_vocab.txt and attributes_vocab.txt, where line i is class id i."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import MissingFileError, StoreError

OBJECT_CLASSES = 1600
_OBJECTS_FILE = "objects_vocab.txt"


@dataclass(frozen=True)
class Vocabulary:
    """The first name of each object class; its synonyms, which follow commas in the file, are left out."""

    objects: Sequence[str]


def read_vocabulary(folder: str) -> Vocabulary:
    """Reads the vocabulary in a folder; raises StoreError where it is missing or is that of another detector."""
    path = os.path.join(folder, _OBJECTS_FILE)
    hint = "fetch it: lxmert-data fetch detector --kind json, or name another folder with --vocab"
    if not os.path.isfile(path):
        raise MissingFileError("the vocabulary is not there", path, None, None, hint)
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    if len(lines) != OBJECT_CLASSES:
        raise StoreError(
            "this is not the vocabulary of the 36-box detector",
            path,
            f"{OBJECT_CLASSES} lines",
            f"{len(lines)} lines",
            hint,
        )
    return Vocabulary([line.split(",")[0].strip() for line in lines])
