"""From figures to places: scales and their ticks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where, in px of the drawing, and what is written there."""

    at: float
    text: str


@dataclass(frozen=True)
class Scale:
    """A range of values upon a range of px, in equal steps or in equal ratios.

    Attributes:
        low, high: the values at the ends; low < high, above 0 if `log`.
        start, end: px; a start beyond the end turns the axis round.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands, px; beyond the ends it stands at the end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self, values: Iterable[float] | None = None, *, num: int = 5) -> list[Tick]:
        """Marks at the given values, or at about `num` round ones."""
        if values is None:
            values = _ratios(self.low, self.high) if self.log else steps(self.low, self.high, num)
        return [Tick(self.place(value), tick_text(value)) for value in values if self.holds(value)]


def steps(low: float, high: float, num: int = 5) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten between two values, at most `num` + 1."""
    power = 10.0 ** math.floor(math.log10(((high - low) or 1.0) / num))
    for step in (factor * power for factor in (1, 2, 2.5, 5, 10, 20)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first <= num:
            break
    return [round(number * step, 12) for number in range(first, last + 1)]


def rounded_up(value: float, num: int = 5) -> float:
    """The first round number, as `steps` has them, that is not below a value above 0."""
    first, second = steps(0.0, value, num)[:2]
    return math.ceil(value / (second - first) - 1e-9) * (second - first)


def spanning(
    values: Sequence[float], *, margin: float = 0.06, least: float = 1e-3
) -> tuple[float, float]:
    """A range that holds all values with some room; 0 to 1 of none."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = max((high - low) * margin, least / 2, abs(high) * 1e-6)
    return low - room, high + room


def readable(ticks: list[Tick]) -> list[Tick]:
    """The ticks, without the text of one that would touch its neighbour's."""
    kept: list[Tick] = []
    free = -1e9
    for tick in sorted(ticks, key=lambda tick: tick.at):
        half = 3.4 * len(tick.text)
        if tick.at - half < free:
            tick = replace(tick, text="")
        else:
            free = tick.at + half + 4
        kept.append(tick)
    return kept


def tick_text(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _ratios(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [m * 10.0**power for power in powers for m in (1, 2, 5)]
    held = [value for value in values if low <= value <= high]
    return held if len(held) <= 6 else [v for v in held if f"{v:e}"[0] == "1"]
