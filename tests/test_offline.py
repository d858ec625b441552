"""scripts/offline.sh, with stages of its own that take no time."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARAMS = "profile: laptop # laptop | gpu\ncompare: [one, two]\n"
FAKES = {
    "__init__.py": "",
    "errors.py": "from contextlib import nullcontext as exit_on_error\n",
    "config/__init__.py": "",
    "config/reading.py": """
from pathlib import Path
from types import SimpleNamespace
import yaml
def read_params():
    params = yaml.safe_load(Path("params.yaml").read_text())
    assert params["profile"] == "gpu"
    return SimpleNamespace(**params)
""",
    "stages/train.py": """
import os, sys, time
from pathlib import Path
name = sys.argv[1]
print("training", name)
assert Path("data/augmented").is_dir()
checkpoint = Path("checkpoint")
if os.environ.get("SLOW") == name and not checkpoint.exists():
    checkpoint.touch()
    time.sleep(60)
if os.environ.get("FAIL") == name:
    sys.exit(3)
folder = Path("models/experiments", name, "seed_0")
folder.mkdir(parents=True, exist_ok=True)
for file in ("model.json", "settings.json", "curves.csv", "weights"):
    (folder / file).touch()
""",
    "stages/evaluate.py": """
from pathlib import Path
Path("reports/panels").mkdir(parents=True, exist_ok=True)
for name in ("panels/one.png", "metrics.json", "curves.csv"):
    Path("reports", name).write_text("{}")
""",
    "stages/export.py": """
from pathlib import Path
Path("models/best").mkdir(parents=True, exist_ok=True)
Path("models/best/model.onnx").write_bytes(b"abcd")
Path("models/best/model_float16.onnx").write_bytes(b"ac")
""",
}
ALL = ["metrics.json", "model_float16.onnx", "pictures.tar.gz", "runs.tar.gz"]


class Project:
    def __init__(self, root: Path) -> None:
        self.root, self.out = root, root / "results"
        files = {f"src/depthmask/{name}": text for name, text in FAKES.items()} | {
            "scripts/offline.sh": (ROOT / "scripts/offline.sh").read_text(),
            "data/prepared/summary.json": "{}",
            "data/augmented/digest.txt": "1",
            "params.yaml": PARAMS,
        }
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)

    def run(self, *arguments: str, code: int = 0, **env: str) -> str:
        command = ["bash", "scripts/offline.sh", "--profile", "gpu", "--out", "results", *arguments]
        env = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": ""} | env
        done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def packed(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir())

    def runs(self) -> set[str]:
        with tarfile.open(self.out / "runs.tar.gz") as archive:
            return set(archive.getnames())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_runs_all_stages_and_packs_few_files_outside_the_checkout_s_own(project: Project) -> None:
    project.run()
    assert project.packed() == ALL
    assert (project.out / "model_float16.onnx").read_bytes() == b"ac"
    runs = project.runs()  # what `import-runs` needs
    files = ("model.json", "settings.json", "curves.csv")
    assert {f"models/experiments/two/seed_0/{file}" for file in files} <= runs
    assert {"reports/metrics.json", "reports/panels/one.png"} <= runs
    assert not any("weights" in name for name in runs)
    assert (project.root / "params.yaml").read_text() == PARAMS
    assert not (project.root / "models").exists()


def test_goes_on_where_the_time_was_up(project: Project) -> None:
    first = project.run("--seconds", "3", code=75, SLOW="two")
    assert "the time is up in train-two; run the same command again" in first
    assert project.packed() == ALL[2:]
    second = project.run("--seconds", "60", SLOW="two")
    assert "train-one is done" in second and "training two" in second
    assert project.packed() == ALL
    assert "training" not in project.run(), "nothing changed"
    (project.root / "data/prepared/summary.json").write_text('{"data_hash": 2}')
    assert "training one" in project.run()


def test_some_experiments_only_and_others_do_not_train_them_anew(project: Project) -> None:
    first = project.run("two")
    assert "training two" in first and "training one" not in first
    assert "compare: [two]" in (project.root / ".offline/gpu/params.yaml").read_text()
    project.run("one")  # its evaluate leaves the model of two
    again = project.run("two", "one")
    assert "train-one is done" in again and "train-two is done" in again


def test_what_fails_or_is_missing_is_named(project: Project) -> None:
    assert "train-one failed with exit code 3" in project.run(code=3, FAIL="one")
    assert "logs/train-one.log" in project.runs()
    (project.root / "data/augmented").rename(project.root / "data/elsewhere")
    assert project.run(code=2).startswith("offline: data/augmented is missing")
    project.run("--wrong", code=2)


@pytest.mark.slow
def test_stages_need_neither_dvc_nor_mlflow_nor_renderers(environment) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys("
        "('dvc', 'mlflow', 'albumentations', 'mitsuba', 'typer')));"
        "from depthmask.stages import train, evaluate, export"
    )
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
