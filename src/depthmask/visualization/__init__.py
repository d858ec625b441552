"""Figures and tables of the report: arrays in, PNG or Markdown out, the same bytes each time."""

from depthmask.evaluation.robustness_table import ConditionExample
from depthmask.visualization.comparison import comparison
from depthmask.visualization.conditions import conditions_sheet
from depthmask.visualization.curves import CURVES, curves
from depthmask.visualization.depth_colors import DepthScale
from depthmask.visualization.hero import hero
from depthmask.visualization.panels import PanelRow, panels
from depthmask.visualization.rate_range import rate_range
from depthmask.visualization.robustness import CONDITION_LOOKS, robustness
from depthmask.visualization.sheets import (
    SplitImages,
    augmented_sheet,
    composed_sheet,
    contact_sheet,
)
from depthmask.visualization.table import results_table

__all__ = [
    "CONDITION_LOOKS",
    "CURVES",
    "ConditionExample",
    "DepthScale",
    "PanelRow",
    "SplitImages",
    "augmented_sheet",
    "comparison",
    "composed_sheet",
    "conditions_sheet",
    "contact_sheet",
    "curves",
    "hero",
    "panels",
    "rate_range",
    "results_table",
    "robustness",
]
