"""dvc.yaml declares what the stages read: parameters and code."""

import configparser
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from depthmask import stages
from depthmask.config import PrepareParams
from depthmask.config.reading import read_params
from depthmask.data.sources import NAMES
from depthmask.models.store import StoredModel
from depthmask.stages import augment, evaluate, export, prepare, train
from depthmask.tracking.provenance import TRAINING
from test_layers import PACKAGE, imports

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = {name: stage.get("do", stage) for name, stage in PIPELINE["stages"].items()}
SOURCE = "data/sources/${prepare.source}"
# config's values are dependencies themselves; pages, times and MLflow are no outputs
CANNOT_CHANGE_AN_OUTPUT = {
    *("__init__.py", "cli", "config", "data/__init__.py", "data/work.py", "errors.py"),
    *("stages/__init__.py", "stages/report.py", "export/benchmark.py", "tracking"),
}


def params_of(stage: str) -> set[str]:
    return set(map(str, STAGES[stage]["params"]))


def code_of(stage: str) -> set[str]:
    deps = [dep for dep in STAGES[stage]["deps"] if dep.startswith("src/depthmask/")]
    return {dep.removeprefix("src/depthmask/") for dep in deps}


class Recorder:
    """Parameters that remember which sections were read."""

    def __init__(self, params):
        self.params, self.read = params, set()

    def __getattr__(self, name):
        self.read.add(name)
        return getattr(self.params, name)


def test_each_stage_declares_the_sections_it_reads(monkeypatch, tmp_path):
    recorder = Recorder(read_params(ROOT / "params.yaml"))
    name = recorder.params.compare[0]
    monkeypatch.chdir(tmp_path)
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
        monkeypatch.setattr(module, "read_params", lambda *_: recorder)
        monkeypatch.setattr(module, stage, lambda *args, **kwargs: result)
        recorder.read.clear()
        module.main()
        declared = {entry.partition(".")[0] for entry in params_of(stage)} - {"profiles"}
        assert recorder.read == declared, stage


@pytest.mark.parametrize("stage", STAGES)
def test_a_section_comes_with_its_profile(stage):
    declared = params_of(stage) | {entry.partition(".")[0] for entry in params_of(stage)}
    for section in ("placement", "compositor", *PIPELINE["stages"]):
        override = f"profiles.${{profile}}.{section}"
        assert (section in declared) == (override in declared), section


def under(module: str, places: set[str]) -> bool:
    return any(module == place or module.startswith(f"{place}/") for place in places)


def closure(start: str) -> set[str]:
    """The package's modules that one imports, and they in turn."""
    seen, to_read = set(), {start}
    while to_read:
        current = to_read.pop()
        seen.add(current)
        if under(current, CANNOT_CHANGE_AN_OUTPUT):
            continue
        for name in imports(PACKAGE / current):
            place = name.removeprefix("depthmask.").replace(".", "/")
            files = {f"{place}.py", f"{place}/__init__.py"} - seen
            if name.startswith("depthmask."):
                to_read |= {file for file in files if (PACKAGE / file).is_file()}
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_depends_on_the_code_it_runs(stage):
    # the source's own folder: that of another cannot change what is made of this one; later
    # stages follow it through the data, and the code that reads files through augment's digest
    declared = code_of(stage)
    assert (SOURCE in declared) == (stage in ("prepare", "augment"))
    assert 3 <= len(declared) <= 7  # with the stage itself
    for item in declared - {SOURCE}:
        assert (PACKAGE / item).exists(), item
    allowed = declared | CANNOT_CHANGE_AN_OUTPUT | {"data/sources"}
    if stage in ("prepare", "augment"):  # draw contact sheets
        allowed |= {"visualization", "evaluation", "metrics", "models", "data/composition"}
    if stage == "export":
        allowed.add("visualization")
    reached = closure(f"stages/{stage}.py")
    for name in NAMES if SOURCE in declared else ():  # a source is imported by its name
        own = closure(f"data/sources/{name}/__init__.py")
        assert not {
            path for path in own if under(path, {f"data/sources/{n}" for n in NAMES if n != name})
        }
        reached |= own
    assert len(reached) > 20 and [path for path in reached if not under(path, allowed)] == []


def test_a_checkpoint_is_bound_to_the_code_that_training_depends_on():
    """Else a changed module would train anew, from a checkpoint of the old one."""
    assert set(TRAINING) == code_of("train")


def test_another_source_s_parameters_and_code_rerun_nothing():
    common = set(PrepareParams.model_fields) - {*NAMES}
    expected = {f"prepare.{name}" for name in ("${prepare.source}", *common)}
    assert {entry for entry in params_of("prepare") if entry.startswith("prepare")} == expected
    assert {*NAMES} < PrepareParams.model_fields.keys()
    deps = [dep for stage in STAGES.values() for dep in stage["deps"]]
    assert not [dep for dep in deps if re.search("|".join(NAMES), dep)]


def test_plots_are_of_what_evaluate_writes_by_templates_that_there_are():
    written = set(map(str, STAGES["evaluate"]["outs"]))
    pictures = [plot for plot in PIPELINE["plots"] if isinstance(plot, str)]
    drawn = [plot for plot in PIPELINE["plots"] if plot not in pictures]
    assert drawn and {str(Path(picture).parent) for picture in pictures} == {"reports/plots"}
    for plot in drawn:
        (settings,) = plot.values()
        template = json.loads((ROOT / f".dvc/plots/{settings['template']}.json").read_text())
        assert template["data"]["values"] == "<DVC_METRIC_DATA>"
        assert "<DVC_METRIC_Y>" in json.dumps(template)
        assert written >= {*settings["y"], "reports/plots"}


def test_the_page_of_plots_takes_its_scripts_from_dvc():
    page = (ROOT / ".dvc/plots/page.html").read_text()
    for place in ("{scripts}", "{plot_divs}", "{refresh_tag}"):
        assert page.count(place) == 1
    assert "://" not in page
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc/config")
    assert config["plots"]["html_template"] == "plots/page.html"  # from .dvc
