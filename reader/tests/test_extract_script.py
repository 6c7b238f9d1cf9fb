"""docker/extract.py: which Pythons run it, its choice of boxes, and its conversation, with a stand-in for /opt/butd."""

import glob
import hashlib
import importlib.util
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docker" / "extract.py"
BUTD = ROOT / "test" / "fixtures" / "butd"
WIDTH, HEIGHT = 64, 48


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


extract = load(SCRIPT, "extract_script")
nms = load(BUTD / "lib" / "fast_rcnn" / "nms_wrapper.py", "stand_in_nms").nms


def python27():
    """A Python 2.7 with NumPy, named by PYTHON27, or pyenv's."""
    names = [os.environ.get("PYTHON27"), *glob.glob(os.path.expanduser("~/.pyenv/versions/2.7*/bin/python2.7"))]
    for name in filter(None, names):
        if subprocess.run([name, "-c", "import numpy"], capture_output=True).returncode == 0:
            return name
    return None


def test_the_script_needs_nothing_newer_than_python_2_7():
    pytest.importorskip("vermin")
    command = [sys.executable, "-c", "import vermin; vermin.main()", "--target=2.7-", "--target=3.4-", str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# ---- the choice of boxes


def published_choice(boxes, scores, overlap):
    """The published procedure word for word: every class, all boxes."""
    best = np.zeros(len(boxes))
    for label in range(1, scores.shape[1]):
        dets = np.hstack((boxes, scores[:, label : label + 1])).astype(np.float32)
        kept = np.array(nms(dets, overlap))
        best[kept] = np.where(scores[kept, label] > best[kept], scores[kept, label], best[kept])
    keep = np.where(best >= 0.2)[0]
    return (keep if len(keep) == 36 else np.argsort(best)[::-1][:36]), len(keep)


def random_case(seed, peak, count=80, labels=40):
    random = np.random.RandomState(seed)
    corner = random.rand(count, 2) * 400
    boxes = np.hstack((corner, corner + 20 + random.rand(count, 2) * 200)).astype(np.float32)
    scores = random.rand(count, labels) ** peak
    return boxes, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("peak", [1, 5, 30, 200])
def test_boxes_are_chosen_as_published(peak):
    passed = set()
    for seed in range(12):
        boxes, scores = random_case(seed, peak)
        expected, count = published_choice(boxes, scores, 0.3)
        passed.add(count)
        np.testing.assert_array_equal(extract.choose_boxes(boxes, scores, nms, 0.3), expected)
    assert len(passed) > 1 or peak == 1


def test_exactly_36_stay_in_the_order_of_the_proposals():
    boxes, scores = random_case(1, 1, count=60)
    boxes = (np.arange(60)[:, None] * 300 + np.array([0, 0, 100, 100])).astype(np.float32)  # none overlap
    scores[:] = 0.001
    scores[::2, 5] = 0.5 - np.arange(30) * 0.001
    scores[1:12:2, 7] = 0.3 + np.arange(6) * 0.01
    kept = extract.choose_boxes(boxes, scores, nms, 0.3)
    expected, count = published_choice(boxes, scores, 0.3)
    assert count == 36
    np.testing.assert_array_equal(kept, expected)
    assert (np.diff(kept) > 0).all()


def test_equal_scores_are_chosen_as_published():
    boxes, scores = random_case(3, 30)
    boxes[40:], scores[40:] = boxes[:40], scores[:40]
    np.testing.assert_array_equal(
        extract.choose_boxes(boxes, scores, nms, 0.3), published_choice(boxes, scores, 0.3)[0]
    )


# ---- conversation


def write_image(path, seed, order=200):
    pixels = np.frombuffer(np.random.RandomState(seed).bytes(WIDTH * HEIGHT * 3), np.uint8).copy()
    pixels[0], pixels[1] = order, 0
    # BMP: 24 bits a pixel, blue first, the last row first, rows of a multiple of four bytes.
    rows = pixels.reshape(HEIGHT, WIDTH, 3)[::-1, :, ::-1].reshape(HEIGHT, WIDTH * 3)
    data = np.pad(rows, ((0, 0), (0, -WIDTH * 3 % 4))).tobytes()
    file = struct.pack("<2sIHHI", b"BM", 54 + len(data), 0, 0, 54)
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 24, 0, 0, 0, 0, 0, 0)
    path.write_bytes(file + info + data)
    return {"img_id": path.stem, "path": str(path)}


def converse(folder, lots, python=sys.executable, words=()):
    weights = folder / "w.caffemodel"
    weights.write_bytes(b"weights" * 1000)
    command = [python, str(SCRIPT), "--weights", str(weights), "--device", "cpu", "--butd", str(BUTD), *words]
    done = subprocess.run(command, input="".join(json.dumps(lot) + "\n" for lot in lots).encode(), capture_output=True)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def make_lots(folder):
    images = [write_image(folder / f"a{i}.ppm", i, {2: 4, 3: 5, 4: 7}.get(i, 200)) for i in range(6)]
    (folder / "é.gif").write_bytes(b"GIF89a...")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_bytes(b"no image")
    names = ("é.gif", "empty.jpg", "text.jpg", "no.jpg")
    images += [{"img_id": name.split(".")[0], "path": str(folder / name)} for name in names]
    rows = [str(folder / f"rows-{n}.tsv") for n in range(2)]
    return [{"lot": n, "rows": rows[n], "images": part} for n, part in enumerate((images[:5], images[5:]))], rows


def test_every_image_gets_a_row_or_a_reason(tmp_path):
    lots, rows = make_lots(tmp_path)
    done, events = converse(tmp_path, lots)
    assert done.returncode == 0, done.stderr
    assert b"stray line" in done.stderr
    digest = hashlib.sha256(b"weights" * 1000).hexdigest()
    detector = {"name": "bottom-up-attention (Caffe)", "weights": digest}
    assert events[0] == {"event": "ready", "detector": detector, "device": "cpu"}
    assert [e["img_id"] for e in events if e["event"] == "row"] == ["a0", "a1", "a5"]
    assert {e["img_id"]: e["reason"] for e in events if e["event"] == "failed"} == {
        "a2": "the network put out NaN or infinity (pool5_flat)",
        "a3": "fewer than 36 proposals (20)",
        "a4": "ValueError: the stand-in was told to",
        "é": "it is a GIF, which the published extraction does not read",
        "empty": "the file is empty",
        "text": "unreadable: no image that OpenCV can decode",
        "no": "cannot read the file: No such file or directory",
    }
    assert [e["lot"] for e in events if e["event"] == "lot"] == [0, 1]
    lines = Path(rows[0]).read_bytes().split(b"\r\n")
    assert [line.split(b"\t")[:3] for line in lines[:-1]] == [[b"a0", b"48", b"64"], [b"a1", b"48", b"64"]]
    assert lines[-1] == b""
    assert [len(field) for field in lines[0].split(b"\t")[3:]] == [384, 192, 384, 192, 2, 768, 393216]


def test_python_2_7_writes_the_same_bytes(tmp_path):
    python = python27()
    if python is None:
        pytest.skip("no Python 2.7 with NumPy (PYTHON27 can name one)")
    lots, rows = make_lots(tmp_path)
    contents = []
    for program in (python, sys.executable):
        done, events = converse(tmp_path, lots, program)
        assert done.returncode == 0, done.stderr
        contents.append((events, [Path(name).read_bytes() for name in rows]))
        for name in rows:
            Path(name).unlink()
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--weights", "none.caffemodel"], 3, "none.caffemodel: there is no such file of weights"),
        (["--butd", "/nowhere"], 2, "needs bottom-up attention's Caffe at /nowhere"),
        (["--device", "webgpu"], 2, "invalid choice: 'webgpu'"),
        (["--rois", "100"], 2, "unrecognized arguments: --rois 100"),
    ],
)
def test_what_it_cannot_use_ends_it_with_the_code_of_the_contract(tmp_path, words, code, text):
    done, events = converse(tmp_path, [], words=words)
    assert done.returncode == code
    assert text in done.stderr.decode()
    assert events == []


def test_a_full_disk_ends_it_with_the_reason(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    lot = {"lot": 0, "rows": "/dev/full", "images": [write_image(tmp_path / "a.ppm", 1)]}
    done, events = converse(tmp_path, [lot])
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert [e["event"] for e in events] == ["ready"]
