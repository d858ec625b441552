"""Whether evaluate finds of a stored network what its training's own test pass found."""

import math
import sys
from collections.abc import Mapping
from typing import Any

from depthmask.errors import InputError

SAME = 1e-6
"""Largest difference, absolute or relative, of two passes over the same scenes on one machine."""

TOLERANCE = 1e-3
"""On another device or processor, whose convolutions round otherwise: a pixel at the threshold
may fall on its other side. More is another network."""


def refuse_disagreement(card: Mapping[str, Any], figures: Mapping[str, float], device: str) -> None:
    """Compare the figures of the headline set with those that the training wrote down.

    Args:
        card: of the stored network; without a test pass there is nothing to compare.
        figures: the means of the same set, found now.
        device: where they were found.

    Raises:
        InputError: if a figure is another: weights, data or code are not those that were trained.
    """
    test = card.get("test", {})
    for name, before in test.get("figures", {}).items():
        now = figures.get(name, math.nan)
        apart = 0.0 if now == before else abs(now - before) / max(1, abs(before))
        found = (
            f"{card['experiment']}: its training found {name} {before:.8g} on {test['set']},"
            f" evaluate finds {now:.8g}"
        )
        if not apart <= TOLERANCE:  # so that a NaN is refused as well
            raise InputError(
                f"{found}: the network, the data or the code is not what was trained; run"
                f" `dvc repro --force train@{card['experiment']}`"
            )
        if apart > SAME and test.get("device") == device == "cpu":
            print(f"depthmask: {found}: trained on another processor?", file=sys.stderr)
            return
