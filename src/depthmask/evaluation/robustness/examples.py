"""One frame of the headline set under every condition, to look at."""

import numpy as np
from torch import Tensor

from depthmask.config import CompositorParams, Robustness
from depthmask.data.composition.eval_sets import SceneSets
from depthmask.evaluation.robustness.frames import Frames, cases
from depthmask.evaluation.robustness.measuring import Predict, answers, ranges_of
from depthmask.metrics import mask_iou
from depthmask.visualization.conditions import ConditionExample

_LARGE = 0.04
"""Of a frame: a person who can be seen on a small picture."""


def condition_examples(
    predict: Predict,
    sets: SceneSets,
    params: Robustness,
    *,
    trained: CompositorParams | None,
    trained_nobody: float,
    threshold: float = 0.5,
) -> list[ConditionExample]:
    """A frame that a predictor does well on, not its best, at each strength of each condition.

    Arguments as for `measure_robustness`.
    """
    frames = Frames.of(sets, params.num_scenes)
    ranges = ranges_of(frames, trained, trained_nobody)
    mask, _ = answers(predict, frames.scene, sets.device, batch_size=32)
    examples = []
    for case in cases(frames.only(_typical(mask, frames.scene.mask, threshold)), params):
        mask, _ = answers(predict, case.scene, sets.device, batch_size=1)
        if case.condition == "nobody":
            figure = float((mask > threshold).double().mean())
        else:
            figure = float(mask_iou(mask, case.scene.mask, threshold))
        examples.append(
            ConditionExample(
                case.condition,
                case.strength,
                ranges.hold(case.condition, case.strength),
                bg=_picture(case.scene.bg),
                bg_fg=_picture(case.scene.bg_fg),
                true_mask=case.scene.mask[0, 0].numpy(),
                pred_mask=mask[0, 0].numpy(),
                figure=figure,
            )
        )
    return examples


def _typical(mask: Tensor, true_mask: Tensor, threshold: float) -> int:
    """The frame with a large person whose IoU is nearest their upper quartile."""
    ious = mask_iou(mask, true_mask, threshold).double()
    large = true_mask.mean((1, 2, 3)) > _LARGE
    if large.any():
        ious = ious.where(large, np.nan)
    distance = (ious - ious.nanquantile(0.75)).abs().nan_to_num(np.inf)
    return int(distance.argmin())


def _picture(image: Tensor) -> np.ndarray:
    """The first of a batch, uint8 H x W x 3."""
    return (image[0] * 255).round().byte().permute(1, 2, 0).numpy()
