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
from depthmask.data.scenes.scene import Scene
from depthmask.evaluation.robustness_table import ConditionExample
from depthmask.metrics import METRICS, align_depth, depth_abs_rel, mask_iou
from depthmask.models.store import StoredModel
from depthmask.visualization import plots
from depthmask.visualization.canvas import DepthScale
from depthmask.visualization.panels import PanelRow, conditions_sheet, hero, panels
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
    scene = Scene(*(field[chosen] for field in scene))
    scale = DepthScale.spanning(_planes(scene.depth), unit=sets.unit)
    with replaced_folder(folder) as temporary:
        for name, stored in models.items():
            heads = [
                f"{head}: " + " + ".join(f"{weight:g}·{term}" for term, weight in terms.items())
                for head in ("mask", "depth")
                if (terms := stored.card["losses"][head])
            ]
            subtitle = f"{stored.card['model']}, {', '.join(heads)}"
            rows = _panel_rows(stored, sets, scene)
            panels(temporary / f"{name}.png", rows, title=name, subtitle=subtitle, scale=scale)


def _panel_rows(stored: StoredModel, sets: EvalSets, scene: Scene[Tensor]) -> list[PanelRow]:
    mask, depth = _predict(stored, scene, sets)
    true, figures = _arrays(scene), {"mask_iou": mask_iou(mask, scene.mask)}
    columns: list[Any] = [true.bg, true.bg_fg, true.mask, _planes(mask)]
    if depth is None:
        columns += [[None] * len(mask)] * 2
    else:
        columns += [true.depth, _planes(depth)]
        figures["depth_abs_rel"] = depth_abs_rel(depth, scene.depth)
    captions = pd.DataFrame({name: values.tolist() for name, values in figures.items()})
    rows = zip(*columns, captions.to_dict("records"), strict=True)
    return [PanelRow(sets.headline, *row) for row in rows]


def draw_plots(
    folder: Path,
    results: Results,
    table: pd.DataFrame,
    best: StoredModel,
    sets: EvalSets,
    robustness: pd.DataFrame,
    examples: Sequence[ConditionExample],
) -> None:
    """Draw the training curves, the comparison of all figures, and the README's picture.

    Args:
        table: `curves.csv`.
        robustness, examples: the figures on harder frames, and such frames.
    """
    columns = ("val/mask_iou", "val/loss", "val/depth_rmse")
    curves = plots.curve_charts(table, results, columns, plots.KEY)
    charts = {
        "curves": hconcat(*curves, spacing=36),
        "comparison": plots.comparison(results),
        "robustness": plots.conditions(robustness, results),
    }
    with replaced_folder(folder) as temporary:
        for title, chart in charts.items():
            save_png(chart, temporary / f"{title}.png")
        subtitle = (
            f"as {results.best} predicts them; the figure is the mask’s IoU, with nobody in the"
            " frame the share taken for person"
        )
        conditions_sheet(temporary / "conditions.png", examples, subtitle=subtitle)
        hero(temporary / "hero.png", _hero_scenes(best, sets), unit=sets.unit)
        composed_sheet(
            temporary / "composed.png",
            _arrays(next(sets.scenes("val"))),
            unit=sets.unit,
            subtitle="what training sees: people pasted onto plates, by rules of perspective",
        )


def _hero_scenes(stored: StoredModel, sets: EvalSets) -> Scene[np.ndarray]:
    """Three scenes of the hardest set with the best model's predictions.

    Those whose IoU is nearest the set's upper quartile: a picture of what it does when it works,
    neither the luckiest frame nor the worst.
    """
    scene = _headline_scenes(sets)
    mask, depth = stored.predict(scene)
    assert depth is not None
    ious = mask_iou(mask, scene.mask)
    large = scene.mask.mean((1, 2, 3)) > 0.04
    ious = torch.where(large, ious, -1.0) if int(large.sum()) >= 3 else ious
    distance = (ious - ious.quantile(0.75)).abs()
    chosen = distance.argsort(stable=True)[:3].sort().values
    return _arrays(Scene(*(field[chosen] for field in (scene.bg, scene.bg_fg, mask, depth))))


def draw_scene_tiles(
    folder: Path, stored: StoredModel, sets: EvalSets, scenes: pd.DataFrame, *, num_each: int = 3
) -> None:
    """Draw the best, median and worst scenes of the headline set, with an index of them.

    Writes SCENE_FIELD.png for the fields bg, bg_fg, true_mask, pred_mask (its errors coloured),
    true_depth, pred_depth and depth_error, and index.json: for each group of `chosen_scenes` its
    scenes with their figures (null where a figure does not count or is no number) and pictures,
    and the scale of all depth pictures, in `unit`.

    Args:
        folder: is replaced.
        stored: a network with depth.
        scenes: the rows of `reports/scenes.csv` of this network on the headline set, one a scene.
    """
    groups = chosen_scenes(scenes, num_each)
    numbers = sorted({number for group in groups.values() for number in group})
    scene = Scene(*(field[numbers] for field in _headline_scenes(sets)))
    mask, depth = _predict(stored, scene, sets)
    assert depth is not None
    shown = _arrays(scene)
    scale = DepthScale.spanning(shown.depth, unit=sets.unit)
    whole = PanelRow(sets.headline, *shown[:3], _planes(mask), shown.depth, _planes(depth), {})
    named = {name.replace("predicted", "pred"): of for name, of in whole.pictures(scale).items()}
    pictures = {name.replace(" ", "_"): of for name, of in named.items()}
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
    """The best, the median and the worst scenes by mask IoU, and the worst by depth AbsRel.

    The first three groups share no scene: of fewer than `3 * num_each` each gets a third, and of
    fewer than three the median, then the worst gets none. Equal scenes go by their number.

    Args:
        scenes: a row a scene with `scene`, `mask_iou`, `depth_abs_rel`; AbsRel may be NaN.

    Returns:
        By group the scenes' numbers: the best first, the worst first; `median` by IoU, best first.
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


def _arrays(scene: Scene[Tensor]) -> Scene[np.ndarray]:
    """A batch of tensors as arrays: images uint8 N x H x W x 3, planes float32 N x H x W."""
    bg, bg_fg = (
        (batch * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        for batch in (scene.bg, scene.bg_fg)
    )
    return Scene(bg, bg_fg, _planes(scene.mask), _planes(scene.depth))


def _planes(batch: Tensor) -> np.ndarray:
    return batch[:, 0].float().cpu().numpy()
