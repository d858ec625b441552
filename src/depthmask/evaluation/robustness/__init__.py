"""Robustness curves: frames of the headline set made harder, in ways trained for and not."""

from depthmask.evaluation.robustness.measuring import NEUTRAL, measure_robustness

__all__ = ["NEUTRAL", "measure_robustness"]
