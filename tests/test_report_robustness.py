"""The figures of robustness: what is trained for, which figure, which picture."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from depthmask import visualization as report
from depthmask.evaluation.robustness import CONDITIONS
from depthmask.visualization.conditions import BLOCK_HEAD, GUTTER, HEADER, MARGIN, TILE
from depthmask.visualization.robustness import draw_condition
from depthmask.visualization.theme import BLUE, GROUND, HAIRLINE, PAPER

STRENGTHS = {"shift": [0, 1, 2], "jpeg": [30, 70, 100], "two_people": [1, 2], "nobody": [-1, 0, 1]}
TRAINED = {"shift": 1, "jpeg": 100, "two_people": 1, "nobody": 0}


@pytest.fixture
def table():
    rows = []
    for number, name in enumerate(("bce_rmse", "bce_ssim", "difference_threshold")):
        for condition, strengths in STRENGTHS.items():
            for strength in strengths:
                change = abs(strength - CONDITIONS[condition].neutral) / 100
                iou, false = 0.8 - change - number / 10, 0.001 * number + change
                rows.append(
                    {
                        "experiment": name,
                        "condition": condition,
                        "strength": strength,
                        "trained_for": abs(strength - CONDITIONS[condition].neutral) <= 1
                        if condition == "shift"
                        else strength == CONDITIONS[condition].neutral,
                        "mask_iou": iou,
                        "mask_iou_low": iou - 0.02,
                        "mask_iou_high": iou + 0.02,
                        "false_area": false,
                        "false_area_low": false / 2,
                        "false_area_high": false * 2,
                    }
                )
    return pd.DataFrame(rows)


def drawn(table, condition):
    axes = Figure().add_subplot()
    draw_condition(axes, table, condition, {"bce_rmse": (BLUE, "-")}, best="bce_rmse")
    return axes


def marks(axes, color):
    """(x, y, whether filled) of an experiment's marks."""
    return sorted(
        (x, y, to_hex(line.get_markerfacecolor()) != PAPER)
        for line in axes.lines
        if line.get_marker() == "o" and to_hex(line.get_color()) == color
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    )


def test_every_condition_of_the_table_has_a_look():
    assert list(report.CONDITION_LOOKS) == list(CONDITIONS)


def test_marks_are_hollow_where_it_was_not_trained_for(table):
    rows = table[(table.experiment == "bce_rmse") & (table.condition == "shift")]
    expected = list(zip(rows.strength, rows.mask_iou, [True, True, False], strict=True))
    axes = drawn(table, "shift")
    assert marks(axes, BLUE) == expected
    (shade,) = [patch for patch in axes.patches if to_hex(patch.get_facecolor()) == GROUND]
    assert shade.get_x() < 0 < 1 < shade.get_x() + shade.get_width() < 1.5


def test_of_nobody_the_false_area_is_drawn(table):
    rows = table[(table.experiment == "bce_rmse") & (table.condition == "nobody")]
    assert [y for _, y, _ in marks(drawn(table, "nobody"), BLUE)] == rows.false_area.tolist()


def test_harder_is_to_the_right(table):
    for condition, ends in (("shift", (0, 2)), ("jpeg", (100, 30))):
        left, right = drawn(table, condition).get_xlim()
        assert np.sign(right - left) == np.sign(ends[1] - ends[0])


def test_the_same_table_makes_the_same_picture(table, tmp_path):
    for name in ("one.png", "two.png"):
        report.robustness(tmp_path / name, table, experiments=["bce_rmse"], best="bce_rmse")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    report.robustness(tmp_path / "all.png", table)  # all are experiments
    assert (tmp_path / "all.png").read_bytes() != (tmp_path / "one.png").read_bytes()


def example(condition, strength, trained_for):
    plate, frame = (np.full((24, 24, 3), level, np.uint8) for level in (200, 90))
    mask = np.zeros((24, 24), bool)
    mask[8:20, 8:14] = True
    return report.ConditionExample(
        condition, strength, trained_for, plate, frame, mask, np.roll(mask, 3, 1), 0.333
    )


def test_a_sheet_shows_what_is_changed_and_whether_it_was_trained_for(tmp_path):
    examples = [example("noise", 0, True), example("noise", 0.1, False), example("shift", 0, True)]
    for name in ("one.png", "two.png"):
        report.conditions_sheet(tmp_path / name, examples, title="Title")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    sheet = np.asarray(Image.open(tmp_path / "one.png").convert("RGB"))
    top, left = HEADER + BLOCK_HEAD, MARGIN + GUTTER
    right = sheet.shape[1] // 2 + 100
    assert (sheet[top + 20, left + 20] == 200).all()  # the plate was shifted
    assert (sheet[top + 20, right + 20] == 90).all()  # the frame is noisy
    bars = [to_hex(sheet[top - 6, x + 20] / 255) for x in (left, right, right + TILE + 4)]
    assert bars == [BLUE, BLUE, HAIRLINE]
