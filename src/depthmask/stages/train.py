"""train NAME: one experiment of `params.yaml`, from the prepared sources to a model."""

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from depthmask import config
from depthmask.data.scenes.files import read_summary, read_text, replaced_folder
from depthmask.data.sources import read_source
from depthmask.errors import exit_on_error
from depthmask.models.hardware import choose_hardware
from depthmask.models.store import save_model, seed_folder
from depthmask.stages import (
    AUGMENTED,
    CHECKPOINTS,
    EXPERIMENTS,
    PARAMS,
    PREPARED,
    prune_checkpoints,
    read_params,
)
from depthmask.tracking.notes import run_tags
from depthmask.tracking.provenance import TRAINING, code_hash, run_key
from depthmask.tracking.run import start_run
from depthmask.training.fitting import centre_mask, fit, run_test
from depthmask.training.module import build_module
from depthmask.training.scene_data import assemble_data


def train(
    output: Path | None,
    name: str,
    experiment: config.Experiment,
    params: config.TrainParams,
    composition: config.Composition,
    *,
    prepared: Path,
    augmented: Path,
    checkpoints: Path,
) -> str:
    """Train with `params.seed`, from the last checkpoint where there is one; write to `output`,
    or, without it, leave that to the first of the processes that train together.

    Returns the run's key.
    """
    if params.num_threads:
        torch.set_num_threads(params.num_threads)
    summary = read_summary(prepared)
    digest = read_text(augmented / "digest.txt").strip()
    hardware = choose_hardware(params.device, params.precision)
    settings = {
        # which other seeds there are is nothing to this one
        "experiment": experiment.model_dump(mode="json", exclude={"seeds"}),
        "train": params.model_dump(mode="json"),
        "placement": composition.placement.model_dump(mode="json"),
        "compositor": composition.compositor.model_dump(mode="json"),
    }
    data_hash = summary["data_hash"]
    key = run_key(**settings, data=data_hash, augmented=digest, code=code_hash(TRAINING))
    label = f"{name} (seed {params.seed})" if len(experiment.seeds) > 1 else name
    if output:
        print(f"{label}: {experiment.model} on {hardware}, run {key}", flush=True)
    variants = augmented if experiment.augmented else None
    data = assemble_data(params, composition, prepared=prepared, augmented=variants)
    module = build_module(experiment, params, prepared=prepared, augmented=augmented)
    card: dict[str, Any] = {
        "experiment": name,
        "seed": params.seed,
        "key": key,
        "model": experiment.model,
        "losses": {"mask": experiment.mask, "depth": experiment.depth},
        "size": params.schedule[-1].size,
        "unit": summary["unit"],
        "data_hash": data_hash,
        "source": summary["source"],
        "depth_range_m": list(module.depth_range_m),
        "depth_alignment": summary.get("depth_alignment"),
        "num_parameters": sum(weight.numel() for weight in module.model.parameters()),
    }
    logged = settings | {"hardware": str(hardware)}
    recorded = start_run(key, logged, run_tags(card), data_hash) if output else None
    with recorded or contextlib.nullcontext(lambda epoch, row: None) as record:
        rows = fit(
            module,
            data,
            hardware=hardware,
            average=params.average,
            checkpoints=checkpoints / f"{name}-{key}",
            label=label,
            on_epoch=record,
            interactive=sys.stderr.isatty() and "CI" not in os.environ,
        )
    if output is None:
        return key
    threshold = centre_mask(module, data, device=hardware.device)
    print(f"{label}: the best threshold of the mask on validation was {threshold:.2f}: now 0.50")
    sets = read_source(prepared).open_sets(prepared, composition, hardware.device)
    test = run_test(module, list(sets.scenes(sets.headline)), device=hardware.device)
    curves = pd.DataFrame(rows)
    card["test"] = {"set": sets.headline, "device": hardware.device, "figures": test}
    save_model(output, module.model, card)
    curves.insert(0, "experiment", name)
    curves.insert(1, "seed", params.seed)
    curves.to_csv(output / "curves.csv", index=False, float_format="%.6g")
    (output / "settings.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    return key


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="an experiment of params.yaml")
    name = parser.parse_args().name
    params = read_params(PARAMS)
    experiment = config.named_experiment(params, name)
    own = config.own_training(experiment, params.train)
    # of the processes that torchrun starts one writes
    is_writer = os.environ.get("RANK", "0") == "0"
    output = replaced_folder(EXPERIMENTS / name) if is_writer else contextlib.nullcontext()
    with output as folder:  # all seeds or nothing
        keys = [
            train(
                seed_folder(folder, seed) if folder else None,
                name,
                experiment,
                own.model_copy(update={"seed": seed}),
                config.Composition(params.placement, params.compositor),
                prepared=PREPARED,
                augmented=AUGMENTED,
                checkpoints=CHECKPOINTS,
            )
            for seed in experiment.seeds or (own.seed,)
        ]
    # those of this run stay until evaluate, which runs once DVC has recorded the folder: a run
    # killed before that is taken up again as it is
    if is_writer:
        prune_checkpoints(name, keep=keys)


if __name__ == "__main__":
    with exit_on_error():
        main()
