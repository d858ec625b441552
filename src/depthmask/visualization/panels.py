"""What one experiment predicts, beside the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthmask.errors import InputError
from depthmask.visualization.canvas import Canvas
from depthmask.visualization.depth_colors import DepthScale, error_rgb
from depthmask.visualization.theme import HAIRLINE, MUTED, SET_LABELS
from depthmask.visualization.tiles import FALSE, MISSED, mask_errors_rgb, mask_rgb

TILE = 176
GAP = 6
GROUP_GAP = 18
MARGIN = 28
CAPTION = 132
HEADER = 112
COLUMNS_HEAD = 30


@dataclass(frozen=True)
class PanelRow:
    """One scene and what was predicted for it.

    Attributes:
        set_name: which set it is from, for example `in_scene`.
        bg, bg_fg: uint8, H x W x 3.
        true_mask, pred_mask: H x W; bool, uint8 0..255 or float 0..1.
        true_depth, pred_depth: float32, H x W; both None for a network without depth.
        mask_iou, abs_rel: of this scene, for the caption; None leaves one away.
    """

    set_name: str
    bg: np.ndarray
    bg_fg: np.ndarray
    true_mask: np.ndarray
    pred_mask: np.ndarray
    true_depth: np.ndarray | None = None
    pred_depth: np.ndarray | None = None
    mask_iou: float | None = None
    abs_rel: float | None = None


def panels(
    path: Path,
    rows: Sequence[PanelRow],
    *,
    title: str,
    subtitle: str = "",
    threshold: float = 0.5,
    unit: str = "metre",
    scale: DepthScale | None = None,
) -> None:
    """Draw a row a scene: inputs, true and predicted mask, true and predicted depth, its error.

    Args:
        title: the experiment.
        subtitle: its model and losses.
        threshold: a mask's pixel is person above it.
        scale: the depth scale; by default the range of these rows' true depths. Pass one to
            compare experiments.

    Raises:
        InputError: there is no row.
    """
    if not rows:
        raise InputError("no scene to draw panels of: set evaluate.num_panels to 1 or more")
    with_depth = all(r.true_depth is not None and r.pred_depth is not None for r in rows)
    columns = _columns(with_depth)
    width = columns[-1][1] + TILE + MARGIN
    height = HEADER + COLUMNS_HEAD + len(rows) * (TILE + GAP) + MARGIN - GAP
    if with_depth and scale is None:
        scale = DepthScale.spanning(*(row.true_depth for row in rows), unit=unit)
    with Canvas(width, height) as canvas:
        canvas.text(MARGIN, 38, title, size=24, weight="bold")
        canvas.text(MARGIN, 66, subtitle, size=14, color=MUTED)
        by_name = dict(columns)
        _mask_legend(canvas, by_name["predicted mask"])
        if with_depth:
            canvas.depth_legend(by_name["true depth"], 66, 2 * TILE + GAP, scale, named=False)
            canvas.error_legend(by_name["depth error"] + 20, 66, TILE - 40)
        for name, x in columns:
            weight = "bold" if name.startswith("predicted") else "normal"
            canvas.text(x + TILE / 2, HEADER + 14, name, size=14, ha="center", weight=weight)
        canvas.box(MARGIN, HEADER + COLUMNS_HEAD - 5, width - 2 * MARGIN, 1, HAIRLINE)
        for number, row in enumerate(rows):
            y = HEADER + COLUMNS_HEAD + number * (TILE + GAP)
            _caption(canvas, y, row)
            pictures = _pictures(row, threshold, scale if with_depth else None)
            for (_, x), pixels in zip(columns, pictures, strict=True):
                canvas.image(x, y, TILE, TILE, pixels)
        canvas.save(path)


def _columns(with_depth: bool) -> list[tuple[str, int]]:
    """Every column's name and left edge: inputs, masks and depths as groups."""
    groups = [("bg", "bg_fg"), ("true mask", "predicted mask")]
    if with_depth:
        groups.append(("true depth", "predicted depth", "depth error"))
    columns = []
    x = MARGIN + CAPTION
    for group in groups:
        for name in group:
            columns.append((name, x))
            x += TILE + GAP
        x += GROUP_GAP - GAP
    return columns


def _pictures(row: PanelRow, threshold: float, scale: DepthScale | None) -> list[np.ndarray]:
    pictures = [row.bg, row.bg_fg, mask_rgb(row.true_mask)]
    pictures.append(mask_errors_rgb(row.pred_mask, row.true_mask, threshold))
    if scale is not None:
        pictures += [scale.rgb(row.true_depth), scale.rgb(row.pred_depth)]
        pictures.append(error_rgb(row.pred_depth, row.true_depth))
    return pictures


def _caption(canvas: Canvas, y: int, row: PanelRow) -> None:
    """Write the set and the figures of a row, to the left of it, around its middle."""
    label = SET_LABELS.get(row.set_name, row.set_name)
    lines = [(words, 13, "bold", None) for words in label.replace(", ", ",\n").split("\n")]
    for name, value in (("IoU", row.mask_iou), ("AbsRel", row.abs_rel)):
        if value is not None:
            lines.append((f"{name} {value:.3f}", 13, "normal", MUTED))
    top = y + TILE / 2 - 20 * (len(lines) - 1) / 2
    for number, (words, size, weight, color) in enumerate(lines):
        extra = {"color": color} if color else {}
        canvas.text(MARGIN, top + 20 * number, words, size=size, weight=weight, **extra)


def _mask_legend(canvas: Canvas, x: int) -> None:
    """Name the colours of the predicted mask's errors, above its column."""
    for color, words in ((MISSED, "missed"), (FALSE, "false")):
        canvas.box(x, 65, 12, 12, color, radius=2)
        x = round(canvas.text(x + 18, 71, words, size=12, color=MUTED)) + 14
