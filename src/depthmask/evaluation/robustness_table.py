"""Robustness curves: figures on frames of the headline set under every condition."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from depthmask.config import CompositorParams, Robustness
from depthmask.data.composition.eval_sets import BATCH_SIZE, EvalSets
from depthmask.data.scenes.person import THRESHOLD, largest_region
from depthmask.data.scenes.scene import Alignment, Scene
from depthmask.evaluation.frame_edits import can_stand_together, put_together, typical_shadow
from depthmask.evaluation.intervals import cluster_mean
from depthmask.evaluation.measuring import Method
from depthmask.evaluation.robustness import (
    CONDITIONS,
    Training,
    draw,
    is_trained,
    make_harder,
    to_8_bits,
)
from depthmask.metrics import METRICS, Metric, mask_iou, metric, score_scenes

LARGE = 0.001
"""Of a frame: a region of false person that a user would call somebody."""

LARGE_PERSON = 0.04
"""Of a frame: a person who can be seen on a small picture."""


FALSE_PERSON: dict[str, Metric] = {}
"""What the robustness table has beside metrics."""

_false_metric = partial(metric, part="nobody", higher_is_better=False, into=FALSE_PERSON)


@_false_metric("falsely found, share of the frame")
def false_area(mask_prob: Tensor, true_mask: Tensor) -> Tensor:
    """Share of the frame that is taken for person and is not."""
    return _false(mask_prob, true_mask).double().mean((1, 2, 3))


@_false_metric("false alarms, share of the frames")
def false_alarm(mask_prob: Tensor, true_mask: Tensor) -> Tensor:
    """Share of the frames with nobody in them in which somebody larger than a thousandth of the
    frame is found."""
    planes = _false(mask_prob, true_mask)[:, 0].cpu().numpy()
    return torch.tensor([float(largest_region(found).mean() > LARGE) for found in planes])


def _false(mask_prob: Tensor, true_mask: Tensor) -> Tensor:
    return (mask_prob > THRESHOLD) & ~(true_mask > THRESHOLD)


MEASURED = tuple(name for name, metric in METRICS.items() if metric.is_key)
BANDS = ("mask_iou", "false_area")
ROW = ("experiment", "condition", "strength", "trained_for", "num_scenes")
BOUNDS = tuple(f"{name}_{end}" for name in BANDS for end in ("low", "high"))
COLUMNS = (*ROW, *MEASURED, *FALSE_PERSON, *BOUNDS)
"""Of the table: where a figure does not count it is NaN; `false_alarm` is nobody's alone."""


class Frames(NamedTuple):
    """Scenes, on the CPU, where what is drawn is the same for any device, and their origins."""

    scene: Scene[Tensor]
    origins: pd.DataFrame

    def rows(self, chosen: np.ndarray) -> "Frames":
        return Frames(Scene(*(f[chosen] for f in self.scene)), self.origins.iloc[chosen])


class FrameSets(NamedTuple):
    """What there is to make harder, and with what it is measured."""

    people: Frames  # of the headline set
    pairs: tuple[Frames, Frames] | None  # of it, and the same rooms with somebody else who fits in
    empty: Frames | None  # rooms with nobody in them
    training: Training  # of the best
    device: str  # where methods predict
    alignment: Alignment | None


def collect_frames(
    sets: EvalSets, count: int, *, trained: CompositorParams | None, trained_nobody: float
) -> FrameSets:
    """Take up to `count` frames of each kind, spread evenly; the rest as for `Training`."""
    origins = sets.origins(sets.headline)
    people = _some(Frames(_joined(sets.scenes(sets.headline)), origins), count)
    firsts, seconds, places = [], [], []
    for first, second, rows in sets.pairs(sets.headline):
        fit = can_stand_together(first, second)
        firsts.append(Scene(*(field[fit] for field in first)))
        seconds.append(Scene(*(field[fit] for field in second)))
        places.append(rows[fit.cpu().numpy()])
    pairs = None
    if sum(map(len, places)):
        of_pairs = origins.iloc[np.concatenate(places)]
        pairs = (
            _some(Frames(_joined(firsts), of_pairs), count),
            _some(Frames(_joined(seconds), of_pairs), count),
        )
    empty = list(sets.scenes("nobody"))
    rooms = sets.origins("nobody").assign(cutout="nobody")
    training = Training(
        trained, trained_nobody, people.scene.mask.shape[-1], typical_shadow(people.scene)
    )
    return FrameSets(
        people,
        pairs,
        _some(Frames(_joined(empty), rooms), count) if empty else None,
        training,
        sets.device,
        sets.alignment,
    )


def _joined(batches: Iterable[Scene[Tensor]]) -> Scene[Tensor]:
    fields = zip(*batches, strict=True)
    return Scene(*(torch.cat([part.cpu() for part in field]) for field in fields))


def _some(frames: Frames, count: int) -> Frames:
    total = len(frames.origins)
    return frames.rows(np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int)))


@dataclass(frozen=True)
class ConditionExample:
    """One frame under a condition: pictures uint8 H x W x 3, masks H x W, 0 to 1.

    The figure is the mask's IoU, or where nobody is the share of the frame taken for person.
    """

    condition: str
    strength: float
    trained_for: bool
    bg: np.ndarray
    bg_fg: np.ndarray
    true_mask: np.ndarray
    pred_mask: np.ndarray
    figure: float


def example(
    condition: str, strength: float, trained: bool, scene: Scene[Tensor], mask: Tensor
) -> ConditionExample:
    """Of a batch of one."""
    bg, bg_fg = (
        (image[0] * 255).round().byte().permute(1, 2, 0).numpy()
        for image in (scene.bg, scene.bg_fg)
    )
    true_mask, pred_mask = scene.mask[0, 0].numpy(), mask[0, 0].numpy()
    figure = float((false_area if condition == "nobody" else mask_iou)(mask, scene.mask))
    return ConditionExample(condition, strength, trained, bg, bg_fg, true_mask, pred_mask, figure)


class Case(NamedTuple):
    """Frames under one condition at one strength."""

    condition: str
    strength: float
    frames: Frames


def cases(sets: FrameSets, params: Robustness) -> Iterator[Case]:
    """Each condition at each of its strengths, the neutral one among them.

    Two conditions have no strengths of their own: `two_people` has 1 and 2 people in the frame,
    `nobody` the plate in the light of each strength of `exposure`. Wherever nothing is changed
    the case's scene is that of `sets.people` itself.
    """

    def harder(frames: Frames, name: str, strengths: Iterable[float]) -> Iterator[Case]:
        draws = draw(frames.scene, params.seed)
        for strength in sorted({*strengths, CONDITIONS[name].neutral}):
            scene = make_harder(frames.scene, name, strength, draws)
            yield Case(name, strength, Frames(scene, frames.origins))

    for name in CONDITIONS:
        if name in params.conditions:
            yield from harder(sets.people, name, params.conditions[name])
    if sets.pairs is not None:
        first, second = sets.pairs
        # where no room is left out the first are the very scenes, whose figures are known
        same = torch.equal(first.scene.bg_fg, sets.people.scene.bg_fg)
        yield Case("two_people", 1.0, sets.people if same else first)
        both = to_8_bits(put_together(first.scene, second.scene))
        yield Case("two_people", 2.0, Frames(both, first.origins))
    if sets.empty is not None:
        yield from harder(sets.empty, "nobody", params.conditions.get("exposure", ()))


def measure_robustness(
    methods: Mapping[str, Method], sets: FrameSets, params: Robustness, level: float
) -> tuple[pd.DataFrame, list[ConditionExample]]:
    """Measure methods that predict a mask, by name, under every condition; level: of the intervals.

    Returns:
        A row an experiment, condition and strength, with `COLUMNS`: means over the scenes that
        count. A condition that the source has no frames for has no row. And one frame under each
        of them, that the first method does well on, not its best.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in methods}
    best, *_ = methods
    shown, examples = sets.people.origins.iloc[_typical(methods[best], sets)], []
    unchanged: dict[str, tuple[Tensor, dict[str, float]]] = {}
    for condition, strength, frames in cases(sets, params):
        trained = is_trained(condition, strength, sets.training)
        for name, method in methods.items():
            if frames.scene is not sets.people.scene or name not in unchanged:
                mask, depth = predict_all(method, frames.scene, sets.device)
                figures = _figures(mask, depth, condition, frames, sets.alignment, level)
            else:
                mask, figures = unchanged[name]
            if frames.scene is sets.people.scene:
                unchanged[name] = mask, figures
            keys = (name, condition, strength, trained, len(frames.origins))
            rows[name].append(dict(zip(ROW, keys, strict=True)) | figures)
            if name == best:
                same = frames.origins["plate"] == shown["plate"]
                if condition != "nobody":
                    same &= frames.origins.index == shown.name
                chosen = [int(same.to_numpy().argmax())]  # the first where there is none
                scene = frames.rows(np.array(chosen)).scene
                examples.append(example(condition, strength, trained, scene, mask[chosen]))
    return pd.DataFrame(sum(rows.values(), [])).reindex(columns=list(COLUMNS)), examples


def _typical(method: Method, sets: FrameSets) -> int:
    """The frame with a large person whose IoU is nearest their upper quartile."""
    scene = sets.people.scene
    ious = mask_iou(predict_all(method, scene, sets.device)[0], scene.mask)
    large = scene.mask.mean((1, 2, 3)) > LARGE_PERSON
    if large.any():
        ious = ious.where(large, torch.nan)
    return int((ious - ious.nanquantile(0.75)).abs().nan_to_num(torch.inf).argmin())


def _figures(
    mask: Tensor,
    depth: Tensor | None,
    condition: str,
    frames: Frames,
    alignment: Alignment | None,
    level: float,
) -> dict[str, float]:
    """The figures of one row: means, those of `BANDS` with the bounds of their interval."""
    scene, origins = frames
    truth = scene.mask, scene.depth
    scores = score_scenes(mask, depth, *truth, alignment=alignment, names=MEASURED)
    scores["false_area"] = false_area(mask, scene.mask)
    if condition == "nobody":
        scores["false_alarm"] = false_alarm(mask, scene.mask)
    figures = {}
    for name, values in scores.items():
        estimate = cluster_mean(values.numpy(), origins)
        figures[name] = estimate.value
        if name in BANDS:
            figures[f"{name}_low"], figures[f"{name}_high"] = estimate.bounds(level)
    return figures


def predict_all(predict: Method, scene: Scene[Tensor], device: str) -> tuple[Tensor, Tensor | None]:
    """A method's mask and depth of all the scenes, float32 on the CPU."""
    masks, depths = [], []
    for start in range(0, len(scene.mask), BATCH_SIZE):
        batch = Scene(*(field[start : start + BATCH_SIZE].to(device) for field in scene))
        mask, depth = predict(batch, None)
        assert mask is not None
        masks.append(mask.float().cpu())
        if depth is not None:
            depths.append(depth.float().cpu())
    return torch.cat(masks), torch.cat(depths) if depths else None
