"""Training from files: each epoch at its size, the same after a resume, a damaged file named."""

from pathlib import Path

import pytest

from depthmask.config import SizeSchedule
from depthmask.data.sources.modest import read_layout
from depthmask.data.sources.modest.scenes import FileScenes, FileTrainingScenes
from depthmask.errors import InputError
from depthmask.training.scene_data import SceneData
from modest_folder import SIDE, write_modest
from test_fitting import TRAIN, assert_equal_weights, kill_in, make_module, run

SCHEDULE = (SizeSchedule(size=32, epochs=2), SizeSchedule(size=64, epochs=1))


@pytest.fixture
def folder(tmp_path):
    return write_modest(tmp_path / "data", side=2 * SIDE)


class Watched(SceneData):
    """Notes the size of every batch."""

    def on_after_batch_transfer(self, batch, dataloader_idx):
        scene = super().on_after_batch_transfer(batch, dataloader_idx)
        self.seen.append(("train" if self.trainer.training else "val", scene.mask.shape[-1]))
        return scene


def make_data(folder: Path, num_workers: int = 0) -> Watched:
    table = read_layout(folder)
    train, val = FileScenes(folder, table.iloc[:24]), FileScenes(folder, table.iloc[24:])
    scenes = FileTrainingScenes(train, val, seed=0, num_workers=num_workers)
    data = Watched(scenes, TRAIN.model_copy(update={"schedule": SCHEDULE}))
    data.seen = []
    return data


def test_sizes_grow_and_a_resumed_run_ends_as_one_that_was_never_stopped(folder, tmp_path):
    whole, data = make_module(), make_data(folder)
    expected = run(whole, data, tmp_path / "whole")
    sizes = [32, 32, 64]
    assert [row["size"] for row in expected] == sizes
    assert data.seen == [(split, size) for size in sizes for split in ("train", "train", "val")]

    with pytest.raises(ZeroDivisionError):
        run(make_module(), make_data(folder), tmp_path / "stopped", kill_in(2))
    resumed = make_module()
    # another number of workers changes nothing either
    assert run(resumed, make_data(folder, num_workers=1), tmp_path / "stopped") == expected
    assert_equal_weights(whole, resumed)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_file_cut_short_is_named(folder, tmp_path, num_workers):
    data = make_data(folder, num_workers)
    victim = sorted((folder / "bg_fg_mask").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:200])
    with pytest.raises(InputError, match=victim.name):
        run(make_module(), data, tmp_path / "run")
