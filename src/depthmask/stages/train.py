"""train NAME: one experiment of `params.yaml`, from the prepared sources to a model."""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from depthmask import tracking
from depthmask.artifacts import read_summary, read_text
from depthmask.assembly import assemble_data, assemble_learner
from depthmask.errors import exit_on_error
from depthmask.hardware import choose_hardware
from depthmask.learning import fit
from depthmask.models.store import save_model
from depthmask.output import replaced_folder
from depthmask.params import (
    CompositorParams,
    Experiment,
    PlacementParams,
    TrainParams,
    named_experiment,
    read_params,
)
from depthmask.provenance import git_commit, run_key, training_code_hash
from depthmask.stages import AUGMENTED, CHECKPOINTS, EXPERIMENTS, PARAMS, PREPARED


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
    """Train an experiment and write its folder `output`, all of it or nothing."""
    summary = read_summary(prepared)
    digest = read_text(augmented / "digest.txt").strip()
    if params.num_threads:
        torch.set_num_threads(params.num_threads)
    hardware = choose_hardware(params.device, params.precision)
    settings = {
        "experiment": experiment.model_dump(mode="json"),
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
    print(f"{name}: {experiment.model} on {hardware}, run {key}", flush=True)

    data = assemble_data(
        params,
        placement,
        compositor_params,
        prepared=prepared,
        augmented=augmented,
        variants=experiment.augmented,
    )
    learner = assemble_learner(experiment, params, prepared=prepared, augmented=augmented)
    model = learner.model
    folder = checkpoints / f"{name}-{key}"
    run = tracking.start_run(
        experiment=name,
        key=key,
        params=settings | {"hardware": str(hardware)},
        tags={
            "git_commit": git_commit(),
            "model": experiment.model,
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
            label=name,
            on_epoch=lambda epoch, row: run.log_metrics(row, step=epoch),
            interactive=sys.stderr.isatty() and "CI" not in os.environ,
        )
    card: dict[str, Any] = {
        "experiment": name,
        "key": key,
        "model": experiment.model,
        "losses": {"mask": experiment.mask, "depth": experiment.depth},
        "size": params.schedule[-1].size,
        "unit": summary["unit"],
        "data_hash": summary["data_hash"],
        "source": summary["source"],
        "depth_range_m": list(learner.depth_range_m),
        "depth_alignment": summary.get("depth_alignment"),
        "num_parameters": sum(weight.numel() for weight in model.parameters()),
        "val": {
            name.removeprefix("val/"): value
            for name, value in rows[-1].items()
            if name.startswith("val/")
        },
    }
    with replaced_folder(output) as temporary:
        save_model(temporary, model, card)
        table = pd.DataFrame(rows)
        table.insert(0, "experiment", name)
        table.to_csv(temporary / "curves.csv", index=False, float_format="%.6g")
        (temporary / "settings.json").write_text(
            json.dumps(settings, indent=2, sort_keys=True) + "\n"
        )
    # also what runs of other parameters left behind when they were stopped for good
    for left in checkpoints.glob(f"{name}-{'?' * len(key)}"):
        shutil.rmtree(left, ignore_errors=True)


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
