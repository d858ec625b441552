"""How well networks hold out on frames that are harder than those they are judged by."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from depthmask.config import CompositorParams, Robustness
from depthmask.data.composition.eval_sets import SceneSets
from depthmask.data.scenes.person import largest_region
from depthmask.data.scenes.scene import Scene
from depthmask.evaluation.robustness.frames import NEUTRAL, Case, Frames, cases
from depthmask.evaluation.robustness.light import typical_shadow
from depthmask.evaluation.robustness.trained import TrainedRanges
from depthmask.metrics import Alignment, score_scenes

Predict = Callable[[Scene[Tensor]], tuple[Tensor, Tensor | None]]
"""Scenes -> the mask, 0 to 1, and the depth, if any; all N x 1 x H x W."""

Bounds = Callable[[np.ndarray], tuple[float, float]]
"""A value a scene, NaN where it does not count -> the bounds of their mean's interval."""

MEASURED = (
    "mask_iou",
    "mask_dice",
    "mask_boundary_f",
    "depth_abs_rel",
    "depth_delta1",
    "person_abs_rel",
    "person_delta1",
    "person_distance_error",
)
"""Of `depthmask.metrics.METRICS`: the others say much the same and cost as much as the networks."""

COLUMNS = (
    "experiment",
    "condition",
    "strength",
    "trained_for",
    "num_scenes",
    *MEASURED,
    "mask_iou_low",
    "mask_iou_high",
    "false_area",
    "false_area_low",
    "false_area_high",
    "false_alarm",
)
"""Of the table: where a figure does not count, or is nobody's, it is NaN.

`false_area` is the share of a frame taken for person where nobody is. `false_alarm` is the share
of the frames with nobody in which somebody larger than `LARGE` is found.
"""

LARGE = 0.001
"""Of a frame: a region of false person that a user would call somebody."""


def measure_robustness(
    predictors: Mapping[str, Predict],
    sets: SceneSets,
    params: Robustness,
    *,
    trained: CompositorParams | None,
    trained_nobody: float,
    bounds: Bounds,
    threshold: float = 0.5,
    batch_size: int = 32,
) -> pd.DataFrame:
    """Measure predictors on scenes of the headline set under every condition; see `cases`.

    Args:
        predictors: by the name of the experiment or baseline; asked on the sets' device.
        trained: the compositor's parameters of the training, None for a training on files.
        trained_nobody: share of its frames with nobody in them.
        threshold: a mask's pixel is person above it.

    Returns:
        A row an experiment, condition and strength, with `COLUMNS`. Means are over the scenes
        that count. A condition that the source has no frames for has no row.
    """
    frames = Frames.of(sets, params.num_scenes)
    ranges = ranges_of(frames, trained, trained_nobody)
    rows, untouched = [], {}
    for case in cases(frames, params):
        for name, predict in predictors.items():
            is_untouched = case.scene is frames.scene
            if is_untouched and name in untouched:
                figures = untouched[name]
            else:
                answer = answers(predict, case.scene, sets.device, batch_size)
                figures = summarise(*answer, case, threshold, sets.alignment, bounds)
                if is_untouched:
                    untouched[name] = figures
            row = {
                "experiment": name,
                "condition": case.condition,
                "strength": case.strength,
                "trained_for": ranges.hold(case.condition, case.strength),
                "num_scenes": len(case.scene.mask),
            }
            rows.append(row | figures)
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    return _ordered(table, list(predictors))


def ranges_of(
    frames: Frames, trained: CompositorParams | None, trained_nobody: float
) -> TrainedRanges:
    """What the training drew, in terms of these frames; arguments as for `measure_robustness`."""
    return TrainedRanges(
        trained,
        nobody=trained_nobody,
        size=frames.scene.mask.shape[-1],
        shadow=typical_shadow(frames.scene),
    )


def summarise(
    mask: Tensor,
    depth: Tensor | None,
    case: Case,
    threshold: float,
    alignment: Alignment | None,
    bounds: Bounds,
) -> dict[str, float]:
    """The figures of one row: the means of every metric, two of them with bounds."""
    scene = case.scene
    scores = score_scenes(
        mask,
        depth,
        scene.mask,
        scene.depth,
        threshold=threshold,
        alignment=alignment,
        names=MEASURED,
    )
    false = (mask > threshold) & ~(scene.mask > threshold)
    scores["false_area"] = false.double().mean((1, 2, 3))
    values = {name: each.numpy() for name, each in scores.items()}
    figures = {name: _mean(each) for name, each in values.items()}
    for name in ("mask_iou", "false_area"):
        figures[f"{name}_low"], figures[f"{name}_high"] = bounds(values[name])
    if case.condition == "nobody":
        alarms = [largest_region(found).mean() > LARGE for found in false[:, 0].numpy()]
        figures["false_alarm"] = float(np.mean(alarms))
    return figures


def answers(
    predict: Predict, scene: Scene[Tensor], device: str, batch_size: int
) -> tuple[Tensor, Tensor | None]:
    """A predictor's mask and depth of all the scenes, float32 on the CPU."""
    masks, depths = [], []
    for start in range(0, len(scene.mask), batch_size):
        batch = Scene(*(field[start : start + batch_size].to(device) for field in scene))
        mask, depth = predict(batch)
        masks.append(mask.float().cpu())
        if depth is not None:
            depths.append(depth.float().cpu())
    return torch.cat(masks), torch.cat(depths) if depths else None


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else np.nan


def _ordered(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """An experiment after another, each with its conditions in their order."""
    conditions = list(NEUTRAL)
    keys = table.assign(
        experiment=table["experiment"].map(names.index),
        condition=table["condition"].map(conditions.index),
    )
    order = keys.sort_values(["experiment", "condition", "strength"], kind="stable").index
    return table.loc[order].reset_index(drop=True)
