"""Everything is in pyproject.toml; this only tells users of an old Python which one is needed."""

import sys

OLDEST = (3, 9)

if sys.version_info < OLDEST:
    sys.exit(
        "lxmert_data needs Python %d.%d or newer, this is Python %d.%d: "
        "make an environment with a newer one, for instance python3.12 -m venv venv" % (OLDEST + sys.version_info[:2])
    )

from setuptools import setup  # noqa: E402 (not before the version is known)

setup()
