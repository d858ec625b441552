"""One module a DVC stage: the only code that reads params and knows paths."""

import shutil
from collections.abc import Collection
from pathlib import Path

from depthmask import config
from depthmask.config import reading
from depthmask.errors import InputError

PARAMS = Path("params.yaml")
PREPARED = Path("data/prepared")
AUGMENTED = Path("data/augmented")
EXPERIMENTS = Path("models/experiments")
BEST = Path("models/best")
REPORTS = Path("reports")
METRICS = REPORTS / "metrics.json"
RECORD = REPORTS / "gate.json"
CHECKPOINTS = Path(".checkpoints")
SOURCES_FOLDER = Path("data/source")
CACHE = Path(".cache")


def read_params(path: Path = PARAMS) -> config.Params:
    """Read `params.yaml`, and look up the names in it before hours are spent on the first stages;
    InputError if a value is wrong, or no network, loss term or condition has such a name."""
    # not above: the command line, which needs the paths, does not wait for torch
    from depthmask.evaluation.robustness import check_strengths
    from depthmask.models import MODELS
    from depthmask.models.losses import PERSON_TERMS, SceneLoss

    params = reading.read_params(path)
    try:
        for name, experiment in params.experiments.items():
            where = f"experiments.{name}"
            if experiment.model not in MODELS:
                known = ", ".join(MODELS)
                raise InputError(f"unknown model {experiment.model!r}; use one of {known}")
            SceneLoss(experiment.mask, experiment.depth)
            if wrong := experiment.mask.keys() & PERSON_TERMS:
                raise InputError(f"{min(wrong)} belongs under `depth`: of a mask white is the best")
            if MODELS[experiment.model].has_depth and not experiment.depth:
                raise InputError(f"{experiment.model} needs a loss term under `depth`")
            if experiment.depth and not MODELS[experiment.model].has_depth:
                raise InputError(f"{experiment.model} has no depth head: remove `depth`")
        where = "compare"
        if not any(MODELS[params.experiments[name].model].has_depth for name in params.compare):
            raise InputError("needs a network with depth: the best such is exported")
        where = "evaluate.robustness.conditions"
        check_strengths(params.evaluate.robustness.conditions)
    except InputError as error:
        raise InputError(f"{path}: {where}: {error}") from None
    return params


def prune_checkpoints(experiment: str, keep: Collection[str] = ()) -> None:
    """Remove an experiment's checkpoints but those of the run keys to keep."""
    for folder in CHECKPOINTS.glob(f"{experiment}-*"):
        name, _, key = folder.name.rpartition("-")
        if name == experiment and key not in keep:
            shutil.rmtree(folder, ignore_errors=True)
