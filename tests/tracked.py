"""What the pipeline writes of trained networks, and what MLflow then holds of them."""

import json
from pathlib import Path
from typing import Any

MASK = {"mask_iou": 0.8, "mask_dice": 0.9, "mask_boundary_f": 0.85}
BOTH = MASK | {"depth_abs_rel": 0.16, "depth_delta1": 0.7, "person_distance_error": 0.3766547}


def sets(figures: dict[str, Any]) -> dict[str, Any]:
    return {"in_scene": figures, "seen_seen": {name: 2 * value for name, value in figures.items()}}


METRICS = {
    "best": "a",
    "best_seed": 0,
    "rule": "highest mean",
    "ranking": ["a", "b", "d"],
    "unit": "metre",
    "data": "feed",
    "level": 0.95,
    "headline": {"set": "in_scene", **BOTH},
    "verdict": {
        "sentence": "a is chosen; b ties with it.",
        "best": "a",
        "ties": ["b"],
        "ahead": [],
        "differences": {
            "b": {"score": {"difference": 0.01, "low": -0.002, "high": 0.022}},
            "c": {"mask_iou": {"difference": 0.01, "low": -0.002, "high": 0.022}},
            "d": {"score": {"difference": 0.1, "low": 0.05, "high": 0.15}},
        },
    },
    "experiments": {"b": sets(BOTH), "a": sets(BOTH), "c": sets(MASK), "d": sets(BOTH)},
    "seeds": {
        "a": {"0": sets(BOTH)},
        "b": {"3": sets(BOTH | {"mask_iou": 0.75}), "4": sets(BOTH | {"mask_iou": 0.85})},
        "c": {"0": sets(MASK)},
        "d": {"0": sets(BOTH)},
    },
    "intervals": {name: sets({metric: [0.1, 0.9] for metric in BOTH}) for name in "abcd"},
    "leak": {name: {"mask_iou": {"gap": 0.3, "excess": 0.0412345}} for name in "abcd"},
    "baselines": {"constant_depth": {"in_scene": {"depth_delta1": 0.3}}},
}


def card(name: str, seed: int = 0) -> dict[str, Any]:
    """A network's model.json."""
    return {
        "experiment": name,
        "seed": seed,
        "key": f"{name}{seed}key",
        "model": "depthmasknet8",
        "losses": {"mask": {"bce": 1, "dice": 2.5}, "depth": {"ssim": 2}},
        "source": "museum",
        "unit": "metre",
        "data_hash": "feed",
        "test": {"set": "in_scene", "figures": METRICS["seeds"][name][str(seed)]["in_scene"]},
    }


def write_outputs(root: Path, *cards: dict[str, Any], metrics: dict | None = METRICS) -> None:
    """The folders of networks, each trained for four epochs, and the comparison."""
    for each in cards:
        folder = root / f"models/experiments/{each['experiment']}/seed_{each['seed']}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.json").write_text(json.dumps(each))
        (folder / "settings.json").write_text('{"train": {"optimizer": {"lr": 0.1}}}')
        rows = [f"{each['experiment']},{each['seed']},{n},0.1,{1 / n},{n}\n" for n in range(1, 5)]
        head = "experiment,seed,epoch,lr,val/loss,val/mask_iou\n"
        (folder / "curves.csv").write_text(head + "".join(rows))
    (root / "reports/panels").mkdir(parents=True, exist_ok=True)
    (root / "reports/panels/a.png").write_bytes(b"png")
    if metrics:
        text = f"{metrics['verdict']['sentence']}\n\n| a |\n"
        (root / "reports/results.md").write_text(text)
        (root / "reports/metrics.json").write_text(json.dumps(metrics))


def client(root: Path):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{root / 'mlflow.db'}")


def runs(root: Path) -> dict[str, Any]:
    """The runs of a checkout's store by their keys."""
    found = client(root)
    experiment = found.get_experiment_by_name("depthmask")
    listed = found.search_runs([experiment.experiment_id])
    by_key = {run.data.tags["depthmask.key"]: run for run in listed}
    assert len(by_key) == len(listed), "a key has one run"
    return by_key


def history(root: Path, key: str, name: str = "val/loss") -> list[tuple[int, float]]:
    run_id = runs(root)[key].info.run_id
    return [(point.step, point.value) for point in client(root).get_metric_history(run_id, name)]


def begin(root: Path, key: str, store_root: Path | None = None):
    """A run of two epochs which this process writes; its lock's end is that of a killed process."""
    from depthmask.tracking import attempt
    from depthmask.tracking.run import OpenRun

    rest = key, None, {"lr": 1}, {"mlflow.runName": key}, "x"
    run = attempt(store_root or root, lambda store: OpenRun(store._replace(root=root), *rest))
    run.log([("val/loss", 1.0, 1), ("val/loss", 0.5, 2)], {}, {})
    return run
