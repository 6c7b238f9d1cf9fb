"""The detector of the published features, in PyTorch (`pip install lxmert_data[detector]`).

`Detector` turns images into rows; `load_weights` and `save_weights` read and write its weights.
"""

import importlib.util

_MISSING = [name for name in ("torch", "PIL") if importlib.util.find_spec(name) is None]
if _MISSING:
    raise ImportError(
        f"the detector needs {' and '.join(_MISSING)}, which this Python does not have; "
        "install it: python -m pip install 'lxmert_data[detector]'"
    )

from .detector import Detector, DetectorRow  # noqa: E402
from .weights import Weights, load_weights, save_weights  # noqa: E402

__all__ = ["Detector", "DetectorRow", "Weights", "load_weights", "save_weights"]
