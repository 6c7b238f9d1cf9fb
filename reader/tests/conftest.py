from __future__ import annotations

from pathlib import Path

import pytest
from store_writer import Row, make_rows, write_store

SAMPLE = Path(__file__).resolve().parents[2].parent / "shared" / "samples" / "coco" / "train2014_obj36.head6.tsv"


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    return make_rows(5)


@pytest.fixture
def store_path(tmp_path: Path, rows: list[Row]) -> Path:
    return write_store(tmp_path / "train_obj36.safetensors", rows)


@pytest.fixture
def real_tsv() -> Path:
    if not SAMPLE.exists():
        pytest.skip(f"no real rows at {SAMPLE.name}")
    return SAMPLE
