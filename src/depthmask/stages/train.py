"""train NAME: one experiment of `params.yaml`, from the prepared sources to a model."""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from depthmask import tracking
from depthmask.config import (
    CompositorParams,
    Experiment,
    PlacementParams,
    TrainParams,
    named_experiment,
)
from depthmask.data.composition.eval_sets import open_sets
from depthmask.data.scenes.files import read_summary, read_text, replaced_folder
from depthmask.errors import exit_on_error
from depthmask.models import PairModel
from depthmask.models.hardware import choose_hardware
from depthmask.models.store import save_model, seed_folder
from depthmask.stages import AUGMENTED, CHECKPOINTS, EXPERIMENTS, PARAMS, PREPARED, read_params
from depthmask.tracking.provenance import KEY_LENGTH, git_commit, run_key, training_code_hash
from depthmask.training import fit, run_test
from depthmask.training.assembly import assemble_data, assemble_learner


class Trained(NamedTuple):
    """One finished training.

    Attributes:
        model: the network, its weights averaged where that was asked for.
        card: what `save_model` writes beside the weights.
        curves: a row an epoch.
        settings: every parameter that decided the result.
    """

    model: PairModel
    card: dict[str, Any]
    curves: pd.DataFrame
    settings: dict[str, Any]


def train(
    name: str,
    experiment: Experiment,
    params: TrainParams,
    placement: PlacementParams,
    compositor_params: CompositorParams,
    *,
    prepared: Path,
    augmented: Path,
    output: Path,
    checkpoints: Path,
) -> None:
    """Train an experiment with each of its seeds; write its folder, all of it or nothing."""
    if params.num_threads:
        torch.set_num_threads(params.num_threads)
    trained = {
        seed: train_seed(
            name,
            experiment,
            params.model_copy(update={"seed": seed}),
            placement,
            compositor_params,
            prepared=prepared,
            augmented=augmented,
            checkpoints=checkpoints,
        )
        for seed in experiment.seeds or (params.seed,)
    }
    with replaced_folder(output) as temporary:
        for seed, (model, card, curves, settings) in trained.items():
            folder = seed_folder(temporary, seed)
            folder.mkdir()
            save_model(folder, model, card)
            curves.to_csv(folder / "curves.csv", index=False, float_format="%.6g")
            (folder / "settings.json").write_text(
                json.dumps(settings, indent=2, sort_keys=True) + "\n"
            )
    # now for all seeds, and what runs of other parameters left when they were stopped for good
    for left in checkpoints.glob(f"{name}-{'?' * KEY_LENGTH}"):
        shutil.rmtree(left, ignore_errors=True)


def train_seed(
    name: str,
    experiment: Experiment,
    params: TrainParams,
    placement: PlacementParams,
    compositor_params: CompositorParams,
    *,
    prepared: Path,
    augmented: Path,
    checkpoints: Path,
) -> Trained:
    """Train an experiment with `params.seed`, from its last checkpoint where there is one."""
    summary = read_summary(prepared)
    digest = read_text(augmented / "digest.txt").strip()
    hardware = choose_hardware(params.device, params.precision)
    settings = {
        # which other seeds there are is nothing to this one
        "experiment": experiment.model_dump(mode="json", exclude={"seeds"}),
        "train": params.model_dump(mode="json"),
        "placement": placement.model_dump(mode="json"),
        "compositor": compositor_params.model_dump(mode="json"),
    }
    key = run_key(
        **settings,
        data=summary["data_hash"],
        augmented=digest,
        code=training_code_hash(),
    )
    label = f"{name} (seed {params.seed})" if len(experiment.seeds) > 1 else name
    print(f"{label}: {experiment.model} on {hardware}, run {key}", flush=True)

    data = assemble_data(
        params,
        placement,
        compositor_params,
        prepared=prepared,
        augmented=augmented,
        variants=experiment.augmented,
    )
    learner = assemble_learner(experiment, params, prepared=prepared, augmented=augmented)
    folder = checkpoints / f"{name}-{key}"
    run = tracking.start_run(
        experiment=name,
        key=key,
        params=settings | {"hardware": str(hardware)},
        tags={
            "git_commit": git_commit(),
            "model": experiment.model,
            "seed": str(params.seed),
            "augmented": digest,
            "depth_unit": summary["unit"],
        },
        data_digest=summary["data_hash"],
        data_source=str(prepared),
        resumed=(folder / "last.ckpt").exists(),
    )
    with run:
        rows = fit(
            learner,
            data,
            hardware=hardware,
            average=params.average,
            checkpoints=folder,
            label=label,
            on_epoch=lambda epoch, row: run.log_metrics(row, step=epoch),
            interactive=sys.stderr.isatty() and "CI" not in os.environ,
        )
    sets = open_sets(prepared, compositor_params, placement.seed, hardware.device)
    scenes = list(sets.scenes(sets.headline))
    card = {
        "experiment": name,
        "seed": params.seed,
        "key": key,
        "model": experiment.model,
        "losses": {"mask": experiment.mask, "depth": experiment.depth},
        "size": params.schedule[-1].size,
        "unit": summary["unit"],
        "data_hash": summary["data_hash"],
        "source": summary["source"],
        "depth_range_m": list(learner.depth_range_m),
        "depth_alignment": summary.get("depth_alignment"),
        "num_parameters": sum(weight.numel() for weight in learner.model.parameters()),
        "val": {
            column.removeprefix("val/"): value
            for column, value in rows[-1].items()
            if column.startswith("val/")
        },
        "test": {
            "set": sets.headline,
            "device": hardware.device,
            "figures": run_test(learner, scenes, device=hardware.device),
        },
    }
    curves = pd.DataFrame(rows)
    curves.insert(0, "experiment", name)
    curves.insert(1, "seed", params.seed)
    return Trained(learner.model, card, curves, settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="an experiment of params.yaml")
    name = parser.parse_args().name
    params = read_params(PARAMS)
    train(
        name,
        named_experiment(params, name),
        params.train,
        params.placement,
        params.compositor,
        prepared=PREPARED,
        augmented=AUGMENTED,
        output=EXPERIMENTS / name,
        checkpoints=CHECKPOINTS,
    )


if __name__ == "__main__":
    with exit_on_error():
        main()
