"""pip on a Python that is too old says which one is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

READER = Path(__file__).parents[1]
OLD_VERSION = (
    "import sys; sys.version_info = (3, 8, 18); sys.argv = ['setup.py', '--version']; exec(open('setup.py').read())"
)


def test_setup_names_the_python_that_is_needed() -> None:
    done = subprocess.run([sys.executable, "-c", OLD_VERSION], cwd=READER, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "lxmert_data needs Python 3.9 or newer, this is Python 3.8" in done.stderr


def test_the_oldest_python_is_the_same_everywhere() -> None:
    text = (READER / "pyproject.toml").read_text()
    oldest = re.findall(r"3\.\d+", " ".join(re.findall(r"^requires(?:-python)? = .*", text, re.MULTILINE)))
    assert {*oldest} == {"3.9"} and "OLDEST = (3, 9)" in (READER / "setup.py").read_text()
