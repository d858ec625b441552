"""Batches of MODEST's scenes: an order that resumes, and the same from any number of workers."""

import time

import lightning as L
import pytest
import torch

from depthmask.data.sources.modest import read_layout
from depthmask.data.sources.modest.loader import EpochOrder, SceneLoader
from depthmask.data.sources.modest.scenes import ModestScenes
from depthmask.errors import InputError
from modest_folder import write_modest
from synthetic import TINY

ALWAYS = TINY.augment.model_copy(update={"p": 1.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_modest(tmp_path_factory.mktemp("modest") / "data", num_plates=3, num_cutouts=3)


@pytest.fixture(scope="module")
def table(folder):
    return read_layout(folder)


def numbers(scenes, draws):
    """What a batch should be, from the bytes."""
    batch = [torch.from_numpy(field).float() / 255 for field in scenes.read(draws)]
    return [field.permute(0, 3, 1, 2) if field.ndim == 4 else field[:, None] for field in batch]


def assert_epoch_is(found, scenes, draws, batch_size):
    assert len(found) == -(-len(draws) // batch_size)
    for place, scene in enumerate(found):
        part = draws[place * batch_size : (place + 1) * batch_size]
        for field, expected in zip(scene, numbers(scenes, part), strict=True):
            assert torch.equal(field, expected)


def test_every_row_comes_before_one_comes_twice():
    order = EpochOrder(10, 4, seed=7)
    rows = []
    for epoch in range(5):
        order.set_epoch(epoch)
        draws = list(order)
        assert len(draws) == len(order) == 4
        assert [draw.index for draw in draws] == [0, 1, 2, 3]
        assert {draw.epoch for draw in draws} == {epoch}
        rows += [draw.row for draw in draws]
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))
    assert rows[:10] != rows[10:]


def test_an_epoch_longer_than_the_table_and_the_tables_order():
    rows = [draw.row for draw in EpochOrder(3, 8, seed=0)]
    assert sorted(rows[:3]) == sorted(rows[3:6]) == [0, 1, 2]
    assert [draw.row for draw in EpochOrder(3)] == [0, 1, 2]


def test_an_epoch_depends_on_seed_and_number_alone():
    def rows(seed, epoch, before=()):
        order = EpochOrder(50, 40, seed=seed)
        for earlier in before:
            order.set_epoch(earlier)
            list(order)
        order.set_epoch(epoch)
        return [draw.row for draw in order]

    assert rows(1, 3, before=(0, 1, 2)) == rows(1, 3)
    assert rows(1, 3) != rows(1, 2) and rows(1, 3) != rows(2, 3)


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_workers_change_nothing(folder, table, num_workers):
    order = EpochOrder(len(table), 50, seed=5)
    order.set_epoch(3)
    scenes = ModestScenes(folder, table, sizes=[16], augment=ALWAYS)
    loader = SceneLoader(scenes, order, 4, num_workers=num_workers)
    assert len(loader) == 13
    # all are kept to the end: memory that is written again must not show in them
    assert_epoch_is(list(loader), scenes, list(order), 4)


def test_workers_wait_for_a_slow_reader(folder, table):
    order = EpochOrder(len(table), 40, seed=5)
    scenes = ModestScenes(folder, table, sizes=[8])
    found = []
    for scene in SceneLoader(scenes, order, 2, num_workers=2):
        time.sleep(0.01)
        found.append(scene)
    assert_epoch_is(found, scenes, list(order), 2)


def test_what_a_scene_is(folder, table):
    scenes = ModestScenes(folder, table, sizes=[16])
    (scene,) = SceneLoader(scenes, EpochOrder(len(table), 5), 8, num_workers=0)
    assert scene.bg.shape == scene.bg_fg.shape == (5, 3, 16, 16)
    assert scene.mask.shape == scene.depth.shape == (5, 1, 16, 16)
    assert {field.dtype for field in scene} == {torch.float32}
    assert scene.bg.is_contiguous(memory_format=torch.channels_last)
    assert scene.mask.max() == 1.0 and scene.mask.min() == 0.0


def test_sizes_follow_the_epochs(folder, table):
    order = EpochOrder(len(table), 6, seed=1)
    scenes = ModestScenes(folder, table, sizes=[8, 16, 12])
    loader = SceneLoader(scenes, order, 4, num_workers=1)
    for epoch in (0, 1, 2, 3):
        order.set_epoch(epoch)
        assert_epoch_is(list(loader), scenes, list(order), 4)


def test_a_last_batch_that_is_not_full(folder, table):
    scenes = ModestScenes(folder, table, sizes=[8])
    order = EpochOrder(len(table))
    loader = SceneLoader(scenes, order, 4, num_workers=0)
    assert [len(scene.mask) for scene in loader] == [4, 4, 4, 4, 2]
    assert len(list(SceneLoader(scenes, order, 4, num_workers=0, drop_last=True))) == 4


def test_another_epoch_ends_one_that_is_not_finished(folder, table):
    order = EpochOrder(len(table), 40, seed=1)
    scenes = ModestScenes(folder, table, sizes=[16])
    loader = SceneLoader(scenes, order, 2, num_workers=2)
    unfinished = iter(loader)
    next(unfinished)
    order.set_epoch(1)
    assert_epoch_is(list(loader), scenes, list(order), 2)
    assert list(unfinished) == []


def test_memory_is_taken_again_only_when_nobody_looks(folder, table):
    scenes = ModestScenes(folder, table, sizes=[16])
    order = EpochOrder(len(table), 20, seed=1)
    loader = SceneLoader(scenes, order, 2, num_workers=0)
    masks = [scene.mask[:1] for scene in loader]  # a part of a batch keeps all of it
    assert len({mask.untyped_storage().data_ptr() for mask in masks}) == 10
    expected = [numbers(scenes, list(order)[2 * n : 2 * n + 1])[2] for n in range(10)]
    assert all(torch.equal(a, b) for a, b in zip(masks, expected, strict=True))
    del masks
    places = {scene.mask.untyped_storage().data_ptr() for scene in loader}
    assert len(places) <= 2  # one is converted while the loop still holds the last


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_file_that_is_cut_short_ends_with_one_line(tmp_path, num_workers):
    folder = write_modest(tmp_path / "data", num_plates=2, num_cutouts=2)
    table = read_layout(folder)
    path = folder / table["bg_fg"].iloc[3]
    path.write_bytes(path.read_bytes()[:-40])
    scenes = ModestScenes(folder, table, sizes=[16])
    with pytest.raises(InputError) as error:
        list(SceneLoader(scenes, EpochOrder(len(table)), 2, num_workers=num_workers))
    assert str(error.value).startswith(f"{path} is cut short: ")
    assert "\n" not in str(error.value)


class _Watching(L.LightningModule):
    """Keeps each bg_fg that it is given, by epoch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {}

    def training_step(self, scene, index):
        self.seen.setdefault(self.current_epoch, []).append(scene.bg_fg.clone())
        return self.weight * 0

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_takes_it_and_chooses_the_epochs(folder, table):
    scenes = ModestScenes(folder, table, sizes=[8])
    order = EpochOrder(len(table), 12, seed=2)
    module = _Watching()
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, SceneLoader(scenes, order, 4, num_workers=1))
    for epoch in (0, 1):
        order.set_epoch(epoch)
        assert len(module.seen[epoch]) == 3
        assert torch.equal(torch.cat(module.seen[epoch]), numbers(scenes, list(order))[1])
    assert not torch.equal(module.seen[0][0], module.seen[1][0])
