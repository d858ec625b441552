"""Figures as text: a true minus, a fixed number of decimals, a dash for what is missing."""

import json
import math
import re
from typing import Any

from depthmask.visualization.page.definitions import Definition

MISSING = "–"
_MINUS = "\N{MINUS SIGN}"


def known(value: Any) -> float | None:
    """A finite number, or None for anything else that a file may hold in its place."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def written(value: Any, decimals: int = 3, *, signed: bool = False) -> str:
    """A number with so many decimals, or the dash; never a negative zero."""
    number = known(value)
    if number is None:
        return MISSING
    text = f"{number:{'+' if signed else ''}.{decimals}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", _MINUS)


def plain(value: Any) -> str:
    """A setting or a strength as short as it can be: 4, 0.25, −1."""
    number = known(value)
    return MISSING if number is None else f"{number:g}".replace("-", _MINUS)


def interval(low: Any, high: Any, decimals: int = 3, *, signed: bool = False) -> str:
    """`[low, high]`, or nothing where a bound is missing."""
    if known(low) is None or known(high) is None:
        return ""
    bounds = (written(bound, decimals, signed=signed) for bound in (low, high))
    return f"[{', '.join(bounds)}]"


def figure(value: Any, definition: Definition, unit: str, *, signed: bool = False) -> str:
    """A metric's figure with its unit, in the depth's `unit`."""
    text = written(value, definition.decimals, signed=signed)
    return text if text == MISSING else text + definition.unit(unit)


def setting_text(value: Any) -> str:
    """A parameter as one would write it: text bare, 2.0 as 2, null for None."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return f"[{', '.join(setting_text(each) for each in value)}]"
    if isinstance(value, float):
        return f"{value:.15g}"
    return json.dumps(value)


def magnitude(value: float) -> str:
    """A very small number as 4.2 × 10⁻⁷."""
    if not value:
        return "0"
    mantissa, _, power = f"{value:.1e}".partition("e")
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"{mantissa} × 10{str(int(power)).translate(digits)}"


def true_minus(text: str) -> str:
    """A sentence with a minus in place of each hyphen before a number."""
    return re.sub(r"(?<![\w.])-(?=\d)", _MINUS, text)


def size_of(num_bytes: int) -> str:
    """A file's size: 28.3 MB."""
    for unit, scale in (("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes} bytes"


def thousands(count: int) -> str:
    """An integer in groups of three: 7 083 874, with thin spaces."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
