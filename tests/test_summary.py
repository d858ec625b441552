import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from depthmask.config.reading import read_params
from depthmask.data.scenes.images import read_fov
from depthmask.data.scenes.library import Frames
from depthmask.errors import InputError
from depthmask.stages import report as summary
from depthmask.tracking.gate import Registered, judge, write_record
from synthetic import FOCAL, make_library

ROOT = Path(__file__).parents[1]
FIGURES = {"depth_delta1": 0.7, "depth_abs_rel": 0.15}
REPORT = {
    "best": "b",
    "headline": {"set": "in_scene"},
    "experiments": {
        "mask_only": {"in_scene": {"mask_iou": 0.6}},
        "b": {
            "in_scene": FIGURES | {"mask_iou": 0.81234, "person_delta1": 0.65},
            "seen_seen": {"mask_iou": 0.99},
        },
    },
    "baselines": {"difference_threshold": {"in_scene": {"mask_iou": 0.9}}},
}


def write_report(root: Path, content: Any = REPORT) -> Path:
    path = root / "reports/metrics.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def printed(root: Path) -> str:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))
    summary.print_summary(root, console)
    return console.export_text()


@pytest.mark.parametrize("content", (None, [], {}, {"best": "b"}))
def test_no_report_is_one_line_as_is_a_file_that_is_none(tmp_path, monkeypatch, content) -> None:
    monkeypatch.chdir(tmp_path)
    words = r"^reports/metrics\.json is missing: run `make repro`"
    if content is not None:
        write_report(tmp_path, content)
        words = r"metrics\.json is damaged"
    with pytest.raises(InputError, match=words):
        summary.main()


def test_summary_names_only_what_exists(tmp_path: Path) -> None:
    write_report(tmp_path)
    text = printed(tmp_path)
    rows = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["b (best)", "0.812", "0.700", "0.650", "0.150"],
        ["mask_only", "0.600", "–", "–", "–"],
        ["difference_threshold", "0.900", "–", "–", "–"],
    ]
    assert "reports/metrics.json" in text and "make ui" in text
    assert "model.onnx" not in text and "predict" not in text


def test_summary_offers_a_prediction_that_can_be_typed(tmp_path: Path) -> None:
    write_report(tmp_path)
    prepared = tmp_path / "data/prepared"
    prepared.mkdir(parents=True)
    library = make_library()
    library.write(prepared)
    mask = np.zeros((2, 8, 8), np.uint8)
    mask[1, 2:6] = 255  # the second frame has the larger person, in the third room
    Frames(
        pd.DataFrame(
            {"plate": [0, 2], "cutout": [0, 1], "stand": [0, 1], "distance_m": [3.0, 2.0]}
        ),
        np.stack([np.full((8, 8, 3), value, np.uint8) for value in (110, 130)]),
        mask,
        np.ones((2, 8, 8), np.float32),
    ).write(prepared, "in_scene")
    (tmp_path / "models/best").mkdir(parents=True)
    (tmp_path / "models/best/model.onnx").touch()

    (command,) = (line.strip() for line in printed(tmp_path).splitlines() if " predict " in line)
    words = command.split()
    assert words[:2] == ["depthmask", "predict"]
    options = dict(zip(words[2::2], words[3::2], strict=True))
    bg, bg_fg = (np.asarray(Image.open(tmp_path / options[key])) for key in ("--bg", "--scene"))
    assert (bg == library.images[2]).all() and (bg_fg == 130).all()
    fov = math.degrees(2 * math.atan(0.5 / FOCAL))  # the files tell the lens, in whole millimetres
    assert read_fov(tmp_path / options["--scene"], (8, 8)) == pytest.approx(fov, abs=1.5)


@pytest.mark.parametrize(
    ("mask_iou", "model_bytes", "words"),
    [
        (0.8, b"model", "Gate\n  promoted b as DepthMaskNet version 4, champion\n"),
        (
            0.712,
            b"model",
            "Gate\n  b is not promoted: in_scene mask IoU 0.712 is 0.038 below"
            " export.gate.mask_iou 0.75\n  b in models/best is DepthMaskNet version 4, tagged"
            " `gate: refused`; the champion stays version 3 (b)\n",
        ),
        (0.8, b"another", "depthmask gate"),
    ],
)
def test_summary_says_who_is_promoted_or_why_not_and_only_of_this_model(
    tmp_path: Path, mask_iou: float, model_bytes: bytes, words: str
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    figures = FIGURES | {"mask_iou": mask_iou}
    report = REPORT | {
        "headline": {"set": "in_scene", **figures},
        "seeds": {"b": {"0": {"in_scene": figures}}},
        "leak": {"b": {"mask_iou": {"excess": 0.01}}},
        "unit": "metre",
        "data": "feed",
    }
    metrics = write_report(tmp_path, report)
    model = tmp_path / "models/best/model.onnx"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"model")
    gate = read_params(tmp_path / "params.yaml").export.gate
    metadata = {"experiment": "b", "seed": "0", "data_hash": "feed"}
    registered = Registered("4", "4" if mask_iou > 0.75 else "3", "b")
    judgement = judge(model, metadata, metrics, gate, 8.0)
    judgement = replace(judgement, registered=registered)
    write_record(tmp_path / "reports/gate.json", judgement)
    model.write_bytes(model_bytes)
    text = printed(tmp_path)
    assert words in text and ("promoted" in text) != ("depthmask gate" in text)
