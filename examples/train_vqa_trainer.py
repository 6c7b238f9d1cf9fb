"""Trains Hugging Face's LXMERT on VQA questions with its Trainer, with features from stores.

    python examples/train_vqa_trainer.py --data data --split train,nominival --labels scores

needs PyTorch, transformers, accelerate and this project's Python package. `--labels classes` trains with the model's
own cross entropy on the best answer, `scores` with LXMERT's loss on soft targets. See train_vqa.py for --small.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

from train_vqa import PUBLISHED, make_small_config
from transformers import AutoTokenizer, LxmertForQuestionAnswering, Trainer, TrainingArguments

from lxmert_data.training import TrainerCollate, VQADataset, VQATorchDataset, soft_target_loss


def make_model(questions: VQADataset, *, small: bool) -> tuple[Any, LxmertForQuestionAnswering]:
    """A tokenizer and a model with one score for each answer."""
    answers = questions.num_answers
    if not small:
        model = LxmertForQuestionAnswering.from_pretrained(PUBLISHED)
        model.resize_num_qa_labels(answers)
        return AutoTokenizer.from_pretrained(PUBLISHED), model
    tokenizer, config = make_small_config([datum["sent"] for datum in questions.data], num_qa_labels=answers)
    return tokenizer, LxmertForQuestionAnswering(config)


def train(options: argparse.Namespace, folder: str) -> list[float]:
    """Trains and returns the loss of each epoch."""
    questions = VQADataset(options.split, root=options.data)
    tokenizer, model = make_model(questions, small=options.small)
    arguments = TrainingArguments(
        output_dir=folder,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch,
        learning_rate=options.learning_rate,
        seed=options.seed,
        logging_strategy="epoch",
        save_strategy="no",
        report_to=[],
        # Batches are gathered as a whole; Trainer would take them apart to look for columns.
        remove_unused_columns=False,
        label_names=["labels"],
    )
    trainer = Trainer(
        model,
        arguments,
        train_dataset=VQATorchDataset(questions),
        data_collator=TrainerCollate(tokenizer, labels=options.labels),
        compute_loss_func=soft_target_loss if options.labels == "scores" else None,
    )
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def main(arguments: list[str] | None = None) -> list[float]:
    parser = argparse.ArgumentParser(description="Trains LXMERT on VQA from stores, with Trainer.")
    parser.add_argument("--data", default="data", help="LXMERT's data folder")
    parser.add_argument("--split", default="train,nominival", help="splits, separated by commas")
    parser.add_argument("--labels", choices=("classes", "scores"), default="scores")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--seed", type=int, default=9595)
    parser.add_argument("--small", action="store_true", help="a little model with random weights; no download")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        return train(options, folder)


if __name__ == "__main__":
    main()
