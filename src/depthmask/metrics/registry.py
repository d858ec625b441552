"""Every metric by name: what it is called, its unit, which way it points, how it is computed."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Part = Literal["mask", "depth", "person", "nobody"]
_PARTS: dict[Part, str] = {"mask": "Mask ", "depth": "Depth ", "person": "Person’s ", "nobody": ""}


@dataclass(frozen=True)
class Metric:
    """A figure of a scene.

    The function of a part takes, mask: (mask_prob, true_mask, threshold); depth: (depth,
    true_depth); person: the same, the truth unknown beside the person; with `takes_all`:
    (mask_prob, depth, true_mask, true_depth, threshold), which must be there and in metres. All
    N x 1 x H x W -> N values, float64: NaN where a scene does not count, the worse infinity for a
    prediction that is not a number.
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
    def title(self) -> str:
        """The label with its part: `Mask IoU`, `Person’s distance error`."""
        words = _PARTS[self.part] + self.label
        return words[0].upper() + words[1:]

    @property
    def spoken(self) -> str:
        """The title within a sentence."""
        return self.title[0].lower() + self.title[1:]

    def suffix(self, depth_unit: str) -> str:
        """What is written after a figure; relative depth has no unit to name."""
        return " m" if self.unit == depth_unit == "metre" else ""


METRICS: dict[str, Metric] = {}
"""In the order in which they are shown, which is that of their definitions."""


def make_metric(
    label: str, part: Part, function: Callable[..., Tensor], *, higher_is_better: bool, **about: Any
) -> Metric:
    """A function as a metric of its name, explained by its docstring's first paragraph."""
    text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
    return Metric(function.__name__, label, part, higher_is_better, text, function, **about)


def metric(
    label: str, part: Part, *, higher_is_better: bool, **about: Any
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Enter a function into `METRICS`; arguments are fields of `Metric`."""

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        made = make_metric(label, part, function, higher_is_better=higher_is_better, **about)
        METRICS[made.name] = made
        return function

    return decorate
