"""How well networks hold out on frames that are harder than those they are judged by."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from depthmask.evaluation.robustness.conditions import CONDITIONS, Draws, as_taken, harder
from depthmask.evaluation.robustness.light import typical_shadow
from depthmask.evaluation.robustness.people import together
from depthmask.evaluation.robustness.trained import TrainedRanges
from depthmask.metrics import METRICS, Alignment, score_scenes
from depthmask.params import CompositorParams
from depthmask.params.results import Robustness
from depthmask.person import largest_region
from depthmask.scene import Scene
from depthmask.sets import SceneSets

Predict = Callable[[Scene[Tensor]], tuple[Tensor, Tensor | None]]
"""Scenes -> the mask, 0 to 1, and the depth, if any; all N x 1 x H x W."""

Bounds = Callable[[np.ndarray], tuple[float, float]]
"""A value a scene, NaN where it does not count -> the bounds of their mean's interval."""

COLUMNS = (
    "experiment",
    "condition",
    "strength",
    "trained_for",
    "num_scenes",
    *METRICS,
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

NEUTRAL = {
    **{name: condition.neutral for name, condition in CONDITIONS.items()},
    "two_people": 1.0,
    "nobody": 0.0,
}
"""The strength of every condition that leaves the frames as they are, in the table's order."""


class Case(NamedTuple):
    """Scenes under one condition at one strength."""

    condition: str
    strength: float
    scene: Scene[Tensor]


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
    """Measure predictors on scenes of the headline set under every condition.

    The two conditions without strengths of their own: `two_people`, where rooms have more than
    one, with 1 and 2 people in the frame; `nobody`, where the source has such frames, with the
    plate in the light of each strength of `exposure`.

    Args:
        predictors: by the name of the experiment or baseline; asked on the sets' device.
        trained: the compositor's parameters of the training, None for a training on files.
        trained_nobody: share of its frames with nobody in them.
        threshold: a mask's pixel is person above it.

    Returns:
        A row an experiment, condition and strength, with `COLUMNS`. Means are over the scenes
        that count.
    """
    scene = _some(_joined(sets.scenes(sets.headline)), params.num_scenes)
    ranges = TrainedRanges(
        trained, nobody=trained_nobody, size=scene.mask.shape[-1], shadow=typical_shadow(scene)
    )
    rows, untouched = [], {}
    for case in cases(scene, sets, params):
        for name, predict in predictors.items():
            is_untouched = case.scene is scene
            if not is_untouched or name not in untouched:
                answer = _answer(predict, case.scene, sets.device, batch_size)
                figures = summarise(*answer, case.scene, threshold, sets.alignment, bounds)
                if is_untouched:
                    untouched[name] = figures
            rows.append(
                {
                    "experiment": name,
                    "condition": case.condition,
                    "strength": case.strength,
                    "trained_for": ranges.holds(
                        case.condition, case.strength, NEUTRAL[case.condition]
                    ),
                    "num_scenes": len(case.scene.mask),
                    **(untouched[name] if is_untouched else figures),
                    **({} if case.condition == "nobody" else {"false_alarm": np.nan}),
                }
            )
    return _ordered(pd.DataFrame(rows).reindex(columns=list(COLUMNS)), predictors)


def cases(scene: Scene[Tensor], sets: SceneSets, params: Robustness) -> Iterator[Case]:
    """The scenes under each condition at each strength, one after another; the neutral ones are
    `scene` itself but for those with other people in them."""
    draws = Draws.of(scene, params.seed)
    for name, strengths in params.conditions.items():
        for strength in sorted({*strengths, NEUTRAL[name]}):
            yield Case(name, strength, harder(scene, name, strength, draws))
    pairs = list(sets.pairs(sets.headline))
    if sum(len(first.mask) for first, _ in pairs):
        first, second = (
            _some(_joined(side), params.num_scenes) for side in zip(*pairs, strict=True)
        )
        yield Case("two_people", 1.0, first)
        yield Case("two_people", 2.0, as_taken(together(first, second)))
    empty = list(sets.empty_scenes())
    if empty:
        nobody = _some(_joined(empty), params.num_scenes)
        draws = Draws.of(nobody, params.seed)
        for strength in sorted({*params.conditions.get("exposure", ()), NEUTRAL["nobody"]}):
            yield Case("nobody", strength, harder(nobody, "exposure", strength, draws))


def summarise(
    mask: Tensor,
    depth: Tensor | None,
    scene: Scene[Tensor],
    threshold: float,
    alignment: Alignment | None,
    bounds: Bounds,
) -> dict[str, float]:
    """The figures of one row: the means of every metric, two of them with bounds."""
    values = {
        name: scores.cpu().numpy()
        for name, scores in score_scenes(
            mask, depth, scene.mask, scene.depth, threshold=threshold, alignment=alignment
        ).items()
    }
    false = ((mask > threshold) & ~(scene.mask > threshold))[:, 0].numpy()
    values["false_area"] = false.mean((1, 2))
    alarms = [largest_region(person).mean() > LARGE for person in false]
    figures = {name: _mean(scores) for name, scores in values.items()}
    figures["false_alarm"] = float(np.mean(alarms))
    for name in ("mask_iou", "false_area"):
        figures[f"{name}_low"], figures[f"{name}_high"] = bounds(values[name])
    return figures


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else np.nan


def _answer(
    predict: Predict, scene: Scene[Tensor], device: str, batch_size: int
) -> tuple[Tensor, Tensor | None]:
    masks, depths = [], []
    for start in range(0, len(scene.mask), batch_size):
        batch = Scene(*(field[start : start + batch_size].to(device) for field in scene))
        mask, depth = predict(batch)
        masks.append(mask.float().cpu())
        depths.append(None if depth is None else depth.float().cpu())
    return torch.cat(masks), None if depths[0] is None else torch.cat(depths)


def _joined(batches: Iterator[Scene[Tensor]]) -> Scene[Tensor]:
    """Every batch in one, on the CPU: what is drawn and changed is the same for any device."""
    return Scene(
        *(torch.cat([part.cpu() for part in field]) for field in zip(*batches, strict=True))
    )


def _some(scene: Scene[Tensor], count: int) -> Scene[Tensor]:
    """Up to `count` scenes, spread evenly."""
    total = len(scene.mask)
    chosen = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    return Scene(*(field[chosen] for field in scene))


def _ordered(table: pd.DataFrame, names: Mapping[str, Predict]) -> pd.DataFrame:
    """An experiment after another, each with its conditions in their order."""
    place = table["experiment"].map({name: i for i, name in enumerate(names)})
    return table.iloc[np.argsort(place.to_numpy(), kind="stable")].reset_index(drop=True)
