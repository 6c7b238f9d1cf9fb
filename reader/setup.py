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

from setuptools import setup  # noqa: E402 (not before the version is known)
from setuptools.command.build_py import build_py  # noqa: E402
from setuptools.command.sdist import sdist  # noqa: E402

KEYS = "detector-keys.json"
HERE = os.path.dirname(os.path.abspath(__file__))


def copy_keys(package):
    """Puts the table of other programs' names of weights into the package; TypeScript reads the same file."""
    target = os.path.join(package, "detector", KEYS)
    if os.path.isfile(target) or not os.path.isdir(os.path.dirname(target)):
        return
    source = os.path.join(HERE, os.pardir, "manifests", KEYS)
    if not os.path.isfile(source):
        sys.exit("%s is missing: build this from a whole checkout of the project, or from its sdist" % source)
    shutil.copy(source, target)


class BuildWithKeys(build_py):
    def run(self):
        build_py.run(self)
        copy_keys(os.path.join(self.build_lib, "lxmert_data"))


class SdistWithKeys(sdist):
    def make_release_tree(self, base_dir, files):
        sdist.make_release_tree(self, base_dir, files)
        copy_keys(os.path.join(base_dir, "src", "lxmert_data"))


setup(cmdclass={"build_py": BuildWithKeys, "sdist": SdistWithKeys})
