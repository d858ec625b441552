"""evaluate: every experiment and the baselines on every test set; the best by validation."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from depthmask.config import Composition, EvaluateParams
from depthmask.data.scenes.files import read_summary, read_table, replaced_file
from depthmask.data.sources import read_source
from depthmask.errors import InputError, exit_on_error
from depthmask.evaluation import measuring
from depthmask.evaluation.results import headline_figures, rank, summarise
from depthmask.evaluation.robustness_table import MEASURED, measure_robustness
from depthmask.metrics import METRICS
from depthmask.models.hardware import choose_hardware
from depthmask.models.store import StoredModel, load_model, seed_folder, trained_seeds
from depthmask.stages import EXPERIMENTS, PREPARED, REPORTS, prune_checkpoints, read_params
from depthmask.stages.report import write_report
from depthmask.tracking.sync import sync
from depthmask.visualization.gallery import draw_panels, draw_plots, draw_scene_tiles
from depthmask.visualization.results import Results, results_table


def evaluate(
    names: Sequence[str],
    params: EvaluateParams,
    composition: Composition,
    *,
    prepared: Path,
    experiments: Path,
    output: Path,
) -> dict[str, Any]:
    """Evaluate the named experiments; write metrics, pictures and tables to `output`, and return
    what `metrics.json` holds."""
    source = read_source(prepared)
    source.check_leakage(prepared)
    device = choose_hardware("auto", "float32").device
    models = load_models(names, experiments, device)
    sets = source.open_sets(prepared, composition, device)
    settings, baselines = measuring.baseline_methods(sets)
    methods = {key: _method(stored) for key, stored in models.items()} | baselines
    table = measuring.measure_scenes(methods, sets, sets.names)
    trained = table["seed"] != measuring.NO_SEED
    scenes = table[trained]
    leader = next(iter(rank(scenes, sets.alignment).items()))
    of_best = measuring.plate_methods(methods[leader])
    depths = [name for name, metric in METRICS.items() if metric.part != "mask"]
    given_plate = measuring.measure_scenes(of_best, sets, sets.names[1:], depths)
    headline = scenes[scenes["set"] == sets.headline]
    for (name, seed), stored in models.items():
        rows = headline[(headline["experiment"] == name) & (headline["seed"] == seed)]
        measuring.check_agreement(stored.card, measuring.mean_figures(rows), device)
    if {*sets.leak_sets} <= {*sets.names}:
        leak_scenes = table[table["set"].isin(sets.leak_sets)]
    else:
        judged = {leader: methods[leader]} | baselines
        leak_scenes = measuring.measure_scenes(judged, sets, sets.leak_sets, MEASURED)
    figures = summarise(
        scenes,
        pd.concat([table[~trained], given_plate], ignore_index=True),
        leak_scenes,
        leak_sets=sets.leak_sets,
        headline=sets.headline,
        alignment=sets.alignment,
        level=params.level,
    )
    figures |= {"unit": sets.unit, "data": read_summary(prepared)["data_hash"]}
    figures["baseline_settings"] = settings
    # null in place of what is no finite number, which JSON does not know
    result = json.loads(json.dumps(figures), parse_constant=lambda _: None)

    best, seed = result["best"], result["best_seed"]
    first = [name for name in (best, result["verdict"]["runner_up"]) if name]
    seeds = best_masks(scenes, models) | {name: result["best_seeds"][name] for name in first}
    harder = {name: methods[name, seeds[name]] for name in dict.fromkeys((*first, *seeds))}
    harder["difference_threshold"] = methods["difference_threshold", measuring.NO_SEED]
    robustness = measure_robustness(harder, sets, params.robustness, params.level)

    folders = [seed_folder(experiments / name, number) for name, number in models]
    curves = pd.concat([read_table(each / "curves.csv") for each in folders], ignore_index=True)
    shown = {name: stored for (name, _), stored in reversed(models.items())}
    shown[best] = models[best, seed]
    draw_panels(output / "panels", shown, sets, num_panels=params.num_panels)
    of_best = headline[(headline["experiment"] == best) & (headline["seed"] == seed)]
    tables = curves, robustness, of_best
    draw_plots(output / "plots", Results(result), *tables, shown[best], sets)
    draw_scene_tiles(output / "tiles", shown[best], sets, of_best)
    for name, rows in (("curves", curves), ("scenes", scenes), ("robustness", robustness)):
        with replaced_file(output / f"{name}.csv") as path:
            rows.to_csv(path, index=False, float_format="%.6g")
    texts = {"results.md": results_table(Results(result))}
    for name, content in (("metrics", result), ("headline", headline_figures(result, robustness))):
        texts[f"{name}.json"] = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    for name, text in texts.items():
        with replaced_file(output / name) as path:
            path.write_text(text, encoding="utf-8")
    return result


def load_models(
    names: Sequence[str], experiments: Path, device: str
) -> dict[tuple[str, int], StoredModel]:
    """Every seed's network of the named experiments; folders of others are nothing to it."""
    models = {
        (name, seed): load_model(seed_folder(experiments / name, seed))
        for name in names
        for seed in trained_seeds(experiments / name)
    }
    for stored in models.values():
        stored.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return models


def best_masks(scenes: pd.DataFrame, models: dict[tuple[str, int], StoredModel]) -> dict[str, int]:
    """Of each network the experiment, and its seed, with the best mask IoU on validation."""
    validation = scenes[scenes["set"] == "val"].groupby(["experiment", "seed"])
    ranking = validation["mask_iou"].mean().sort_values().index
    return dict({models[key].card["model"]: key for key in ranking}.values())


def _method(stored: StoredModel) -> measuring.Method:
    return lambda scene, plate_depth: stored.predict(scene)


def main() -> None:
    params = read_params()
    result = evaluate(
        params.compare,
        params.evaluate,
        Composition(params.placement, params.compositor),
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
