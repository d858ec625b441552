"""Experiment tracking: a local journal that is always written, and MLflow when it answers.

    with start_run(experiment="best", key=key, params=params) as run:
        run.log_metrics({"train/loss": 0.3}, step=0)

Nothing that MLflow does stops or slows a stage: see `run.Courier`. Only this package imports
mlflow, on first use.
"""

from depthmask.tracking.backfill import import_journals, log_evaluation
from depthmask.tracking.comparison import log_comparison
from depthmask.tracking.journal import find_root
from depthmask.tracking.registry import Registered, register_model
from depthmask.tracking.run import Run, start_run

__all__ = [
    "Registered",
    "Run",
    "find_root",
    "import_journals",
    "log_comparison",
    "log_evaluation",
    "register_model",
    "start_run",
]
