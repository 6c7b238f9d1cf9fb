"""Trains Hugging Face's LXMERT on VQA questions, with features from stores.

    python examples/train_vqa.py --data data --split train,nominival --epochs 4

needs PyTorch, transformers and this project's Python package. `data` is LXMERT's data folder, as `fetch vqa` fills it.
By default the model starts from the published weights; with --small it is a little one with random weights and a
vocabulary of the words in the questions, which trains on a CPU in seconds and downloads nothing.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, BertTokenizerFast, LxmertConfig, LxmertModel

from lxmert_data.training import HuggingFaceCollate, VQADataset, VQAEvaluator, VQATorchDataset

PUBLISHED = "unc-nlp/lxmert-base-uncased"
SMALL = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "num_labels": 2}
SMALL_LAYERS = {"l_layers": 1, "x_layers": 1, "r_layers": 1}


class AnswerModel(torch.nn.Module):
    """LXMERT with a linear layer that scores answers."""

    def __init__(self, encoder: LxmertModel, answers: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = torch.nn.Linear(encoder.config.hidden_size, answers)

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.encoder(**inputs).pooled_output)
        return scores


def make_small_config(sentences: list[str], **settings: int) -> tuple[Any, LxmertConfig]:
    """A tokenizer that knows the words of these sentences, and the settings of a model of a few layers."""
    words = sorted({word for sentence in sentences for word in re.findall(r"\w+|[^\w\s]", sentence.lower())})
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.txt"
        vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]), encoding="utf-8")
        tokenizer = BertTokenizerFast(str(vocabulary))
    return tokenizer, LxmertConfig(vocab_size=len(words) + 5, **SMALL, **SMALL_LAYERS, **settings)


def make_small_parts(sentences: list[str]) -> tuple[Any, LxmertModel]:
    """The same tokenizer, and a model with random weights."""
    tokenizer, config = make_small_config(sentences)
    return tokenizer, LxmertModel(config)


def train(options: argparse.Namespace) -> list[float]:
    """Trains, prints the loss and accuracy of each epoch, and returns the losses."""
    torch.manual_seed(options.seed)
    questions = VQADataset(options.split, root=options.data)
    dataset = VQATorchDataset(questions)
    if options.small:
        tokenizer, encoder = make_small_parts([datum["sent"] for datum in questions.data])
    else:
        tokenizer, encoder = AutoTokenizer.from_pretrained(PUBLISHED), LxmertModel.from_pretrained(PUBLISHED)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AnswerModel(encoder, questions.num_answers).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), options.learning_rate)
    collate = HuggingFaceCollate(tokenizer, max_length=20)
    loader = DataLoader(dataset, options.batch, shuffle=True, collate_fn=collate)
    losses = []
    for epoch in range(options.epochs):
        total, answers = 0.0, {}
        for batch in loader:
            logits = model(**{name: value.to(device) for name, value in batch["inputs"].items()})
            # LXMERT scales the loss by the number of answers, since most targets are zero.
            loss = binary_cross_entropy_with_logits(logits, batch["targets"].to(device)) * logits.shape[1]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(logits)
            for question, label in zip(batch["ids"].tolist(), logits.argmax(1).tolist()):
                answers[question] = questions.label2ans[label]
        losses.append(total / len(dataset))
        print(f"epoch {epoch}: loss {losses[-1]:.4f}, accuracy {VQAEvaluator(questions).evaluate(answers):.4f}")
    return losses


def main(arguments: list[str] | None = None) -> list[float]:
    parser = argparse.ArgumentParser(description="Trains LXMERT on VQA from stores.")
    parser.add_argument("--data", default="data", help="LXMERT's data folder")
    parser.add_argument("--split", default="train,nominival", help="splits, separated by commas")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--seed", type=int, default=9595)
    parser.add_argument("--small", action="store_true", help="a little model with random weights; no download")
    return train(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
