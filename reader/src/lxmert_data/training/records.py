"""The records of some JSON splits, kept as text and parsed when looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import SplitError, quote
from .json_files import scan_records
from .text_column import TextColumnBuilder

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Records(Sequence["dict[str, Any]"]):
    """A sequence of dicts, made anew at each access. Raises SplitError for one without id, sentence and images."""

    def __init__(self, paths: Sequence[str], id_key: str, image_keys: Sequence[str]) -> None:
        texts = TextColumnBuilder()
        images: list[bytes] = []
        for path in paths:
            for text, record in scan_records(path):
                _check_record(record, id_key, path)
                texts.append(text)
                images.extend(encode_image_id(record, key, path) for key in image_keys)
        self._texts = texts.finish()
        self._images = torch.from_numpy(np.array(images or [b"-"], np.bytes_).view(np.uint8))
        self._images_each = len(image_keys)

    @property
    def images(self) -> NDArray[np.bytes_]:
        """The img_ids of the records as zero-padded UTF-8, [len, images a record]."""
        count = len(self) * self._images_each
        width = len(self._images) // max(count, 1)
        images: NDArray[np.bytes_] = self._images.numpy()[: width * count].view(f"S{width}")
        return images.reshape(-1, self._images_each)

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        return json.loads(self._texts[index])


class RecordsById(Mapping[Any, "dict[str, Any]"]):
    """Records by the value of one key; of several with the same value, the last. The index is made on first use."""

    def __init__(self, records: Records, key: str) -> None:
        self._records = records
        self._key = key
        self._places: dict[Any, int] | None = None

    def _index(self) -> dict[Any, int]:
        if self._places is None:
            self._places = {record[self._key]: at for at, record in enumerate(self._records)}
        return self._places

    def __getitem__(self, name: Any) -> dict[str, Any]:
        return self._records[self._index()[name]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._index())

    def __len__(self) -> int:
        return len(self._index())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_places": None}


def _check_record(record: Mapping[str, Any], id_key: str, path: str) -> None:
    for key, kinds, expected in ((id_key, (str, int), "a text or a number"), ("sent", (str,), "a text")):
        if not isinstance(record.get(key), kinds):
            raise SplitError(f"a record has no {key}", path, f'{expected} under "{key}"', quote(record.get(key)))


def encode_image_id(record: Mapping[str, Any], key: str, path: str) -> bytes:
    """The img_id under `key` as UTF-8."""
    img_id = record.get(key)
    # A zero byte would be taken for padding.
    if not isinstance(img_id, str) or not img_id or "\0" in img_id:
        raise SplitError("a record names no image", path, f'a text under "{key}"', quote(img_id))
    return img_id.encode("utf-8", "surrogatepass")
