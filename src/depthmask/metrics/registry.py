"""Every metric by name: what it is called, its unit, which way it points, how it is computed."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Part = Literal["mask", "depth", "person", "nobody"]
_PARTS: dict[Part, str] = {"mask": "mask ", "depth": "depth ", "person": "person’s ", "nobody": ""}


@dataclass(frozen=True)
class Metric:
    """A figure of a scene.

    The function of a part takes, mask: (mask_prob, true_mask); depth: (depth, true_depth); person:
    the same, the truth unknown beside the person; with `takes_all`: (mask_prob, depth, true_mask,
    true_depth), which must be there and in metres. All N x 1 x H x W -> N values, float64: NaN
    where a scene does not count, the worse infinity for a prediction that is not a number.
    """

    name: str  # in code and files
    label: str  # short, under the heading of its part
    part: Part  # of the prediction; `nobody`: a mask where nobody is
    higher_is_better: bool
    text: str  # what it is and where it is from
    function: Callable[..., Tensor]
    takes_all: bool = False
    unit: Literal["", "metre"] = ""  # nothing for a ratio
    decimals: int = 3  # written
    is_key: bool = False  # a column of the comparison, and measured on harder frames

    @property
    def better(self) -> str:
        return "higher" if self.higher_is_better else "lower"

    @property
    def arrow(self) -> str:
        return "↑" if self.higher_is_better else "↓"

    @property
    def spoken(self) -> str:
        """The label with its part, within a sentence: `mask IoU`, `person’s distance error`."""
        return _PARTS[self.part] + self.label

    @property
    def title(self) -> str:
        return self.spoken[0].upper() + self.spoken[1:]

    def suffix(self, depth_unit: str) -> str:
        """What is written after a figure; relative depth has no unit to name."""
        return " m" if self.unit == depth_unit == "metre" else ""


METRICS: dict[str, Metric] = {}
"""In the order in which they are shown, which is that of their definitions."""


def metric(
    label: str,
    part: Part,
    *,
    higher_is_better: bool,
    into: dict[str, Metric] = METRICS,
    **about: Any,
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Enter a function under its name; its docstring's first paragraph is the metric's text."""

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        name = function.__name__
        text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
        into[name] = Metric(name, label, part, higher_is_better, text, function, **about)
        return function

    return decorate
