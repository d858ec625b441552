"""Robustness curves: frames of the headline set made harder, in ways trained for and not."""

from depthmask.evaluation.robustness.examples import condition_examples
from depthmask.evaluation.robustness.frames import NEUTRAL
from depthmask.evaluation.robustness.measuring import measure_robustness

__all__ = ["NEUTRAL", "condition_examples", "measure_robustness"]
