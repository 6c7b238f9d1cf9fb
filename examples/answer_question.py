"""A photograph and a question to an answer: the detector, then Hugging Face's LXMERT.

    python examples/answer_question.py --image photo.jpg --question "What is on the table?" \\
        --detector detector.safetensors --lxmert unc-nlp/lxmert-vqa-uncased

`--small` needs no download: the detector has a formula's weights, LXMERT is tiny and random, and the answer is one
word of a few. It only shows that everything fits together.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from transformers import LxmertConfig, LxmertForQuestionAnswering

from lxmert_data.detector import Detector

SMALL_ANSWERS = ["yes", "no", "a dog", "red"]


def main(arguments: Sequence[str] | None = None) -> str:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", required=True)
    parser.add_argument("--question", required=True)
    parser.add_argument("--detector", default="untrained", help="file of the detector's weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--lxmert", default="unc-nlp/lxmert-vqa-uncased", help="model of the hub, or a folder")
    parser.add_argument("--small", action="store_true", help="without any download")
    options = parser.parse_args(arguments)

    detector = Detector(options.detector, options.device, rois=36 if options.small else 300)
    row = detector(options.image)
    lxmert, tokens, answers = load_small(options.question) if options.small else load(options.lxmert, options.question)
    with torch.inference_mode():
        out = lxmert(**tokens, visual_feats=row.visual_feats, visual_pos=row.visual_pos)
    number = int(out.question_answering_score.argmax())
    answer = answers.get(number, f"answer {number}")
    print(f"{options.question} {answer}")
    return answer


def load(name: str, question: str) -> tuple[Any, dict[str, torch.Tensor], dict[int, str]]:
    """Trained weights with their tokenizer and table of answers."""
    from transformers import AutoTokenizer

    lxmert = LxmertForQuestionAnswering.from_pretrained(name).eval()
    tokens = AutoTokenizer.from_pretrained(name)(question, return_tensors="pt")
    return lxmert, dict(tokens), dict(lxmert.config.id2label)


def load_small(question: str) -> tuple[Any, dict[str, torch.Tensor], dict[int, str]]:
    """A tiny LXMERT with random weights, and words as numbers by their letters."""
    torch.manual_seed(0)
    config = LxmertConfig(
        vocab_size=1000, hidden_size=64, num_attention_heads=4, intermediate_size=64,
        l_layers=1, x_layers=1, r_layers=1, num_qa_labels=len(SMALL_ANSWERS),
    )  # fmt: skip
    numbers = [[sum(word.encode()) % 1000 for word in question.split()]]
    return (
        LxmertForQuestionAnswering(config).eval(),
        {"input_ids": torch.tensor(numbers)},
        dict(enumerate(SMALL_ANSWERS)),
    )


if __name__ == "__main__":
    main()
