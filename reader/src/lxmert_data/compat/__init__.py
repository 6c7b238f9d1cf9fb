"""Stands in for code of LXMERT: its list of dicts, on a store."""

from .lazy_datum import LazyDatum
from .lxmert_loader import LazyData, load_obj_tsv

__all__ = ["LazyData", "LazyDatum", "load_obj_tsv"]
