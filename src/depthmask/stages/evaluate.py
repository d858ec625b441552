"""evaluate: every experiment and the baselines on every test set; the best by validation."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from depthmask import visualization as report
from depthmask.config import (
    Bootstrap,
    CompositorParams,
    EvaluateParams,
    PlacementParams,
)
from depthmask.data.composition.eval_sets import SceneSets, open_sets
from depthmask.data.scenes.files import read_json, read_summary, read_table, replaced_file
from depthmask.data.sources import check_leakage
from depthmask.errors import InputError, exit_on_error
from depthmask.evaluation.agreement import refuse_disagreement
from depthmask.evaluation.baselines import best_constant, best_threshold, difference
from depthmask.evaluation.headline import headline_figures
from depthmask.evaluation.intervals import Resamples
from depthmask.evaluation.measuring import Method, mean_figures, measure_scenes
from depthmask.evaluation.results import summarise
from depthmask.evaluation.robustness import condition_examples, measure_robustness
from depthmask.evaluation.self_test import self_test
from depthmask.models.hardware import choose_hardware
from depthmask.models.store import StoredModel, load_model, seed_folder, trained_seeds
from depthmask.stages import EXPERIMENTS, PARAMS, PREPARED, REPORTS, prune_checkpoints, read_params
from depthmask.tracking.sync import sync
from depthmask.visualization.gallery import draw_panels, draw_plots
from depthmask.visualization.page import write_report
from depthmask.visualization.scene_tiles import draw_scene_tiles

NO_SEED = -1
"""Of what was not trained."""


def evaluate(
    names: Sequence[str],
    params: EvaluateParams,
    placement: PlacementParams,
    compositor_params: CompositorParams,
    *,
    prepared: Path,
    experiments: Path,
    output: Path,
) -> dict[str, Any]:
    """Evaluate the named experiments; write metrics, panels, plots and the table to `output`.

    Returns:
        What `metrics.json` holds.
    """
    check_leakage(prepared)
    device = choose_hardware("auto", "float32").device
    for name in names:
        _check_seeds(experiments / name)
    models = {
        (name, seed): load_model(seed_folder(experiments / name, seed))
        for name in names
        for seed in trained_seeds(experiments / name)
    }
    for stored in models.values():
        stored.model.to(device, memory_format=torch.channels_last)
    sets = open_sets(prepared, compositor_params, placement.seed, device)
    tested = self_test(sets.scenes(sets.headline), alignment=sets.alignment)
    settings, baselines = baseline_methods(sets)
    methods = baselines | {key: answers(stored) for key, stored in models.items()}
    table = measure_scenes(methods, sets, sets.names)
    untrained = table["seed"] == NO_SEED
    scenes = table[~untrained]
    headline = scenes[scenes["set"] == sets.headline]
    for key, rows in headline.groupby(["experiment", "seed"]):
        refuse_disagreement(models[key].card, mean_figures(rows), device)
    figures = {
        **summarise(
            scenes,
            table[untrained],
            headline=sets.headline,
            alignment=sets.alignment,
            bootstrap=params.bootstrap,
        ),
        "unit": sets.unit,
        "data": read_summary(prepared)["data_hash"],
        "baseline_settings": settings,
        "self_test": tested,
    }
    result = finite(figures)
    hardened = harden(result, models, methods, sets, params, experiments)
    _write(result, scenes, hardened, models, sets, params, experiments, output)
    return result


class Hardened(NamedTuple):
    """What became of the figures when frames were made harder.

    Attributes:
        table: a row an experiment, condition and strength.
        examples: one frame under each of them, as the best answers it.
    """

    table: pd.DataFrame
    examples: list[report.ConditionExample]


def _check_seeds(experiment: Path) -> None:
    for folder in experiment.glob("seed_*"):
        if not folder.name.removeprefix("seed_").isdecimal():
            raise InputError(f"{folder} is no seed's folder: move it away")


def harden(
    result: dict[str, Any],
    models: dict[tuple[str, int], StoredModel],
    methods: dict[tuple[str, int], Method],
    sets: SceneSets,
    params: EvaluateParams,
    experiments: Path,
) -> Hardened:
    """Measure the best, its runner-up and the difference threshold on frames made harder."""
    names = [name for name in (result["best"], result["verdict"]["runner_up"]) if name]
    predictors = {name: models[name, result["best_seeds"][name]].predict for name in names}
    threshold = methods["difference_threshold", NO_SEED]
    folder = seed_folder(experiments / result["best"], result["best_seed"])
    settings = read_json(folder / "settings.json", ("compositor", "train"))
    composed = models[result["best"], result["best_seed"]].card["source"] != "modest"
    trained = {
        "trained": CompositorParams.model_validate(settings["compositor"]) if composed else None,
        "trained_nobody": settings["train"]["nobody"],
    }
    table = measure_robustness(
        predictors | {"difference_threshold": lambda scene: threshold(scene, None)},
        sets,
        params.robustness,
        bounds=lambda values: mask_bounds(values, params.bootstrap),
        **trained,
    )
    best = predictors[result["best"]]
    return Hardened(table, condition_examples(best, sets, params.robustness, **trained))


def mask_bounds(values: np.ndarray, params: Bootstrap) -> tuple[float, float]:
    """The interval of a mask's figure on scenes drawn one by one.

    That rooms share scenes matters for depth; masks of one room are hardly alike.
    """
    origins = pd.DataFrame({"plate": range(len(values)), "cutout": 0})
    return Resamples(origins, params).interval(values)[1:]


def answers(stored: StoredModel) -> Method:
    """A network as `measure_scenes` asks it."""
    return lambda scene, plate_depth: stored.predict(scene)


def baseline_methods(
    sets: SceneSets,
) -> tuple[dict[str, float], dict[tuple[str, int], Method]]:
    """What needs no training, its settings tuned on validation; with the settings."""
    threshold, constant = best_threshold(sets.scenes("val")), best_constant(sets.scenes("val"))
    return {"difference_threshold": threshold, "constant_depth": constant}, {
        ("difference_threshold", NO_SEED): lambda scene, plate_depth: (
            (difference(scene) > threshold).float(),
            None,
        ),
        ("constant_depth", NO_SEED): lambda scene, plate_depth: (
            None,
            torch.full_like(scene.depth, constant),
        ),
        ("plate_depth", NO_SEED): lambda scene, plate_depth: (None, plate_depth),
    }


def _write(
    result: dict[str, Any],
    scenes: pd.DataFrame,
    hardened: Hardened,
    models: dict[tuple[str, int], StoredModel],
    sets: SceneSets,
    params: EvaluateParams,
    experiments: Path,
    output: Path,
) -> None:
    curves = pd.concat(
        [read_table(seed_folder(experiments / name, seed) / "curves.csv") for name, seed in models],
        ignore_index=True,
    )
    best, shown = result["best"], {name: stored for (name, _), stored in reversed(models.items())}
    shown[best] = models[best, result["best_seed"]]
    draw_panels(output / "panels", shown, sets, best=best, num_panels=params.num_panels)
    draw_plots(
        output / "plots", result, curves, shown[best], sets, hardened.table, hardened.examples
    )
    own = scenes.query(
        "experiment == @best and seed == @seed and set == @headline",
        local_dict={"best": best, "seed": result["best_seed"], "headline": sets.headline},
    )
    draw_scene_tiles(output / "tiles", shown[best], sets, own)
    with replaced_file(output / "curves.csv") as path:
        curves.to_csv(path, index=False, float_format="%.6g")
    for name, table in (("scenes", scenes), ("robustness", hardened.table)):
        with replaced_file(output / f"{name}.csv") as path:
            table.to_csv(path, index=False, float_format="%.6g")
    with replaced_file(output / "results.md") as path:
        path.write_text(report.results_table(result), encoding="utf-8")
    for name, content in (
        ("metrics", result),
        ("headline", headline_figures(result, hardened.table)),
    ):
        with replaced_file(output / f"{name}.json") as path:
            text = json.dumps(content, indent=2, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")


def finite(result: dict[str, Any]) -> dict[str, Any]:
    """The same with null in place of what is no finite number, which JSON does not know."""
    return json.loads(json.dumps(result), parse_constant=lambda _: None)


def forget_others(experiments: Path, names: Sequence[str]) -> None:
    """Remove folders of experiments that `compare` names no more.

    DVC leaves them behind, and this stage depends on the whole folder: with them its hash would
    depend on what had once been tried. DVC's cache still has them if they are named again.
    """
    for folder in experiments.glob("*/"):
        if folder.name not in names and not folder.name.startswith("."):
            shutil.rmtree(folder)
            print(f"evaluate: removed {folder}, which `compare` no longer names")


def main() -> None:
    params = read_params(PARAMS)
    forget_others(EXPERIMENTS, params.compare)
    result = evaluate(
        params.compare,
        params.evaluate,
        params.placement,
        params.compositor,
        prepared=PREPARED,
        experiments=EXPERIMENTS,
        output=REPORTS,
    )
    for name in params.compare:  # DVC has recorded what they led to
        prune_checkpoints(name)
    sync(EXPERIMENTS, REPORTS)
    print(f"evaluate: {result['verdict']['sentence']}")
    try:  # no output: it shows the latency, once export has measured it
        write_report(Path())
    except InputError as error:
        print(f"evaluate: no page yet: {error}")


if __name__ == "__main__":
    with exit_on_error():
        main()
