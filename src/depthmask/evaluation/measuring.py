"""The figures of every network and baseline on every scene, as one table."""

import math
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from depthmask.data.composition.eval_sets import EvalSets
from depthmask.data.scenes.person import THRESHOLD
from depthmask.data.scenes.plate_depth import depth_with_plate, plate_at_feet
from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError
from depthmask.evaluation.intervals import ORIGINS
from depthmask.metrics import METRICS, largest_difference, mask_iou, score_scenes
from depthmask.metrics.depth import SMALLEST_DEPTH_M

Planes = tuple[Tensor | None, Tensor | None]
Method = Callable[[Scene[Tensor], Tensor | None], Planes]
"""A scene and, where it is known, the empty plate's depth -> mask, 0 to 1, and depth, either
perhaps None; all N x 1 x H x W."""

# of a table of scenes, no figures; the last is the true person's share of the frame
KEYS = ("experiment", "seed", "set", "scene", *ORIGINS, "person_share")

NO_SEED = -1  # of what was not trained
THRESHOLDS = tuple(step / 100 for step in range(2, 62, 2))  # of an image's range 0 to 1

SAME = 1e-6  # largest difference, absolute or relative, of two passes on one machine
TOLERANCE = 1e-3  # on another, whose convolutions round otherwise; more is another network


def measure_scenes(
    methods: Mapping[tuple[str, int], Method],
    sets: EvalSets,
    names: Sequence[str],
    metrics: Collection[str] = METRICS.keys(),
) -> pd.DataFrame:
    """A row a scene of the named sets and a method, by experiment and seed, that predicts it:
    `KEYS`, then every metric, NaN where it does not count."""
    tables: list[pd.DataFrame] = []
    for name in names:
        origins, first = sets.origins(name), 0
        scores: dict[tuple[str, int], list[pd.DataFrame]] = {method: [] for method in methods}
        for scene, plate_depth in zip(sets.scenes(name), sets.plate_depths(name), strict=True):
            rows = origins[first : first + len(scene.mask)]
            first += len(rows)
            person = (scene.mask > THRESHOLD).float().mean((1, 2, 3)).cpu()
            rows = rows.assign(person_share=person.numpy())
            for key, predict in methods.items():
                planes = *predict(scene, plate_depth), scene.mask, scene.depth
                figures = score_scenes(*planes, alignment=sets.alignment, names=metrics)
                keys: dict[str, Any] = dict(zip(KEYS, (*key, name, rows.index), strict=False))
                columns = {metric: values.cpu().numpy() for metric, values in figures.items()}
                scores[key].append(rows.assign(**keys, **columns))
        tables += sum(scores.values(), [])
    return pd.concat(tables, ignore_index=True).reindex(columns=[*KEYS, *METRICS])


def mean_figures(table: pd.DataFrame) -> dict[str, float]:
    """The mean of each metric over the scenes that count, without metrics that none counts for."""
    return {name: float(table[name].mean()) for name in METRICS if table[name].notna().any()}


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """A row a scene of one experiment and set: its plate and cutout, its seeds' mean figures; a
    scene that does not count for one seed counts for none."""
    scenes = table.groupby("scene", sort=True)
    figures = scenes[list(METRICS)]
    means = figures.mean().where(figures.count() == table["seed"].nunique())
    return scenes[ORIGINS].first().join(means)


def baseline_methods(sets: EvalSets) -> tuple[dict[str, float], dict[tuple[str, int], Method]]:
    """The baselines without a network, their settings tuned on validation; the settings first."""
    least, constant = best_threshold(sets.scenes("val")), best_constant(sets.scenes("val"))
    methods: dict[str, Method] = {
        "difference_threshold": lambda s, _: ((difference(s.bg, s.bg_fg) > least).float(), None),
        "constant_depth": lambda scene, _: (None, torch.full_like(scene.depth, constant)),
        "plate_depth": lambda scene, plate_depth: (None, plate_depth),
    }
    settings = {"difference_threshold": least, "constant_depth": constant}
    return settings, {(name, NO_SEED): method for name, method in methods.items()}


def plate_methods(network: Method) -> dict[tuple[str, int], Method]:
    """The baselines that a network's mask and the plate's depth make; nothing without that."""
    network = lru_cache(maxsize=1)(network)  # both are asked of the same scene

    def at_feet(scene: Scene[Tensor], plate_depth: Tensor | None) -> Planes:
        mask, _ = network(scene, plate_depth)
        return mask, _each(plate_at_feet, mask, plate_depth)

    def with_plate(scene: Scene[Tensor], plate_depth: Tensor | None) -> Planes:
        mask, depth = network(scene, plate_depth)
        return mask, _each(depth_with_plate, mask, depth, plate_depth)

    return {("plate_at_feet", NO_SEED): at_feet, ("best_with_plate_depth", NO_SEED): with_plate}


def _each(function: Callable[..., np.ndarray], *planes: Tensor | None) -> Tensor | None:
    """What a function of NumPy planes, H x W, makes of each scene, N x 1 x H x W."""
    known = [plane for plane in planes if plane is not None]
    if len(known) < len(planes):
        return None
    scenes = zip(*(plane[:, 0].cpu().numpy() for plane in known), strict=True)
    made = np.stack([function(*scene) for scene in scenes])
    return torch.from_numpy(made)[:, None].to(known[0].device)


def difference(bg: Tensor, bg_fg: Tensor) -> Tensor:
    """Largest |bg_fg - bg| over the channels, N x 1 x H x W in 0..1."""
    return (bg_fg - bg).abs().amax(1, keepdim=True)


def best_threshold(scenes: Iterable[Scene[Tensor]]) -> float:
    """The threshold on `difference` with the highest mean mask IoU over the scenes."""
    totals = np.zeros(len(THRESHOLDS))
    for scene in scenes:
        apart = difference(scene.bg, scene.bg_fg)
        found = (apart > threshold for threshold in THRESHOLDS)
        totals += [float(mask_iou(mask, scene.mask).sum()) for mask in found]
    return THRESHOLDS[int(totals.argmax())]


def best_constant(scenes: Iterable[Scene[Tensor]]) -> float:
    """The geometric mean depth, metres: it minimises the squared error of log depth."""
    depths = (scene.depth.cpu().double().clamp(min=SMALLEST_DEPTH_M) for scene in scenes)
    return float(torch.cat([depth.log().mean((1, 2, 3)) for depth in depths]).mean().exp())


def check_agreement(card: Mapping[str, Any], figures: Mapping[str, float], device: str) -> None:
    """Compare the means on the headline set with those that the training's own pass noted;
    InputError if a figure is another."""
    test = card["test"]
    name, apart = largest_difference(figures, test["figures"])
    both = figures.get(name), test["figures"][name]
    now, before = (math.nan if figure is None else figure for figure in both)
    found = f"{card['experiment']}: its training found {name} {before:.8g} on {test['set']},"
    found += f" evaluate finds {now:.8g}"
    if apart > TOLERANCE:
        cause = "the network, the data or the code is not what was trained"
        again = f"run `dvc repro --force train@{card['experiment']}`"
        raise InputError(f"{found}: {cause}; {again}")
    if apart > SAME and test["device"] == device == "cpu":
        print(f"depthmask: {found}: trained on another processor?", file=sys.stderr)
