"""The training example runs on a small data folder and learns it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import train_vqa
from lxmert_folder import write_folder


def test_the_loss_falls(tmp_path: Path) -> None:
    write_folder(tmp_path)
    options = ["--data", str(tmp_path), "--small", "--epochs", "12", "--batch", "6", "--learning-rate", "0.003"]
    losses = train_vqa.main(options)
    assert len(losses) == 12
    assert losses[-1] < losses[0] * 0.7
