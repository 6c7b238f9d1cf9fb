"""The detector of the published features, in PyTorch (`pip install lxmert_data[detector]`).

`Detector` turns images into rows; `load_weights` and `save_weights` read and write its weights.
"""

from .detector import Detector, DetectorRow
from .weights import Weights, load_weights, save_weights

__all__ = ["Detector", "DetectorRow", "Weights", "load_weights", "save_weights"]
