"""The report: one file that refers to nothing else and says what the files of the run say."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from depthmask.config.reading import read_params
from depthmask.data.scenes.scene import SETS
from depthmask.errors import InputError
from depthmask.metrics import METRICS
from depthmask.stages.report import write_report
from depthmask.tracking.gate import Judgement, write_record
from depthmask.visualization import page as page_module
from depthmask.visualization.results import KEYS
from html_page import Page
from report_files import ALL_SETS, BASELINES, NAMES, Run, write_json, write_run

ROOT = Path(__file__).parents[1]
COMPARISON = "Figures of every experiment and baseline"


def page_of(root: Path) -> Page:
    path = write_report(root)
    assert path == root / "reports/report.html"
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A whole run of three seeds, its figures and its page; not to be changed."""
    root = tmp_path_factory.mktemp("run")
    metrics = write_run(root, Run(seeds=(0, 1, 2)))
    return root, metrics, page_of(root)


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr(page_module, "svg_of", lambda chart, label: "<svg></svg>")


@pytest.fixture
def run_root(shared, tmp_path, undrawn):
    shutil.copytree(shared[0], tmp_path / "run")
    return tmp_path / "run"


def edit_json(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)


def test_the_page_refers_to_nothing_outside_itself(shared):
    page = shared[2]
    for tag, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "action", "srcset", "data", "poster"):
            assert (attrs.get(name) or "#").startswith(("#", "data:")), (tag, attrs)
        assert tag not in {"iframe", "object", "embed", "base", "form"}
    shown, script = re.sub(r'"data:[^"]*"', "", page.text).split("<script>")
    shown, parameters, rest = re.split(r'(?s)<pre class="parameters">(.*?)</pre>', shown)
    assert parameters.startswith((ROOT / "params.yaml").read_text()[:20])
    assert not re.search(r"https?:|//[a-z]|@import|url\(", shown + rest)
    assert not re.search(r"https?:|fetch\(|XMLHttp|import\s*\(|src", script)


def test_who_does_not_see_it_is_told_what_is_there(shared):
    page = shared[2]
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 7 * 5 + 1  # four scenes, the median once more, the contact sheet
    assert all(attrs["src"].startswith("data:image/") and attrs["alt"] for attrs in images)
    charts = [a for tag, a in page.tags if tag == "svg" and a.get("aria-hidden") != "true"]
    assert charts and all(a["role"] == "img" and len(a["aria-label"]) > 10 for a in charts)
    figures = sum(tag == "figure" for tag, _ in page.tags)
    assert figures == sum(tag == "figcaption" for tag, _ in page.tags)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    links = {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"}
    assert len(ids) == len(set(ids)) and links <= set(ids) and len(links) == 10
    assert ("html", {"lang": "en"}) in page.tags
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")


def test_the_table_has_the_figures_of_the_files(shared):
    _, metrics, page = shared
    for name in NAMES:
        first, *row = page.row(COMPARISON, name)
        assert "3 seeds" in first
        own = metrics["experiments"][name]["in_scene"]
        for cell, metric in zip(row, KEYS, strict=True):
            expected = "–"
            if metric in own:
                low, high = metrics["intervals"][name]["in_scene"][metric]
                spread = metrics["spread"][name]["in_scene"][metric]
                expected = "{:.{d}f}\n± {:.{d}f}\n[{:.{d}f}, {:.{d}f}]".format(
                    own[metric], spread, low, high, d=METRICS[metric].decimals
                )
            assert cell == expected
    for name in BASELINES:
        own = metrics["baselines"][name]["in_scene"]
        first = page.row(COMPARISON, name)[1]
        assert first == (f"{own['mask_iou']:.3f}" if "mask_iou" in own else "–")
    assert f"{metrics['best']} best" in " ".join(page.row(COMPARISON, metrics["best"])[0].split())
    for name in ALL_SETS:
        cell = page.row(f"Every figure, {SETS[name].label}", "bce_rmse")[1]
        assert cell == f"{metrics['experiments']['bce_rmse'][name]['mask_iou']:.3f}"


def test_the_best_figure_of_a_column_is_bold_and_no_other(shared):
    _, metrics, page = shared
    values = {name: metrics["experiments"][name]["in_scene"]["mask_iou"] for name in NAMES}
    table = page.text.split(COMPARISON)[1].split("</table>")[0]
    firsts = re.findall(r'<tr.*?<span>(\w+)</span>.*?<td data-sort="[^"]*">(<b>)?', table, re.S)
    assert {name for name, mark in firsts if mark} == {max(values, key=values.get)}


def test_verdict_leak_and_provenance_are_those_of_the_files(shared):
    root, metrics, page = shared
    assert metrics["verdict"]["sentence"].replace("-", "−") in page.sections["verdict"]
    lead = metrics["verdict"]["differences"][metrics["ranking"][1]]["score"]
    assert f"{lead['difference']:+.3f}".replace("-", "−") in page.sections["comparison"]
    gap = f"{metrics['leak'][metrics['best']]['mask_iou']['excess']:+.3f}".replace("-", "−")
    assert gap in page.sections["leak"] and gap in page.sections["verdict"]
    keys = [f"key-{name}-{seed}" for name in NAMES for seed in (0, 1, 2)]
    for text in (*keys, "feed0123", "scenes_per_epoch"):
        assert text in page.sections["origin"]
    assert "4.2e-07" in page.sections["export"] and "9.8" in page.sections["export"]
    assert "9 scenes of 3 rooms and 2 people" in page.sections["verdict"]


def test_a_bug_keeps_its_traceback(run_root, monkeypatch):
    monkeypatch.setattr(page_module, "_charts", lambda run: {}["ours"])
    with pytest.raises(KeyError, match="ours"):
        write_report(run_root)


def test_before_the_export_the_page_says_nothing_of_it(run_root):
    shutil.rmtree(run_root / "models/best")
    page = page_of(run_root)
    assert "export" not in page.sections and "Latency" not in page.sections["verdict"]
    assert not re.search(r"\b(None|nan|NaN|Undefined)\b", page.spoken)
    targets = {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"}
    assert targets <= {attrs.get("id") for _, attrs in page.tags}


def test_relative_depth_has_no_metres_and_no_in_scene_frames(tmp_path, undrawn):
    write_run(tmp_path, Run(unit="relative", sets=ALL_SETS[1:], seeds=(0, 1)))
    page = page_of(tmp_path)
    assert "Depth is relative" in page.sections["verdict"]
    assert "In-scene" not in re.sub(r"Every figure is the mean.*", "", page.spoken, flags=re.DOTALL)
    shown = page.sections["verdict"] + page.sections["scenes"]
    assert not re.search(r"\d m\b|, m\b|in metres", shown)
    assert "RMSE ↓" in " ".join(page.tables[COMPARISON][1])
    assert "istance error" not in page.sections["comparison"]
    for text in page.sections.values():
        text = text.split("Every parameter")[0]
        assert not re.search(r"[a-z]\.[A-Z]|[,;:][A-Za-z]| [.,;]", text), "sentences stand apart"


def test_one_experiment_alone_is_compared_with_nothing(tmp_path, undrawn):
    write_run(tmp_path, Run(names=["bce_rmse"]))
    page = page_of(tmp_path)
    assert "nothing to compare it with" in page.sections["comparison"]
    assert "Is the best the best?" not in page.sections["comparison"]
    assert page.row(COMPARISON, "bce_rmse") and "gap" in page.sections["leak"]
    assert "<b>" not in page.text.split(COMPARISON)[1].split("</table>")[0], "alone nothing wins"


def test_many_experiments_have_a_look_each(tmp_path, undrawn):
    names = [f"bce_variant_{number}" for number in range(8)]
    write_run(tmp_path, Run(names=names))
    page = page_of(tmp_path)
    rows = page.text.split('<ul class="key"')[-1].split("</ul>")[0]
    looks = re.findall(r'stroke="var\((--\w+)\)"[^/]*?(stroke-dasharray="[^"]*")?/>', rows)
    assert len(looks) == len(set(looks)) == 8
    assert '[data-key="7"]' in page.text


def test_figures_that_are_none_or_no_number_are_dashes(run_root):
    def spoil(metrics):
        best = metrics["best"]
        metrics["experiments"][best]["in_scene"] |= {"mask_iou": None, "depth_rmse": float("inf")}
        metrics["intervals"][best]["in_scene"]["depth_delta1"] = [None, None]
        metrics["leak"][best]["mask_iou"] = {"gap": None, "low": None, "high": None}
        metrics["verdict"]["sentence"] = "<script>alert(1)</script> & more"

    edit_json(run_root / "reports/metrics.json", spoil)
    page = page_of(run_root)
    best = json.loads((run_root / "reports/metrics.json").read_text())["best"]
    row = dict(zip(KEYS, page.row(COMPARISON, best)[1:], strict=True))
    assert row["mask_iou"] == row["depth_rmse"] == "–" and "[" not in row["depth_delta1"]
    assert not re.search(r"\b(None|nan|NaN|inf)\b", page.spoken)
    assert "Leak gap" not in page.sections["verdict"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page.text, "text is no markup"
    assert sum(tag == "script" for tag, _ in page.tags) == 1


def test_an_exported_file_of_another_run_is_said_to_be_one(run_root):
    for path in run_root.glob("models/experiments/*/seed_*/model.json"):
        edit_json(path, lambda card: card.update(key="a-new-run"))
    page = page_of(run_root)
    assert "Not the model of this page" in page.sections["export"]
    assert "Latency" not in page.sections["verdict"]


def test_the_gate_is_shown_while_it_is_of_this_model_and_these_thresholds(run_root):
    params, record = run_root / "params.yaml", run_root / "reports/gate.json"
    model, metrics = run_root / "models/best/model.onnx", run_root / "reports/metrics.json"
    gate = read_params(params).export.gate
    figures = dict.fromkeys(gate.model_dump(), 0.5) | {"mask_iou": gate.mask_iou - 0.1}
    made_from = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (model, metrics)]
    write_record(record, Judgement("bce_rmse", made_from, "in_scene", "metre", gate, figures))
    shown = page_of(run_root).sections["verdict"]
    assert "Gate not passed:" in shown and "is 0.1 below export.gate.mask_iou" in shown
    params.write_text(params.read_text().replace("mask_iou: 0.75", "mask_iou: 0.74"))
    assert "Gate" not in page_of(run_root).sections["verdict"]


def test_missing_and_damaged_files_are_named_with_the_remedy(run_root):
    def refused(words: str) -> None:
        with pytest.raises(InputError, match=words):
            write_report(run_root)

    reports = run_root / "reports"
    write_json(reports / "tiles/index.json", {"groups": {}})
    refused(r"index\.json is damaged .*scale")
    shutil.rmtree(reports / "tiles")
    refused(r"index\.json is missing: run `dvc repro`")
    (reports / "scenes.csv").write_text("scene\n1\n")
    refused(r"scenes\.csv is damaged .*lacks the column experiment")
    (reports / "metrics.json").unlink()
    refused(r"metrics\.json is missing: run `dvc repro`")
