"""The workflows are valid, safe, and start when what the pipeline reads has changed."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def load(name: str) -> dict[str, Any]:
    """Every scalar as text: YAML 1.1 would read the key `on` as true."""
    path = ROOT / ".github/workflows" / f"{name}.yml"
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def steps(name: str) -> list[dict[str, Any]]:
    (job,) = load(name)["jobs"].values()
    return job["steps"]


def test_schemas_and_audit() -> None:
    tools, dependabot = Path(sys.executable).parent, ROOT / ".github/dependabot.yml"
    for command in (
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS],
        ["check-jsonschema", "--builtin-schema", "vendor.dependabot", dependabot],
        ["zizmor", "--offline", "--no-progress", *WORKFLOWS, dependabot],
    ):
        done = subprocess.run([tools / command[0], *command[1:]], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    pip, _ = yaml.safe_load(dependabot.read_text())["updates"]
    ignored = {each["dependency-name"] for each in pip["ignore"]}
    assert {"albumentations", "torch"} <= ignored, "they are pinned for a reason"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_permissions_are_to_read_scripts_exist(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    workflow = load(path.stem)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
    scripts = [step["run"].split()[0] for step in steps(path.stem) if "run" in step]
    ours = [script for script in scripts if script.startswith(("scripts/", ".ci/"))]
    assert ours and all(os.access(ROOT / script, os.X_OK) for script in ours)
    assert load("test")["on"] == {"push": "", "pull_request": ""}


def test_pipeline_starts_when_what_it_reads_changes() -> None:
    triggers = load("pipeline")["on"]
    assert set(triggers) == {"push", "pull_request", "workflow_dispatch"}
    paths = triggers["push"]["paths"]
    assert triggers["pull_request"]["paths"] == paths

    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    read = {"params.yaml", "dvc.yaml", "dvc.lock"}
    for stage in stages.values():
        for path in stage.get("do", stage)["deps"]:
            if path.startswith(("src/", "data/source/")):  # the rest is made by stages
                read.add(path.replace("${prepare.source}", params["prepare"]["source"]))
    folders = tuple(path.removesuffix("**") for path in paths)
    assert [path for path in read if not path.startswith(folders)] == []


def test_cache_is_kept_under_a_key_of_its_own() -> None:
    restore, save = (
        next(step for step in steps("pipeline") if f"actions/cache/{verb}@" in step.get("uses", ""))
        for verb in ("restore", "save")
    )
    assert restore["with"]["path"] == save["with"]["path"] == ".dvc/cache"
    key = restore["with"]["key"]
    assert save["with"]["key"] == key
    assert "${{ github.run_id }}" in key
    *_, last = prefixes = restore["with"]["restore-keys"].splitlines()
    assert all(key.startswith(prefix) and prefix != key for prefix in prefixes)
    assert "run_id" not in last, "it must find other runs"
    assert save["if"] == "always()", "a failed run's finished stages are kept too"


def test_a_refused_model_turns_the_run_red_and_strangers_never_reach_our_runner() -> None:
    *before, gate = steps("pipeline")
    assert gate["run"] == ".venv/bin/depthmask gate"
    assert set(gate) == {"name", "run"}, "neither skipped nor forgiven"
    uploads = [step for step in before if "upload-artifact@" in step.get("uses", "")]
    kept = {path for upload in uploads for path in upload["with"]["path"].split()}
    assert {"reports", "dvc.lock", "models/best"} <= kept
    assert before[-1]["run"].startswith("scripts/job_summary.sh")
    (job,) = load("pipeline")["jobs"].values()
    condition = "github.event_name != 'pull_request' && vars.GPU_RUNNER || 'ubuntu-latest'"
    assert job["runs-on"] == "${{ " + condition + " }}"


DVC_YAML = """
stages:
  evaluate:
    cmd: python write.py
    params: [train]
    metrics: [reports/metrics.json]
"""
WRITE = """
import json, pathlib, re
iou = float(re.search("lr: (.*)", pathlib.Path("params.yaml").read_text())[1])
report = {"best": "a", "headline": {"set": "in_scene"}, "baselines": {},
          "experiments": {"a": {"in_scene": {"mask_iou": iou}}}}
pathlib.Path("reports").mkdir(exist_ok=True)
pathlib.Path("reports/metrics.json").write_text(json.dumps(report))
table = f"|  | IoU |\\n| :-- | --: |\\n| **a** | {iou:.3f} |\\n"
pathlib.Path("reports/results.md").write_text(table)
"""


def test_job_summary_compares_with_the_base(tmp_path: Path) -> None:
    environment = os.environ | {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "PYTHON": sys.executable, "PYTHONPATH": str(ROOT / "src"), "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }  # fmt: skip
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "tester", f"GIT_{who}_EMAIL": "tester@localhost"}

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit_run(lr: float) -> str:
        (tmp_path / "params.yaml").write_text(f"train:\n  lr: {lr}\n")
        run("dvc", "repro", "--quiet")
        run("git", "add", "--all")
        run("git", "commit", "--quiet", "--message", "change")
        return run("git", "rev-parse", "HEAD").strip()

    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "write.py").write_text(WRITE)
    (tmp_path / ".gitignore").write_text("/reports\n")
    run("git", "init", "--quiet")
    run("dvc", "init", "--quiet")
    script = ROOT / "scripts/job_summary.sh"
    base = commit_run(0.25)
    alone = run(script, "0" * 40)
    assert "Parameters" not in alone, "the first commit has nothing to compare with"
    assert "| **a** | 0.250 |" in alone
    commit_run(0.75)
    for known_base in (base, ""):  # a new branch has no base: its parent is taken
        text = run(script, known_base, "https://example.com/page")
        assert f"Compared with {base[:7]}" in text
        assert re.search(r"params.yaml\s*\| train.lr\s*\| 0.25\s*\| 0.75", text)
        assert re.search(r"mask_iou\s*\| 0.25\s*\| 0.75\s*\| 0.5", text)
    assert "(https://example.com/page)" in text
    assert "## Gate" not in text, "there is no model"
    wrapper = tmp_path / "python"  # stands for an interpreter, and for the verb on a model
    wrapper.write_text(
        f"""#!/bin/sh
        case "$*" in
        "-m depthmask.cli gate") echo "depthmask: a is not promoted: IoU 0.75" >&2; exit 1 ;;
        *) exec {sys.executable} "$@" ;;
        esac"""
    )
    wrapper.chmod(0o755)
    environment["PYTHON"] = str(wrapper)
    text = run(script, base)
    assert "## Gate\n\n```text\ndepthmask: a is not promoted: IoU 0.75\n```" in text
    (tmp_path / "reports/results.md").unlink()
    assert "The run made no report" in run(script, base)
