"""Robustness curves: figures on frames of the headline set under every condition."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from depthmask.config import Robustness
from depthmask.data.composition.eval_sets import BATCH_SIZE, EvalSets, joined
from depthmask.data.scenes.person import THRESHOLD, largest_region
from depthmask.data.scenes.scene import Alignment, Scene, spread
from depthmask.evaluation.intervals import cluster_mean
from depthmask.evaluation.measuring import Method
from depthmask.evaluation.robustness import CONDITIONS, draw, make_harder
from depthmask.metrics import METRICS, Metric, metric, score_scenes

LARGE = 0.001  # of a frame: a region of false person that a user would call somebody
Answer = tuple[Tensor, Tensor | None]  # a mask and perhaps a depth

FALSE_PERSON: dict[str, Metric] = {}  # what the robustness table has beside metrics
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
BOUNDS = tuple(f"{name}_{end}" for name in BANDS for end in ("low", "high"))
LEAD = ("lead", "lead_low", "lead_high")
"""In mask IoU of the first method over a row's, on the same frames; NaN in its own rows."""
COLUMNS = [
    *("experiment", "condition", "strength", "num_scenes"),
    *(*MEASURED, *FALSE_PERSON, *BOUNDS, *LEAD),
]
"""Of the table: where a figure does not count it is NaN; `false_alarm` is nobody's alone."""


class Frames(NamedTuple):
    """Scenes, on the CPU, where what is drawn is the same for any device, and their origins."""

    scene: Scene[Tensor]
    origins: pd.DataFrame


def _some(sets: EvalSets, name: str, count: int) -> Frames | None:
    """Up to `count` frames of a set, evenly; None where it has none."""
    origins = sets.origins(name)
    if origins.empty:
        return None
    rows = spread(len(origins), count)
    return Frames(joined(sets.scenes(name)).to("cpu").take(rows), origins.iloc[rows])


def _cases(
    people: Frames, empty: Frames | None, params: Robustness
) -> Iterator[tuple[str, float, Frames]]:
    """Frames under each condition at each of its strengths, also the neutral one, whose scene is
    that of `people` itself; `nobody` has the strengths of `exposure`."""
    for name in CONDITIONS:
        frames, strengths = people, params.conditions.get(name)
        if name == "nobody" and empty is not None:
            frames = empty._replace(origins=empty.origins.assign(cutout="nobody"))
            strengths = params.conditions.get("exposure", ())
        if strengths is not None:
            draws = draw(frames.scene, params.seed)
            for strength in sorted({*strengths, CONDITIONS[name].neutral}):
                scene = make_harder(frames.scene, name, strength, draws)
                yield name, strength, frames._replace(scene=scene)


def measure_robustness(
    methods: Mapping[str, Method], sets: EvalSets, params: Robustness, level: float
) -> pd.DataFrame:
    """Measure methods that predict a mask, by name, the best first, under every condition that has
    frames, up to `params.num_scenes`: a row of `COLUMNS` each."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in methods}
    people, empty = (_some(sets, name, params.num_scenes) for name in (sets.headline, "nobody"))
    assert people is not None
    unchanged = {name: _predict(each, people.scene, sets.device) for name, each in methods.items()}
    for condition, strength, frames in _cases(people, empty, params):
        about = {"condition": condition, "strength": strength, "num_scenes": len(frames.origins)}
        ious: list[Tensor] = []
        for name, method in methods.items():
            same = frames.scene is people.scene
            answer = unchanged[name] if same else _predict(method, frames.scene, sets.device)
            scores = _scores(answer, frames.scene, condition == "nobody", sets.alignment)
            ious.append(scores["mask_iou"])
            figures = _figures(scores, frames.origins, level)
            if len(ious) > 1:
                lead = cluster_mean((ious[0] - ious[-1]).numpy(), frames.origins)
                figures |= dict(zip(LEAD, (lead.value, *lead.bounds(level)), strict=True))
            rows[name].append({"experiment": name, **about, **figures})
    return pd.DataFrame(sum(rows.values(), [])).reindex(columns=COLUMNS)


def _scores(
    answer: Answer, scene: Scene[Tensor], is_empty: bool, alignment: Alignment | None
) -> dict[str, Tensor]:
    """Each figure of each scene, N; `is_empty`: nobody is there, so that false alarms count."""
    truth = scene.mask, scene.depth
    scores = score_scenes(*answer, *truth, alignment=alignment, names=MEASURED)
    for name in FALSE_PERSON if is_empty else ("false_area",):
        scores[name] = FALSE_PERSON[name].function(answer[0], truth[0])
    return scores


def _figures(scores: dict[str, Tensor], origins: pd.DataFrame, level: float) -> dict[str, float]:
    """The means of one row, those of `BANDS` with the bounds of their interval."""
    figures = {}
    for name, values in scores.items():
        estimate = cluster_mean(values.numpy(), origins)
        figures[name] = estimate.value
        if name in BANDS:
            figures[f"{name}_low"], figures[f"{name}_high"] = estimate.bounds(level)
    return figures


def _predict(method: Method, scene: Scene[Tensor], device: str) -> Answer:
    """The mask and the depth of all the scenes, float32 on the CPU."""
    batches = torch.arange(len(scene.mask)).split(BATCH_SIZE)
    found = [method(scene.take(rows).to(device), None) for rows in batches]
    masks, depths = ([p for p in parts if p is not None] for parts in zip(*found, strict=True))
    return torch.cat(masks).cpu(), torch.cat(depths).cpu() if depths else None
