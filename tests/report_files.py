"""A run's files as the stages leave them, of random figures: what the report is made from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from onnx import helper
from PIL import Image

from depthmask.evaluation.measuring import KEYS
from depthmask.evaluation.results import summarise
from depthmask.evaluation.robustness_table import COLUMNS
from depthmask.metrics import METRICS
from depthmask.visualization.page import GROUPS
from depthmask.visualization.sheets import FIELDS

NAMES = ("bce_rmse", "bce_ssim", "masknet3_bce")
BASELINES = {"difference_threshold": "mask", "constant_depth": "depth", "plate_depth": "depth"}
ALL_SETS = ("in_scene", "unseen_unseen", "unseen_seen", "seen_unseen", "seen_seen")
NUM_SCENES, NUM_EPOCHS, SIDE = 9, 4, 24
STRENGTHS = {"shift": [0, 1, 2], "jpeg": [100, 50], "nobody": [-0.5, 0, 0.5]}


@dataclass(frozen=True)
class Run:
    """Experiments, whose names begin with masknet3 if they have no depth, and what they are of."""

    names: Sequence[str] = NAMES
    seeds: Sequence[int] = (0,)
    sets: Sequence[str] = ALL_SETS
    unit: str = "metre"

    def metrics_of(self, name: str) -> list[str]:
        only = "mask" if name.startswith("masknet3") else BASELINES.get(name)
        return [
            metric.name
            for metric in METRICS.values()
            if only is None or (metric.part == "mask") == (only == "mask")
            if self.unit == "metre" or metric.name != "person_distance_error"
        ]


def write_run(root: Path, run: Run | None = None) -> dict:
    """Write every file of a run under `root`; returns what `metrics.json` holds."""
    run = run or Run()
    scenes = scene_table(run, run.names, run.seeds)
    baselines = scene_table(run, list(BASELINES), [-1])
    leak_sets = ("seen_seen", "unseen_unseen")
    leak = pd.concat([scenes, baselines]).query("set in @leak_sets")
    how = {"leak_sets": leak_sets, "headline": run.sets[0], "level": 0.9}
    alignment = None if run.unit == "metre" else "disparity"
    metrics = {
        **summarise(scenes, baselines, leak, alignment=alignment, **how),
        "unit": run.unit,
        "data": "feed0123",
        "baseline_settings": {"difference_threshold": 0.1, "constant_depth": 4.0},
    }
    reports = root / "reports"
    reports.mkdir(parents=True)
    write_json(reports / "metrics.json", metrics)
    scenes.to_csv(reports / "scenes.csv", index=False)
    robustness_table(run, metrics["best"]).to_csv(reports / "robustness.csv", index=False)
    curve_table(run).to_csv(reports / "curves.csv", index=False)
    write_tiles(reports / "tiles", run)
    write_data(root / "data/prepared", run)
    for name in run.names:
        for seed in run.seeds:
            write_experiment(root / f"models/experiments/{name}/seed_{seed}", run, name, seed)
    write_export(root, metrics["best"], metrics["best_seed"])
    (root / "params.yaml").write_bytes((Path(__file__).parents[1] / "params.yaml").read_bytes())
    return metrics


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2))


def scene_table(run: Run, names: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for keys in product(names, seeds, ("val", *run.sets), range(NUM_SCENES)):
        figures = {m: rng.uniform(0.3, 0.9) for m in run.metrics_of(keys[0])}
        origin = (f"room-{keys[-1] % 3}", f"person-{keys[-1] % 2}", 0.01 * (1 + keys[-1]))
        rows.append(dict(zip(KEYS, (*keys, *origin), strict=True)) | figures)
    return pd.DataFrame(rows, columns=[*KEYS, *METRICS])


def robustness_table(run: Run, best: str) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = []
    conditions = [(name, strength) for name, of in STRENGTHS.items() for strength in of]
    for name, (condition, strength) in product((best, "difference_threshold"), conditions):
        figures = {m: rng.uniform(0.3, 0.9) for m in run.metrics_of(name) if m in COLUMNS}
        area = rng.uniform(0, 0.02)
        figures |= {"false_area": area, "false_area_low": 0.0, "false_area_high": 2 * area}
        figures |= {"mask_iou_low": 0.2, "mask_iou_high": 0.95}
        figures |= {"false_alarm": 0.25} if condition == "nobody" else {}
        keys = (name, condition, strength, NUM_SCENES)
        rows.append(dict(zip(COLUMNS, keys, strict=False)) | figures)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def curve_table(run: Run) -> pd.DataFrame:
    rows = [
        {"experiment": name, "seed": seed, "epoch": epoch, "size": 32 if epoch < 3 else 48,
         "val/loss": 1 / (epoch + seed), "val/mask_iou": 0.2 * epoch,
         "val/depth_delta1": None if name.startswith("masknet3") else 0.15 * epoch}
        for name in run.names for seed in run.seeds for epoch in range(1, NUM_EPOCHS + 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def write_tiles(folder: Path, run: Run) -> None:
    folder.mkdir()
    groups = {}
    for number, kind in enumerate(GROUPS):
        tiles = [f"{number}_{field}.png" for field in FIELDS]
        for name in tiles:
            Image.new("RGB", (SIDE, SIDE), (40 * number, 80, 120)).save(folder / name)
        groups[kind] = [number]
    scale = {"near": 0.1, "far": 0.9, "unit": run.unit}
    write_json(folder / "index.json", {"scale": scale, "groups": groups})


def write_data(folder: Path, run: Run) -> None:
    summary = {
        "source": "museum" if run.unit == "metre" else "photos",
        "unit": run.unit,
        "size": 48,
        "num_plates": {"train": 3, "val": 2, "test": 2},
        "num_cutouts": {"train": 3, "val": 2, "test": 2},
        "num_scenes": dict.fromkeys(("val", *run.sets), NUM_SCENES),
        "data_hash": "feed0123",
    }
    write_json(folder / "summary.json", summary)
    Image.new("RGB", (1500, 60), "white").save(folder / "contact_sheet.png")


def write_experiment(folder: Path, run: Run, name: str, seed: int) -> None:
    mask_only = name.startswith("masknet3")
    losses = {"mask": {"bce": 1.0}, "depth": {} if mask_only else {"ssim": 2.0}}
    model = "masknet3" if mask_only else "depthmasknet8"
    card = {"experiment": name, "seed": seed, "key": f"key-{name}-{seed}", "model": model,
            "losses": losses, "size": 48, "num_parameters": 7083874}  # fmt: skip
    write_json(folder / "model.json", card)


def write_export(root: Path, best: str, seed: int) -> None:
    model = helper.make_model(helper.make_graph([], "g", [], []))
    metadata = {"experiment": best, "run_key": f"key-{best}-{seed}", "git_commit": "0123abcd"}
    helper.set_model_props(model, metadata)
    (root / "models/best").mkdir(parents=True)
    onnx.save(model, root / "models/best/model.onnx")
    apart = {"mask": 4.2e-7, "depth": 5.7e-6}
    parity = {"tolerance": 0.001, "num_scenes": 4, "differences": {"40x64": apart}}
    write_json(root / "models/best/parity.json", parity)
    size = {"height": 48, "width": 48, "batch": 1, "num_runs": 20, "median_ms": 9.81,
            "p99_ms": 11.2, "images_per_s": 101.9}  # fmt: skip
    latency = {"experiment": best, "training_size": 48, "device": "cpu", "num_cores": 2,
               "machine": "A processor", "onnxruntime": "1.31.0", "sizes": [size]}  # fmt: skip
    write_json(root / "reports/latency.json", latency)
