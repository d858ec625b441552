"""The figures of the exported file, which must be those of the network that it was made of."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from depthmask.data.composition.eval_sets import SceneSets
from depthmask.data.scenes.scene import Scene
from depthmask.evaluation.measuring import Method, mean_figures, measure_scenes
from depthmask.export.onnx_export import ParityError
from depthmask.inference.predictor import Predictor


def exported_figures(path: Path, sets: SceneSets) -> dict[str, float]:
    """The means over the headline set of what onnxruntime answers on the CPU."""
    methods = {("exported", 0): onnx_method(Predictor(path, device="cpu"))}
    return mean_figures(measure_scenes(methods, sets, [sets.headline]))


def onnx_method(predictor: Predictor) -> Method:
    """An exported file as `measure_scenes` asks it."""

    def answer(scene: Scene[Tensor], plate_depth: Tensor | None) -> tuple[Tensor, Tensor]:
        images = [
            (image * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            for image in (scene.bg, scene.bg_fg)
        ]
        mask, depth = predictor.predict_batch(*images)
        return tuple(
            torch.from_numpy(plane)[:, None].to(scene.mask.device) for plane in (mask, depth)
        )

    return answer


def refuse_other_figures(
    found: Mapping[str, float], expected: Mapping[str, float], tolerance: float
) -> float:
    """Compare the file's figures with those that evaluate wrote.

    Args:
        found, expected: means over the same set, by metric.
        tolerance: largest difference, absolute or, of what exceeds 1, relative.

    Returns:
        The largest difference.

    Raises:
        ParityError: a figure differs by more.
    """
    largest = 0.0
    for name, value in expected.items():
        other = found.get(name, math.nan)
        if value is None and not math.isfinite(other):  # of neither it is a number
            continue
        value = math.nan if value is None else value
        difference = abs(other - value) / max(1, abs(value))
        if not difference <= tolerance:  # so that a NaN is refused as well
            raise ParityError(
                f"{name} is {other:.6g} for the exported file and {value:.6g} for the network,"
                f" more than {tolerance:g} apart"
            )
        largest = max(largest, difference)
    return largest
