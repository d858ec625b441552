"""evaluate: every experiment and the baselines on every test set; the best by validation."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from depthmask.config import CompositorParams, EvaluateParams, PlacementParams
from depthmask.data.composition.eval_sets import EvalSets
from depthmask.data.scenes.files import read_json, read_summary, read_table, replaced_file
from depthmask.data.sources import SOURCES, check_leakage, open_sets
from depthmask.errors import InputError, exit_on_error
from depthmask.evaluation.measuring import (
    NO_SEED,
    Method,
    baseline_methods,
    check_agreement,
    mean_figures,
    measure_scenes,
)
from depthmask.evaluation.results import finite, headline_figures, summarise
from depthmask.evaluation.robustness_table import (
    ConditionExample,
    collect_frames,
    measure_robustness,
)
from depthmask.metrics import METRICS
from depthmask.models.hardware import choose_hardware
from depthmask.models.store import StoredModel, load_model, seed_folder, trained_seeds
from depthmask.stages import EXPERIMENTS, PARAMS, PREPARED, REPORTS, prune_checkpoints, read_params
from depthmask.stages.report import write_report
from depthmask.tracking.sync import sync
from depthmask.visualization.gallery import draw_panels, draw_plots, draw_scene_tiles
from depthmask.visualization.results import results_table

Models = dict[tuple[str, int], StoredModel]
"""By experiment and seed."""


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
    models = load_models(names, experiments, device)
    sets = open_sets(prepared, compositor_params, placement, device)
    settings, baselines = baseline_methods(sets)
    methods = {key: _method(stored) for key, stored in models.items()} | baselines
    table = measure_scenes(methods, sets, sets.names)
    trained = table["seed"] != NO_SEED
    scenes = table[trained]
    headline = scenes[scenes["set"] == sets.headline]
    for (name, seed), stored in models.items():
        rows = headline[(headline["experiment"] == name) & (headline["seed"] == seed)]
        check_agreement(stored.card, mean_figures(rows), device)
    if {*sets.leak_sets} <= {*sets.names}:
        leak_scenes = table[table["set"].isin(sets.leak_sets)]
    else:
        keys = [name for name, metric in METRICS.items() if metric.is_key]
        leak_scenes = measure_scenes(methods, sets, sets.leak_sets, keys)
    figures = summarise(
        scenes,
        table[~trained],
        leak_scenes,
        leak_sets=sets.leak_sets,
        headline=sets.headline,
        alignment=sets.alignment,
        level=params.level,
    )
    data = {"unit": sets.unit, "data": read_summary(prepared)["data_hash"]}
    result = finite({**figures, **data, "baseline_settings": settings})
    robustness, examples = measure_harder_frames(result, models, methods, sets, params, experiments)
    curves = pd.concat(
        [read_table(seed_folder(experiments / name, seed) / "curves.csv") for name, seed in models],
        ignore_index=True,
    )
    best, seed = result["best"], result["best_seed"]
    shown = {name: stored for (name, _), stored in reversed(models.items())}
    shown[best] = models[best, seed]
    draw_panels(output / "panels", shown, sets, num_panels=params.num_panels)
    draw_plots(output / "plots", result, curves, shown[best], sets, robustness, examples)
    of_best = (headline["experiment"] == best) & (headline["seed"] == seed)
    draw_scene_tiles(output / "tiles", shown[best], sets, headline[of_best])
    for name, rows in (("curves", curves), ("scenes", scenes), ("robustness", robustness)):
        with replaced_file(output / f"{name}.csv") as path:
            rows.to_csv(path, index=False, float_format="%.6g")
    with replaced_file(output / "results.md") as path:
        path.write_text(results_table(result), encoding="utf-8")
    for name, content in (("metrics", result), ("headline", headline_figures(result, robustness))):
        with replaced_file(output / f"{name}.json") as path:
            text = json.dumps(content, indent=2, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")
    return result


def load_models(names: Sequence[str], experiments: Path, device: str) -> Models:
    """Every seed's network of the named experiments; folders of others are nothing to it."""
    for folder in (folder for name in names for folder in (experiments / name).glob("seed_*")):
        if not folder.name.removeprefix("seed_").isdecimal():
            raise InputError(f"{folder} is no seed's folder: move it away")
    models = {
        (name, seed): load_model(seed_folder(experiments / name, seed))
        for name in names
        for seed in trained_seeds(experiments / name)
    }
    for stored in models.values():
        stored.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return models


def _method(stored: StoredModel) -> Method:
    return lambda scene, plate_depth: stored.predict(scene)


def measure_harder_frames(
    result: dict[str, Any],
    models: Models,
    methods: dict[tuple[str, int], Method],
    sets: EvalSets,
    params: EvaluateParams,
    experiments: Path,
) -> tuple[pd.DataFrame, list[ConditionExample]]:
    """The best, its runner-up and the difference threshold, and a frame as the best sees it."""
    names = [name for name in (result["best"], result["verdict"]["runner_up"]) if name]
    predictors = {name: methods[name, result["best_seeds"][name]] for name in names}
    folder = seed_folder(experiments / result["best"], result["best_seed"])
    settings = read_json(folder / "settings.json", ("compositor", "train"))
    is_composed = SOURCES[models[result["best"], result["best_seed"]].card["source"]].is_composed
    frames = collect_frames(
        sets,
        params.robustness.num_scenes,
        trained=CompositorParams.model_validate(settings["compositor"]) if is_composed else None,
        trained_nobody=settings["train"]["nobody"],
    )
    predictors["difference_threshold"] = methods["difference_threshold", NO_SEED]
    return measure_robustness(predictors, frames, params.robustness, params.level)


def main() -> None:
    params = read_params(PARAMS)
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
        write_report()
    except InputError as error:
        print(f"evaluate: no page yet: {error}")


if __name__ == "__main__":
    with exit_on_error():
        main()
