from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from store_writer import Row, make_metadata, make_rows, make_tensors, write_store, write_tensors

from lxmert_data import FeatureStore, StoreError


def flip(path: Path, offset: int, bit: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def survives(path: Path) -> bool:
    """True where neither opening nor verify sees anything wrong."""
    try:
        return FeatureStore(path).verify().ok
    except StoreError:
        return False


def test_damaged_images_are_named(tmp_path: Path) -> None:
    """More rows than one chunk of the check, damage in every tensor."""
    path = write_store(tmp_path / "s.safetensors", make_rows(40))
    with FeatureStore(path) as store:
        tensors = store._mapped().header.tensors
        hit = {"features": 0, "objects_id": 3, "attrs_id": 31, "boxes": 32, "objects_conf": 33, "image_size": 39}
        names = [store.ids[row] for row in hit.values()]
    for name, row in hit.items():
        size = (tensors[name].end - tensors[name].start) // 40
        flip(path, tensors[name].start + row * size + size // 2, 3)
    with FeatureStore(path) as store:
        report = store.verify()
    assert not report.ok
    assert report.problems == ()
    assert [image.index for image in report.damaged] == list(hit.values())
    assert [image.img_id for image in report.damaged] == names


def test_any_single_flipped_bit_is_found(tmp_path: Path) -> None:
    path = write_store(tmp_path / "s.safetensors", make_rows(2, ids=["a", "longer"]))
    size = path.stat().st_size
    header = path.read_bytes()[:32768].rstrip(b" ")
    assert survives(path)
    chance = random.Random(5)
    tail = [(offset, bit) for offset in range(size - 20, size) for bit in range(8)]  # checksums, ids, padding
    digits = header.index(b'"header_crc32":"') + 16
    own = [(offset, bit) for offset in range(digits, digits + 8) for bit in range(8)]
    some = [(chance.randrange(len(header)), chance.randrange(8)) for _ in range(200)]
    rest = [(chance.randrange(size), chance.randrange(8)) for _ in range(100)]
    for offset, bit in [*tail, *own, *some, *rest]:
        flip(path, offset, bit)
        assert not survives(path), f"bit {bit} of byte {offset}"
        flip(path, offset, bit)
    assert survives(path)


def test_a_preallocated_file_of_the_right_length_is_found(tmp_path: Path) -> None:
    """What a writer leaves that had reserved its space and then died."""
    path = write_store(tmp_path / "s.safetensors", make_rows(3))
    with open(path, "r+b") as file:
        file.seek(32768)
        file.write(bytes(path.stat().st_size - 32768))
    with FeatureStore(path) as store:
        report = store.verify()
    assert [image.index for image in report.damaged] == [0, 1, 2]
    assert "row 0: the img_id is empty" in report.problems


def test_source_form_is_guarded(tmp_path: Path) -> None:
    tensors = make_tensors(make_rows(2))
    tensors["source_form"] = np.frombuffer(b'{"eol":"\\n"}', "|u1")
    path = write_tensors(tmp_path / "s.safetensors", tensors, make_metadata(tensors))
    assert survives(path)
    flip(path, path.stat().st_size - 4, 0)
    assert len(FeatureStore(path).verify().problems) == 1


def test_zero_byte_inside_an_id_is_named(tmp_path: Path) -> None:
    path = write_store(tmp_path / "s.safetensors", make_rows(2, ids=["a\0b", "c"]))
    assert FeatureStore(path).verify().problems == ("row 0: the img_id b'a\\x00b' has a zero byte inside",)


def test_a_file_replaced_while_open_is_not_verified_in_its_place(store_path: Path) -> None:
    store = FeatureStore(store_path)
    other = write_store(store_path.with_name("other"), make_rows(6))
    other.replace(store_path)
    with pytest.raises(StoreError, match="has changed since"):
        store.verify()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lxmert_data", *arguments], capture_output=True, text=True, check=False
    )


def test_verify_command(store_path: Path, rows: list[Row]) -> None:
    done = run("verify", str(store_path))
    assert (done.returncode, done.stdout) == (0, f"{store_path}: 5 images, all as written\n")
    flip(store_path, 40000, 0)
    done = run("verify", str(store_path))
    assert done.returncode == 1
    first, last = done.stdout.splitlines()
    assert first.startswith(f"{store_path}: row 0, {rows[0]['img_id']}: CRC-32 ")
    assert last == f"{store_path}: 5 images, 1 problems"
    store_path.write_bytes(b"")
    done = run("verify", str(store_path), str(store_path.with_name("absent")))
    assert done.returncode == 1
    assert "the file is too short to be a store" in done.stderr
    assert "No such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_info_command(tmp_path: Path) -> None:
    path = write_store(tmp_path / "s.safetensors", make_rows(2), "f16", weights="untrained")
    done = run("info", str(path))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"{path}: 2 images, f16, {path.stat().st_size} bytes"
    assert "  rows: 2" in lines
    assert '  img_id: "COCO_train2014_000000000000" ... "COCO_train2014_000000000001"' in lines
    assert "untrained detector" in done.stderr
    assert run().returncode == 2
