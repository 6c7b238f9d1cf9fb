"""The formats by name: what each writes, who opens it, which library it needs."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from typing import Any

from ..errors import ExportRequestError, StoreError


@dataclass(frozen=True)
class Format:
    """One format: `libraries` are pairs of module and pip requirement, `suffixes` those its output may have."""

    name: str
    module: str
    opened_by: str
    suffixes: tuple[str, ...] = ()
    libraries: tuple[tuple[str, str], ...] = ()
    half: bool = False
    variant: str = ""
    is_folder: bool = False

    @property
    def dtypes(self) -> tuple[str, ...]:
        """What features can be written as."""
        return ("f32", "f16") if self.half else ("f32",)


_HDF5 = (("h5py", "h5py>=3.7"),)
_H5_SUFFIXES = (".h5", ".hdf5")

FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format("oscar", "oscar_tsv", "Oscar (VQA, retrieval, pre-training)", variant="oscar", is_folder=True),
        Format("vinvl", "oscar_tsv", "VinVL, Oscar's captioning", variant="vinvl", is_folder=True),
        Format("hdf5-groups", "hdf5", "VL-T5, VL-BART, VOLTA", _H5_SUFFIXES, _HDF5, True, "groups"),
        Format("hdf5-flat", "hdf5", "bottom-up-attention-vqa and its forks", _H5_SUFFIXES, _HDF5, variant="flat"),
        Format("hdf5-pos-boxes", "hdf5", "BAN (ban-vqa) with adaptive=True", _H5_SUFFIXES, _HDF5, variant="pos_boxes"),
        Format("arrow", "arrow", "Hugging Face datasets", (".arrow",), (("pyarrow", "pyarrow>=8"),), True),
        Format("npy", "npy", "NumPy, memory-mapped; any language", half=True, is_folder=True),
        Format("npz", "npz", "OpenVQA (GQA), readers of MILVLG's files", half=True, variant="rows", is_folder=True),
        Format("npz-openvqa", "npz", "OpenVQA and MCAN (VQA)", half=True, variant="columns", is_folder=True),
        Format("mmf-lmdb", "mmf_lmdb", "MMF", (".lmdb",), (("lmdb", "lmdb>=1.0"),), True, is_folder=True),
    )
}


def find_format(name: str) -> Format:
    """The format of that name; raises ExportRequestError, with the nearest name, where there is none."""
    if name in FORMATS:
        return FORMATS[name]
    near = difflib.get_close_matches(name.lower(), FORMATS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else None
    raise ExportRequestError(f"there is no export format {name!r}", None, ", ".join(FORMATS), name, hint)


def load_writer(entry: Format) -> Any:
    """The module that writes a format; raises StoreError where its library is not installed."""
    missing = [wanted for module, wanted in entry.libraries if importlib.util.find_spec(module) is None]
    if missing:
        names = " and ".join(module for module, wanted in entry.libraries if wanted in missing)
        wanted = " ".join(f'"{package}"' for package in missing)
        raise StoreError(
            f"{entry.name} is written with {names}, which this Python does not have",
            None,
            names,
            f"none in {sys.executable}",
            f"install it: {sys.executable} -m pip install {wanted}",
        )
    return importlib.import_module(f".{entry.module}", __package__)
