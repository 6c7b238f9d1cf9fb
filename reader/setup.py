"""Everything is in pyproject.toml; this tells users of an old Python which one is needed, and copies shared data."""

import sys

OLDEST = (3, 9)

if sys.version_info < OLDEST:
    sys.exit(
        "lxmert_data needs Python %d.%d or newer, this is Python %d.%d: "
        "make an environment with a newer one, for instance python3.12 -m venv venv" % (OLDEST + sys.version_info[:2])
    )

import os  # noqa: E402 (not before the version is known)
import shutil  # noqa: E402

from setuptools import setup  # noqa: E402
from setuptools.command.build_py import build_py  # noqa: E402

KEYS = "detector-keys.json"


class BuildWithKeys(build_py):
    """Puts the table of other programs' names of weights into the package; TypeScript reads the same file."""

    def run(self):
        build_py.run(self)
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "manifests", KEYS)
        target = os.path.join(self.build_lib, "lxmert_data", "detector")
        if os.path.isfile(source) and os.path.isdir(target):
            shutil.copy(source, os.path.join(target, KEYS))


setup(cmdclass={"build_py": BuildWithKeys})
