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
    text = (ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.BaseLoader)


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
    pinned = re.compile(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert uses and [action for action in uses if not pinned.fullmatch(action)] == []
    workflow = load(path.stem)
    (job,) = workflow["jobs"].values()
    assert (workflow["permissions"], job["permissions"]) == ({}, {"contents": "read"})
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


def test_job_summary_compares_with_the_base(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHON": sys.executable, "PYTHONPATH": str(ROOT / "src"), "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }  # fmt: skip
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "tester", f"GIT_{who}_EMAIL": "tester@localhost"}

    def run(*command: str | Path, **env: str) -> str:
        env = environment | env
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit_run(lr: float) -> str:
        table = f"|  | IoU |\n| :-- | --: |\n| **a** | {lr:.3f} |\n"
        (tmp_path / "params.yaml").write_text(f"train:\n  lr: {lr}\n")
        (tmp_path / "reports/metrics.json").write_text(f'{{"mask_iou": {lr}}}')
        (tmp_path / "reports/results.md").write_text(table)
        run("git", "add", "--all")
        run("git", "commit", "--quiet", "--message", "change")
        return run("git", "rev-parse", "HEAD").strip()

    for folder in (".dvc", "reports"):
        (tmp_path / folder).mkdir()
    (tmp_path / ".dvc/.gitignore").write_text("/tmp\n")
    (tmp_path / "dvc.yaml").write_text("params: [params.yaml]\nmetrics: [reports/metrics.json]\n")
    gate = tmp_path / "python"  # but for the verb, it is an interpreter
    gate.write_text(
        f"""#!/bin/sh
        case "$*" in
        *gate) echo "depthmask: a is not promoted: IoU 0.75" >&2; exit 1 ;;
        *) exec {sys.executable} "$@" ;;
        esac"""
    )
    gate.chmod(0o755)
    run("git", "init", "--quiet")
    script = ROOT / "scripts/job_summary.sh"
    base = commit_run(0.25)
    alone = run(script, "0" * 40)
    assert "Parameters" not in alone, "the first commit has nothing to compare with"
    assert "| **a** | 0.250 |" in alone
    assert "## Gate" not in alone, "there is no model"

    commit_run(0.75)
    text = run(script, base, "https://example.com/page", PYTHON=str(gate))
    assert re.search(r"params.yaml\s*\| train.lr\s*\| 0.25\s*\| 0.75", text)
    assert re.search(r"mask_iou\s*\| 0.25\s*\| 0.75\s*\| 0.5", text)
    assert "## Gate\n\n```text\ndepthmask: a is not promoted: IoU 0.75\n```" in text
    assert "(https://example.com/page)" in text
    # a new branch has no base, its parent is taken; here every command fails
    (tmp_path / "reports/results.md").unlink()
    nothing = run(script, "", PYTHON="false")
    for said in (f"Compared with {base[:7]}", "No parameter changed", "The run made no report"):
        assert said in nothing
