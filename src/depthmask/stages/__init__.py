"""One module a DVC stage: the only code that reads params and knows paths."""

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
