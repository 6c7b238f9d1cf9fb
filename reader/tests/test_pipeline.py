"""Stores that the pipeline writes equal those of the tests' own writer; skipped where it is not installed."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import numpy as np
import pytest
from store_writer import Row, make_rows, make_tensors, read_tsv, write_store, write_tsv

from lxmert_data import FeatureStore, load_obj_tsv

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "node_modules" / ".bin" / "node"

pytestmark = pytest.mark.skipif(not NODE.exists(), reason="the pipeline is not installed (npm ci)")

IDS = ["COCO_val2014_000000000042", "n161313", "日本語", "a.b"]


def pipeline(*arguments: object) -> str:
    done = subprocess.run(
        [NODE, ROOT / "pipeline" / "cli" / "main.ts", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_tensors_equal(path: Path, rows: list[Row], dtype: str = "f32", six: bool = False) -> None:
    with FeatureStore(path) as store:
        assert store.verify().ok
        for name, tensor in make_tensors(rows, dtype, six).items():
            assert store.raw(name).tobytes() == tensor.tobytes(), name


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_converted_rows(dtype: str, tmp_path: Path) -> None:
    rows = make_rows(4, ids=IDS)
    tsv = write_tsv(tmp_path / "rows_obj36.tsv", rows)
    pipeline("convert", tsv, "--dtype", dtype, "--out", tmp_path / "rows_obj36.safetensors")
    assert_tensors_equal(tmp_path / "rows_obj36.safetensors", rows, dtype)
    assert [item["img_id"] for item in load_obj_tsv(tsv)] == IDS


def test_converted_real_rows(real_tsv: Path, tmp_path: Path) -> None:
    pipeline("convert", real_tsv, "--out", tmp_path / "real.safetensors")
    assert_tensors_equal(tmp_path / "real.safetensors", read_tsv(real_tsv))


def test_converted_six_column_rows(tmp_path: Path) -> None:
    rows = make_rows(3)
    lines = []
    for row in rows:
        arrays = [base64.b64encode(row[name].tobytes()).decode() for name in ("boxes", "features")]
        lines.append("\t".join([row["img_id"], str(row["img_w"]), str(row["img_h"]), "36", *arrays]))
    (tmp_path / "six.tsv").write_bytes(("\n".join(lines) + "\n").encode())
    pipeline("convert", tmp_path / "six.tsv", "--out", tmp_path / "six.safetensors")
    with FeatureStore(tmp_path / "six.safetensors") as store:
        assert store.verify().ok
        assert not store.has_objects
        assert np.array_equal(store.features, np.stack([row["features"] for row in rows]))
        assert store.raw("source_form").size > 0  # the lines end in LF alone


@pytest.mark.parametrize("six", [False, True])
def test_the_pipeline_verifies_a_store_of_the_other_writer(six: bool, tmp_path: Path) -> None:
    pipeline("verify", write_store(tmp_path / "s.safetensors", make_rows(3, ids=IDS[:3]), six=six))
