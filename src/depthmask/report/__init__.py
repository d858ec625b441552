"""Figures and tables of the report: arrays in, PNG or Markdown out, the same bytes each time."""

from depthmask.report.comparison import comparison
from depthmask.report.conditions import ConditionExample, conditions_sheet
from depthmask.report.curves import CURVES, curves
from depthmask.report.depth_colors import DepthScale
from depthmask.report.hero import hero
from depthmask.report.panels import PanelRow, panels
from depthmask.report.rate_range import rate_range
from depthmask.report.robustness import CONDITION_LOOKS, robustness
from depthmask.report.sheets import SplitImages, augmented_sheet, composed_sheet, contact_sheet
from depthmask.report.table import results_table

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
