"""Many texts in two tensors: no Python object a text, so that workers share them and nothing grows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


class TextColumn(Sequence[str]):
    """Texts in a tensor of UTF-8 bytes. Workers inherit it (fork) or map it as shared memory (spawn)."""

    def __init__(self, content: torch.Tensor, starts: torch.Tensor) -> None:
        self._content = content
        self._starts = starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        at = range(len(self))[index]
        start, end = self._starts[at : at + 2].tolist()
        text: bytes = self._content[start:end].numpy().tobytes()
        return text.decode("utf-8", "surrogatepass")


class TextColumnBuilder:
    """Collects the texts of a TextColumn."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._ends = [0]

    def append(self, text: str) -> None:
        self._content += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._content))

    def finish(self) -> TextColumn:
        content = np.frombuffer(bytes(self._content), np.uint8).copy()
        return TextColumn(torch.from_numpy(content), torch.tensor(self._ends))
