"""Whether evaluate finds of a stored network what its training's own test pass found."""

import math
from collections.abc import Mapping
from typing import Any

from depthmask.errors import InputError

TOLERANCE = 1e-6
"""Largest difference between two passes over the same scenes on a CPU."""

TOLERANCE_OTHERS = 1e-3
"""Where the devices differ, or are no CPUs: convolutions there are chosen by speed."""


def refuse_disagreement(card: Mapping[str, Any], figures: Mapping[str, float], device: str) -> None:
    """Compare the figures of the headline set with those that the training wrote down.

    Args:
        card: of the stored network; without a test pass there is nothing to compare.
        figures: the means of the same set, found now.
        device: where they were found.

    Raises:
        InputError: if a figure differs: weights, data or code are not those that were trained.
    """
    test = card.get("test", {})
    same = test.get("device") == device == "cpu"
    for name, before in test.get("figures", {}).items():
        now = figures.get(name, math.nan)
        if not abs(now - before) <= (TOLERANCE if same else TOLERANCE_OTHERS) * max(1, abs(before)):
            raise InputError(
                f"{card['experiment']}: its training found {name} {before:.7g} on {test['set']},"
                f" evaluate finds {now:.7g}: the network, the data or the code is not what was"
                f" trained; run `dvc repro --force train@{card['experiment']}`"
            )
