"""The few figures that `dvc metrics show`, `dvc metrics diff` and `dvc exp show` print."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from depthmask.evaluation.verdict import SCORE

_SHOWN = {
    "mask_iou": "mask_iou",
    "depth_delta1": "depth_delta1",
    "depth_ssim": "depth_ssim",
    "depth_abs_rel": "depth_abs_rel",
    "person_distance_error": "distance_error_m",
}
_DECIMALS = 4


def headline_figures(
    metrics: Mapping[str, Any], robustness: pd.DataFrame | None = None
) -> dict[str, float | str]:
    """What `reports/headline.json` holds: the best experiment on the hardest test set.

    Args:
        metrics: the content of `metrics.json`.
        robustness: of `robustness.csv`; None where nothing was made harder.

    Returns:
        In this order, as far as there are any: `best`, its name; its figures there; `lead`, by how
        much its mean of mask and depth exceeds its runner-up's, and `lead_low`, the least that the
        interval leaves of it, below 0 for a tie; `leak_gap`, of mask IoU, how much better seen
        rooms and people fare; `worst_iou`, the lowest mask IoU on harder frames, and `worst_at`,
        on which. What is no finite number is left out.
    """
    best = metrics["best"]
    figures = {name: metrics["headline"].get(metric) for metric, name in _SHOWN.items()}
    if metrics["unit"] == "metre":
        del figures["depth_ssim"]  # it stands for δ1 where ratios of depth say little
    verdict = metrics.get("verdict", {})
    lead = verdict.get("differences", {}).get(verdict.get("runner_up"), {}).get(SCORE, {})
    figures |= {"lead": lead.get("difference"), "lead_low": lead.get("low")}
    figures["leak_gap"] = metrics.get("leak", {}).get(best, {}).get("mask_iou", {}).get("gap")
    worst_at = {}
    if robustness is not None:
        own = robustness[(robustness["experiment"] == best) & (robustness["condition"] != "nobody")]
        if own["mask_iou"].notna().any():
            worst = own.loc[own["mask_iou"].idxmin()]
            figures["worst_iou"] = float(worst["mask_iou"])
            worst_at = {"worst_at": f"{worst['condition']} {worst['strength']:g}"}
    known = {
        name: round(float(value), _DECIMALS)
        for name, value in figures.items()
        if value is not None and math.isfinite(value)
    }
    return {"best": best} | known | worst_at
