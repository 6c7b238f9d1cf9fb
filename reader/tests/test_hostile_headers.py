"""Every way a header can lie, with the whole message it gets."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_writer import SIX_COLUMNS, encode_header, make_header, make_metadata, make_rows, make_tensors

from lxmert_data import FeatureStore, StoreError

AGAIN = "the file is damaged or no lxmert-data store; convert its source again"
CUT = "the file is cut short or no safetensors file; convert its source again"
LENGTH = "the file is cut short or has foreign bytes at its end; convert its source again"
MAKE = "make a store with lxmert-data's convert command"
NO_JSON = "the header is no JSON object"
COLUMNS = "the ten columns of LXMERT or the six of bottom-up-attention"
TENSOR_NAMES = "features, objects_id, attrs_id, boxes, objects_conf, attrs_conf, image_size, crc32, img_id, source_form"
JSON = "a JSON object in UTF-8, padded with spaces"

TENSORS = make_tensors(make_rows(1))
DATA = b"".join(array.tobytes() for array in TENSORS.values())
GOOD_BYTES = encode_header(make_header(TENSORS, make_metadata(TENSORS))) + DATA


def header_with(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The good file with a changed header document."""
    document = make_header(TENSORS, make_metadata(TENSORS))
    change(document)
    return encode_header(document) + DATA


def metadata_with(**values: object) -> bytes:
    return header_with(lambda document: document["__metadata__"].update(values))


def metadata_without(key: str) -> bytes:
    return header_with(lambda document: document["__metadata__"].pop(key))


def tensor_with(name: str, **values: object) -> bytes:
    return header_with(lambda document: document[name].update(values))


def json_text(body: bytes) -> bytes:
    """A file whose header is exactly these bytes."""
    return struct.pack("<Q", len(body)) + body + DATA


def replaced(old: bytes, new: bytes) -> bytes:
    assert GOOD_BYTES.count(old) == 1
    size = struct.unpack("<Q", GOOD_BYTES[:8])[0]
    return json_text(GOOD_BYTES[8 : 8 + size].replace(old, new))


CASES: dict[str, tuple[Callable[[], bytes], tuple[str, str, str, str]]] = {}


def case(name: str, make: Callable[[], bytes], *parts: str) -> None:
    """what, expected, got, what to do."""
    assert name not in CASES and len(parts) == 4
    CASES[name] = (make, parts)  # type: ignore[assignment]


case("empty file", lambda: b"", "the file is too short to be a store", "at least 8 bytes", "0 bytes", AGAIN)
case(
    "seven bytes",
    lambda: b"\x02" + bytes(6),
    "the file is too short to be a store",
    "at least 8 bytes",
    "7 bytes",
    AGAIN,
)
case(
    "header longer than the file",
    lambda: struct.pack("<Q", len(GOOD_BYTES)) + GOOD_BYTES[8:],
    "the header is longer than the file",
    "at most 329151 bytes",
    "329159 bytes",
    CUT,
)
case(
    "header length of all ones",
    lambda: b"\xff" * 8 + GOOD_BYTES[8:],
    "the header is longer than the file",
    "at most 329151 bytes",
    "18446744073709551615 bytes",
    CUT,
)
case(
    "header over the limit",
    lambda: struct.pack("<Q", (1 << 20) + 1) + bytes(2 << 20),
    "the header is too long",
    "at most 1048576 bytes",
    "1048577 bytes",
    AGAIN,
)
case("header of no bytes", lambda: json_text(b""), NO_JSON, JSON, "it begins with b''", AGAIN)
case(
    "header that begins with a space",
    lambda: json_text(b' {"a":1}'),
    NO_JSON,
    JSON,
    "it begins with b' {\"a\":1}'",
    AGAIN,
)
case("header that is a list", lambda: json_text(b"[]"), NO_JSON, JSON, "it begins with b'[]'", AGAIN)
case("header padded with a line end", lambda: json_text(b"{}\n"), NO_JSON, JSON, "it ends with b'{}\\n'", AGAIN)
case(
    "header padded with zero bytes", lambda: json_text(b"{}\0\0"), NO_JSON, JSON, "it ends with b'{}\\x00\\x00'", AGAIN
)
case(
    "header that is cut",
    lambda: json_text(b'{"a":{}'),
    NO_JSON,
    JSON,
    "Expecting ',' delimiter: line 1 column 8 (char 7)",
    AGAIN,
)
case("two JSON values", lambda: json_text(b"{}{}"), NO_JSON, JSON, "Extra data: line 1 column 3 (char 2)", AGAIN)
case("header of no UTF-8", lambda: json_text(b'{"\xff\xfe":1}'), NO_JSON, JSON, "no UTF-8 at byte 2", AGAIN)
case("tensor twice", lambda: replaced(b'"boxes":{', b'"crc32":{'), NO_JSON, JSON, 'the key "crc32" twice', AGAIN)
case("metadata key twice", lambda: replaced(b'"tool":', b'"dtype":'), NO_JSON, JSON, 'the key "dtype" twice', AGAIN)
case(
    "offset key twice",
    lambda: json_text(b'{"a":{"shape":[1],"shape":[2]}}'),
    NO_JSON,
    JSON,
    'the key "shape" twice',
    AGAIN,
)
case("not a number", lambda: json_text(b'{"a":NaN}'), NO_JSON, JSON, "the value NaN", AGAIN)
case(
    "number of endless digits",
    lambda: json_text(b'{"a":' + b"9" * 100000 + b"}"),
    NO_JSON,
    JSON,
    "a number of 100000 digits",
    AGAIN,
)
case(
    "nested too deeply",
    lambda: json_text(b'{"a":' + b"[" * 400000 + b"]" * 400000 + b"}"),
    NO_JSON,
    JSON,
    "values nested too deeply",
    AGAIN,
)
case(
    "no metadata",
    lambda: header_with(lambda document: document.pop("__metadata__")),
    "this is not an lxmert-data store",
    "__metadata__ with strings",
    "none",
    MAKE,
)
case(
    "metadata that is a list",
    lambda: header_with(lambda document: document.update(__metadata__=[])),
    "this is not an lxmert-data store",
    "__metadata__ with strings",
    "[]",
    MAKE,
)
case("metadata with a number", lambda: metadata_with(rows=1), 'metadata "rows" is no string', "a string", "1", AGAIN)
case(
    "foreign format",
    lambda: metadata_with(format="pt"),
    "this is not an lxmert-data store",
    'format "lxmert-data/obj36"',
    '"pt"',
    MAKE,
)
case(
    "no format",
    lambda: metadata_without("format"),
    "this is not an lxmert-data store",
    'format "lxmert-data/obj36"',
    "no format",
    MAKE,
)
case(
    "newer version",
    lambda: metadata_with(format_version="2"),
    "the store is of a newer format version",
    "at most 1",
    "2",
    "install a newer lxmert_data",
)
case("version zero", lambda: metadata_with(format_version="0"), "the format version is no number", "1", '"0"', AGAIN)
case(
    "version with blanks",
    lambda: metadata_with(format_version=" 1"),
    "the format version is no number",
    "1",
    '" 1"',
    AGAIN,
)
case(
    "version in other digits",
    lambda: metadata_with(format_version="\u0661"),
    "the format version is no number",
    "1",
    '"\\u0661"',
    AGAIN,
)
case("no version", lambda: metadata_without("format_version"), "the format version is no number", "1", "null", AGAIN)
case(
    "no rows",
    lambda: metadata_without("rows"),
    'metadata "rows" is missing',
    "all keys of format version 1",
    '["columns", "conversion", "crc32_table", "detector", "dtype", "format", "form...',
    AGAIN,
)
case(
    "no checksum of the table",
    lambda: metadata_without("crc32_table"),
    'metadata "crc32_table" is missing',
    "all keys of format version 1",
    '["columns", "conversion", "detector", "dtype", "format", "format_version", "h...',
    AGAIN,
)
case(
    "unknown metadata key",
    lambda: metadata_with(author="me"),
    'metadata "author" is unknown',
    "the keys of format version 1 only",
    '"author"',
    AGAIN,
)
case(
    "rows with a sign",
    lambda: metadata_with(rows="+1"),
    "metadata rows is no count",
    "a whole number from 1",
    '"+1"',
    AGAIN,
)
case(
    "rows with a leading zero",
    lambda: metadata_with(rows="01"),
    "metadata rows is no count",
    "a whole number from 1",
    '"01"',
    AGAIN,
)
case(
    "negative rows",
    lambda: metadata_with(rows="-1"),
    "metadata rows is no count",
    "a whole number from 1",
    '"-1"',
    AGAIN,
)
case(
    "rows without end",
    lambda: metadata_with(rows="9" * 30),
    "metadata rows is no count",
    "a whole number from 1",
    '"999999999999999999999999999999"',
    AGAIN,
)
case(
    "unknown dtype", lambda: metadata_with(dtype="f64"), "metadata dtype is unknown", "f32, f16 or bf16", '"f64"', AGAIN
)
case(
    "checksum in capitals",
    lambda: metadata_with(crc32_table="ABCDEF01"),
    "metadata crc32_table is no checksum",
    "8 lower-case hex digits",
    '"ABCDEF01"',
    AGAIN,
)
case(
    "checksum too short",
    lambda: metadata_with(crc32_table="abc"),
    "metadata crc32_table is no checksum",
    "8 lower-case hex digits",
    '"abc"',
    AGAIN,
)
case(
    "columns of no JSON",
    lambda: metadata_with(columns="img_id"),
    "metadata columns is no JSON list",
    "a JSON list",
    "Expecting value: line 1 column 1 (char 0)",
    AGAIN,
)
case(
    "columns that are an object",
    lambda: metadata_with(columns="{}"),
    "metadata columns is no JSON list",
    "a JSON list",
    "{}",
    AGAIN,
)
case(
    "column twice",
    lambda: metadata_with(columns='["a","a"]'),
    "metadata columns are unknown",
    COLUMNS,
    '["a", "a"]',
    AGAIN,
)
case(
    "detector with a key twice",
    lambda: metadata_with(detector='{"name":"a","name":"b","weights":"unknown"}'),
    "metadata detector is no JSON object",
    "a JSON object",
    'the key "name" twice',
    AGAIN,
)
case(
    "detector that is a list",
    lambda: metadata_with(detector="[]"),
    "metadata detector is no JSON object",
    "a JSON object",
    "[]",
    AGAIN,
)
case(
    "detector without name",
    lambda: metadata_with(detector='{"weights":"unknown"}'),
    "metadata detector has no name",
    "a string",
    "null",
    AGAIN,
)
case(
    "detector without weights",
    lambda: metadata_with(detector='{"name":"a"}'),
    "metadata detector has no weights",
    "a string",
    "null",
    AGAIN,
)
case(
    "detector of odd weights",
    lambda: metadata_with(detector='{"name":"a","weights":"good ones"}'),
    "metadata detector has wrong weights",
    "unknown, untrained or a sha256",
    '"good ones"',
    AGAIN,
)
case(
    "sources that are nested deeply",
    lambda: metadata_with(sources="[" * 100000),
    "metadata sources is no JSON list",
    "a JSON list",
    "values nested too deeply",
    AGAIN,
)
case(
    "conversion that is null",
    lambda: metadata_with(conversion="null"),
    "metadata conversion is no JSON object",
    "a JSON object",
    "null",
    AGAIN,
)
case(
    "no rows at all",
    lambda: metadata_with(rows="0"),
    "metadata rows is no count",
    "a whole number from 1",
    '"0"',
    AGAIN,
)
case(
    "other columns",
    lambda: metadata_with(columns='["img_id"]'),
    "metadata columns are unknown",
    COLUMNS,
    '["img_id"]',
    AGAIN,
)
case(
    "object columns where six are named",
    lambda: metadata_with(columns=json.dumps(SIX_COLUMNS)),
    'tensor "objects_id" is unknown',
    "only features, boxes, image_size, crc32, img_id, source_form",
    '"objects_id"',
    AGAIN,
)
case(
    "more rows than the tensors",
    lambda: metadata_with(rows="2"),
    'tensor "features" has the wrong shape',
    "[2, 36, 2048]",
    "[1, 36, 2048]",
    AGAIN,
)
case(
    "other dtype than the features",
    lambda: metadata_with(dtype="f16"),
    'tensor "features" has the wrong dtype',
    "F16",
    '"F32"',
    AGAIN,
)
case(
    "tensor without dtype",
    lambda: header_with(lambda document: document["boxes"].pop("dtype")),
    'tensor "boxes" is described wrongly',
    "dtype, shape and data_offsets",
    '{"shape": [1, 36, 4], "data_offsets": [295488, 296064]}',
    AGAIN,
)
case(
    "tensor with a key more",
    lambda: tensor_with("boxes", extra=1),
    'tensor "boxes" is described wrongly',
    "dtype, shape and data_offsets",
    '{"dtype": "F32", "shape": [1, 36, 4], "data_offsets": [295488, 296064], "extr...',
    AGAIN,
)
case(
    "tensor that is a number",
    lambda: header_with(lambda document: document.update(boxes=7)),
    'tensor "boxes" is described wrongly',
    "dtype, shape and data_offsets",
    "7",
    AGAIN,
)
case(
    "dtype that is a number",
    lambda: tensor_with("boxes", dtype=1),
    'tensor "boxes" is described wrongly',
    "a dtype name",
    "1",
    AGAIN,
)
case(
    "shape that is a number",
    lambda: tensor_with("boxes", shape=1),
    'tensor "boxes" is described wrongly',
    "a shape of whole numbers",
    "1",
    AGAIN,
)
case(
    "shape with a fraction",
    lambda: tensor_with("boxes", shape=[1.0, 36, 4]),
    'tensor "boxes" is described wrongly',
    "a shape of whole numbers",
    "[1.0, 36, 4]",
    AGAIN,
)
case(
    "shape with true",
    lambda: tensor_with("boxes", shape=[True, 36, 4]),
    'tensor "boxes" is described wrongly',
    "a shape of whole numbers",
    "[true, 36, 4]",
    AGAIN,
)
case(
    "negative shape",
    lambda: tensor_with("boxes", shape=[-1, 36, 4]),
    'tensor "boxes" is described wrongly',
    "a shape of whole numbers",
    "[-1, 36, 4]",
    AGAIN,
)
case(
    "three offsets",
    lambda: tensor_with("boxes", data_offsets=[0, 1, 2]),
    'tensor "boxes" is described wrongly',
    "two offsets",
    "[0, 1, 2]",
    AGAIN,
)
case(
    "negative offset",
    lambda: tensor_with("boxes", data_offsets=[-4, 4]),
    'tensor "boxes" is described wrongly',
    "two offsets",
    "[-4, 4]",
    AGAIN,
)
case(
    "offset that is text",
    lambda: tensor_with("boxes", data_offsets=["0", "4"]),
    'tensor "boxes" is described wrongly',
    "two offsets",
    '["0", "4"]',
    AGAIN,
)
case(
    "unknown tensor",
    lambda: header_with(lambda document: document.update(extra={"dtype": "U8", "shape": [0], "data_offsets": [0, 0]})),
    'tensor "extra" is unknown',
    f"only {TENSOR_NAMES}",
    '"extra"',
    AGAIN,
)
case(
    "no features",
    lambda: header_with(lambda document: document.pop("features")),
    'tensor "features" is missing',
    TENSOR_NAMES,
    "objects_id, attrs_id, boxes, objects_conf, attrs_conf, image_size, crc32, img_id",
    AGAIN,
)
case(
    "no img_id",
    lambda: header_with(lambda document: document.pop("img_id")),
    'tensor "img_id" is missing',
    TENSOR_NAMES,
    "features, objects_id, attrs_id, boxes, objects_conf, attrs_conf, image_size, crc32",
    AGAIN,
)
case(
    "no crc32",
    lambda: header_with(lambda document: document.pop("crc32")),
    'tensor "crc32" is missing',
    TENSOR_NAMES,
    "features, objects_id, attrs_id, boxes, objects_conf, attrs_conf, image_size, img_id",
    AGAIN,
)
case(
    "only one object column",
    lambda: header_with(lambda document: [document.pop(name) for name in ("attrs_id", "objects_conf", "attrs_conf")]),
    'tensor "attrs_id" is missing',
    TENSOR_NAMES,
    "features, objects_id, boxes, image_size, crc32, img_id",
    AGAIN,
)
case(
    "object columns promised",
    lambda: header_with(
        lambda document: [document.pop(name) for name in ("objects_id", "attrs_id", "objects_conf", "attrs_conf")]
    ),
    'tensor "objects_id" is missing',
    TENSOR_NAMES,
    "features, boxes, image_size, crc32, img_id",
    AGAIN,
)
case(
    "wrong dtype of boxes",
    lambda: tensor_with("boxes", dtype="F64"),
    'tensor "boxes" has the wrong dtype',
    "F32",
    '"F64"',
    AGAIN,
)
case(
    "wrong dtype of ids",
    lambda: tensor_with("objects_id", dtype="I32"),
    'tensor "objects_id" has the wrong dtype',
    "I64",
    '"I32"',
    AGAIN,
)
case(
    "unknown dtype of crc32",
    lambda: tensor_with("crc32", dtype="X9"),
    'tensor "crc32" has the wrong dtype',
    "U32",
    '"X9"',
    AGAIN,
)
case(
    "ten boxes",
    lambda: tensor_with("boxes", shape=[1, 10, 4]),
    'tensor "boxes" has the wrong shape',
    "[1, 36, 4]",
    "[1, 10, 4]",
    AGAIN,
)
case(
    "flat features",
    lambda: tensor_with("features", shape=[1, 36 * 2048]),
    'tensor "features" has the wrong shape',
    "[1, 36, 2048]",
    "[1, 73728]",
    AGAIN,
)
case(
    "ids of no bytes",
    lambda: tensor_with("img_id", shape=[1, 0]),
    'tensor "img_id" has the wrong shape',
    "1 to 255 bytes an id",
    "0",
    AGAIN,
)
case(
    "ids of 256 bytes",
    lambda: tensor_with("img_id", shape=[1, 256]),
    'tensor "img_id" has the wrong shape',
    "1 to 255 bytes an id",
    "256",
    AGAIN,
)
case(
    "hole before boxes",
    lambda: tensor_with("boxes", data_offsets=[295492, 296068]),
    'tensor "boxes" leaves a hole or overlaps',
    "it begins at 295488",
    "295492",
    AGAIN,
)
case(
    "overlap",
    lambda: tensor_with("boxes", data_offsets=[295484, 296060]),
    'tensor "boxes" leaves a hole or overlaps',
    "it begins at 295488",
    "295484",
    AGAIN,
)
case(
    "end before begin",
    lambda: tensor_with("boxes", data_offsets=[295488, 295480]),
    'tensor "boxes" has the wrong length',
    "576 bytes",
    "-8 bytes",
    AGAIN,
)
case(
    "tensor too long",
    lambda: tensor_with("boxes", data_offsets=[295488, 296065]),
    'tensor "boxes" has the wrong length',
    "576 bytes",
    "577 bytes",
    AGAIN,
)
case(
    "offset beyond the file",
    lambda: tensor_with("img_id", data_offsets=[10**12, 10**12 + 27]),
    'tensor "img_id" leaves a hole or overlaps',
    "it begins at 296364",
    "1000000000000",
    AGAIN,
)
case("last byte cut", lambda: GOOD_BYTES[:-1], "the file has the wrong length", "329159 bytes", "329158 bytes", LENGTH)
case(
    "byte too many", lambda: GOOD_BYTES + b"\0", "the file has the wrong length", "329159 bytes", "329160 bytes", LENGTH
)
case(
    "data missing",
    lambda: GOOD_BYTES[: -len(DATA)],
    "the file has the wrong length",
    "329159 bytes",
    "32768 bytes",
    LENGTH,
)


@pytest.mark.parametrize("name", CASES)
def test_hostile_header_gets_its_message(name: str, tmp_path: Path) -> None:
    make, (what, expected, got, hint) = CASES[name]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(make())
    with pytest.raises(StoreError) as caught:
        FeatureStore(path)
    assert str(caught.value) == f"{path}: {what}\n  expected: {expected}\n  got:      {got}\n  what to do: {hint}"
    assert caught.value.where == str(path)


def test_the_file_all_cases_start_from_is_good(tmp_path: Path) -> None:
    path = tmp_path / "good.safetensors"
    path.write_bytes(GOOD_BYTES)
    with FeatureStore(path) as store:
        assert store.verify().ok


def test_every_cut_of_the_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    size = struct.unpack("<Q", GOOD_BYTES[:8])[0]
    for end in [*range(0, 600, 7), 8 + size - 1, 8 + size, len(GOOD_BYTES) - 1]:
        path.write_bytes(GOOD_BYTES[:end])
        with pytest.raises(StoreError):
            FeatureStore(path)


def test_random_damage_in_the_header_never_escapes_as_another_error(tmp_path: Path) -> None:
    chance = random.Random(11)
    path = tmp_path / "mutated.safetensors"
    used = len(GOOD_BYTES[: struct.unpack("<Q", GOOD_BYTES[:8])[0]].rstrip(b" ")) + 4
    for _ in range(300):
        data = bytearray(GOOD_BYTES)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(used)] = chance.choice(
                b'0123456789"{}[],:\\ \x00\xff' + bytes([chance.randrange(256)])
            )
        path.write_bytes(data)
        try:
            store = FeatureStore(path)
        except StoreError:
            continue
        # What opening lets pass (a changed name of a tool, say) verify must see, unless nothing changed.
        assert store.verify().ok == (bytes(data) == GOOD_BYTES)


def test_a_newer_store_points_to_a_newer_reader(tmp_path: Path) -> None:
    path = tmp_path / "new.safetensors"
    path.write_bytes(metadata_with(format_version="2"))
    with pytest.raises(StoreError) as caught:
        FeatureStore(path)
    assert caught.value.hint == "install a newer lxmert_data"


def test_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FeatureStore(tmp_path / "none.safetensors")


def test_tensors_in_another_order_without_padding_are_legal(tmp_path: Path) -> None:
    """Other tools may rewrite the file so; only its header checksum is lost."""
    rows = make_rows(3)
    tensors = make_tensors(rows)
    turned = {name: tensors[name] for name in sorted(tensors, reverse=True)}
    path = tmp_path / "turned.safetensors"
    path.write_bytes(
        encode_header(make_header(turned, make_metadata(tensors)), 1)
        + b"".join(array.tobytes() for array in turned.values())
    )
    with FeatureStore(path) as store:
        for index, row in enumerate(rows):
            assert (store[index].features == row["features"]).all()
            assert (store[index].objects_id == row["objects_id"]).all()
        assert (store.batch([2, 0])["features"] == [rows[2]["features"], rows[0]["features"]]).all()
        report = store.verify()
    assert report.damaged == ()
    assert len(report.problems) == 1
