"""Scenes of MODEST's files: the right pixels and colours, an order that resumes, any workers."""

import re
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from depthmask.data.sources.modest import read_layout
from depthmask.data.sources.modest import scenes as modest_scenes
from depthmask.data.sources.modest.scenes import Draw, EpochOrder, FileScenes, FileTrainingScenes
from depthmask.errors import InputError
from modest_folder import SIDE, write_modest
from synthetic import TINY

ALWAYS = TINY.augment.model_copy(update={"p": 1.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_modest(tmp_path_factory.mktemp("modest") / "data", num_plates=3, num_cutouts=3)


@pytest.fixture(scope="module")
def table(folder):
    return read_layout(folder)


def test_a_scene_holds_its_rows_files(folder, table):
    scene = FileScenes(folder, table).read([Draw(0, 0, 5, SIDE), Draw(0, 1, 16, SIDE)])
    assert scene.bg.shape == scene.bg_fg.shape == (2, SIDE, SIDE, 3)
    assert scene.mask.shape == scene.depth.shape == (2, SIDE, SIDE)
    for place, row in enumerate((5, 16)):
        for name, field in scene._asdict().items():
            image = np.asarray(Image.open(folder / table[name].iloc[row]))
            assert field.dtype == np.uint8
            assert np.abs(field[place].astype(int) - image).max() <= 2


def test_plates_are_decoded_once(folder, table, monkeypatch):
    read = Mock(wraps=modest_scenes.read_image)
    monkeypatch.setattr(modest_scenes, "read_image", read)
    FileScenes(folder, table).read([Draw(0, row, row, 16) for row in range(len(table))])
    assert sum("/bg/" in call.args[0] for call in read.call_args_list) == 3
    assert read.call_count == 3 + 3 * len(table)


def test_colours_change_apart_and_by_sample_but_not_mask_and_depth(folder, table):
    def read(augment, *draw):
        return FileScenes(folder, table, augment).read([Draw(*draw, 16)])

    before, after = read(None, 0, 0, 2), read(ALWAYS, 0, 0, 2)
    np.testing.assert_array_equal(before.mask, after.mask)
    np.testing.assert_array_equal(before.depth, after.depth)
    again, others = read(ALWAYS, 0, 0, 2), (before, read(ALWAYS, 0, 1, 2), read(ALWAYS, 1, 0, 2))
    for name in ("bg", "bg_fg"):
        image = getattr(after, name)
        np.testing.assert_array_equal(image, getattr(again, name))
        assert not any(np.array_equal(image, getattr(other, name)) for other in others)
    # outside the person both show the plate: in one light without a change, in two with it
    outside = before.mask < 3
    gaps = [np.abs(scene.bg.astype(int) - scene.bg_fg)[outside].mean() for scene in (before, after)]
    assert gaps[0] < 3 < gaps[1]


def test_every_row_comes_before_one_comes_twice():
    order = EpochOrder(10, [32], 4, seed=7)
    rows = []
    for epoch in range(5):
        order.set_epoch(epoch)
        draws = list(order)
        assert len(order) == 4
        assert [draw[:2] for draw in draws] == [(epoch, place) for place in range(4)]
        rows += [draw.row for draw in draws]
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))
    assert rows[:10] != rows[10:]
    longer = [draw.row for draw in EpochOrder(3, [32], 8, seed=0)]
    assert sorted(longer[:3]) == sorted(longer[3:6]) == [0, 1, 2]
    assert [draw.row for draw in EpochOrder(3, [32])] == [0, 1, 2]


def test_an_epoch_depends_on_seed_and_number_alone():
    def draws(seed, epoch, before=()):
        order = EpochOrder(50, [8, 16], 40, seed=seed)
        for earlier in before:
            order.set_epoch(earlier)
            list(order)
        order.set_epoch(epoch)
        return list(order)

    assert draws(1, 3, before=(0, 1, 2)) == draws(1, 3)
    rows = [[draw.row for draw in draws(*each)] for each in ((1, 3), (1, 2), (2, 3))]
    assert rows[0] != rows[1] and rows[0] != rows[2]
    assert [draws(1, epoch)[0].size for epoch in (0, 1, 2)] == [8, 16, 16]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_workers_change_nothing(folder, table, num_workers):
    scenes = FileScenes(folder, table, ALWAYS)
    training = FileTrainingScenes(scenes, scenes, seed=5, num_workers=num_workers)
    loader = training.train_loader(50, 4, [16], epoch=3)
    # all are kept to the end: memory that is written again must not show in them
    batches = list(loader)
    assert len(loader) == len(batches) == 13
    draws = list(loader.sampler)
    for place, batch in enumerate(batches):
        options = {"split": "train", "epoch": 3, "size": 16, "device": torch.device("cpu")}
        scene = training.scene(batch, **options)
        assert scene.bg.is_contiguous(memory_format=torch.channels_last)
        expected = scenes.read(draws[4 * place : 4 * place + 4])
        for found, field in zip(scene, expected, strict=True):
            planes = torch.from_numpy(field).float() / 255
            planes = planes.permute(0, 3, 1, 2) if field.ndim == 4 else planes[:, None]
            assert found.dtype == torch.float32 and torch.equal(found, planes)


def test_a_last_batch_of_one_is_left_out_of_training(folder, table):
    scenes = FileScenes(folder, table)
    training = FileTrainingScenes(scenes, scenes, seed=5, num_workers=0)
    assert [len(batch.mask) for batch in training.train_loader(9, 4, [8], epoch=0)] == [4, 4]
    assert [len(batch.mask) for batch in training.train_loader(10, 4, [8], epoch=0)] == [4, 4, 2]
    assert [len(batch.mask) for batch in training.val_loader(17, [8], epoch=0)] == [17, 1]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_file_that_is_cut_short_ends_with_one_line(tmp_path, num_workers):
    folder = write_modest(tmp_path / "data", num_plates=2, num_cutouts=2)
    table = read_layout(folder)
    path = folder / table["bg_fg"].iloc[3]
    path.write_bytes(path.read_bytes()[:-40])
    (folder / table["depth"].iloc[0]).unlink()
    scenes = FileScenes(folder, table)
    training = FileTrainingScenes(scenes, scenes, seed=0, num_workers=num_workers)
    batches = list(training.val_loader(2, [16], epoch=0))
    for batch, what in ((batches[0], "cannot be read"), (batches[1], f"{path} is cut short: ")):
        with pytest.raises(InputError, match=re.escape(what)) as error:
            training.scene(batch, split="val", epoch=0, size=16, device=torch.device("cpu"))
        assert "\n" not in str(error.value)
