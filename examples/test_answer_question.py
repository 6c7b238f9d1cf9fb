from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
image_module = pytest.importorskip("PIL.Image")


def test_an_image_and_a_question_give_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from answer_question import SMALL_ANSWERS, main

    pixels = np.random.default_rng(0).integers(0, 256, (50, 400, 3), dtype=np.uint8)
    image_module.fromarray(pixels).save(tmp_path / "photo.png")
    question = "What is on the table?"
    answer = main(["--image", str(tmp_path / "photo.png"), "--question", question, "--small", "--device", "cpu"])
    assert answer in SMALL_ANSWERS
    assert capsys.readouterr().out == f"{question} {answer}\n"
