"""The pictures of an evaluation: what the models predict on the hardest set, and their figures."""

import json
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor

from depthmask.data.composition.eval_sets import EvalSets, joined, to_pixels
from depthmask.data.scenes.files import replaced_folder
from depthmask.data.scenes.scene import Scene, spread
from depthmask.metrics import METRICS, align_depth, score_scenes
from depthmask.models.store import StoredModel
from depthmask.tracking.notes import network_words
from depthmask.visualization import plots
from depthmask.visualization.canvas import DepthScale, error_rgb, mask_errors_rgb, mask_rgb
from depthmask.visualization.results import Results
from depthmask.visualization.sheets import hero, panels
from depthmask.visualization.theme import save_png

LARGE_PERSON = 0.04  # of a frame: who can be seen on a small picture
MAX_SIDE_PX = 144
"""Of a tile: the page that holds them all is to stay a file that one can send."""


def draw_panels(
    folder: Path, models: dict[str, StoredModel], sets: EvalSets, *, num_panels: int
) -> None:
    """Draw NAME.png for every model: the same frames, spread over the set, on one depth scale."""
    scene = joined(sets.scenes(sets.headline))
    scene = scene.take(spread(len(scene.mask), num_panels))
    scale = DepthScale.spanning(_planes(scene.depth), unit=sets.unit)
    with replaced_folder(folder) as temporary:
        for name, stored in models.items():
            figures, pictures = _predict(stored, scene, sets, scale)
            shown = [key for key in ("mask_iou", "depth_abs_rel") if key in figures]
            captions = [
                ", ".join(f"{METRICS[key].label} {figures[key][row]:.3f}" for key in shown)
                for row in range(len(scene.mask))
            ]
            words = {"title": name, "subtitle": network_words(stored.card)}
            panels(temporary / f"{name}.png", pictures, captions, **words, scale=scale)


def draw_plots(
    folder: Path,
    results: Results,
    curves: pd.DataFrame,
    robustness: pd.DataFrame,
    scenes: pd.DataFrame,
    best: StoredModel,
    sets: EvalSets,
) -> None:
    """Draw the curves, the comparison, robustness, and the README's picture; `scenes` are
    the best network's figures on the headline set, a row a scene, in their order."""
    columns = ("val/mask_iou", "val/loss", "val/depth_rmse")
    charts = {
        "curves": alt.hconcat(*plots.curve_charts(curves, results, columns, plots.KEY)),
        "comparison": alt.hconcat(*plots.comparison_charts(results, legend=True)),
        "robustness": alt.concat(
            *plots.condition_charts(robustness, results, "mask_iou", plots.KEY),
            columns=4,
            title="Mask IoU when frames get harder",
        ),
    }
    with replaced_folder(folder) as temporary:
        for title, chart in charts.items():
            save_png(chart.properties(spacing=30), temporary / f"{title}.png")
        everything = joined(sets.scenes(sets.headline))
        sizes = everything.mask.mean((1, 2, 3)).cpu().numpy()
        shown = everything.take(typical_scenes(scenes["mask_iou"].to_numpy(), sizes))
        mask, depth = best.predict(shown)
        assert depth is not None
        found = _arrays(shown._replace(mask=mask, depth=depth))
        hero(temporary / "hero.png", found, unit=sets.unit)


def draw_scene_tiles(
    folder: Path, stored: StoredModel, sets: EvalSets, scenes: pd.DataFrame, *, num_each: int = 3
) -> None:
    """Draw SCENE_FIELD.png of the `chosen_scenes` of a network with depth, and index.json of their
    groups and the colours' scale; `scenes` are its rows on the headline set."""
    groups = chosen_scenes(scenes, num_each)
    numbers = sorted({*sum(groups.values(), [])})
    scene = joined(sets.scenes(sets.headline)).take(numbers)
    scale = DepthScale.spanning(_planes(scene.depth), unit=sets.unit)
    _, pictures = _predict(stored, scene, sets, scale)
    with replaced_folder(folder) as temporary:
        for field, column in pictures.items():
            for number, pixels in zip(numbers, column, strict=True):
                picture = Image.fromarray(np.ascontiguousarray(pixels))
                picture.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BOX)
                picture.save(temporary / f"{number}_{field}.png", optimize=True)
        index = {"groups": groups, "scale": scale._asdict()}
        (temporary / "index.json").write_text(json.dumps(index, indent=2) + "\n")


def chosen_scenes(scenes: pd.DataFrame, num_each: int = 3) -> dict[str, list[int]]:
    """The numbers of the best, median and worst scenes by mask IoU, and of the worst by AbsRel, up
    to a third of all each. Equal scenes go by their number."""
    by_iou, by_depth = (
        scenes.sort_values([name, "scene"], ascending=[False, True]).dropna(subset=[name])["scene"]
        for name in ("mask_iou", "depth_abs_rel")
    )
    count = min(num_each, -(-len(by_iou) // 3))
    first = (len(by_iou) - count) // 2
    return {
        "best": by_iou[:count].tolist(),
        "median": by_iou[first : first + count].tolist(),
        "worst": by_iou[::-1][:count].tolist(),
        "worst_depth": by_depth[:count].tolist(),
    }


def typical_scenes(ious: np.ndarray, sizes: np.ndarray, count: int = 3) -> list[int]:
    """The frames with a large person whose IoU is nearest the upper quartile: what a model does
    when it works, neither the luckiest frame nor the worst."""
    large = sizes > LARGE_PERSON
    ious = np.where(large, ious, np.nan) if large.sum() >= count else ious
    distance = np.abs(ious - np.nanquantile(ious, 0.75))  # NaN stands last
    return sorted(distance.argsort(kind="stable")[:count].tolist())


def _predict(
    stored: StoredModel, scene: Scene[Tensor], sets: EvalSets, scale: DepthScale
) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    """Figures by metric, N each, and pictures, uint8 N x H x W x 3 by names of `FIELDS`; relative
    depth is aligned with the truth."""
    mask, depth = stored.predict(scene)
    figures = score_scenes(mask, depth, scene.mask, scene.depth, alignment=sets.alignment)
    true = _arrays(scene)
    pictures = {
        "bg": true.bg,
        "bg_fg": true.bg_fg,
        "true_mask": mask_rgb(true.mask),
        "pred_mask": mask_errors_rgb(_planes(mask), true.mask),
    }
    if depth is not None:
        if sets.alignment is not None:
            depth = align_depth(depth, scene.depth, sets.alignment)
        pictures["true_depth"] = scale.rgb(true.depth)
        pictures["pred_depth"] = scale.rgb(_planes(depth))
        pictures["depth_error"] = error_rgb(_planes(depth), true.depth)
    return figures, pictures


def _arrays(scene: Scene[Tensor]) -> Scene[np.ndarray]:
    """A batch of tensors as arrays: images uint8 N x H x W x 3, planes float32 N x H x W."""
    bg, bg_fg = to_pixels(scene.bg), to_pixels(scene.bg_fg)
    return Scene(bg, bg_fg, _planes(scene.mask), _planes(scene.depth))


def _planes(batch: Tensor) -> np.ndarray:
    return batch[:, 0].float().cpu().numpy()
