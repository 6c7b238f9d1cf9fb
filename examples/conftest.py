"""Lets the tests of the examples import them, and the made-up data of the reader's tests."""

import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1] / "reader" / "tests"
sys.path[:0] = [str(Path(__file__).parent), str(_TESTS), str(_TESTS / "training")]
