"""Numbers of items as samplers and subsets give them."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any


def read_item_numbers(indices: Iterable[Any], count: int) -> list[int]:
    """Plain numbers from 0 to `count` - 1; negative ones count from the end.

    Takes every kind of integer, as arrays and tensors would not: to them uint8 and bool are masks. Raises TypeError
    for what is no integer, IndexError for what is outside.
    """
    items = range(count)
    return [items[operator.index(index)] for index in indices]
