"""train, evaluate and export on synthetic sources, in the order and folders that DVC uses."""

import contextlib
import json
import shutil
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import yaml

from depthmask import Predictor, errors
from depthmask.data.scenes.scene import TEST_SETS
from depthmask.evaluation.measuring import KEYS
from depthmask.metrics import METRICS
from depthmask.models.store import StoredModel, load_model
from depthmask.stages import evaluate, export, train
from synthetic import SIZE, TINY, write_synthetic

ROOT = Path(__file__).parents[1]
NAMES = ["bce_rmse", "masknet3_bce"]
MACHINES_OWN = ("latency.json", "gate.json", "report.html")


def write_params(folder: Path, *, gate=(), seeds=(), names=NAMES, **train_changes) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["profile"], params["compare"] = "tiny", names
    tiny = params["profiles"]["tiny"]
    tiny["prepare"]["size"] = SIZE
    tiny["train"]["schedule"] = [{"size": size, "epochs": 1} for size in (32, SIZE)]
    tiny["train"] |= train_changes
    tiny["export"]["gate"] |= dict(gate)
    params["experiments"]["bce_rmse"]["seeds"] = list(seeds)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def call(module, *arguments: str) -> None:
    nobody_listens = patch.dict("os.environ", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    with nobody_listens, patch("sys.argv", ["stage", *arguments]):
        module.main()


def read_report() -> dict:
    return json.loads(Path("reports/metrics.json").read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder in which the three stages have run once."""
    folder = tmp_path_factory.mktemp("project")
    write_synthetic(folder)
    write_params(folder)
    with contextlib.chdir(folder):
        for name in NAMES:
            call(train, name)
        call(evaluate)
        call(export)
    return folder


@pytest.fixture
def inside(project, monkeypatch):
    monkeypatch.chdir(project)
    return project


def test_metrics_follow_the_contract_and_nothing_is_left_beside_them(inside):
    report = read_report()
    assert (report["best"], report["best_seed"]) == ("bce_rmse", 0)
    assert report["verdict"]["sentence"].startswith("bce_rmse: mask IoU ")
    assert set(report["experiments"]) == set(NAMES)
    mask = {name for name, metric in METRICS.items() if metric.part == "mask"}
    depth = set(METRICS) - mask - {"person_distance_error"}
    for name, expected in (("bce_rmse", set(METRICS)), ("masknet3_bce", mask)):
        assert tuple(report["experiments"][name]) == TEST_SETS
        assert report["seeds"][name] == {"0": report["experiments"][name]}
        for set_name, values in report["experiments"][name].items():
            assert set(values) == expected
            # so few scenes have no interval
            assert report["intervals"][name][set_name] == dict.fromkeys(values, [None, None])
    # of the best and the baselines
    assert {*NAMES} & {*report["leak"]} == {"bce_rmse"}
    assert {*report["leak"]["bce_rmse"]} == {name for name in METRICS if METRICS[name].is_key}
    leak = report["leak"]["bce_rmse"]["mask_iou"]
    threshold = report["leak"]["difference_threshold"]["mask_iou"]
    assert leak["excess"] == pytest.approx(leak["gap"] - threshold["gap"])
    expected = {"difference_threshold": mask, "constant_depth": depth, "plate_depth": depth}
    of_mask = ("plate_at_feet", "best_with_plate_depth")
    expected |= dict.fromkeys(of_mask, depth | {"person_distance_error"})
    assert {name: set(sets["in_scene"]) for name, sets in report["baselines"].items()} == expected
    curves = pd.read_csv("reports/curves.csv")
    assert curves.groupby("experiment").epoch.max().to_dict() == dict.fromkeys(NAMES, 2)
    assert not [*Path().rglob("*.partial"), *Path(".checkpoints").glob("*")]


def test_harder_frames_have_the_best_of_every_network_and_its_lead(inside):
    table = pd.read_csv("reports/robustness.csv")
    assert list(table.experiment.unique()) == [*NAMES, "difference_threshold"]
    assert (table.lead.isna() == (table.experiment == read_report()["best"])).all()


def test_the_best_mask_of_a_network_is_its_best_experiment_and_seed():
    ious = {("a", 0): 0.9, ("a", 1): 0.8, ("c", 0): 0.7, ("c", 1): 0.95, ("b", 0): 0.6}
    rows = [(*key, name, iou) for key, iou in ious.items() for name in ("val", "in_scene")]
    scenes = pd.DataFrame(rows, columns=["experiment", "seed", "set", "mask_iou"])
    scenes.loc[scenes.set == "in_scene", "mask_iou"] = 0.5
    networks = {"a": "x", "c": "x", "b": "y"}
    models = {key: StoredModel(None, {"model": networks[key[0]]}) for key in ious}
    assert evaluate.best_masks(scenes, models) == {"b": 0, "c": 1}


def test_every_scene_has_its_row(inside):
    """The figures are the means of a table that anybody can average again."""
    scenes, report = pd.read_csv("reports/scenes.csv"), read_report()
    assert tuple(scenes.columns) == (*KEYS, *METRICS)
    for name in NAMES:
        rows = scenes[(scenes.experiment == name) & (scenes.set == "in_scene")]
        assert len(rows) == TINY.prepare.num_scenes.in_scene
        for metric, value in report["experiments"][name]["in_scene"].items():
            assert rows[metric].mean() == pytest.approx(value, rel=1e-5)
    places = scenes[scenes.set == "unseen_unseen"]
    assert set(places.plate).isdisjoint(scenes[scenes.set == "seen_seen"].plate)
    assert set(places.cutout).isdisjoint(scenes[scenes.set == "seen_seen"].cutout)


def test_train_evaluate_and_the_exported_file_have_the_same_figures(inside):
    report = read_report()
    for name in NAMES:
        test = load_model(Path(f"models/experiments/{name}/seed_0")).card["test"]
        assert test["set"] == "in_scene" and test["device"] == "cpu"
        assert test["figures"] == pytest.approx(report["experiments"][name]["in_scene"], abs=1e-6)
    # the validation of the last epoch may have run in bfloat16, and one half was not yet the best
    curves = pd.read_csv("reports/curves.csv").set_index("experiment").filter(like="val/")
    validation = curves.loc["bce_rmse"].iloc[-1].rename(lambda column: column.removeprefix("val/"))
    expected = {metric: value for metric, value in validation.items() if metric in METRICS}
    found = {metric: report["validation"]["bce_rmse"][metric] for metric in expected}
    assert found == pytest.approx(expected, rel=0.03, abs=0.02)
    parity = json.loads(Path("models/best/parity.json").read_text())
    figures = {key: value for key, value in parity["figures"].items() if key in METRICS}
    expected = report["experiments"][report["best"]]["in_scene"]
    assert figures == pytest.approx(expected, abs=parity["tolerance"])
    metadata = Predictor("models/best/model.onnx", device="cpu").metadata
    summary = json.loads(Path("data/prepared/summary.json").read_text())
    assert metadata["data_hash"] == summary["data_hash"]
    assert (metadata["experiment"], metadata["training_size"]) == ("bce_rmse", str(SIZE))


def test_a_network_that_is_not_what_was_trained_is_refused(inside):
    folder = inside / "models/experiments/bce_rmse/seed_0"
    card = (folder / "model.json").read_text()
    changed = json.loads(card)
    changed["test"]["figures"]["mask_iou"] += 2e-3
    (folder / "model.json").write_text(json.dumps(changed))
    try:
        with pytest.raises(errors.InputError, match="found mask_iou .* --force train@bce_rmse"):
            call(evaluate)
    finally:
        (folder / "model.json").write_text(card)


def test_seeds_are_trained_apart_and_reported_together(project, tmp_path, monkeypatch):
    """Interrupted, the first is not trained again; it is what it is alone, to the byte.

    So it is when DVC removes the outputs of a stage that it runs again: a checkpoint stays until
    evaluate.
    """
    write_synthetic(tmp_path)
    write_params(tmp_path, seeds=[0, 3], names=["bce_rmse"])
    monkeypatch.chdir(tmp_path)
    fit, labels = train.fit, []

    def stopped(*args, label, checkpoints, **kwargs):
        labels.append((label, (checkpoints / "last.ckpt").exists()))
        if len(labels) == 2:
            raise KeyboardInterrupt
        return fit(*args, label=label, checkpoints=checkpoints, **kwargs)

    monkeypatch.setattr(train, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        call(train, "bce_rmse")
    shutil.rmtree("models", ignore_errors=True)
    call(train, "bce_rmse")
    first, second = "bce_rmse (seed 0)", "bce_rmse (seed 3)"
    assert labels == [(first, False), (second, False), (first, True), (second, False)]
    folder = "models/experiments/bce_rmse/seed_0"
    for name in ("model.safetensors", "model.json", "curves.csv", "settings.json"):
        assert (tmp_path / folder / name).read_bytes() == (project / folder / name).read_bytes()

    call(evaluate)
    call(export)
    cards = {
        seed: load_model(Path(f"models/experiments/bce_rmse/seed_{seed}")).card for seed in (0, 3)
    }
    assert cards[0]["key"] != cards[3]["key"] and cards[0]["test"] != cards[3]["test"]
    report = read_report()
    figures = [report["seeds"]["bce_rmse"][seed]["in_scene"]["depth_rmse"] for seed in ("0", "3")]
    for what, expected in (("experiments", np.mean(figures)), ("spread", np.std(figures, ddof=1))):
        found = report[what]["bce_rmse"]["in_scene"]["depth_rmse"]
        assert found == pytest.approx(expected)
    exported = Predictor("models/best/model.onnx", device="cpu").metadata
    assert exported["seed"] == str(report["best_seed"])
    assert exported["run_key"] == cards[report["best_seed"]]["key"]
    assert not list(Path(".checkpoints").glob("*"))


def test_a_refused_model_is_exported_and_not_promoted(inside, capsys):
    before = (inside / "models/best/model.onnx").read_bytes()
    assert json.loads((inside / "reports/gate.json").read_text())["passed"]
    write_params(inside, gate={"mask_iou": 1.0, "latency_ms": 1e-6})
    call(export)
    write_params(inside)
    lines = capsys.readouterr().err.splitlines()
    lines = [line for line in lines if "MLflow is left out" not in line]
    assert [line.partition(" is ")[0] for line in lines[:2]] == ["depthmask: bce_rmse"] * 2
    assert " below export.gate.mask_iou 1" in lines[0]
    assert " above export.gate.latency_ms 1e-06" in lines[1]
    assert lines[2:] == ["depthmask: MLflow was not told; `depthmask gate --promote` tells it"]
    assert (inside / "models/best/model.onnx").read_bytes() == before
    record = json.loads((inside / "reports/gate.json").read_text())
    assert list(record["misses"]) == ["mask_iou", "latency_ms"]
    assert not record["passed"]
    latency = json.loads((inside / "reports/latency.json").read_text())
    assert record["figures"]["latency_ms"] == latency["sizes"][0]["median_ms"]


def test_without_parity_nothing_is_promoted(inside):
    """As where a figure of metrics.json is not the file's."""
    files = [inside / "models/best/model.onnx", inside / "reports/gate.json"]
    before = [path.read_bytes() for path in files]
    report = inside / "reports/metrics.json"
    metrics, written = read_report(), report.read_text()
    figures = metrics["seeds"][metrics["best"]]["0"][metrics["headline"]["set"]]
    figures["mask_iou"] += 0.01
    report.write_text(json.dumps(metrics))
    try:
        with pytest.raises(SystemExit) as stopped:
            call(export)
    finally:
        report.write_text(written)
    found, _, remedy = str(stopped.value).partition("; ")
    assert found.startswith("depthmask: not exported: mask_iou is ")
    assert found.endswith(f" and {figures['mask_iou']} of the network, more than 0.001 apart")
    assert remedy == (
        "the champion stays, and `dvc checkout models/best` brings an earlier model back"
    )
    assert [path.read_bytes() for path in files] == before


def test_what_compare_no_longer_names_stays_and_changes_nothing(inside):
    """From these experiments to one of them and back, beside another that was trained once."""

    def content() -> dict[str, bytes]:
        files = [path for path in inside.glob("reports/**/*") if path.is_file()]
        return {path.name: path.read_bytes() for path in files if path.name not in MACHINES_OWN}

    folder = inside / "models/experiments"
    shutil.copytree(folder / "bce_rmse", folder / "old")
    before = content()
    assert {"bce_rmse.png", "masknet3_bce.png", "curves.png", "comparison.png"} <= before.keys()
    write_params(inside, names=["bce_rmse"])
    call(evaluate)
    assert list(read_report()["experiments"]) == ["bce_rmse"]
    write_params(inside)
    call(evaluate)
    after = content()
    assert after.keys() == before.keys()
    assert [name for name in before if before[name] != after[name]] == []
    assert {path.name for path in folder.iterdir()} == {*NAMES, "old"}
    shutil.rmtree(folder / "old")


def test_an_unknown_experiment_and_a_missing_or_damaged_model_are_named(inside, tmp_path):
    with pytest.raises(errors.InputError, match="'nothing'.*bce_rmse"):
        call(train, "nothing")
    with pytest.raises(errors.InputError, match="holds no trained model"):
        load_model(tmp_path)
    shutil.copytree(inside / "models/experiments/bce_rmse/seed_0", tmp_path / "model")
    weights = tmp_path / "model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(errors.InputError, match="damaged"):
        load_model(tmp_path / "model")
    (tmp_path / "model/model.json").write_text('{"model": "masknet3"}')
    with pytest.raises(errors.InputError, match="model.json lacks size"):
        load_model(tmp_path / "model")


def test_a_checkpoint_of_other_parameters_is_not_resumed(inside, capsys, monkeypatch):
    """Killed, then the learning rate changed: the rerun begins anew, under another key."""
    keys = []
    monkeypatch.setattr(
        train, "fit", lambda *a, checkpoints, **k: keys.append(checkpoints.name) or 1 / 0
    )
    for lr in (0.003, 0.001):
        write_params(inside, optimizer={"lr": lr})
        with pytest.raises(ZeroDivisionError):
            call(train, "bce_rmse")
    write_params(inside)
    assert len(set(keys)) == 2
