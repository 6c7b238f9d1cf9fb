"""LXMERT's four data sets on stores, for PyTorch: the same items, in batches that are gathered with one copy.

Importing this module imports PyTorch; the rest of the package does not need it.
"""

from .answers import AnswerTable
from .batches import ExampleBatch, ImageBatch, InputExample, QuestionBatch
from .block_shuffle import BlockShuffleSampler
from .collate import HuggingFaceCollate, PretrainingCollate, collate
from .evaluate import GQAEvaluator, LXMERTEvaluator, NLVR2Evaluator, VQAEvaluator
from .feature_source import FeatureSource
from .images import ImageDataset
from .loader import ThreadedDataLoader
from .pretraining import LXMERTDataset, LXMERTTorchDataset
from .questions import (
    GQADataset,
    GQATorchDataset,
    NLVR2Dataset,
    NLVR2TorchDataset,
    VQADataset,
    VQATorchDataset,
)
from .trainer import TrainerCollate, soft_target_loss

__all__ = [
    "AnswerTable",
    "BlockShuffleSampler",
    "ExampleBatch",
    "FeatureSource",
    "GQADataset",
    "GQAEvaluator",
    "GQATorchDataset",
    "HuggingFaceCollate",
    "ImageBatch",
    "ImageDataset",
    "InputExample",
    "LXMERTDataset",
    "LXMERTEvaluator",
    "LXMERTTorchDataset",
    "NLVR2Dataset",
    "NLVR2Evaluator",
    "NLVR2TorchDataset",
    "PretrainingCollate",
    "QuestionBatch",
    "ThreadedDataLoader",
    "TrainerCollate",
    "VQADataset",
    "VQAEvaluator",
    "VQATorchDataset",
    "collate",
    "soft_target_loss",
]
