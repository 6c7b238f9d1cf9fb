"""Trains Hugging Face's LXMERT on VQA questions with accelerate, with features from stores.

    accelerate launch examples/train_vqa_accelerate.py --data data --split train,nominival

needs PyTorch, transformers, accelerate and this project's Python package; on several devices each process reads its own
part of every batch. See train_vqa.py for --small.
"""

from __future__ import annotations

import argparse

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader
from train_vqa_trainer import make_model

from lxmert_data.training import TrainerCollate, VQADataset, VQATorchDataset, soft_target_loss


def train(options: argparse.Namespace) -> list[float]:
    """Trains, prints and returns the loss of each epoch."""
    accelerator = Accelerator(cpu=options.cpu)
    set_seed(options.seed)
    questions = VQADataset(options.split, root=options.data)
    tokenizer, model = make_model(questions, small=options.small)
    collate = TrainerCollate(tokenizer, labels="scores")
    loader = DataLoader(VQATorchDataset(questions), options.batch, shuffle=True, collate_fn=collate)
    optimizer = torch.optim.AdamW(model.parameters(), options.learning_rate)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    losses = []
    for epoch in range(options.epochs):
        total, count = torch.zeros((), device=accelerator.device), 0
        for batch in loader:
            targets = batch.pop("labels")
            loss = soft_target_loss(model(**batch), targets)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            total += loss.detach() * len(targets)
            count += len(targets)
        losses.append(float(accelerator.gather(total / count).mean()))
        accelerator.print(f"epoch {epoch}: loss {losses[-1]:.4f}")
    return losses


def main(arguments: list[str] | None = None) -> list[float]:
    parser = argparse.ArgumentParser(description="Trains LXMERT on VQA from stores, with accelerate.")
    parser.add_argument("--data", default="data", help="LXMERT's data folder")
    parser.add_argument("--split", default="train,nominival", help="splits, separated by commas")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--seed", type=int, default=9595)
    parser.add_argument("--small", action="store_true", help="a little model with random weights; no download")
    parser.add_argument("--cpu", action="store_true", help="train on the CPU even where there is a GPU")
    return train(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
