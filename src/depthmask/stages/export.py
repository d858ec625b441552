"""export: the best DepthMaskNet as one ONNX file, once it is proven to equal the network."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from depthmask.config import Composition, ExportParams, Gate
from depthmask.data.scenes.files import read_json, replaced_folder
from depthmask.data.sources import read_source
from depthmask.errors import exit_on_error
from depthmask.export import onnx_export
from depthmask.export.benchmark import describe, measure_latency, write_latency
from depthmask.export.model_card import model_card
from depthmask.export.precision import export_precisions
from depthmask.inference.predictor import Predictor
from depthmask.models.store import StoredModel, load_model, seed_folder
from depthmask.stages import BEST, EXPERIMENTS, METRICS, PREPARED, RECORD, REPORTS, read_params
from depthmask.stages.report import write_report
from depthmask.tracking.gate import Judgement, judge, register, write_record


def export(
    stored: StoredModel,
    metrics: Mapping[str, Any],
    params: ExportParams,
    composition: Composition,
    prepared: Path,
    output: Path,
) -> None:
    """Export a model to `output`: model.onnx, perhaps with fewer bits, parity.json, model_card.md;
    ParityError, and `output` as it was, if its answers or figures are not the network's."""
    sets = read_source(prepared).open_sets(prepared, composition, "cpu")
    card = stored.card
    name, seed, unit = card["experiment"], str(card["seed"]), card["unit"]
    metadata = {"experiment": name, "seed": seed, "run_key": card["key"]}
    metadata |= {"data_hash": card["data_hash"], "depth_unit": unit}
    expected = metrics["seeds"][name][seed][metrics["headline"]["set"]]
    with replaced_folder(output) as folder:
        path = folder / "model.onnx"
        options = {"input_size": card["size"], "opset": params.opset, "refine": params.refine}
        wrapper = onnx_export.export_onnx(stored.model, path, metadata=metadata, **options)
        pairs, tolerance = onnx_export.held_out_pairs(sets), params.tolerance
        parity = onnx_export.check_parity(path, wrapper, pairs, params.sizes, tolerance=tolerance)
        parity["figures"] = onnx_export.check_figures(path, sets, expected, tolerance)
        if (most_lost := params.precision_loss) is not None:
            parity["precisions"] = export_precisions(
                path, stored, sets, parity["figures"], most_lost
            )
        (folder / "parity.json").write_text(json.dumps(parity, indent=2) + "\n")
        text = model_card(card, metrics, parity, params.opset)
        (folder / "model_card.md").write_text(text, encoding="utf-8")
    mask, depth = pd.DataFrame(parity["differences"]).max(axis=1)
    print(
        f"export: {name} to {output}/model.onnx; torch and onnxruntime differ by {mask:.1e} (mask)"
        f" and {depth:.1e}{' m' if unit == 'metre' else ''} (depth) at most, their figures on"
        f" {sets.headline} by {parity['figures']['largest_difference']:.1e}"
    )
    for precision, found in parity.get("precisions", {}).items():
        told = ", ".join(
            f"{words} {found[key]:.4f} instead of {parity['figures'][key]:.4f}"
            for key, words in (("mask_iou", "mask IoU"), ("person_delta1", "person's δ1"))
        )
        state = "has" if found["is_kept"] else "is left out: it would have"
        print(f"export: {output}/model_{precision}.onnx {state} {told}")


def publish(gate: Gate) -> Judgement:
    """Measure the exported file's latency; register it in MLflow, as champion if the gate lets it:
    no outputs, as times differ from run to run, and MLflow may be away."""
    path = BEST / "model.onnx"
    predictor = Predictor(path)
    sizes = [2 * (predictor.training_size,), (480, 640)]
    latencies = measure_latency(predictor, sizes, num_runs=100)
    write_latency(REPORTS / "latency.json", predictor, latencies)
    rows = [latencies]
    if (int8 := BEST / "model_int8.onnx").exists():
        rows.append(measure_latency(Predictor(int8, device="cpu"), sizes))
    print(describe(sum(rows, [])))
    judgement = judge(path, predictor.metadata, METRICS, gate, latencies[0].median_ms)
    key = predictor.metadata["run_key"]
    judgement = register(judgement, path, key, experiments=EXPERIMENTS, reports=REPORTS)
    write_record(RECORD, judgement)
    print(f"export: {write_report()} tells the whole story")
    return judgement


def main() -> None:
    params = read_params()
    metrics = read_json(METRICS, ("best", "best_seed", "headline", "seeds"))
    stored = load_model(seed_folder(EXPERIMENTS / metrics["best"], metrics["best_seed"]))
    composition = Composition(params.placement, params.compositor)
    try:
        export(stored, metrics, params.export, composition, PREPARED, BEST)
    except onnx_export.ParityError as error:
        # DVC has removed its output before the stage ran
        remedy = f"the champion stays, and `dvc checkout {BEST}` brings an earlier model back"
        raise SystemExit(f"depthmask: not exported: {error}; {remedy}") from None
    judgement = publish(params.export.gate)
    told = sys.stderr if judgement.misses else sys.stdout
    for line in judgement.lines():
        print(f"{'depthmask' if judgement.misses else 'export'}: {line}", file=told)


if __name__ == "__main__":
    with exit_on_error():
        main()
