import numpy as np
import pytest

from depthmask.errors import InputError
from depthmask.inference.prediction import list_scenes, plate_warning

NOBODY = np.zeros((10, 10))


def images(difference: int) -> tuple[np.ndarray, np.ndarray]:
    bg = np.full((10, 10, 3), 100, dtype=np.uint8)
    return bg, bg + np.uint8(difference)


def test_plate_warning_is_about_the_room_not_the_person():
    bg, bg_fg = images(0)
    bg_fg[:, :6] = 255
    mask = NOBODY.copy()
    mask[:, :6] = 1
    assert plate_warning(bg, bg_fg, mask) == ""
    assert plate_warning(bg, bg_fg, NOBODY) != ""


@pytest.mark.parametrize(("difference", "warns"), [(0, False), (38, False), (39, True)])
def test_plate_warning_starts_above_15_percent(difference, warns):
    warning = plate_warning(*images(difference), NOBODY)
    assert bool(warning) == warns  # 0.15 * 255 = 38.25
    assert plate_warning(*reversed(images(difference)), NOBODY) == warning


def test_plate_warning_when_all_is_person():
    assert "is this the plate of the same room?" in plate_warning(*images(0), NOBODY + 1)


def test_list_scenes_sorts_a_folder_and_keeps_the_order_given(tmp_path):
    for name in ("b.png", "a.JPEG", "c.txt"):
        (tmp_path / name).touch()
    first = tmp_path.parent / "z.png"
    assert list_scenes([first, tmp_path]) == [first, tmp_path / "a.JPEG", tmp_path / "b.png"]


def test_list_scenes_refuses_two_results_of_one_name(tmp_path):
    with pytest.raises(InputError, match="would both become a_mask.png"):
        list_scenes([tmp_path / "a.png", tmp_path / "other" / "a.jpg"])
