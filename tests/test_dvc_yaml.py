"""dvc.yaml declares what the stages read: parameters and code."""

import ast
import configparser
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from depthmask import stages
from depthmask.config import PrepareParams, read_params
from depthmask.models.store import StoredModel
from depthmask.stages import augment, evaluate, export, prepare, train
from depthmask.tracking.provenance import TRAINING

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/depthmask"
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]

CANNOT_CHANGE_AN_OUTPUT = (
    "__init__.py",
    "cli",
    "config.py",  # the values are dependencies themselves
    "data/__init__.py",
    "data/work.py",
    "errors.py",
    "stages/report.py",  # the page is no output
    "export/benchmark.py",  # times are no output
    "stages/__init__.py",
    "tracking",  # MLflow is no output
)


SOURCE = "data/sources/${prepare.source}"


def definition(stage: str) -> dict:
    found = STAGES[stage]
    return found.get("do", found)


class Recorder:
    """Parameters that remember which sections were read."""

    def __init__(self, params):
        self.params, self.read = params, set()

    def __getattr__(self, name):
        self.read.add(name)
        return getattr(self.params, name)


@pytest.fixture
def recorder(monkeypatch, tmp_path):
    recorder = Recorder(read_params(ROOT / "params.yaml"))
    for module in (prepare, augment, train, evaluate, export):
        monkeypatch.setattr(module, "read_params", lambda path: recorder)
    monkeypatch.chdir(tmp_path)
    return recorder


def test_each_stage_declares_the_sections_it_reads(recorder, monkeypatch, tmp_path):
    name = recorder.params.compare[0]
    monkeypatch.setattr("sys.argv", ["train", name])
    result = {
        "best": name,
        "best_seed": 0,
        "headline": {"set": "in_scene"},
        "verdict": {"sentence": ""},
        "seeds": {name: {"0": {"in_scene": {}}}},
    }
    stages.REPORTS.mkdir()
    stages.METRICS.write_text(json.dumps(result))
    monkeypatch.setattr(export, "load_model", lambda folder: StoredModel(None, {}))
    monkeypatch.setattr(export, "publish", lambda gate: SimpleNamespace(misses=[], lines=list))
    monkeypatch.setattr(evaluate, "sync", lambda *folders: None)
    monkeypatch.setattr(evaluate, "write_report", lambda: None)
    for module in (prepare, augment, train, evaluate, export):
        stage = module.__name__.rpartition(".")[2]
        monkeypatch.setattr(module, stage, lambda *args, **kwargs: result)
        recorder.read.clear()
        module.main()
        declared = {
            str(entry).partition(".")[0]
            for entry in definition(stage)["params"]
            if not str(entry).startswith("profiles.")
        }
        assert recorder.read == declared, stage


def test_a_section_comes_with_its_profile():
    for stage in STAGES:
        entries = set(map(str, definition(stage)["params"]))
        declared = entries | {entry.partition(".")[0] for entry in entries}
        for section in (
            "prepare",
            "placement",
            "compositor",
            "augment",
            "train",
            "evaluate",
            "export",
        ):
            override = f"profiles.${{profile}}.{section}"
            assert (section in declared) == (override in declared), (stage, section)


def imported(path: Path) -> set[Path]:
    """The package's modules that a module imports, directly."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("depthmask"):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("depthmask.")]
        for name in names:
            target = PACKAGE.joinpath(*name.split(".")[1:])
            for candidate in (target.with_suffix(".py"), target / "__init__.py"):
                if candidate.is_file():
                    found.add(candidate)
    return found


def under(module: str, places) -> bool:
    return any(module == place or module.startswith(f"{place}/") for place in places)


def closure(path: Path) -> set[str]:
    seen, open_paths = set(), {path}
    while open_paths:
        current = open_paths.pop()
        seen.add(current)
        if not under(str(current.relative_to(PACKAGE)), CANNOT_CHANGE_AN_OUTPUT):
            open_paths |= imported(current) - seen
    return {str(item.relative_to(PACKAGE)) for item in seen}


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_depends_on_the_code_it_runs(stage):
    declared = {
        dep.removeprefix("src/depthmask/")
        for dep in definition(stage)["deps"]
        if dep.startswith("src/depthmask/")
    }
    # the source's own folder: that of another cannot change what is made of this one; later
    # stages follow it through the data, and the code that reads files through augment's digest
    assert (SOURCE in declared) == (stage in ("prepare", "augment"))
    declared = declared - {SOURCE}
    allowed = declared | {*CANNOT_CHANGE_AN_OUTPUT, "data/sources"}
    if stage in ("prepare", "augment"):
        allowed |= {"visualization", "evaluation", "metrics", "models"}  # draws contact sheets
    if stage == "prepare":
        allowed.add("data/composition")
    if stage == "export":
        allowed.add("visualization")
    for module in closure(PACKAGE / f"stages/{stage}.py"):
        assert under(module, allowed), module
    assert 3 <= len(declared) + (stage == "prepare") <= 8
    for item in declared:
        assert (PACKAGE / item).exists(), item


def test_a_checkpoint_is_bound_to_the_code_that_training_depends_on():
    """Else a changed module would train anew, from a checkpoint of the old one."""
    code = {dep.removeprefix("src/depthmask/") for dep in definition("train")["deps"]}
    assert set(TRAINING) == code - {"data/prepared", "data/augmented"}


def test_another_source_s_parameters_and_code_rerun_nothing():
    entries = set(map(str, definition("prepare")["params"]))
    sections = {"museum", "photos", "modest"}
    common = set(PrepareParams.model_fields) - sections
    assert {e for e in entries if e.startswith("prepare")} == {
        "prepare.${prepare.source}", *(f"prepare.{name}" for name in common)
    }  # fmt: skip
    for stage in STAGES:
        deps = definition(stage)["deps"]
        assert not [dep for dep in deps if re.search("museum|photos|modest", dep)]


def test_plots_are_of_what_evaluate_writes_by_templates_that_there_are():
    written = set(map(str, definition("evaluate")["outs"]))
    drawn = 0
    for plot in PIPELINE["plots"]:
        if isinstance(plot, str):  # a picture
            assert str(Path(plot).parent) in written
            continue
        (settings,) = plot.values()
        template = json.loads((ROOT / f".dvc/plots/{settings['template']}.json").read_text())
        assert template["data"]["values"] == "<DVC_METRIC_DATA>"
        assert "<DVC_METRIC_Y>" in json.dumps(template)
        assert set(settings["y"]) <= written
        drawn += 1
    assert 1 <= drawn < len(PIPELINE["plots"])


def test_the_page_of_plots_takes_its_scripts_from_dvc():
    page = (ROOT / ".dvc/plots/page.html").read_text()
    for place in ("{scripts}", "{plot_divs}", "{refresh_tag}"):
        assert page.count(place) == 1
    assert "://" not in page
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc/config")
    assert config["plots"]["html_template"] == "plots/page.html"  # from .dvc
