"""The pictures of an evaluation: what the models answer on the hardest set, and their figures."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from depthmask import visualization as report
from depthmask.data.composition.eval_sets import EvalSets
from depthmask.data.scenes.files import replaced_folder
from depthmask.data.scenes.person import THRESHOLD
from depthmask.data.scenes.scene import Scene
from depthmask.metrics import align_depth, depth_abs_rel, mask_iou
from depthmask.models.store import StoredModel


def draw_panels(
    folder: Path,
    models: dict[str, StoredModel],
    sets: EvalSets,
    *,
    best: str,
    num_panels: int,
) -> None:
    """Draw NAME.png for every model: the same frames, one depth scale."""
    rows = {name: panel_rows(stored, sets, num_panels) for name, stored in models.items()}
    scale = report.DepthScale.spanning(*(row.true_depth for row in rows[best]), unit=sets.unit)
    with replaced_folder(folder) as temporary:
        for name, stored in models.items():
            report.panels(
                temporary / f"{name}.png",
                rows[name],
                title=name,
                subtitle=_subtitle(stored.card),
                threshold=THRESHOLD,
                scale=scale if rows[name][0].true_depth is not None else None,
            )


def draw_plots(
    folder: Path,
    result: dict[str, Any],
    curves: pd.DataFrame,
    best: StoredModel,
    sets: EvalSets,
    hardened: pd.DataFrame,
    examples: Sequence[report.ConditionExample],
) -> None:
    """Draw the training curves, the comparison of all figures, and the README's picture.

    Args:
        hardened, examples: the figures on harder frames, and such frames.
    """
    with replaced_folder(folder) as temporary:
        report.curves(temporary / "curves.png", curves, best=result["best"])
        for name, column in _CURVES.items():
            report.curves(temporary / f"{name}.png", curves, columns=[column], best=result["best"])
        report.comparison(temporary / "comparison.png", result)
        names = list(result["experiments"])
        report.robustness(
            temporary / "robustness.png", hardened, experiments=names, best=result["best"]
        )
        report.conditions_sheet(
            temporary / "conditions.png",
            examples,
            subtitle=f"as {result['best']} answers them; the figure is the mask's IoU,"
            " of frames with nobody the share taken for person",
        )
        report.hero(temporary / "hero.png", hero_scenes(best, sets), unit=sets.unit)
        composed = next(sets.scenes("val"))
        report.composed_sheet(
            temporary / "composed.png",
            _arrays(composed),
            unit=sets.unit,
            subtitle="what training sees: people pasted onto plates, by rules of perspective",
        )


_CURVES = {"iou": "val/mask_iou", "loss": "val/loss", "rmse": "val/depth_rmse"}


def _subtitle(card: dict[str, Any]) -> str:
    heads = [
        f"{head}: " + " + ".join(f"{weight:g}·{term}" for term, weight in terms.items())
        for head in ("mask", "depth")
        if (terms := card["losses"][head])
    ]
    return f"{card['model']}, {', '.join(heads)}"


def _some_frames(sets: EvalSets, count: int) -> Scene[Tensor]:
    """Scenes spread evenly over the hardest set, the same for every model."""
    scenes = list(sets.scenes(sets.headline))
    joined = Scene(*(torch.cat(fields) for fields in zip(*scenes, strict=True)))
    total = len(joined.mask)
    chosen = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    return Scene(*(field[chosen] for field in joined))


def panel_rows(stored: StoredModel, sets: EvalSets, num_panels: int) -> list[report.PanelRow]:
    """Predictions for some scenes, to draw; relative depth is aligned with the truth."""
    scene = _some_frames(sets, num_panels)
    mask, depth = stored.predict(scene)
    if depth is not None and sets.alignment is not None:
        depth = align_depth(depth, scene.depth, sets.alignment)
    ious = mask_iou(mask, scene.mask, THRESHOLD).tolist()
    errors = depth_abs_rel(depth, scene.depth).tolist() if depth is not None else None
    return [
        report.PanelRow(
            set_name=sets.headline,
            bg=_picture(scene.bg[row]),
            bg_fg=_picture(scene.bg_fg[row]),
            true_mask=_plane(scene.mask[row]),
            pred_mask=_plane(mask[row]),
            true_depth=_plane(scene.depth[row]) if depth is not None else None,
            pred_depth=_plane(depth[row]) if depth is not None else None,
            mask_iou=ious[row],
            abs_rel=errors[row] if errors else None,
        )
        for row in range(len(ious))
    ]


def hero_scenes(stored: StoredModel, sets: EvalSets) -> Scene[np.ndarray]:
    """Three scenes of the hardest set with the best model's predictions.

    Those whose IoU is nearest the set's upper quartile: a picture of what it does when it works,
    neither the luckiest frame nor the worst.
    """
    scene = _some_frames(sets, sys.maxsize)
    mask, depth = stored.predict(scene)
    assert depth is not None
    ious = mask_iou(mask, scene.mask)
    large = scene.mask.mean((1, 2, 3)) > 0.04
    ious = torch.where(large, ious, -1.0) if int(large.sum()) >= 3 else ious
    distance = (ious - ious.quantile(0.75)).abs()
    chosen = distance.argsort(stable=True)[:3].sort().values
    return _arrays(Scene(*(field[chosen] for field in (scene.bg, scene.bg_fg, mask, depth))))


def _arrays(scene: Scene[Tensor]) -> Scene[np.ndarray]:
    """A batch of tensors as arrays: images uint8 N x H x W x 3, planes float32 N x H x W."""
    return Scene(
        bg=np.stack([_picture(image) for image in scene.bg]),
        bg_fg=np.stack([_picture(image) for image in scene.bg_fg]),
        mask=np.stack([_plane(plane) for plane in scene.mask]),
        depth=np.stack([_plane(plane) for plane in scene.depth]),
    )


def _picture(image: Tensor) -> np.ndarray:
    return (image * 255).round().byte().permute(1, 2, 0).cpu().numpy()


def _plane(plane: Tensor) -> np.ndarray:
    return plane[0].float().cpu().numpy()
