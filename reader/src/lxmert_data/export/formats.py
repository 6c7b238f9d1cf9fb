"""The formats by name, as formats.json lists them; the command line of Node.js reads the same file."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import ExportRequestError, MissingLibraryError
from .plan import Plan
from .writer import Writer


@dataclass(frozen=True)
class Library:
    """A Python library: the module to import, and what pip installs."""

    module: str
    requirement: str


@dataclass(frozen=True)
class Format:
    """One format: `module` is the file in this folder that writes it, `suffixes` are those its output may have.

    `ids` is how it names images unless asked: name, number or number-if-all; `has_folders` where it may have those of
    their splits in their names. `has_tags` formats use the vocabulary, `has_shards` formats the size of a shard.
    """

    name: str
    module: str
    opened_by: str
    suffixes: tuple[str, ...]
    libraries: tuple[Library, ...]
    half: bool
    variant: str
    is_folder: bool
    ids: str
    has_folders: bool
    has_tags: bool
    has_shards: bool

    @property
    def dtypes(self) -> tuple[str, ...]:
        """What features can be written as."""
        return ("f32", "f16") if self.half else ("f32",)

    @property
    def id_modes(self) -> tuple[str, ...]:
        """What images can be named by."""
        if self.ids == "number":
            return ("number",)
        return ("name", "number", "folder") if self.has_folders else ("name", "number")


def _read_format(entry: dict[str, Any]) -> Format:
    return Format(
        name=entry["name"],
        module=entry["module"],
        opened_by=entry["opened_by"],
        suffixes=tuple(entry.get("suffixes", ())),
        libraries=tuple(Library(**library) for library in entry.get("libraries", ())),
        half=entry.get("half", False),
        variant=entry.get("variant", ""),
        is_folder=entry.get("is_folder", False),
        ids=entry.get("ids", "name"),
        has_folders=entry.get("has_folders", False),
        has_tags=entry.get("has_tags", False),
        has_shards=entry.get("has_shards", False),
    )


def _read_formats() -> dict[str, Format]:
    """Those with a module; the others are written without Python."""
    with open(os.path.join(os.path.dirname(__file__), "formats.json"), encoding="utf-8") as file:
        entries = json.load(file)["formats"]
    return {entry["name"]: _read_format(entry) for entry in entries if "module" in entry}


FORMATS: dict[str, Format] = _read_formats()


def find_format(name: str) -> Format:
    """The format of that name; raises ExportRequestError, with the nearest name, where there is none."""
    if name in FORMATS:
        return FORMATS[name]
    near = difflib.get_close_matches(name.lower(), FORMATS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else None
    raise ExportRequestError(f"there is no export format {name!r}", None, ", ".join(FORMATS), name, hint)


def load_writer(entry: Format) -> Callable[[Plan], Writer]:
    """What makes the writer of a format; raises MissingLibraryError where its library is not installed."""
    missing = [library for library in entry.libraries if importlib.util.find_spec(library.module) is None]
    if missing:
        names = " and ".join(library.module for library in missing)
        wanted = " ".join(f'"{library.requirement}"' for library in missing)
        raise MissingLibraryError(
            f"{entry.name} is written with {names}, which this Python does not have",
            None,
            names,
            f"none in {sys.executable}",
            f"install it: {sys.executable} -m pip install {wanted}",
        )
    make: Callable[[Plan], Writer] = importlib.import_module(f".{entry.module}", __package__).make_writer
    return make
