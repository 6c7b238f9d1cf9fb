"""Every export is opened with the library of its format, as its code base does it, and compared with the store."""

from __future__ import annotations

import base64
import json
import os
import pickle
import pickletools
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_writer import Row, make_rows, write_store

from lxmert_data import StoreError, StoreWarning, errors
from lxmert_data.export import FORMATS, export_store

OUT_NAMES = {".h5": "x.h5", ".arrow": "x.arrow", ".lmdb": "x.lmdb", ".tsv": "x.tsv", ".pt": "x.pt"}
# Files that have nowhere to say which detector their features come from.
SILENT = ("oscar-vqa", "oscar-pt", "oscar-pt-2048")


def out_name(name: str) -> str:
    suffixes = FORMATS[name].suffixes
    return OUT_NAMES[suffixes[0]] if suffixes else "x"


def library_of(name: str) -> None:
    for library in FORMATS[name].libraries:
        pytest.importorskip(library.module)


def export(store: Path, name: str, out: Path | None = None, *, check_leftovers: bool = True, **options: Any) -> Path:
    library_of(name)
    target = store.parent / out_name(name) if out is None else out
    result = export_store(store, target, name, **options)
    assert result.out == str(target)
    assert not check_leftovers or not list(store.parent.glob("*.partial*"))
    return target


def spatial_of(row: Row) -> np.ndarray:
    """The six numbers of a box, restated from bottom-up-attention's converter: a column at a time."""
    boxes, width, height = row["boxes"], float(row["img_w"]), float(row["img_h"])
    scaled_width = (boxes[:, 2] - boxes[:, 0]) / width
    scaled_height = (boxes[:, 3] - boxes[:, 1]) / height
    x, y = boxes[:, 0] / width, boxes[:, 1] / height
    return np.stack([x, y, x + scaled_width, y + scaled_height, scaled_width, scaled_height], axis=1)


def equal(got: Any, want: np.ndarray) -> bool:
    return bool(got.dtype == want.dtype and got.shape == want.shape and got.tobytes() == want.tobytes())


def test_oscar_reads_by_line_number(store_path: Path, rows: list[Row]) -> None:
    out = export(store_path, "oscar")
    places = json.loads((out / "imageid2idx.json").read_text())
    offsets = [int(line.strip()) for line in (out / "features.lineidx").read_text().splitlines()]
    with open(out / "features.tsv") as file:
        for at, row in enumerate(rows):
            # Oscar asks by the COCO number as a string, VinVL by the whole key.
            assert places[str(at)] == places[row["img_id"]] == at
            file.seek(offsets[at])
            fields = [field.strip() for field in file.readline().split("\t")]
            assert fields[0] == row["img_id"]
            regions = np.frombuffer(base64.b64decode(fields[-1]), np.float32).reshape(int(fields[1]), 2054)
            assert equal(regions[:, :2048], row["features"])
            assert equal(regions[:, 2048:], spatial_of(row))


def test_vinvl_reads_json_in_the_second_column(store_path: Path, rows: list[Row]) -> None:
    out = export(store_path, "vinvl")
    offsets = [int(line) for line in (out / "features.lineidx").read_text().splitlines()]
    with open(out / "features.tsv") as file:
        for at, row in enumerate(rows):
            file.seek(offsets[at])
            name, text = file.readline().split("\t")
            found = json.loads(text)
            regions = np.frombuffer(base64.b64decode(found["features"]), np.float32).reshape(found["num_boxes"], -1)
            assert name == row["img_id"]
            assert equal(regions, np.concatenate([row["features"], spatial_of(row)], axis=1))


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_vl_t5_reads_groups(dtype: str, store_path: Path, rows: list[Row]) -> None:
    out = export(store_path, "hdf5-groups", dtype=dtype)
    import h5py

    with h5py.File(out, "r") as file:
        assert list(file.keys()) == [row["img_id"] for row in rows]
        for row in rows:
            name = row["img_id"]
            features = np.zeros((36, 2048), np.float32)
            file[f"{name}/features"].read_direct(features)
            want = row["features"].astype(np.float16).astype(np.float32) if dtype == "f16" else row["features"]
            assert equal(features, want)
            assert (file[f"{name}/img_h"][()], file[f"{name}/img_w"][()]) == (row["img_h"], row["img_w"])
            boxes = file[f"{name}/boxes"][()]
            assert equal(boxes, row["boxes"])
            boxes[:, (0, 2)] /= file[f"{name}/img_w"][()]
            boxes[:, (1, 3)] /= file[f"{name}/img_h"][()]
            assert boxes.min() >= 0 and boxes.max() <= 1
            for stored_as, column in (("obj_id", "objects_id"), ("obj_conf", "objects_conf")):
                assert equal(file[f"{name}/{stored_as}"][()], row[column])
            for stored_as, column in (("attr_id", "attrs_id"), ("attr_conf", "attrs_conf")):
                assert equal(file[f"{name}/{stored_as}"][()], row[column])


def test_volta_takes_every_member_of_a_group(store_path: Path, rows: list[Row]) -> None:
    out = export(store_path, "hdf5-groups")
    import h5py

    with h5py.File(out, "r") as file:
        names = list(file[rows[0]["img_id"]].keys())
        items = [{name: file[f"{key}/{name}"][()] for name in names} for key in file]
    assert int(items[1]["img_h"]) == rows[1]["img_h"]
    assert equal(items[1]["features"].reshape(-1, 2048), rows[1]["features"])


def test_bottom_up_attention_vqa_reads_whole_columns(store_path: Path, rows: list[Row]) -> None:
    out = export(store_path, "hdf5-flat")
    import h5py

    with open(store_path.parent / "x_imgid2idx.pkl", "rb") as file:
        places = pickle.load(file)
    assert places == {at: at for at in range(len(rows))}
    assert json.loads((store_path.parent / "x_imgid2idx.json").read_text()) == {str(at): at for at in places}
    with h5py.File(out, "r") as hf:
        features = np.array(hf.get("image_features"))
        spatials = np.array(hf.get("spatial_features"))
        boxes = np.array(hf.get("image_bb"))
        offset = hf["image_features"].id.get_offset()
    assert features.shape == (len(rows), 36, 2048) and spatials.shape == (len(rows), 36, 6)
    for at, row in enumerate(rows):
        assert equal(features[places[at]], row["features"])
        assert equal(boxes[places[at]], row["boxes"])
        assert equal(spatials[places[at]], spatial_of(row))
    # Whole pages, contiguous: it can be mapped too.
    assert offset % 4096 == 0
    mapped = np.memmap(out, "<f4", "r", offset, features.shape)
    assert equal(np.asarray(mapped), features)


def test_ban_cuts_images_out_of_all_boxes(store_path: Path, rows: list[Row]) -> None:
    out = export(store_path, "hdf5-pos-boxes")
    import h5py

    with open(store_path.parent / "x_imgid2idx.pkl", "rb") as file:
        places = pickle.load(file)
    with h5py.File(out, "r") as hf:
        features, spatials = np.array(hf.get("image_features")), np.array(hf.get("spatial_features"))
        boxes, spans = np.array(hf.get("image_bb")), np.array(hf.get("pos_boxes"))
    assert spans.dtype == np.int32 and features.shape == (len(rows) * 36, 2048)
    for at, row in enumerate(rows):
        begin, end = spans[places[at]][0], spans[places[at]][1]
        assert equal(features[begin:end, :], row["features"])
        assert equal(spatials[begin:end, :], spatial_of(row))
        assert equal(boxes[begin:end], row["boxes"])


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_hugging_face_opens_the_stream(dtype: str, store_path: Path, rows: list[Row]) -> None:
    datasets = pytest.importorskip("datasets")
    out = export(store_path, "arrow", dtype=dtype)
    found = datasets.Dataset.from_file(str(out)).with_format("numpy")
    assert found.num_rows == len(rows)
    for at, row in enumerate(rows):
        item = found[at]
        assert item["img_id"] == row["img_id"]
        assert (item["img_h"], item["img_w"]) == (row["img_h"], row["img_w"])
        want = row["features"].astype(np.float16 if dtype == "f16" else np.float32)
        # Its NumPy format may widen what it hands out; the numbers are the same.
        assert item["features"].shape == (36, 2048)
        assert np.array_equal(item["features"].astype(np.float32), want.astype(np.float32))
        for name in ("boxes", "objects_id", "objects_conf", "attrs_id", "attrs_conf"):
            assert np.array_equal(item[name], row[name]), name
    batch = found[[2, 0]]["features"]
    assert np.array_equal(batch[1], found[0]["features"])


def test_arrow_is_mapped_without_a_copy(store_path: Path, rows: list[Row]) -> None:
    out = export(store_path, "arrow")
    import pyarrow as pa

    before = pa.total_allocated_bytes()
    with pa.memory_map(str(out)) as file:
        table = pa.ipc.open_stream(file).read_all()
        assert pa.total_allocated_bytes() - before < 100_000
        one = table["features"].chunk(0)[3].values.flatten().to_numpy(zero_copy_only=True)
        assert equal(one.reshape(36, 2048), rows[3]["features"])
        provenance = json.loads(table.schema.metadata[b"lxmert_data"])
    assert provenance["detector"]["weights"] == "unknown"


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_npy_columns_are_mapped(dtype: str, tmp_path: Path, rows: list[Row]) -> None:
    store = write_store(tmp_path / "s.safetensors", rows, dtype)
    out = export(store, "npy", dtype="f32" if dtype == "bf16" else dtype)
    columns = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in out.glob("*.npy")}
    assert columns["img_id"].tolist() == [row["img_id"] for row in rows]
    assert all(column.offset % 4096 == 0 for column in columns.values())
    for at, row in enumerate(rows):
        if dtype == "bf16":
            error = np.abs(columns["features"][at] - row["features"])
            assert (error <= row["features"] * 2**-8).all() and columns["features"].dtype == np.float32
        else:
            assert equal(columns["features"][at], row["features"].astype("<f4" if dtype == "f32" else "<f2"))
        for name in ("boxes", "objects_id", "objects_conf", "attrs_id", "attrs_conf"):
            assert equal(columns[name][at], row[name])
        assert columns["image_size"][at].tolist() == [row["img_h"], row["img_w"]]


@pytest.mark.parametrize("name", ["npz", "npz-openvqa"])
def test_openvqa_reads_a_file_an_image(name: str, store_path: Path, rows: list[Row]) -> None:
    out = export(store_path, name)
    # Found by the number at the end of its name.
    paths = {int(path.name.split("_")[-1].split(".")[0]): path for path in out.glob("*.npz")}
    assert len(paths) == len(rows)
    for at, row in enumerate(rows):
        found = np.load(paths[at])
        features = found["x"].transpose((1, 0)) if name == "npz-openvqa" else found["x"]
        assert equal(features, row["features"])
        assert equal(found["bbox"], row["boxes"])
        assert (found["image_h"], found["image_w"], found["num_bbox"]) == (row["img_h"], row["img_w"], 36)
        for column in ("objects_id", "objects_conf", "attrs_id", "attrs_conf"):
            assert equal(found[column], row[column])


def test_mmf_reads_its_lmdb(store_path: Path, rows: list[Row]) -> None:
    out = export(store_path, "mmf-lmdb")
    import lmdb

    env = lmdb.open(str(out), subdir=True, readonly=True, lock=False, readahead=False, meminit=False)
    with env.begin(write=False, buffers=True) as txn:
        image_ids = pickle.loads(txn.get(b"keys"))
        places = {image_ids[at]: at for at in range(len(image_ids))}
        for at, row in enumerate(rows):
            key = row["img_id"].encode()
            assert places[key] == at
            value = bytes(txn.get(image_ids[places[key]]))
            item = pickle.loads(value)
            assert equal(item["features"], row["features"])
            assert equal(item["bbox"], row["boxes"])
            assert equal(item["objects"], row["objects_id"])
            assert (item["image_height"], item["image_width"]) == (row["img_h"], row["img_w"])
            assert item["num_boxes"] == 36 and item["feature_path"] == row["img_id"]
            # As MMF pads it.
            padded = np.zeros((100, item["features"].shape[1]), np.float32)
            padded[0:36] = item["features"][:100, :]
            assert equal(padded[:36], row["features"])
            named = [argument for code, argument, _ in pickletools.genops(value) if code.name == "SHORT_BINUNICODE"]
            # An old NumPy must know all it names.
            assert "numpy" in named and not any("_core" in str(word) for word in named)
    env.close()
    # As large as its content, not sparse.
    assert (out / "data.mdb").stat().st_size < len(rows) * 310_000 + 100_000
    assert sorted(path.name for path in out.iterdir()) == ["data.mdb", "lxmert-data-export.json"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_store_without_objects(name: str, tmp_path: Path, rows: list[Row]) -> None:
    store = write_store(tmp_path / "s.safetensors", rows, six=True)
    assert export(store, name).exists()


@pytest.mark.parametrize("name", FORMATS)
def test_an_existing_target_stays(name: str, store_path: Path, rows: list[Row]) -> None:
    library_of(name)
    out = store_path.parent / out_name(name)
    out.write_text("mine")
    with pytest.raises(StoreError, match=r"exists already|of another kind"):
        export_store(store_path, out, name)
    assert out.read_text() == "mine"
    if not FORMATS[name].is_folder:
        export_store(store_path, out, name, force=True)
        assert out.stat().st_size > 1000


def test_only_folders_of_exports_are_replaced(store_path: Path) -> None:
    out = store_path.parent / "x"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="a folder that no export wrote"):
        export_store(store_path, out, "npy", force=True)
    assert (out / "thesis.tex").read_text() == "years of work"
    (out / "thesis.tex").unlink()
    export_store(store_path, out, "npy", force=True)
    (out / "old").write_text("of the first export")
    export_store(store_path, out, "npy", force=True)
    assert not (out / "old").exists()
    assert sorted(path.name for path in store_path.parent.iterdir()) == [store_path.name, "x"]


def test_an_index_of_others_stays(store_path: Path) -> None:
    pytest.importorskip("h5py")
    index = store_path.parent / "x_imgid2idx.pkl"
    index.write_bytes(b"of another export")
    with pytest.raises(StoreError, match="exists already"):
        export_store(store_path, store_path.parent / "x.h5", "hdf5-flat")
    assert index.read_bytes() == b"of another export"
    # What a run left that was killed before its last step is no obstacle.
    export_store(store_path, store_path.parent / "x.h5", "hdf5-flat", force=True)
    (store_path.parent / "x.h5").unlink()
    export_store(store_path, store_path.parent / "x.h5", "hdf5-flat")


def test_the_store_is_never_its_own_output(store_path: Path) -> None:
    pytest.importorskip("h5py")
    link = store_path.parent / "link.h5"
    link.symlink_to(store_path)
    before = store_path.read_bytes()
    with pytest.raises(StoreError, match="the store itself"):
        export_store(store_path, link, "hdf5-groups", force=True)
    assert store_path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "near"), [("hdf5", "hdf5-flat"), ("lmdb", "mmf-lmdb"), ("arow", "arrow"), ("NPY", "npy"), ("npzs", "npz")]
)
def test_a_wrong_format_suggests_a_near_one(name: str, near: str, store_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        export_store(store_path, store_path.parent / "x", name)
    assert caught.value.hint == f"did you mean {near}?"
    assert "mmf-lmdb" in str(caught.value.expected)


def test_a_missing_library_is_named_with_its_command(store_path: Path) -> None:
    code = "import sys; sys.modules['h5py'] = None; from lxmert_data.export.__main__ import main; sys.exit(main())"
    done = run_export(store_path, "hdf5-groups", "x.h5", program=["-c", code])
    assert done.returncode == 1
    assert done.stderr == (
        "error: hdf5-groups is written with h5py, which this Python does not have\n"
        "  expected: h5py\n"
        f"  got:      none in {sys.executable}\n"
        f'  what to do: install it: {sys.executable} -m pip install "h5py>=3.7"\n'
    )


@pytest.mark.parametrize(
    ("name", "out", "code", "message"),
    [
        ("nothing", "x", 2, "there is no export format"),
        ("arrow", "x.npz", 2, "needs another name"),
        ("npy", "no-folder/x", 1, "output folder does not exist"),
    ],
)
def test_wrong_usage_has_an_exit_code_of_its_own(
    name: str, out: str, code: int, message: str, store_path: Path
) -> None:
    done = run_export(store_path, name, out)
    assert done.returncode == code
    assert message in done.stderr


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    done = run_export(tmp_path / "none.safetensors", "npy", "x")
    assert (done.returncode, done.stderr) == (1, f"error: {tmp_path / 'none.safetensors'}: there is no such file\n")


def test_a_damaged_image_stops_the_export(tmp_path: Path, rows: list[Row]) -> None:
    store = write_store(tmp_path / "s.safetensors", rows)
    with open(store, "r+b") as file:
        file.seek(32768 + 3 * 36 * 2048 * 4 + 5)
        file.write(b"\xff")
    with pytest.raises(StoreError, match=r"image COCO_train2014_000000000003 \(row 3\) is damaged"):
        export_store(store, tmp_path / "x", "npy")
    assert [path.name for path in tmp_path.iterdir()] == ["s.safetensors"]


def test_features_too_large_for_f16(tmp_path: Path) -> None:
    rows = make_rows(2)
    rows[1]["features"][3, 4] = 70000
    store = write_store(tmp_path / "s.safetensors", rows)
    with pytest.raises(StoreError, match=r"000000000001 \(row 1\) are too large for f16"):
        export_store(store, tmp_path / "x", "npy", dtype="f16")
    assert [path.name for path in tmp_path.iterdir()] == ["s.safetensors"]


@pytest.mark.parametrize(
    ("name", "img_id", "message"),
    [
        ("npz", "a/b", "cannot name a file"),
        ("npz", "..\\x", "cannot name a file"),
        ("npz", "CON", "cannot name a file"),
        ("npz-openvqa", "aux.1", "cannot name a file"),
        ("npz", "..", "cannot name a file"),
        ("npz", "a\x7f", "cannot name a file"),
        ("npz", "GOOD", "the same file on some disks"),
        ("webdataset", "a/con", "cannot name a file"),
        ("webdataset", "a.b", "cannot hold this img_id"),
        ("webdataset", "Good", "the same file on some disks"),
        ("hdf5-groups", "good/more", "inside that of another"),
        ("volta-lmdb", "keys", "cannot hold this img_id"),
        ("cocobu", "n161313", "has no number"),
        ("meshed-memory", "n161313", "has no number"),
        ("npz", "x" * 255, "cannot name a file"),
        ("hdf5-groups", "a//b", "cannot name a group"),
        ("hdf5-groups", ".", "cannot name a group"),
        ("mmf-lmdb", "keys", "cannot hold this img_id"),
        ("oscar", "a\tb", "cannot stand in a TSV"),
    ],
)
def test_ids_that_a_format_cannot_hold(name: str, img_id: str, message: str, tmp_path: Path) -> None:
    library_of(name)
    store = write_store(tmp_path / "s.safetensors", make_rows(2, ids=["good", img_id]))
    with pytest.raises(StoreError, match=message):
        export_store(store, tmp_path / out_name(name), name)
    assert [path.name for path in tmp_path.iterdir()] == ["s.safetensors"]


def test_ids_without_numbers_are_kept_as_strings(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    store = write_store(tmp_path / "s.safetensors", make_rows(2, ids=["train-1-0-img0", "日本"]))
    warnings: list[StoreWarning] = []
    export_store(store, tmp_path / "x.h5", "hdf5-flat", on_warning=warnings.append)
    assert pickle.loads((tmp_path / "x_imgid2idx.pkl").read_bytes()) == {"train-1-0-img0": 0, "日本": 1}
    assert len(warnings) == 1 and "not all img_ids are numbers" in str(warnings[0])


@pytest.mark.parametrize("name", FORMATS)
def test_an_untrained_detector_is_told_and_travels(name: str, tmp_path: Path, rows: list[Row]) -> None:
    store = write_store(tmp_path / "s.safetensors", rows, weights="untrained")
    warnings: list[StoreWarning] = []
    out = export(store, name, on_warning=warnings.append)
    assert next(str(warning) for warning in warnings if warning.code == "untrained").count("untrained detector")
    if FORMATS[name].is_folder:
        found = json.loads((out / "lxmert-data-export.json").read_text())
    elif name in SILENT:
        return
    elif name == "arrow":
        import pyarrow as pa

        found = json.loads(pa.ipc.open_stream(str(out)).schema.metadata[b"lxmert_data"])
    else:
        import h5py

        with h5py.File(out, "r") as file:
            found = json.loads(file.attrs["lxmert_data"])
    assert found["detector"]["weights"] == "untrained"
    assert found["exported_as"] == name


@pytest.mark.parametrize("name", FORMATS)
def test_it_is_written_where_nobody_else_may_enter(name: str, store_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def look(done: int, total: int) -> None:
        seen.extend((path.name, path.stat().st_mode & 0o777) for path in store_path.parent.glob("*.partial"))

    first = export(store_path, name, on_progress=look)
    assert {mode for _, mode in seen} == {0o700}
    # The result is as open as the caller's files are.
    assert first.stat().st_mode & 0o777 == (0o777 if first.is_dir() else 0o666) & ~current_umask()
    names = {partial for partial, _ in seen}
    seen.clear()
    export(store_path, name, on_progress=look, force=True)
    assert names.isdisjoint({partial for partial, _ in seen})


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_folder_put_in_its_place_is_not_published(store_path: Path) -> None:
    planted = store_path.parent / "planted"

    def swap(done: int, total: int) -> None:
        (partial,) = store_path.parent.glob("*.partial")
        if done == total and not planted.exists():
            partial.rename(planted)
            partial.mkdir()
            (partial / "x").mkdir()
            (partial / "x" / "lxmert-data-export.json").write_text("not ours")

    out = export(store_path, "npy", on_progress=swap, check_leftovers=False)
    assert json.loads((out / "lxmert-data-export.json").read_text())["exported_as"] == "npy"


def test_what_was_written_is_never_unpickled(store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library_of("mmf-lmdb")
    monkeypatch.setattr(pickle, "loads", None)
    monkeypatch.setattr(pickle, "load", None)
    export(store_path, "mmf-lmdb")
    source = Path(errors.__file__).parent
    for path in source.rglob("*.py"):
        assert "pickle.load" not in path.read_text(), path


def test_a_record_that_changed_is_noticed(store_path: Path) -> None:
    library_of("mmf-lmdb")
    import lmdb

    from lxmert_data.export import mmf_lmdb

    class Forger(mmf_lmdb.MmfWriter):
        def open_reader(self) -> Any:
            with lmdb.open(self.plan.path, max_dbs=0) as env, env.begin(write=True) as txn:
                txn.put(self.plan.ids[0].encode(), b"cos\nsystem\n(S'exit 1'\ntR.")
            return super().open_reader()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmf_lmdb, "make_writer", Forger)
        with pytest.raises(StoreError, match="the export is wrong: the record of image"):
            export_store(store_path, store_path.parent / "x.lmdb", "mmf-lmdb")
    assert [path.name for path in store_path.parent.iterdir()] == [store_path.name]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.StoreError, "ERR_STORE"),
        (errors.ExportRequestError, "ERR_USAGE"),
        (errors.MissingFileError, "ERR_INPUT"),
        (errors.MissingLibraryError, "ERR_LIBRARY"),
        (errors.OutputError, "ERR_IO"),
        (errors.OutputExistsError, "ERR_OUTPUT_EXISTS"),
        (errors.DiskFullError, "ERR_NO_SPACE"),
    ],
)
def test_every_error_has_a_code_and_crosses_processes(kind: type[StoreError], code: str) -> None:
    error = pickle.loads(pickle.dumps(kind("what", "where", None, "got")))
    assert type(error) is kind
    assert (error.code, str(error)) == (code, "where: what\n  got:      got")


def run_export(store: Path, name: str, out: str, *more: str, program: list[str] | None = None) -> Any:
    words = [sys.executable, *(program or ["-m", "lxmert_data.export"]), str(store), "--to", name, out, *more]
    return subprocess.run(words, capture_output=True, text=True, cwd=store.parent, check=False)


def test_the_command_tells_events(store_path: Path) -> None:
    done = run_export(store_path, "npy", "x", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and done.stderr == ""
    assert events[0] == {"event": "progress", "done": 5, "total": 5}
    assert events[1]["event"] == "result" and events[1]["rows"] == 5 and events[1]["lossless"] is True
    again = run_export(store_path, "npy", "x", "--json")
    assert again.returncode == 1
    assert json.loads(again.stdout)["code"] == "ERR_OUTPUT_EXISTS"


@pytest.fixture(scope="module")
def large_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Large enough that a signal comes before the end of its export."""
    folder = tmp_path_factory.mktemp("large")
    few = make_rows(8)
    yield write_store(
        folder / "s.safetensors", [{**few[at % 8], "img_id": f"COCO_val2014_{at:012d}"} for at in range(640)]
    )
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", FORMATS)
def test_an_interrupted_export_leaves_nothing(name: str, large_store: Path, tmp_path: Path) -> None:
    library_of(name)
    words = [sys.executable, "-m", "lxmert_data.export", str(large_store), "--to", name, out_name(name), "--json"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        events = (json.loads(line) for line in child.stdout)
        assert next(event for event in events if event["event"] != "warning")["event"] == "progress"
        child.send_signal(signal.SIGINT)
        last = list(events)[-1]
    assert child.returncode == 130
    assert last["what"] == "interrupted; nothing unfinished has a final name"
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for about 230 images."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=110m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(words, check=False).returncode:
        pytest.skip("a small disk needs root")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("name", FORMATS)
def test_a_disk_that_fills_up(name: str, small_disk: Path, tmp_path: Path) -> None:
    library_of(name)
    # PyTorch's dicts are on the disk twice while they are written.
    store = write_store(tmp_path / "s.safetensors", make_rows(100 if name.startswith("oscar-pt") else 200))
    hog = small_disk / "hog"

    def take_the_rest(done: int, total: int) -> None:
        if not hog.exists():
            hog.write_bytes(bytes(max(shutil.disk_usage(small_disk).free - 35_000_000, 0)))

    with pytest.raises(StoreError, match="not enough disk space"):
        export_store(store, small_disk / out_name(name), name, on_progress=take_the_rest)
    assert [path.name for path in small_disk.iterdir()] == ["hog"]
    # And found before anything is written where it is too small from the start.
    with pytest.raises(StoreError, match="not enough disk space") as caught:
        export_store(store, small_disk / out_name(name), name)
    assert float(str(caught.value.expected).split()[0]) >= 0.05


@pytest.mark.parametrize("name", ["hdf5-groups", "npz"])
def test_a_killed_export_is_cleaned_up_by_the_next(name: str, large_store: Path, tmp_path: Path) -> None:
    library_of(name)
    words = [sys.executable, "-m", "lxmert_data.export", str(large_store), "--to", name, out_name(name), "--json"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
    assert list(tmp_path.glob("*.export.partial"))
    assert not (tmp_path / out_name(name)).exists()
    small = write_store(tmp_path / "small.safetensors", make_rows(2))
    export_store(small, tmp_path / out_name(name), name)
    assert not list(tmp_path.glob("*.export.partial"))
