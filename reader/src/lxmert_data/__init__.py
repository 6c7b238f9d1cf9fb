"""Reads lxmert-data stores: 36-box image features for LXMERT, mapped into memory.

`FeatureStore` is the reader, `load_obj_tsv` the drop-in for LXMERT's loader.
"""

from ._version import __version__
from .compat import LazyData, load_obj_tsv
from .errors import AmbiguousRowError, SplitError, StoreError, StoreWarning, UnknownImageError
from .row import ImageRow
from .store import FeatureStore
from .verify import DamagedImage, VerifyReport

__all__ = [
    "AmbiguousRowError",
    "DamagedImage",
    "FeatureStore",
    "ImageRow",
    "LazyData",
    "SplitError",
    "StoreError",
    "StoreWarning",
    "UnknownImageError",
    "VerifyReport",
    "__version__",
    "load_obj_tsv",
]
