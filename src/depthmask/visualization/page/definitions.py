"""The metrics, test sets and conditions in words, for readers of the report.

`depthmask.metrics.METRICS` says the same of names and directions; it is not imported, as it brings
torch and the page is made from files alone. A test holds the two together.
"""

from dataclasses import dataclass
from typing import Literal

from depthmask.visualization.robustness import CONDITION_LOOKS, Look


@dataclass(frozen=True)
class Definition:
    """A metric as the report speaks of it.

    Attributes:
        name: in the files.
        label: short, under the heading of its part.
        better: `higher` or `lower`.
        part: of the answer that it looks at.
        metres: whether its unit is metres, where the depth's is; else it is a ratio.
        text: what it is and where it is from.
        decimals: written.
    """

    name: str
    label: str
    better: Literal["higher", "lower"]
    part: Literal["mask", "depth", "person", "nobody"]
    text: str
    metres: bool = False
    decimals: int = 3

    @property
    def arrow(self) -> str:
        return "↑" if self.better == "higher" else "↓"

    @property
    def full(self) -> str:
        """The label with its part: `Mask IoU`, `Depth δ1`, `Person’s distance error`."""
        words = f"{_PARTS[self.part]} {self.label}".strip()
        return words[0].upper() + words[1:]

    @property
    def spoken(self) -> str:
        """The same within a sentence."""
        return self.full[0].lower() + self.full[1:]

    def unit(self, depth_unit: str) -> str:
        """What is written after a figure; RMSE of relative depth has no unit to name."""
        return " m" if self.metres and depth_unit == "metre" else ""


_PARTS = {"mask": "Mask", "depth": "Depth", "person": "Person’s", "nobody": ""}

DEFINITIONS = {
    definition.name: definition
    for definition in (
        Definition(
            "mask_iou", "IoU", "higher", "mask",
            "Intersection over union of the predicted and the true mask, both cut at 0.5. An empty "
            "answer to an empty scene counts 1.",
        ),
        Definition(
            "mask_dice", "Dice", "higher", "mask",
            "Twice the intersection over the sum of both areas; an empty answer to an empty scene "
            "counts 1.",
        ),
        Definition(
            "mask_boundary_f", "boundary F", "higher", "mask",
            "Harmonic mean of precision and recall of the contour’s pixels, right within 0.8 % of "
            "the image’s diagonal (Perazzi et al. 2016).",
        ),
        Definition(
            "depth_abs_rel", "AbsRel", "lower", "depth",
            "Mean of |d − g| / g over the pixels whose true depth g is known; d is the predicted "
            "depth (Eigen et al. 2014).",
        ),
        Definition(
            "depth_rmse", "RMSE", "lower", "depth",
            "Root of the mean squared difference of predicted and true depth.",
            metres=True, decimals=2,
        ),
        Definition(
            "depth_delta1", "δ1", "higher", "depth",
            "Share of pixels with max(d/g, g/d) below 1.25: depth right to about a quarter.",
        ),
        Definition(
            "depth_delta2", "δ2", "higher", "depth",
            "The same below 1.25², about 1.56.",
        ),
        Definition(
            "depth_delta3", "δ3", "higher", "depth",
            "The same below 1.25³, about 1.95.",
        ),
        Definition(
            "depth_log10", "log10", "lower", "depth",
            "Mean of |log₁₀ d − log₁₀ g|: 0.1 is a factor of 1.26.",
        ),
        Definition(
            "depth_silog", "SILog × 100", "lower", "depth",
            "100 times the standard deviation of ln d − ln g over an image: the error that is left "
            "once the scale is free (Eigen et al. 2014).",
            decimals=1,
        ),
        Definition(
            "depth_ssim", "SSIM", "higher", "depth",
            "Structural similarity of the two depth maps, window 11 px, σ 1.5 px, its range the "
            "truth’s own (Wang et al. 2004).",
        ),
        Definition(
            "person_abs_rel", "AbsRel", "lower", "person",
            "AbsRel over the true person’s pixels alone.",
        ),
        Definition(
            "person_rmse", "RMSE", "lower", "person",
            "RMSE over the true person’s pixels alone.",
            metres=True, decimals=2,
        ),
        Definition(
            "person_delta1", "δ1", "higher", "person",
            "δ1 over the true person’s pixels alone.",
        ),
        Definition(
            "person_distance_error", "distance error", "lower", "person",
            "|told − true| distance of the person, each the median depth over the mask’s largest "
            "region. Somebody who is not found counts as the largest error possible in the frame.",
            metres=True, decimals=2,
        ),
    )
}  # fmt: skip

FALSE_PERSON = {
    definition.name: definition
    for definition in (
        Definition(
            "false_area", "falsely found, share of the frame", "lower", "nobody",
            "Share of the frame that is taken for person and is not.",
        ),
        Definition(
            "false_alarm", "false alarms, share of the frames", "lower", "nobody",
            "Share of the frames with nobody in them in which somebody larger than a thousandth of "
            "the frame is found.",
        ),
    )
}  # fmt: skip
"""What the robustness table has beside metrics."""

HEADLINE = (
    "mask_iou",
    "mask_boundary_f",
    "depth_delta1",
    "depth_abs_rel",
    "depth_rmse",
    "person_delta1",
    "person_distance_error",
)
"""Columns of the comparison; the rest is in the table of all figures."""

COMPARED = ("mask_iou", "depth_delta1", "depth_abs_rel")
"""What every chart and the leak table show."""

SETS = {
    "in_scene": (
        "In-scene",
        "people and rooms never seen; rendered together, with true shadows and bounced light",
    ),
    "unseen_unseen": ("Unseen room, unseen person", "composites; neither was in the training"),
    "unseen_seen": ("Unseen room, seen person", "composites"),
    "seen_unseen": ("Seen room, unseen person", "composites"),
    "seen_seen": (
        "Seen room, seen person",
        "composites of what it was trained on: what a random split measures",
    ),
    "val": ("Validation", "composites of rooms and people of their own; the best is chosen here"),
}
"""Title and meaning, hardest first; training never sees a test set's placements."""

BASELINES = {
    "difference_threshold": "person is where frame and plate differ by more than a threshold",
    "constant_depth": "one depth for every pixel",
    "plate_depth": "the empty room’s true depth, which no network is given",
}


NOBODY = "nobody"
"""The condition whose frames hold no person: what is found there is false."""


def condition_look(name: str) -> Look:
    """A condition's words, those of reports/plots; of one that has none, its name."""
    return CONDITION_LOOKS.get(name, Look(name.replace("_", " ").capitalize(), "strength"))
