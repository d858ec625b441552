"""The proof that the exported file equals the network: in its answers and in its figures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from depthmask.data.composition.eval_sets import EvalSets
from depthmask.data.scenes.scene import Scene
from depthmask.evaluation.measuring import mean_figures, measure_scenes
from depthmask.export.wrapper import ExportWrapper
from depthmask.inference.predictor import OUTPUTS, Predictor

_CHANGES = (
    "swapping the inputs",
    "giving the plate for the frame",
    "giving the frame for the plate",
)
_SCENES_AT_ONCE = 4  # keeps large sizes within memory
_NUM_SCENES = 4


class ParityError(RuntimeError):
    """The exported file and the network disagree, or an input does not matter."""


def held_out_scenes(sets: EvalSets) -> list[Scene[np.ndarray]]:
    """A few scenes of the hardest test set, spread over its first batch."""
    scene = next(sets.scenes(sets.headline))
    rows = np.unique(np.linspace(0, len(scene.mask) - 1, _NUM_SCENES).round().astype(int))
    images = [_pixels(field[rows]) for field in (scene.bg, scene.bg_fg)]
    planes = [field[rows, 0].cpu().numpy() for field in (scene.mask, scene.depth)]
    return [Scene(*fields) for fields in zip(*images, *planes, strict=True)]


def check_parity(
    path: Path,
    wrapper: ExportWrapper,
    scenes: Sequence[Scene[np.ndarray]],
    sizes: Sequence[tuple[int, int]],
    *,
    tolerance: float = 1e-3,
) -> dict[str, Any]:
    """Compare the file, through onnxruntime on the CPU, with the network on held-out scenes.

    Also that both inputs matter and are told apart: an empty room in place of the frame, the
    frame in place of the room, and both swapped must each change the answer.

    Args:
        scenes: bg and bg_fg are uint8 H x W x 3, one size.
        sizes: (height, width), px, to resize the scenes to.
        tolerance: largest absolute difference, in the mask and, in metres, in the depth.

    Returns:
        `tolerance`, `num_scenes`, and `differences`: the largest by size ("96x160") and output.

    Raises:
        ParityError: naming the output, the size and the largest difference.
    """
    if not scenes:
        raise ValueError("parity needs at least one held-out scene")
    predictor = Predictor(path, device="cpu")
    differences = {}
    for height, width in sizes:
        size = f"{height}x{width} px"
        largest, effects = np.zeros(len(OUTPUTS)), np.zeros(len(_CHANGES))
        for start in range(0, len(scenes), _SCENES_AT_ONCE):
            batch = scenes[start : start + _SCENES_AT_ONCE]
            bg = np.stack([_resize(scene.bg, height, width) for scene in batch])
            bg_fg = np.stack([_resize(scene.bg_fg, height, width) for scene in batch])
            found = np.stack(predictor.predict_batch(bg, bg_fg))
            with torch.inference_mode():
                true = torch.stack(wrapper(torch.from_numpy(bg), torch.from_numpy(bg_fg))).numpy()
            # np.maximum, unlike max, keeps a NaN.
            largest = np.maximum(largest, np.abs(found - true).max(axis=(1, 2, 3)))
            for index, pair in enumerate(((bg_fg, bg), (bg, bg), (bg_fg, bg_fg))):
                changed = np.stack(predictor.predict_batch(*pair))
                # Either output: the mask of a hardly trained network may be flat.
                effects[index] = np.maximum(effects[index], np.abs(changed - found).max())
        for name, difference in zip(OUTPUTS, largest, strict=True):
            if not difference <= tolerance:  # so that a NaN is refused as well
                raise ParityError(
                    f"{path.name}: {name} at {size} differs from torch by {difference:.3g},"
                    f" more than {tolerance:g}"
                )
        for change, effect in zip(_CHANGES, effects, strict=True):
            if effect <= tolerance:
                raise ParityError(
                    f"{path.name}: {change} at {size} changes the answer by only {effect:.3g}:"
                    " an input is not wired up, or the network ignores it"
                )
        differences[f"{height}x{width}"] = dict(zip(OUTPUTS, map(float, largest), strict=True))
    return {"tolerance": tolerance, "num_scenes": len(scenes), "differences": differences}


def check_figures(
    path: Path, sets: EvalSets, expected: Mapping[str, float | None], tolerance: float
) -> dict[str, Any]:
    """Compare the file's mean figures on the headline set with those of `metrics.json`.

    Returns `set`, `largest_difference` and the figures; raises ParityError where one differs by
    more than the tolerance.
    """
    predictor = Predictor(path, device="cpu")

    def answer(scene: Scene[Tensor], plate_depth: Tensor | None) -> tuple[Tensor, Tensor]:
        mask, depth = (
            torch.from_numpy(plane)[:, None].to(scene.mask.device)
            for plane in predictor.predict_batch(_pixels(scene.bg), _pixels(scene.bg_fg))
        )
        return mask, depth

    found = mean_figures(measure_scenes({("exported", 0): answer}, sets, [sets.headline]))
    apart = largest_difference(found, expected, tolerance)
    return {"set": sets.headline, "largest_difference": apart, **found}


def largest_difference(
    found: Mapping[str, float], expected: Mapping[str, float | None], tolerance: float
) -> float:
    """The largest difference between figures, absolute or, of what exceeds 1, relative."""
    largest = 0.0
    for name, figure in expected.items():
        value = math.nan if figure is None else figure
        other = found.get(name, math.nan)
        if figure is None and not math.isfinite(other):  # a number for neither
            continue
        difference = abs(other - value) / max(1, abs(value))
        if not difference <= tolerance:  # so that a NaN is refused as well
            raise ParityError(
                f"{name} is {other:.6g} for the exported file and {value:.6g} for the network,"
                f" more than {tolerance:g} apart"
            )
        largest = max(largest, difference)
    return largest


def _pixels(images: Tensor) -> np.ndarray:
    """Float N x 3 x H x W, 0 to 1, as uint8 N x H x W x 3."""
    return (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
