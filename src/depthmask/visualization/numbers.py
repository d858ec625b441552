"""Figures as text: a true minus, a fixed number of decimals, a dash for what is missing."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

MISSING, MINUS = "–", "\N{MINUS SIGN}"


def known(value: Any) -> float | None:
    """A finite number, or None for anything else that a file may hold in its place."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def written(value: Any, decimals: int = 3, *, signed: bool = False) -> str:
    """A number with so many decimals, or a dash; never a negative zero."""
    number = known(value)
    if number is None:
        return MISSING
    text = f"{number:{'+' if signed else ''}.{decimals}f}"
    return (text if text.strip("+-0.") else text.lstrip("+-")).replace("-", MINUS)


def plain(value: float) -> str:
    """A setting or a strength as short as it can be: 4, 0.25, −1."""
    return f"{value:g}".replace("-", MINUS)


def interval(bounds: Sequence[Any] | None, decimals: int = 3, *, signed: bool = False) -> str:
    """`[low, high]`, or nothing where a bound is missing."""
    if bounds is None or any(known(bound) is None for bound in bounds):
        return ""
    return f"[{', '.join(written(bound, decimals, signed=signed) for bound in bounds)}]"


def setting_text(value: Any) -> str:
    """A parameter as one would write it: text bare, 2.0 as 2, null for None."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(setting_text(each) for each in value)}]"
    if isinstance(value, float):
        return f"{value:.15g}"
    return value if isinstance(value, str) else json.dumps(value)


def magnitude(value: float) -> str:
    """A very small number as 4.2 × 10⁻⁷."""
    if not value:
        return "0"
    mantissa, _, power = f"{value:.1e}".partition("e")
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"{mantissa} × 10{str(int(power)).translate(digits)}"


def true_minus(text: str) -> str:
    """A sentence with a minus in place of each hyphen before a number."""
    return re.sub(r"(?<![\w.])-(?=\d)", MINUS, text)
