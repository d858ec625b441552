"""The figures of every network and baseline on every scene, as one table."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from torch import Tensor

from depthmask.data.composition.eval_sets import SceneSets
from depthmask.data.scenes.scene import Scene
from depthmask.evaluation.intervals import ORIGINS
from depthmask.metrics import METRICS, score_scenes

Method = Callable[[Scene[Tensor], Tensor | None], tuple[Tensor | None, Tensor | None]]
"""A scene and, where it is known, the empty plate's depth -> mask and depth, either perhaps None.

All N x 1 x H x W, the mask 0 to 1.
"""

KEYS = ("experiment", "seed", "set", "scene", "plate", "cutout")
"""The columns of a table of scenes that are no figures."""


def measure_scenes(
    methods: Mapping[tuple[str, int], Method], sets: SceneSets, names: Sequence[str]
) -> pd.DataFrame:
    """Let every method answer every scene of the named sets; each scene is composed once.

    Args:
        methods: by experiment and seed.

    Returns:
        A row an experiment, seed, set and scene: `KEYS`, then every metric, NaN where it does
        not count.
    """
    tables = []
    for name in names:
        origins = sets.origins(name)
        scores: dict[tuple[str, int], list[pd.DataFrame]] = {method: [] for method in methods}
        for scene, plate_depth in zip(sets.scenes(name), sets.plate_depths(name), strict=True):
            for method, answer in methods.items():
                mask, depth = answer(scene, plate_depth)
                figures = score_scenes(
                    mask, depth, scene.mask, scene.depth, alignment=sets.alignment
                )
                columns = {metric: values.cpu().numpy() for metric, values in figures.items()}
                scores[method].append(pd.DataFrame(columns, index=range(len(scene.mask))))
        for (experiment, seed), batches in scores.items():
            table = pd.concat([origins, pd.concat(batches, ignore_index=True)], axis=1)
            table.insert(0, "scene", range(len(table)))
            table.insert(0, "set", name)
            table.insert(0, "seed", seed)
            table.insert(0, "experiment", experiment)
            tables.append(table)
    return pd.concat(tables, ignore_index=True).reindex(columns=[*KEYS, *METRICS])


def metric_columns(table: pd.DataFrame) -> list[str]:
    """The metrics that a table of scenes has a figure of."""
    return [name for name in METRICS if name in table and table[name].notna().any()]


def mean_figures(table: pd.DataFrame) -> dict[str, float]:
    """The mean of each metric over the scenes that count, without metrics that none counts for."""
    means = table[list(METRICS)].astype("float64").mean()
    return {name: float(value) for name, value in means.items() if table[name].notna().any()}


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """A row a scene of one experiment and set: its plate and cutout, its seeds' mean figures.

    A scene that does not count for one seed counts for none, so that all seeds are asked the same.
    """
    scenes = table.groupby("scene", sort=True)
    figures = scenes[list(METRICS)]
    means = figures.mean().where(figures.count() == table["seed"].nunique())
    return scenes[list(ORIGINS)].first().join(means)
