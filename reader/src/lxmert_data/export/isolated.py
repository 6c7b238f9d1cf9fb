"""Runs this package's exporter or detector without the current folder on Python's search path.

`python isolated.py ARGUMENT...` is `python -m lxmert_data.export ARGUMENT...`, except that no module is taken from the
folder it is called in, nor from an empty entry of PYTHONPATH; `--detector` in front runs `lxmert_data.detector`.
`python isolated.py --probe MODULE...` prints the version and which of the modules are missing, `--devices` which GPUs
PyTorch sees. `-P` would do the same, but only from Python 3.11 on.
"""

# Only built-in modules until the search path is clean: a json.py beside this file or in the current folder is not ours.
import sys

_HERE = __file__.rpartition("/")[0] or "."
_SOURCE = _HERE.rpartition("/")[0].rpartition("/")[0]
sys.path[:] = [_SOURCE, *(folder for folder in sys.path if folder not in ("", ".", _HERE))]


def _probe(modules: "list[str]") -> None:
    import importlib.util
    import json

    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    print(json.dumps({"version": list(sys.version_info[:2]), "missing": missing}))


def _list_devices() -> None:
    import json

    import torch

    mps = getattr(torch.backends, "mps", None)
    cuda = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    print(json.dumps({"torch": torch.__version__, "cuda": cuda, "mps": mps is not None and mps.is_available()}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--probe"]:
        _probe(sys.argv[2:])
    elif sys.argv[1:2] == ["--devices"]:
        _list_devices()
    else:
        import runpy

        runs_detector = sys.argv[1:2] == ["--detector"]
        if runs_detector:
            del sys.argv[1]
        module = "lxmert_data.detector" if runs_detector else "lxmert_data.export"
        runpy.run_module(module, run_name="__main__", alter_sys=True)
