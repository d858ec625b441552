"""export: the best DepthMaskNet as one ONNX file, once it is proven to equal the network."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from depthmask.config import (
    CompositorParams,
    ExportParams,
    Gate,
    PlacementParams,
)
from depthmask.data.composition.eval_sets import SceneSets, open_sets
from depthmask.data.scenes.files import read_json, replaced_folder
from depthmask.data.scenes.scene import Scene
from depthmask.errors import exit_on_error
from depthmask.export.benchmark import latency_report, latency_table, measure_latency, write_latency
from depthmask.export.onnx_export import ParityError, check_parity, export_onnx
from depthmask.export.parity import exported_figures, refuse_other_figures
from depthmask.inference.predictor import Predictor
from depthmask.models.store import StoredModel, load_model, seed_folder
from depthmask.stages import (
    BEST,
    EXPERIMENTS,
    METRICS,
    PARAMS,
    PREPARED,
    RECORD,
    REPORTS,
    read_params,
)
from depthmask.tracking.gate import Judgement, judge, register, write_record
from depthmask.tracking.provenance import git_commit
from depthmask.visualization.page import write_report

_NUM_SCENES = 4


def export(
    stored: StoredModel,
    params: ExportParams,
    placement: PlacementParams,
    compositor_params: CompositorParams,
    *,
    figures: Mapping[str, float],
    prepared: Path,
    output: Path,
) -> None:
    """Export a model to `output`/model.onnx and a record of its parity; refuse if they differ.

    Args:
        placement, compositor_params: of the held-out scenes that they are compared on.
        figures: the network's on the headline set, as evaluate found them.
    """
    sets = open_sets(prepared, compositor_params, placement.seed, "cpu")
    scenes = held_out_scenes(sets)
    card = stored.card
    metadata = {
        "experiment": card["experiment"],
        "seed": str(card["seed"]),
        "run_key": card["key"],
        "git_commit": git_commit(),
        "data_hash": card["data_hash"],
        "depth_unit": card["unit"],
    }
    with replaced_folder(output) as folder:
        path = folder / "model.onnx"
        deployable = export_onnx(
            stored.model, path, input_size=card["size"], metadata=metadata, opset=params.opset
        )
        parity = check_parity(path, deployable, scenes, params.sizes, tolerance=params.tolerance)
        found = exported_figures(path, sets)
        apart = refuse_other_figures(found, figures, params.tolerance)
        parity["figures"] = {"set": sets.headline, "largest_difference": apart, **found}
        (folder / "parity.json").write_text(json.dumps(parity, indent=2) + "\n")
    largest = {
        name: max(row[name] for row in parity["differences"].values()) for name in ("mask", "depth")
    }
    metres = " m" if card["unit"] == "metre" else ""
    print(
        f"export: {card['experiment']} to {output}/model.onnx; torch and onnxruntime differ by"
        f" {largest['mask']:.1e} (mask) and {largest['depth']:.1e}{metres} (depth) at most,"
        f" their figures on {sets.headline} by {apart:.1e}"
    )


def publish(gate: Gate) -> Judgement:
    """Measure the exported file's latency; register it in MLflow, as champion if the gate lets it.

    None of it is an output: times differ from run to run, and MLflow may be away.

    Returns:
        What the gate said, which `RECORD` holds.
    """
    path = BEST / "model.onnx"
    predictor = Predictor(path)
    side = predictor.training_size
    latencies = measure_latency(predictor, [(side, side), (480, 640)])
    write_latency(REPORTS / "latency.json", latency_report(predictor, latencies))
    for line in latency_table(latencies):
        print(line)
    judgement = judge(path, predictor.metadata, METRICS, gate, latencies[0].median_ms)
    judgement = register(
        judgement, path, predictor.metadata, experiments=EXPERIMENTS, reports=REPORTS
    )
    write_record(RECORD, judgement)
    print(f"export: {write_report(Path())} tells the whole story")
    return judgement


def held_out_scenes(sets: SceneSets) -> list[Scene[np.ndarray]]:
    """A few scenes of the hardest test set, spread over its first batch."""
    scene = next(sets.scenes(sets.headline))
    rows = np.unique(np.linspace(0, len(scene.mask) - 1, _NUM_SCENES).round().astype(int))
    images = [
        (field[rows] * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        for field in (scene.bg, scene.bg_fg)
    ]
    planes = [field[rows, 0].cpu().numpy() for field in (scene.mask, scene.depth)]
    return [Scene(*fields) for fields in zip(*images, *planes, strict=True)]


def main() -> None:
    params = read_params(PARAMS)
    metrics = read_json(METRICS, ("best", "best_seed", "headline", "seeds"))
    best, seed = metrics["best"], metrics["best_seed"]
    stored = load_model(seed_folder(EXPERIMENTS / best, seed))
    try:
        export(
            stored,
            params.export,
            params.placement,
            params.compositor,
            figures=metrics["seeds"][best][str(seed)][metrics["headline"]["set"]],
            prepared=PREPARED,
            output=BEST,
        )
    except ParityError as error:
        # DVC has removed its output before the stage ran
        raise SystemExit(
            f"depthmask: not exported: {error}; the champion stays, and"
            f" `dvc checkout {BEST}` brings an earlier model back"
        ) from None
    judgement = publish(params.export.gate)
    for line in judgement.lines():
        if judgement.misses:
            print(f"depthmask: {line}", file=sys.stderr)
        else:
            print(f"export: {line}")


if __name__ == "__main__":
    with exit_on_error():
        main()
