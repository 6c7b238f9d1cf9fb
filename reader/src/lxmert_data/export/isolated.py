"""Runs this package's exporter without the current folder on Python's search path.

`python isolated.py ARGUMENT...` is `python -m lxmert_data.export ARGUMENT...`, except that no module is taken from the
folder it is called in, nor from an empty entry of PYTHONPATH. `python isolated.py --probe MODULE...` prints the version
and which of the modules are missing. `-P` would do the same, but only from Python 3.11 on.
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


if __name__ == "__main__":
    if sys.argv[1:2] == ["--probe"]:
        _probe(sys.argv[2:])
    else:
        import runpy

        runpy.run_module("lxmert_data.export", run_name="__main__", alter_sys=True)
