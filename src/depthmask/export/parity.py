"""The proof that the exported file equals the network: answers and figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from depthmask.data.composition.eval_sets import EvalSets
from depthmask.data.scenes.scene import Scene
from depthmask.evaluation.measuring import mean_figures, measure_scenes
from depthmask.export.onnx_export import ExportWrapper
from depthmask.inference.predictor import OUTPUTS, Predictor


class ParityError(RuntimeError):
    """The exported file and the network disagree, or an input does not matter."""


def held_out_pairs(sets: EvalSets) -> tuple[np.ndarray, np.ndarray]:
    """bg and bg_fg, uint8 N x H x W x 3, of a few scenes of the hardest test set's first batch."""
    scene = next(sets.scenes(sets.headline))
    rows = np.unique(np.linspace(0, len(scene.mask) - 1, 4).round().astype(int))
    return _pixels(scene.bg[rows]), _pixels(scene.bg_fg[rows])


def check_parity(
    path: Path,
    wrapper: ExportWrapper,
    pairs: tuple[np.ndarray, np.ndarray],
    sizes: Sequence[tuple[int, int]],
    *,
    tolerance: float = 1e-3,
) -> dict[str, Any]:
    """Compare the file, through onnxruntime on the CPU, with the network on held-out scenes.

    Also that both inputs matter and are told apart: an empty room in place of the frame, the
    frame in place of the room, and both swapped must each change the answer.

    pairs: bg and bg_fg, uint8 N x H x W x 3; sizes: (height, width), px, to resize them to;
    tolerance: largest absolute difference, in the mask and, in metres, in the depth.
    Returns `tolerance`, `num_scenes`, and `differences`, the largest by size ("96x160") and output.
    """
    predictor = Predictor(path, device="cpu")
    differences = {}
    for height, width in sizes:
        size = f"{height}x{width}"
        bg, bg_fg = (_resize(images, height, width) for images in pairs)
        found = np.stack(predictor.predict_batch(bg, bg_fg))
        with torch.inference_mode():
            true = torch.stack(wrapper(torch.from_numpy(bg), torch.from_numpy(bg_fg))).numpy()
        largest = np.abs(found - true).max(axis=(1, 2, 3)).tolist()
        differences[size] = dict(zip(OUTPUTS, largest, strict=True))
        for name, difference in differences[size].items():
            if not difference <= tolerance:  # so that a NaN is refused as well
                raise ParityError(
                    f"{path.name}: {name} at {size} px differs from torch by {difference:.3g},"
                    f" more than {tolerance:g}"
                )
        for change, pair in (
            ("swapping the inputs", (bg_fg, bg)),
            ("giving the plate for the frame", (bg, bg)),
            ("giving the frame for the plate", (bg_fg, bg_fg)),
        ):
            # Either output: the mask of a hardly trained network may be flat.
            effect = np.abs(np.stack(predictor.predict_batch(*pair)) - found).max()
            if effect <= tolerance:
                raise ParityError(
                    f"{path.name}: {change} at {size} px changes the answer by only {effect:.3g}:"
                    " an input is not wired up, or the network ignores it"
                )
    return {"tolerance": tolerance, "num_scenes": len(pairs[0]), "differences": differences}


def check_figures(
    path: Path, sets: EvalSets, expected: Mapping[str, float | None], tolerance: float
) -> dict[str, Any]:
    """Compare the file's mean figures on the headline set with those of `metrics.json`.

    Returns `set`, `largest_difference` and the figures; raises ParityError as that does.
    """
    predictor = Predictor(path, device="cpu")

    def answer(scene: Scene[Tensor], plate_depth: Tensor | None) -> tuple[Tensor, Tensor]:
        planes = predictor.predict_batch(_pixels(scene.bg), _pixels(scene.bg_fg))
        mask, depth = (torch.from_numpy(each)[:, None].to(scene.mask.device) for each in planes)
        return mask, depth

    found = mean_figures(measure_scenes({("exported", 0): answer}, sets, [sets.headline]))
    apart = largest_difference(found, expected, tolerance)
    return {"set": sets.headline, "largest_difference": apart, **found}


def largest_difference(
    found: Mapping[str, float], expected: Mapping[str, float | None], tolerance: float
) -> float:
    """The largest difference between figures, absolute or, of what exceeds 1, relative."""
    true = pd.Series(expected, dtype=float)
    other = pd.Series(found, dtype=float).reindex(true.index)
    apart = (other - true).abs() / true.abs().clip(lower=1)
    apart[true.isna() & ~np.isfinite(other)] = 0  # a number for neither
    for name in apart.index[~(apart <= tolerance)]:  # so that a NaN is refused as well
        raise ParityError(
            f"{name} is {other[name]:.6g} for the exported file and {true[name]:.6g} for the"
            f" network, more than {tolerance:g} apart"
        )
    return float(apart.max())


def _pixels(images: Tensor) -> np.ndarray:
    """Float N x 3 x H x W, 0 to 1, as uint8 N x H x W x 3."""
    return (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _resize(images: np.ndarray, height: int, width: int) -> np.ndarray:
    size, bilinear = (width, height), Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(each).resize(size, bilinear)) for each in images])
