"""Scenes from MODEST's files: the right pixels, the same in any number of workers."""

import numpy as np
import pytest
import torch
from PIL import Image

from depthmask.augmentation import build_transform
from depthmask.errors import InputError
from depthmask.modest_scenes import Draw, EpochOrder, ModestScenes, scene_loader, to_scene
from depthmask.sources.modest import read_layout
from modest_folder import SIDE, write_modest
from synthetic import TINY

ALWAYS = TINY.augment.model_copy(update={"p": 1.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_modest(tmp_path_factory.mktemp("modest") / "data", num_plates=3, num_cutouts=3)


@pytest.fixture(scope="module")
def table(folder):
    return read_layout(folder)


def all_batches(dataset, order, batch_size=4, **options):
    options = {"num_workers": 0} | options
    return list(scene_loader(dataset, order, batch_size, **options))


def test_a_scene_holds_its_rows_files(folder, table):
    dataset = ModestScenes(folder, table, sizes=[SIDE])
    scene = to_scene(dataset.__getitems__([Draw(0, 0, 5), Draw(0, 1, 16)]))
    assert scene.bg.shape == scene.bg_fg.shape == (2, 3, SIDE, SIDE)
    assert scene.mask.shape == scene.depth.shape == (2, 1, SIDE, SIDE)
    assert {field.dtype for field in scene} == {torch.float32}
    assert scene.bg.is_contiguous(memory_format=torch.channels_last)
    for place, row in enumerate((5, 16)):
        for name, field in scene._asdict().items():
            image = np.asarray(Image.open(folder / table[name].iloc[row])) / 255
            pixels = field[place].permute(1, 2, 0).numpy()
            np.testing.assert_allclose(pixels.squeeze(), image, atol=2.5 / 255)
        x, y, width, height = table.filter(like="bbox").iloc[row].astype(int)
        inside = scene.mask[place, 0, y + 1 : y + height - 1, x + 1 : x + width - 1]
        assert inside.min() > 0.9
        assert scene.mask[place].sum() == pytest.approx(width * height, rel=0.05)


def test_size_follows_the_epoch(folder, table):
    dataset = ModestScenes(folder, table, sizes=[8, 16])
    sides = [dataset[Draw(epoch, 0, 0)].bg.shape[1] for epoch in (0, 1, 2, 0)]
    assert sides == [8, 16, 16, 8]


def test_plates_are_decoded_once(folder, table, monkeypatch):
    from depthmask import modest_scenes

    paths = []
    read = modest_scenes.read_image

    def counted(path, *args, **kwargs):
        paths.append(path)
        return read(path, *args, **kwargs)

    monkeypatch.setattr(modest_scenes, "read_image", counted)
    dataset = ModestScenes(folder, table, sizes=[16])
    for batch in all_batches(dataset, EpochOrder(len(table))):
        to_scene(batch)
    assert len([path for path in paths if "/bg/" in path]) == 3
    assert len(paths) == 3 + 3 * len(table)


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


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_and_a_resume_change_nothing(folder, table, num_workers):
    order = EpochOrder(len(table), seed=5)
    order.set_epoch(3)
    dataset = ModestScenes(folder, table, sizes=[16], augment=ALWAYS)
    alone = all_batches(dataset, order)
    again = ModestScenes(folder, table, sizes=[16], augment=ALWAYS)
    parallel = all_batches(again, order, num_workers=num_workers)
    assert len(alone) == len(parallel) == 5
    for one, other in zip(alone, parallel, strict=True):
        for a, b in zip(one, other, strict=True):
            assert torch.equal(a, b)


def test_a_last_batch_that_is_not_full(folder, table):
    dataset = ModestScenes(folder, table, sizes=[8])
    order = EpochOrder(len(table))
    assert [len(batch.mask) for batch in all_batches(dataset, order)] == [4, 4, 4, 4, 2]
    assert len(all_batches(dataset, order, drop_last=True)) == 4


def test_colours_change_apart_and_by_sample_but_not_mask_and_depth(folder, table):
    plain = ModestScenes(folder, table, sizes=[16])
    dataset = ModestScenes(folder, table, sizes=[16], augment=ALWAYS)
    draws = [Draw(0, 0, 2), Draw(0, 1, 2), Draw(1, 0, 2), Draw(0, 0, 2)]
    before, after = plain.__getitems__(draws), dataset.__getitems__(draws)
    assert torch.equal(before.mask, after.mask) and torch.equal(before.depth, after.depth)
    for name in ("bg", "bg_fg"):
        images = [image.numpy() for image in getattr(after, name)]
        assert not np.array_equal(images[0], getattr(before, name)[0])
        assert not np.array_equal(images[0], images[1])
        assert not np.array_equal(images[0], images[2])
        np.testing.assert_array_equal(images[0], images[3])
    # outside the person both show the plate: in one light without a change, in two with it
    outside = before.mask[0].numpy() < 3
    gap = np.abs(before.bg[0].numpy().astype(int) - before.bg_fg[0].numpy())[outside].mean()
    changed = np.abs(after.bg[0].numpy().astype(int) - after.bg_fg[0].numpy())[outside].mean()
    assert gap < 3 < changed


def test_reseeding_a_transform_is_building_it_with_the_seed():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    reused = build_transform(ALWAYS, 0)
    for seed in (3, 4, 3):
        reused.set_random_seed(seed)
        expected = build_transform(ALWAYS, seed)(image=image)["image"]
        np.testing.assert_array_equal(reused(image=image)["image"], expected)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_file_that_is_cut_short_ends_with_one_line(tmp_path, num_workers):
    folder = write_modest(tmp_path / "data", num_plates=2, num_cutouts=2)
    table = read_layout(folder)
    path = folder / table["bg_fg"].iloc[3]
    path.write_bytes(path.read_bytes()[:-40])
    dataset = ModestScenes(folder, table, sizes=[16])
    batches = all_batches(dataset, EpochOrder(len(table)), num_workers=num_workers)
    with pytest.raises(InputError) as error:
        for batch in batches:
            to_scene(batch)
    assert str(error.value).startswith(f"{path} is cut short: ")
    assert "\n" not in str(error.value)


def test_lightning_sets_the_epoch(folder, table):
    from lightning.fabric.utilities.data import _set_sampler_epoch

    order = EpochOrder(len(table), seed=0)
    loader = scene_loader(ModestScenes(folder, table, sizes=[8]), order, 4, num_workers=0)
    _set_sampler_epoch(loader, 6)
    assert order.epoch == 6
