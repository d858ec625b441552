"""evaluate: every experiment and the baselines on every test set; the best by validation."""

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from depthmask import report, tracking
from depthmask.artifacts import read_json, read_summary, read_table
from depthmask.baselines import best_constant, best_threshold, difference
from depthmask.errors import exit_on_error
from depthmask.gallery import draw_panels, draw_plots
from depthmask.hardware import choose_hardware
from depthmask.metrics import SceneMetrics
from depthmask.models.store import StoredModel, load_model
from depthmask.output import replaced_file
from depthmask.params import CompositorParams, EvaluateParams, PlacementParams, read_params
from depthmask.sets import SceneSets, open_sets
from depthmask.stages import EXPERIMENTS, PARAMS, PREPARED, REPORTS, flat_metrics

RULE = (
    "highest mean of mask IoU and depth δ1 on the validation set,"
    " rooms and people that neither training nor the test sets contain"
)


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
    device = choose_hardware("auto", "float32").device
    models = {name: load_model(experiments / name) for name in names}
    for stored in models.values():
        stored.model.to(device, memory_format=torch.channels_last)
    sets = open_sets(prepared, compositor_params, placement.seed, params.batch_size, device)
    threshold = best_threshold(sets.scenes("val"))
    constant = best_constant(sets.scenes("val"))
    metrics = measure(models, sets, params.threshold, threshold, constant)

    validation = {name: metrics["experiments"][name].pop("val") for name in models}
    for baseline in metrics["baselines"].values():
        baseline.pop("val")
    scores = {
        name: (values["mask_iou"] + values["depth_delta1"]) / 2
        for name, values in validation.items()
        if math.isfinite(values.get("depth_delta1", math.nan))
    }
    best = max(scores, key=lambda name: scores[name])
    result = {
        "best": best,
        "rule": RULE,
        "headline": {"set": sets.headline, **metrics["experiments"][best][sets.headline]},
        "unit": sets.unit,
        "data": read_summary(prepared)["data_hash"],
        "validation": validation,
        "experiments": metrics["experiments"],
        "baselines": metrics["baselines"],
        "baseline_settings": {"difference_threshold": threshold, "constant_depth": constant},
    }
    _write(result, models, sets, params, experiments, output)
    return result


def measure(
    models: dict[str, StoredModel],
    sets: SceneSets,
    threshold: float,
    change: float,
    constant_depth: float,
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """The metrics of every model and baseline on val and every test set.

    Args:
        threshold: of a mask.
        change: above it, the difference of frame and plate counts as person.
        constant_depth: the constant baseline's; aligned, it is each image's own mean.
    """
    table: dict[str, Any] = {"experiments": {name: {} for name in models}, "baselines": {}}
    for set_name in sets.names:
        accumulators = {
            name: SceneMetrics(threshold, sets.alignment).to(sets.device) for name in models
        }
        baselines = {
            name: SceneMetrics(threshold, sets.alignment).to(sets.device)
            for name in ("difference_threshold", "constant_depth", "plate_depth")
        }
        pairs = zip(sets.scenes(set_name), sets.plate_depths(set_name), strict=True)
        for scene, plate_depth in pairs:
            truth = (scene.mask, scene.depth)
            for name, stored in models.items():
                accumulators[name].update(*stored.predict(scene), *truth)
            changed = (difference(scene) > change).float()
            constant = torch.full_like(scene.depth, constant_depth)
            baselines["difference_threshold"].update(changed, None, *truth)
            baselines["constant_depth"].update(None, constant, *truth)
            if plate_depth is not None:
                baselines["plate_depth"].update(None, plate_depth, *truth)
        for name, accumulator in accumulators.items():
            table["experiments"][name][set_name] = accumulator.compute()
        for name, accumulator in baselines.items():
            if figures := accumulator.compute():
                table["baselines"].setdefault(name, {})[set_name] = figures
    return table


def _write(
    result: dict[str, Any],
    models: dict[str, StoredModel],
    sets: SceneSets,
    params: EvaluateParams,
    experiments: Path,
    output: Path,
) -> None:
    curves = pd.concat(
        [read_table(experiments / name / "curves.csv") for name in models], ignore_index=True
    )
    draw_panels(
        output / "panels",
        models,
        sets,
        best=result["best"],
        num_panels=params.num_panels,
        threshold=params.threshold,
    )
    draw_plots(output / "plots", result, curves, models[result["best"]], sets)
    with replaced_file(output / "curves.csv") as path:
        curves.to_csv(path, index=False, float_format="%.6g")
    with replaced_file(output / "results.md") as path:
        path.write_text(report.results_table(result))
    with replaced_file(output / "metrics.json") as path:
        path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


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
    for name in params.compare:
        folder = EXPERIMENTS / name
        card = read_json(folder / "model.json", ("key", "model", "data_hash", "unit"))
        tracking.log_evaluation(
            experiment=name,
            key=card["key"],
            metrics=flat_metrics(result["experiments"][name]),
            images=[REPORTS / "panels" / f"{name}.png"],
            params=read_json(folder / "settings.json"),
            tags={"model": card["model"], "depth_unit": card["unit"]},
            data_digest=card["data_hash"],
            data_source=str(PREPARED),
            curves=folder / "curves.csv",
        )
    print(f"evaluate: the best is {result['best']} ({RULE})")


if __name__ == "__main__":
    with exit_on_error():
        main()
