"""One module a DVC stage: the only code that reads params and knows paths."""

import shutil
from collections.abc import Collection
from pathlib import Path

PARAMS = Path("params.yaml")
PREPARED = Path("data/prepared")
AUGMENTED = Path("data/augmented")
EXPERIMENTS = Path("models/experiments")
BEST = Path("models/best")
REPORTS = Path("reports")
METRICS = REPORTS / "metrics.json"
RECORD = REPORTS / "gate.json"
CHECKPOINTS = Path(".checkpoints")
FINDINGS = Path("reports/photos.csv")
SOURCES = Path("data/source")
TEACHER_CACHE = Path(".teacher_cache")


def prune_checkpoints(experiment: str, keep: Collection[str] = ()) -> None:
    """Remove an experiment's checkpoints but those of the run keys to keep."""
    for folder in CHECKPOINTS.glob(f"{experiment}-*"):
        name, _, key = folder.name.rpartition("-")
        if name == experiment and key not in keep:
            shutil.rmtree(folder, ignore_errors=True)
