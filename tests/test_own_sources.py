"""The stages on a user's own pictures: photographs with and without metres, MODEST's files.

The page and, but for one of them, the export are left out: they are slow, and tested elsewhere."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from depthmask import Predictor
from depthmask.config import Composition
from depthmask.config.reading import read_params
from depthmask.data.scenes.scene import COMPOSED_SETS
from depthmask.data.sources import read_source
from depthmask.evaluation.robustness import CONDITIONS
from depthmask.evaluation.robustness_table import measure_robustness
from depthmask.stages import augment, evaluate, export, prepare, train
from modest_folder import write_modest
from photo_files import WEIGHTS, write_photos, write_teacher

ROOT = Path(__file__).parents[1]
SIZE = 48
NAME = "bce_rmse"


@pytest.fixture(scope="module", params=["metres", "taught", "files"])
def project(request, tmp_path_factory):
    """A folder in which the five stages have run on the source."""
    kind, folder = request.param, tmp_path_factory.mktemp(request.param)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["profile"], params["compare"] = "tiny", [NAME]
    tiny = params["profiles"]["tiny"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        params["prepare"]["source"] = "modest" if kind == "files" else "photos"
        if kind == "files":
            write_modest(Path("data/source/modest"), num_plates=6, num_cutouts=6, side=SIZE)
        elif kind == "metres":
            write_photos(Path("data/source/photos"), num_plates=6, num_cutouts=6)
        else:
            write_photos(Path("data/source/photos"), num_plates=6, red=True)
            write_teacher(Path("data/source/photos/teacher.onnx"))
            tiny["prepare"]["photos"] = {"teacher": "teacher.onnx", "teacher_size": 56}
        tiny["prepare"]["splits"] = WEIGHTS
        tiny["train"]["schedule"] = [{"size": SIZE, "epochs": 1}]
        tiny["prepare"]["num_scenes"] = dict.fromkeys((*COMPOSED_SETS, "in_scene", "nobody"), 2)
        Path("params.yaml").write_text(yaml.safe_dump(params))
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody listens there
        patch.setattr(evaluate, "write_report", lambda *_: None)
        patch.setattr(export, "write_report", lambda *_: None)
        for module in (prepare, augment, train, evaluate, export)[: 5 if kind == "taught" else 4]:
            patch.setattr(sys, "argv", ["stage", NAME][: 1 + (module is train)])
            module.main()
    return kind, folder


def test_the_unit_is_the_source_s_all_the_way(project):
    kind, folder = project
    unit = "metre" if kind == "metres" else "relative"
    alignment = {"metres": None, "taught": "disparity", "files": "depth"}[kind]
    summary = json.loads((folder / "data/prepared/summary.json").read_text())
    assert (summary["unit"], summary["depth_alignment"]) == (unit, alignment)
    card = json.loads((folder / f"models/experiments/{NAME}/seed_0/model.json").read_text())
    assert (card["unit"], card["depth_alignment"]) == (unit, alignment)
    assert json.loads((folder / "reports/metrics.json").read_text())["unit"] == unit
    page = (folder / "reports/results.md").read_text()
    assert ("RMSE, m" in page) == ("Depth is relative" not in page) == (unit == "metre")
    if kind == "taught":
        predictor = Predictor(folder / "models/best/model.onnx", device="cpu")
        assert predictor.depth_unit == "relative"


def test_metrics_of_the_sets_that_there_are(project):
    kind, folder = project
    report = json.loads((folder / "reports/metrics.json").read_text())
    assert report["headline"].pop("set") == "unseen_unseen"
    assert report["headline"] == report["experiments"][NAME]["unseen_unseen"]
    assert set(report["experiments"][NAME]) == set(COMPOSED_SETS) - {"val"}
    for values in report["experiments"][NAME].values():
        assert {"mask_iou", "depth_delta1"} <= set(values)
        assert all(np.isfinite(value) for value in values.values())
    plate_depth = set() if kind == "files" else {
            "plate_depth", "plate_at_feet", "best_with_plate_depth",
        }  # fmt: skip
    assert set(report["baselines"]) == {"difference_threshold", "constant_depth"} | plate_depth
    assert "never seen" in (folder / "reports/results.md").read_text()
    for name in ("data/prepared/contact_sheet", f"reports/panels/{NAME}", "reports/plots/hero"):
        with Image.open(folder / f"{name}.png") as image:
            assert min(image.size) > 100


def test_what_robustness_asks_of_the_sets(project):
    kind, folder = project
    params, prepared = read_params(folder / "params.yaml"), folder / "data/prepared"
    composition = Composition(params.placement, params.compositor)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sets = read_source(prepared).open_sets(prepared, composition, "cpu")
        empty = list(sets.scenes("nobody"))
        nothing = {"nothing": lambda scene, _: (torch.zeros_like(scene.mask), scene.depth)}
        table = measure_robustness(nothing, sets, params.evaluate.robustness, level=0.95)
    assert "nobody" not in json.loads((prepared / "summary.json").read_text())["num_scenes"]
    assert sum(len(scene.mask) for scene in empty) == (0 if kind == "files" else 2)
    assert all(scene.mask.max() == 0 for scene in empty)
    missing = {"nobody"} if kind == "files" else set()
    assert set(table.condition) == set(CONDITIONS) - missing
    assert table.person_distance_error.isna().all() == (kind != "metres")
    assert (table.mask_iou == (table.condition == "nobody")).all()
