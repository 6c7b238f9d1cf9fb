"""The examples with Trainer and accelerate run on a small data folder and learn it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import train_vqa_accelerate
import train_vqa_trainer
from lxmert_folder import write_folder

OPTIONS = ["--small", "--epochs", "12", "--batch", "6", "--learning-rate", "0.003"]


@pytest.mark.parametrize(("labels", "epochs"), [("classes", 40), ("scores", 12)])
def test_trainer_learns(labels: str, epochs: int, tmp_path: Path) -> None:
    write_folder(tmp_path)
    options = ["--data", str(tmp_path), "--labels", labels, *OPTIONS, "--epochs", str(epochs)]
    losses = train_vqa_trainer.main(options)
    assert len(losses) == epochs
    assert losses[-1] < losses[0] * 0.8


def test_accelerate_learns(tmp_path: Path) -> None:
    write_folder(tmp_path)
    losses = train_vqa_accelerate.main(["--data", str(tmp_path), "--cpu", *OPTIONS])
    assert len(losses) == 12
    assert losses[-1] < losses[0] * 0.8
