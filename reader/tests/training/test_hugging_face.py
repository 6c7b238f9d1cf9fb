"""Hugging Face's LXMERT trains on our batches; weights are random, nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxmert_folder import write_folder

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers

from lxmert_data.training import (
    HuggingFaceCollate,
    LXMERTDataset,
    LXMERTTorchDataset,
    NLVR2Dataset,
    NLVR2TorchDataset,
    PretrainingCollate,
    TrainerCollate,
    VQADataset,
    VQATorchDataset,
    soft_target_loss,
)
from lxmert_data.training.trainer import choose_answers

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "what",
    "is",
    "in",
    "one",
    "image",
    "shows",
    "?",
    ".",
    "a",
    "cat",
]
WORDS += ["two", "cats", "how", "many", "who", "dog", "it", "there", *"0123456789bcdef"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The models are so small that threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    write_folder(path)
    return path


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("words") / "vocab.txt"
    path.write_text("\n".join(WORDS))
    return transformers.BertTokenizerFast(str(path))


def make_config(**options: Any) -> Any:
    return transformers.LxmertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=64,
        l_layers=1,
        x_layers=1,
        r_layers=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **options,
    )


def overfit(parameters: Any, loss_of: Any, steps: int, rate: float = 3e-3) -> list[float]:
    optimizer = torch.optim.Adam(list(parameters), lr=rate)
    losses = []
    for _ in range(steps):
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_vqa_inputs(root: Path, tokenizer: Any) -> None:
    dataset = VQATorchDataset(VQADataset("train", root))
    batch = next(iter(torch.utils.data.DataLoader(dataset, 3, collate_fn=HuggingFaceCollate(tokenizer, 12))))
    inputs = batch["inputs"]
    assert inputs["input_ids"].shape == inputs["attention_mask"].shape == inputs["token_type_ids"].shape == (3, 12)
    words = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    assert words[:4] == ["[CLS]", "what", "is", "in"]
    assert int(inputs["attention_mask"][0].sum()) == words.index("[SEP]") + 1
    assert torch.equal(inputs["visual_feats"][1], torch.from_numpy(dataset[1][1]))
    assert torch.equal(inputs["visual_pos"][2], torch.from_numpy(dataset[2][2]))
    assert batch["ids"].tolist() == [11, 12, 13]
    assert torch.equal(batch["targets"][0], dataset[0][4])
    test = VQATorchDataset(VQADataset("test", root))
    assert HuggingFaceCollate(tokenizer)(test.__getitems__([0]))["targets"] is None
    # Before PyTorch 2.0 a collate function is given items.
    again = HuggingFaceCollate(tokenizer, 12)([dataset[at] for at in range(3)])
    for name, tensor in inputs.items():
        assert torch.equal(again["inputs"][name], tensor)


def test_model_learns_vqa(root: Path, tokenizer: Any) -> None:
    torch.manual_seed(0)
    questions = VQADataset("train,nominival", root)
    loader = torch.utils.data.DataLoader(VQATorchDataset(questions), 6, collate_fn=HuggingFaceCollate(tokenizer))
    model = transformers.LxmertModel(make_config())
    head = torch.nn.Linear(32, questions.num_answers)

    cross_entropy = torch.nn.functional.binary_cross_entropy

    def loss() -> Any:
        (batch,) = loader
        logits = head(model(**batch["inputs"]).pooled_output)
        # Soft targets leave a rest that nothing can learn.
        rest = cross_entropy(batch["targets"], batch["targets"])
        return cross_entropy(logits.sigmoid(), batch["targets"]) - rest

    losses = overfit([*model.parameters(), *head.parameters()], loss, 40)
    assert all(0 <= value < float("inf") for value in losses)
    assert losses[-1] < 0.6 * losses[0]


def test_model_takes_nlvr2(root: Path, tokenizer: Any) -> None:
    dataset = NLVR2TorchDataset(NLVR2Dataset("train", root))
    batch = HuggingFaceCollate(tokenizer, 8)(dataset.__getitems__([0, 1]))
    inputs = batch["inputs"]
    assert torch.equal(inputs["visual_feats"][3], torch.from_numpy(dataset[1][1][1]))
    assert torch.equal(inputs["input_ids"][2], inputs["input_ids"][3])
    output = transformers.LxmertModel(make_config())(**inputs).pooled_output.view(2, 64)
    assert torch.nn.functional.cross_entropy(output, batch["targets"]).isfinite()


def test_model_learns_pretraining(root: Path, tokenizer: Any) -> None:
    torch.manual_seed(0)
    sentences = LXMERTDataset("mscoco_train,mscoco_minival", root=root)
    dataset = LXMERTTorchDataset(sentences, task_matched=True)
    collate = PretrainingCollate(tokenizer)
    batch = collate(dataset.__getitems__(range(len(dataset))))
    model = transformers.LxmertForPreTraining(make_config(num_qa_labels=sentences.answer_table.num_answers))
    losses = overfit(model.parameters(), lambda: model(**batch).loss.sum(), 40)
    assert all(value < float("inf") for value in losses)
    assert losses[-1] < 0.6 * losses[0]


def test_masking(root: Path, tokenizer: Any) -> None:
    torch.manual_seed(1)
    dataset = LXMERTTorchDataset(LXMERTDataset("mscoco_train", root=root))
    examples = dataset.__getitems__([0, 1, 2, 3, 4] * 40)
    collate = PretrainingCollate(tokenizer, 10)
    plain = tokenizer(list(examples.sentences), padding="max_length", max_length=10, return_tensors="pt")["input_ids"]
    out = collate(examples)
    chosen = out["labels"] != -100
    assert torch.equal(out["labels"][chosen], plain[chosen])
    assert torch.equal(out["input_ids"][~chosen], plain[~chosen])
    special = (plain == 0) | (plain == 2) | (plain == 3)
    assert not (chosen & special).any()
    assert 0.10 < float(chosen.sum() / (~special).sum()) < 0.20
    assert 0.6 < float((out["input_ids"][chosen] == tokenizer.mask_token_id).float().mean()) < 0.95

    features, mask = out["obj_labels"]["feat"]
    assert torch.equal(features, examples.columns["features"])
    assert 0.13 < float(mask.mean()) < 0.17
    masked = out["visual_feats"]
    assert torch.equal(masked[mask == 0], features[mask == 0])
    hidden = (masked[mask == 1] == 0).all(dim=1)
    kept = (masked[mask == 1] == features[mask == 1]).all(dim=1)
    assert 0.75 < float(hidden.float().mean()) < 0.85
    assert 0.06 < float(kept.float().mean()) < 0.15

    ans = out["ans"].view(-1, 5)
    assert {*ans[:, 0].tolist(), *ans[:, 1].tolist(), *ans[:, 4].tolist()} == {-100}
    assert {*ans[:, 2].tolist()} == {0, 1}  # "0" at 0.3, "2" at 1
    assert 0.55 < float((ans[:, 2] == 1).float().mean()) <= 0.95
    assert {*ans[:, 3].tolist()} == {2}


def test_what_has_nothing_to_predict_is_left_out(root: Path, tokenizer: Any) -> None:
    dataset = LXMERTTorchDataset(LXMERTDataset("mscoco_train", root=root))
    out = PretrainingCollate(tokenizer, word_mask_rate=0)(dataset.__getitems__([0, 1]))
    assert not {"ans", "labels"} & {*out}
    examples = [dataset[at] for at in range(4)]
    out = PretrainingCollate(tokenizer, object_mask_rate=0, ignored=-1)(examples)
    assert out["ans"].tolist()[:2] == [-1, -1]
    assert torch.equal(out["visual_feats"], torch.stack([torch.from_numpy(e.visual_feats[0]) for e in examples]))


@pytest.mark.parametrize("as_items", [False, True])
def test_inputs_for_trainer_are_flat(as_items: bool, root: Path, tokenizer: Any) -> None:
    dataset = VQATorchDataset(VQADataset("train", root))
    batch = [dataset[at] for at in range(4)] if as_items else dataset.__getitems__(range(4))
    targets = dataset.__getitems__(range(4)).targets
    names = {"input_ids", "attention_mask", "token_type_ids", "visual_feats", "visual_pos", "labels"}
    classes = TrainerCollate(tokenizer, 12)(batch)
    assert {*classes} == names and all(isinstance(value, torch.Tensor) for value in classes.values())
    assert classes["labels"].dtype == torch.int64 and classes["labels"].tolist() == targets.argmax(1).tolist()
    scores = TrainerCollate(tokenizer, 12, labels="scores")(batch)
    assert torch.equal(scores["labels"], targets)
    model = transformers.LxmertForQuestionAnswering(make_config(num_qa_labels=5))
    assert model(**classes).loss.isfinite()
    loss = soft_target_loss(model(**{name: scores[name] for name in names - {"labels"}}), scores["labels"])
    assert loss.isfinite()
    test = VQATorchDataset(VQADataset("test", root))
    assert "labels" not in TrainerCollate(tokenizer)(test.__getitems__([0]))


def test_questions_without_an_answer_have_no_class() -> None:
    targets = torch.tensor([[0.0, 0.3, 1.0], [0.0, 0.0, 0.0]])
    assert choose_answers(targets).tolist() == [2, -100]
    with pytest.raises(ValueError, match="classes or scores"):
        TrainerCollate(None, labels="answers")


def test_losses_add_up_over_accumulated_batches() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(8, 5), torch.rand(8, 5)
    whole = soft_target_loss({"question_answering_score": logits}, targets)
    # Trainer counts the labels that are not -100 in all batches of a step.
    parts = [
        soft_target_loss({"question_answering_score": logits[at : at + 4]}, targets[at : at + 4], torch.tensor(40))
        for at in (0, 4)
    ]
    assert torch.allclose(sum(parts, torch.zeros(())), whole)


@pytest.mark.parametrize("remove_columns", [False, True])
def test_trainer_takes_pretraining(remove_columns: bool, root: Path, tokenizer: Any, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    torch.manual_seed(0)
    sentences = LXMERTDataset("mscoco_train", root=root)
    model = transformers.LxmertForPreTraining(make_config(num_qa_labels=sentences.answer_table.num_answers))
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=8,
        per_device_train_batch_size=4,
        report_to=[],
        use_cpu=True,
        logging_steps=4,
        remove_unused_columns=remove_columns,
    )
    dataset = LXMERTTorchDataset(sentences, task_matched=True)
    trainer = transformers.Trainer(model, arguments, train_dataset=dataset, data_collator=PretrainingCollate(tokenizer))
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2 and all(float(value) < float("inf") for value in losses)
