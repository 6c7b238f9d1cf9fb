"""Writes stores in the formats of other code bases, each with the library of its format: see docs/export.md.

`export_store` does it, `python -m lxmert_data.export` from a shell. The libraries are loaded only when they are needed.
"""

from .export_store import ExportResult, ExportSettings, export_store
from .formats import FORMATS, Format

__all__ = ["FORMATS", "ExportResult", "ExportSettings", "Format", "export_store"]
