import numpy as np
import pytest

from depthmask.data.scenes.library import Frames, Library
from depthmask.errors import InputError
from synthetic import make_empty_frames, make_library


def test_what_is_written_comes_back(tmp_path):
    library = make_library()
    library.write(tmp_path)
    read = Library.read(tmp_path)
    for name in ("images", "depths", "stands", "rgba", "relief"):
        np.testing.assert_array_equal(getattr(library, name), getattr(read, name))
    assert library.plates.equals(read.plates) and library.cutouts.equals(read.cutouts)
    assert read.camera(3).up == (0.0, -1.0, 0.0)
    assert read.plates_of("test").tolist() == [6, 7]
    make_empty_frames(library, 3).write(tmp_path, "nobody")
    frames = Frames.read(tmp_path, "nobody")
    np.testing.assert_array_equal(frames.bg_fg, make_empty_frames(library, 3).bg_fg)
    np.testing.assert_array_equal(frames.depth, library.depths[[6, 7, 6]])
    assert frames.table.plate.tolist() == [6, 7, 6] and frames.mask.max() == 0


def test_files_that_do_not_fit_each_other_are_named(tmp_path):
    with pytest.raises(InputError, match=r"plates\.parquet.*dvc repro"):
        Library.read(tmp_path)
    make_library().write(tmp_path)
    make_empty_frames(make_library(), 3).write(tmp_path, "nobody")
    np.save(tmp_path / "nobody_bg_fg.npy", np.zeros((2, 64, 64, 3), np.uint8))
    with pytest.raises(InputError, match=r"nobody_bg_fg\.npy is damaged"):
        Frames.read(tmp_path, "nobody")
    np.save(tmp_path / "cutouts_relief.npy", np.zeros((8, 3, 3), np.float32))
    with pytest.raises(InputError, match=r"cutouts_relief\.npy is damaged"):
        Library.read(tmp_path)
