"""scripts/offline.sh, with stages of its own that take no time."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PARAMS = """profile: laptop # laptop | gpu
compare: [one, two]
"""
FAKES = {
    "__init__.py": "",
    "stages/__init__.py": "",
    "errors.py": "from contextlib import nullcontext as exit_on_error\n",
    "tracking.py": "from pathlib import Path\n\nfind_root = Path.cwd\n",
    "config.py": """
import re
from pathlib import Path
from types import SimpleNamespace

def read_params():
    text = Path("params.yaml").read_text()
    assert "profile: gpu" in text
    names = re.search(r"compare: \\[(.*)\\]", text)[1].split(",")
    return SimpleNamespace(compare=[name.strip() for name in names])
""",
    "export/onnx_export.py": """
def to_float16(source, target):
    target.write_bytes(source.read_bytes()[::2])
""",
    "stages/train.py": """
import os, sys, time
from pathlib import Path

name = sys.argv[1]
print("training", name)
assert Path("data/augmented").is_dir()
Path(".tracking").mkdir(exist_ok=True)
Path(f".tracking/{name}.jsonl").write_text("{}")
checkpoint = Path(".checkpoints") / name
if os.environ.get("SLOW") == name and not checkpoint.exists():
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.touch()
    time.sleep(60)
if os.environ.get("FAIL") == name:
    sys.exit(3)
Path("models/experiments", name).mkdir(parents=True, exist_ok=True)
""",
    "stages/evaluate.py": """
from pathlib import Path

Path("reports/panels").mkdir(parents=True, exist_ok=True)
Path("reports/panels/one.png").touch()
Path("reports/metrics.json").write_text("{}")
Path("reports/curves.csv").write_text("epoch")
""",
    "stages/export.py": """
from pathlib import Path

Path("models/best").mkdir(parents=True, exist_ok=True)
Path("models/best/model.onnx").write_bytes(b"abcd")
""",
}


class Project:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.out = root / "results"
        (root / "scripts").mkdir()
        (root / "scripts/offline.sh").write_bytes((ROOT / "scripts/offline.sh").read_bytes())
        for name, text in FAKES.items():
            path = root / "src/depthmask" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for part in ("prepared", "augmented"):
            (root / "data" / part).mkdir(parents=True)
        (root / "data/prepared/summary.json").write_text('{"data_hash": 1}')
        (root / "params.yaml").write_text(PARAMS)

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "scripts/offline.sh", "--profile", "gpu", "--out", "results", *arguments]
        return subprocess.run(
            command,
            cwd=self.root,
            env=os.environ | {"PYTHON": sys.executable, "PYTHONPATH": ""} | env,
            capture_output=True,
            text=True,
        )

    @property
    def packed(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


ALL = ["metrics.json", "model-float16.onnx", "pictures.tar.gz", "tracking.tar.gz"]


def test_runs_all_stages_and_packs_few_files(project: Project) -> None:
    result = project.run()
    assert result.returncode == 0, result.stderr
    assert project.packed == ALL
    assert (project.out / "model-float16.onnx").read_bytes() == b"ac"
    with tarfile.open(project.out / "tracking.tar.gz") as archive:
        assert {".tracking/one.jsonl", ".tracking/two.jsonl"} <= set(archive.getnames())
    assert (project.root / "params.yaml").read_text() == PARAMS
    assert not (project.root / "models").exists(), "the checkout keeps what it has"


def test_goes_on_where_the_time_was_up(project: Project) -> None:
    first = project.run("--seconds", "5", SLOW="two")
    assert first.returncode == 75
    assert "the time is up in train-two; run the same command again" in first.stderr
    assert project.packed == ["pictures.tar.gz", "tracking.tar.gz"]

    second = project.run("--seconds", "60", SLOW="two")
    assert second.returncode == 0, second.stderr
    assert "train-one is done" in second.stdout and "training two" in second.stdout
    assert project.packed == ALL

    assert "training" not in project.run().stdout, "nothing changed"
    (project.root / "data/prepared/summary.json").write_text('{"data_hash": 2}')
    assert "training one" in project.run().stdout


def test_some_experiments_only(project: Project) -> None:
    result = project.run("two")
    assert result.returncode == 0, result.stderr
    assert "training two" in result.stdout and "training one" not in result.stdout
    assert "compare: [two]" in (project.root / ".offline/gpu/params.yaml").read_text()


def test_other_experiments_do_not_train_anew(project: Project) -> None:
    assert project.run("two").returncode == 0
    assert project.run("one").returncode == 0  # its evaluate leaves the model of two
    again = project.run("two", "one")
    assert again.returncode == 0, again.stderr
    assert "train-one is done" in again.stdout and "train-two is done" in again.stdout


def test_a_failed_stage_is_named_and_its_log_packed(project: Project) -> None:
    result = project.run(FAIL="one")
    assert result.returncode == 3
    assert "train-one failed with exit code 3" in result.stderr
    with tarfile.open(project.out / "tracking.tar.gz") as archive:
        assert "logs/train-one.log" in archive.getnames()


def test_what_is_missing_is_named(project: Project) -> None:
    (project.root / "data/augmented").rmdir()
    result = project.run()
    assert result.returncode == 2
    assert result.stderr.startswith("offline: data/augmented is missing")
    assert not (project.root / ".offline").exists()
    assert project.run("--wrong").returncode == 2


@pytest.mark.slow
def test_stages_need_neither_dvc_nor_mlflow_nor_renderers() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys("
        "('dvc', 'mlflow', 'albumentations', 'mitsuba', 'typer')));"
        "from depthmask.stages import train, evaluate, export"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
