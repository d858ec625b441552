"""One module a DVC stage: the only code that reads params and knows paths."""

from pathlib import Path

from depthmask.checkout import run_own_code

run_own_code()  # before any module that a stage depends on

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


def flat_metrics(sets: dict[str, dict[str, float]]) -> dict[str, float]:
    """An experiment's figures under the names that MLflow shows, `test/SET/METRIC`."""
    return {
        f"test/{set_name}/{metric}": value
        for set_name, values in sets.items()
        for metric, value in values.items()
    }
