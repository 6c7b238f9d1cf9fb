"""Time and memory of opening a 10 GB store from Python.

    npm run bench -- open-store [--gb 10] [--runs 5]

Makes a sparse store (true header and ids, holes for the rest, deleted at the end) and opens it in fresh processes.
Prints the worst of the runs. Needs the package of reader/ installed.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile

BOXES = 36
ID_BYTES = 27
# name: safetensors dtype, bytes of one row, shape of one row
TENSORS = {
    "features": ("F32", BOXES * 2048 * 4, [BOXES, 2048]),
    "objects_id": ("I64", BOXES * 8, [BOXES]),
    "attrs_id": ("I64", BOXES * 8, [BOXES]),
    "boxes": ("F32", BOXES * 16, [BOXES, 4]),
    "objects_conf": ("F32", BOXES * 4, [BOXES]),
    "attrs_conf": ("F32", BOXES * 4, [BOXES]),
    "image_size": ("I32", 8, [2]),
    "crc32": ("U32", 4, []),
    "img_id": ("U8", ID_BYTES, [ID_BYTES]),
}
COLUMNS = "img_id img_h img_w objects_id objects_conf attrs_id attrs_conf num_boxes boxes features"

# Runs in a fresh process, so that nothing is counted but what opening costs.
PROBE = """
import json, os, sys, time
import lxmert_data
def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
before = resident()
start = time.perf_counter()
store = lxmert_data.FeatureStore(sys.argv[1])
opened = time.perf_counter()
after_open = resident()
store[len(store) // 2].features[0, 0]
row = time.perf_counter()
store.index(store.ids[len(store) - 1])
found = time.perf_counter()
print(json.dumps({
    'open_ms': (opened - start) * 1e3,
    'open_mb': (after_open - before) / 1e6,
    'first_row_ms': (row - opened) * 1e3,
    'first_id_ms': (found - row) * 1e3,
    'all_mb': (resident() - before) / 1e6,
}))
"""


def write_sparse_store(path: str, rows: int) -> None:
    """A store whose data are holes but for the ids; it opens, though its checksums are not true."""
    metadata = {
        "format": "lxmert-data/obj36",
        "format_version": "1",
        "rows": str(rows),
        "dtype": "f32",
        "columns": json.dumps(COLUMNS.split()),
        "detector": json.dumps({"name": "none", "weights": "unknown", "caffe_edge": [0, rows]}),
        "sources": "[]",
        "conversion": json.dumps({"first": None, "skip_bad": False}),
        "tool": "bench/open_store.py",
        "crc32_table": "00000000",
        "header_crc32": "00000000",
    }
    document: dict[str, object] = {"__metadata__": metadata}
    offset = 0
    for name, (dtype, row_bytes, shape) in TENSORS.items():
        end = offset + rows * row_bytes
        document[name] = {"dtype": dtype, "shape": [rows, *shape], "data_offsets": [offset, end]}
        offset = end
    header = json.dumps(document).encode()
    header += b" " * (-(8 + len(header)) % 32768)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.seek(8 + len(header) + offset - rows * ID_BYTES)
        for index in range(rows):
            file.write(f"COCO_train2014_{index * 7919 % rows:012d}".encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=10, help="size of the store (default 10)")
    parser.add_argument("--runs", type=int, default=5, help="processes to open it in (default 5)")
    options = parser.parse_args()
    row_bytes = sum(size for _, size, _ in TENSORS.values())
    rows = -(-int(options.gb * 1e9) // row_bytes)
    with tempfile.TemporaryDirectory(prefix="lxmert-data-bench-") as folder:
        path = os.path.join(folder, "sparse.safetensors")
        write_sparse_store(path, rows)
        print(f"store: {os.path.getsize(path) / 1e9:.2f} GB, {rows} images")
        runs = [
            json.loads(subprocess.run([sys.executable, "-c", PROBE, path], check=True, capture_output=True).stdout)
            for _ in range(options.runs)
        ]
    worst = {key: max(run[key] for run in runs) for key in runs[0]}
    print(f"open:           {worst['open_ms']:7.2f} ms  (goal 20)   {worst['open_mb']:6.2f} MB more  (goal 30)")
    print(f"first row:      {worst['first_row_ms']:7.2f} ms")
    print(f"first id:       {worst['first_id_ms']:7.2f} ms              {worst['all_mb']:6.2f} MB more in all")


if __name__ == "__main__":
    main()
