"""The pictures of an evaluation: what the models predict on the hardest set, and their figures."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from altair import hconcat
from PIL import Image
from torch import Tensor

from depthmask.data.composition.eval_sets import EvalSets
from depthmask.data.scenes.files import replaced_folder
from depthmask.data.scenes.scene import SETS, Scene
from depthmask.evaluation.robustness_table import ConditionExample
from depthmask.metrics import METRICS, align_depth, depth_abs_rel, mask_iou
from depthmask.models.store import StoredModel
from depthmask.visualization import plots
from depthmask.visualization.canvas import DepthScale, error_rgb, mask_errors_rgb, mask_rgb
from depthmask.visualization.panels import conditions_sheet, hero, panels
from depthmask.visualization.results import Results
from depthmask.visualization.sheets import composed_sheet
from depthmask.visualization.theme import save_png

MAX_SIDE_PX = 128
"""Of a tile: the page that holds them all is to stay a file that one can send."""


def draw_panels(
    folder: Path, models: dict[str, StoredModel], sets: EvalSets, *, num_panels: int
) -> None:
    """Draw NAME.png for every model: the same frames, spread over the set, on one depth scale."""
    scene = _headline_scenes(sets)
    total = len(scene.mask)
    chosen = np.unique(np.linspace(0, total - 1, min(num_panels, total)).round().astype(int))
    scene = scene.take(chosen)
    scale = DepthScale.spanning(_planes(scene.depth), unit=sets.unit)
    with replaced_folder(folder) as temporary:
        for name, stored in models.items():
            heads = [
                f"{head}: " + " + ".join(f"{weight:g}·{term}" for term, weight in terms.items())
                for head in ("mask", "depth")
                if (terms := stored.card["losses"][head])
            ]
            subtitle = f"{stored.card['model']}, {', '.join(heads)}"
            mask, depth = _predict(stored, scene, sets)
            figures = {"mask_iou": mask_iou(mask, scene.mask)}
            if depth is not None:
                figures["depth_abs_rel"] = depth_abs_rel(depth, scene.depth)
            columns = [
                [f"{METRICS[key].label} {value:.3f}" for value in values.tolist()]
                for key, values in figures.items()
            ]
            head = SETS[sets.headline].label.split(",")[0]
            captions = [(head, *words) for words in zip(*columns, strict=True)]
            pictures = _pictures(scene, mask, depth, scale)
            path, words = temporary / f"{name}.png", {"title": name, "subtitle": subtitle}
            panels(path, pictures, captions, **words, scale=scale)


def draw_plots(
    folder: Path,
    results: Results,
    curves: pd.DataFrame,
    robustness: pd.DataFrame,
    scenes: pd.DataFrame,
    examples: Sequence[ConditionExample],
    best: StoredModel,
    sets: EvalSets,
) -> None:
    """Draw the curves, the comparison, the harder frames, and the README's picture; `scenes` are
    the best network's figures on the headline set, a row a scene, in their order."""
    columns = ("val/mask_iou", "val/loss", "val/depth_rmse")
    charts = {
        "curves": hconcat(*plots.curve_charts(curves, results, columns, plots.KEY), spacing=36),
        "comparison": plots.comparison(results),
        "robustness": plots.conditions(robustness, results),
    }
    with replaced_folder(folder) as temporary:
        for title, chart in charts.items():
            save_png(chart, temporary / f"{title}.png")
        what = "the mask’s IoU, with nobody in the frame the share taken for person"
        subtitle = f"as {results.best} predicts them; the figure is {what}"
        conditions_sheet(temporary / "conditions.png", examples, subtitle=subtitle)
        hero(temporary / "hero.png", _hero_scenes(best, sets, scenes), unit=sets.unit)
        composed_sheet(
            temporary / "composed.png",
            _arrays(next(sets.scenes("val"))),
            unit=sets.unit,
            subtitle="what training sees: people pasted onto plates, by rules of perspective",
        )


def _hero_scenes(stored: StoredModel, sets: EvalSets, scenes: pd.DataFrame) -> Scene[np.ndarray]:
    """Three scenes of the hardest set, with predictions, whose IoU is nearest the upper quartile:
    what the model does when it works, neither the luckiest frame nor the worst."""
    scene = _headline_scenes(sets)
    ious = torch.tensor(scenes["mask_iou"].to_numpy(np.float32), device=scene.mask.device)
    large = scene.mask.mean((1, 2, 3)) > 0.04
    ious = torch.where(large, ious, -1.0) if int(large.sum()) >= 3 else ious
    distance = (ious - ious.quantile(0.75)).abs()
    chosen = distance.argsort(stable=True)[:3].sort().values
    shown = scene.take(chosen)
    mask, depth = stored.predict(shown)
    assert depth is not None
    return _arrays(shown._replace(mask=mask, depth=depth))


def draw_scene_tiles(
    folder: Path, stored: StoredModel, sets: EvalSets, scenes: pd.DataFrame, *, num_each: int = 3
) -> None:
    """Draw SCENE_FIELD.png of the `chosen_scenes` of a network with depth, and index.json of their
    figures (null where one does not count); `scenes` are its rows on the headline set."""
    groups = chosen_scenes(scenes, num_each)
    numbers = sorted({number for group in groups.values() for number in group})
    scene = _headline_scenes(sets).take(numbers)
    mask, depth = _predict(stored, scene, sets)
    scale = DepthScale.spanning(_planes(scene.depth), unit=sets.unit)
    pictures = _pictures(scene, mask, depth, scale)
    rows, entries = scenes.set_index("scene"), {}
    with replaced_folder(folder) as temporary:
        for place, number in enumerate(numbers):
            names = {field: f"{number:04d}_{field}.png" for field in pictures}
            for field, name in names.items():
                picture = Image.fromarray(np.ascontiguousarray(pictures[field][place]))
                picture.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BOX)
                picture.save(temporary / name, optimize=True)
            row: dict[str, Any] = dict(rows.loc[number])
            figures = {name: float(row[name]) for name in METRICS if name in row}
            entries[number] = {
                "scene": number,
                "plate": str(row["plate"]),
                "cutout": str(row["cutout"]),
                "figures": {k: v if math.isfinite(v) else None for k, v in figures.items()},
                "tiles": names,
            }
        index = {"experiment": stored.card["experiment"], "set": sets.headline, "unit": sets.unit}
        index |= {"scale": {"near": scale.near, "far": scale.far}}
        index |= {"groups": {kind: [entries[n] for n in of] for kind, of in groups.items()}}
        text = json.dumps(index, indent=2, ensure_ascii=False, allow_nan=False)
        (temporary / "index.json").write_text(text + "\n", encoding="utf-8")


def chosen_scenes(scenes: pd.DataFrame, num_each: int = 3) -> dict[str, list[int]]:
    """The numbers of the best, median and worst scenes by mask IoU, and of the worst by AbsRel.

    The first three groups share no scene: of fewer than `3 * num_each` each gets a third, and of
    fewer than three the median, then the worst gets none. Equal scenes go by their number.
    """
    by_iou = scenes.sort_values(["mask_iou", "scene"], ascending=[False, True])
    by_depth = scenes.sort_values(["depth_abs_rel", "scene"], ascending=[False, True])
    numbers = by_iou["scene"].tolist()
    count = min(num_each, math.ceil(len(numbers) / 3))
    rest = numbers[count : len(numbers) - count]
    first = max(0, (len(rest) - count) // 2)
    groups = {
        "best": numbers[:count],
        "median": rest[first : first + count],
        "worst": numbers[max(count, len(numbers) - count) :][::-1],
        "worst_depth": by_depth.dropna(subset=["depth_abs_rel"])["scene"].tolist()[:count],
    }
    return {kind: group for kind, group in groups.items() if group}


def _headline_scenes(sets: EvalSets) -> Scene[Tensor]:
    batches = zip(*sets.scenes(sets.headline), strict=True)
    return Scene(*(torch.cat(fields) for fields in batches))


def _predict(
    stored: StoredModel, scene: Scene[Tensor], sets: EvalSets
) -> tuple[Tensor, Tensor | None]:
    """Mask and depth; relative depth is aligned with the truth."""
    mask, depth = stored.predict(scene)
    if depth is not None and sets.alignment is not None:
        depth = align_depth(depth, scene.depth, sets.alignment)
    return mask, depth


def _pictures(
    scene: Scene[Tensor], mask: Tensor, depth: Tensor | None, scale: DepthScale
) -> dict[str, np.ndarray]:
    """A batch and what was predicted for it as uint8 N x H x W x 3, by names of `FIELDS`."""
    true, pred_mask = _arrays(scene), _planes(mask)
    pictures = {
        "bg": true.bg,
        "bg_fg": true.bg_fg,
        "true_mask": mask_rgb(true.mask),
        "pred_mask": mask_errors_rgb(pred_mask, true.mask),
    }
    if depth is not None:
        pictures["true_depth"] = scale.rgb(true.depth)
        pictures["pred_depth"] = scale.rgb(_planes(depth))
        pictures["depth_error"] = error_rgb(_planes(depth), true.depth)
    return pictures


def _arrays(scene: Scene[Tensor]) -> Scene[np.ndarray]:
    """A batch of tensors as arrays: images uint8 N x H x W x 3, planes float32 N x H x W."""
    bg, bg_fg = (
        (batch * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        for batch in (scene.bg, scene.bg_fg)
    )
    return Scene(bg, bg_fg, _planes(scene.mask), _planes(scene.depth))


def _planes(batch: Tensor) -> np.ndarray:
    return batch[:, 0].float().cpu().numpy()
