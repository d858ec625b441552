"""Scenes of MODEST's files: the right pixels, and colours that follow from the sample alone."""

import re

import numpy as np
import pytest
from PIL import Image

from depthmask.data.composition.augmentation import build_transform
from depthmask.data.sources.modest import read_layout
from depthmask.data.sources.modest import scenes as modest_scenes
from depthmask.data.sources.modest.scenes import BYTES_PER_PX, Draw, ModestScenes
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
    scene = ModestScenes(folder, table, sizes=[SIDE]).read([Draw(0, 0, 5), Draw(0, 1, 16)])
    assert scene.bg.shape == scene.bg_fg.shape == (2, SIDE, SIDE, 3)
    assert scene.mask.shape == scene.depth.shape == (2, SIDE, SIDE)
    for place, row in enumerate((5, 16)):
        for name, field in scene._asdict().items():
            image = np.asarray(Image.open(folder / table[name].iloc[row]))
            assert field.dtype == np.uint8
            assert np.abs(field[place].astype(int) - image).max() <= 2
        x, y, width, height = table.filter(like="bbox").iloc[row].astype(int)
        mask = scene.mask[place] / 255
        assert mask[y + 1 : y + height - 1, x + 1 : x + width - 1].min() > 0.9
        assert mask.sum() == pytest.approx(width * height, rel=0.05)


def test_a_batch_is_written_where_it_is_told(folder, table):
    scenes = ModestScenes(folder, table, sizes=[8])
    draws = [Draw(0, place, 3 * place) for place in range(3)]
    memory = np.full(BYTES_PER_PX * 4 * 8 * 8, 7, np.uint8)
    batch, own = scenes.read(draws, memory), scenes.read(draws)
    for written, expected in zip(batch, own, strict=True):
        assert np.shares_memory(written, memory)
        np.testing.assert_array_equal(written, expected)
    assert (memory[BYTES_PER_PX * 3 * 8 * 8 :] == 7).all()


def test_size_follows_the_epoch(folder, table):
    scenes = ModestScenes(folder, table, sizes=[8, 16])
    sides = [scenes.read([Draw(epoch, 0, 0)]).bg.shape[1] for epoch in (0, 1, 2, 0)]
    assert sides == [8, 16, 16, 8]


def test_plates_are_decoded_once(folder, table, monkeypatch):
    paths = []
    read = modest_scenes.read_image

    def counted(path, *args, **kwargs):
        paths.append(path)
        return read(path, *args, **kwargs)

    monkeypatch.setattr(modest_scenes, "read_image", counted)
    scenes = ModestScenes(folder, table, sizes=[16])
    for row in range(len(table)):
        scenes.read([Draw(0, row, row)])
    assert len([path for path in paths if "/bg/" in path]) == 3
    assert len(paths) == 3 + 3 * len(table)


def test_colours_change_apart_and_by_sample_but_not_mask_and_depth(folder, table):
    def read(augment, *draw):
        return ModestScenes(folder, table, sizes=[16], augment=augment).read([Draw(*draw)])

    before, after = read(None, 0, 0, 2), read(ALWAYS, 0, 0, 2)
    np.testing.assert_array_equal(before.mask, after.mask)
    np.testing.assert_array_equal(before.depth, after.depth)
    again, next_index, next_epoch = (
        read(ALWAYS, 0, 0, 2),
        read(ALWAYS, 0, 1, 2),
        read(ALWAYS, 1, 0, 2),
    )
    for name in ("bg", "bg_fg"):
        image = getattr(after, name)
        np.testing.assert_array_equal(image, getattr(again, name))
        for other in (before, next_index, next_epoch):
            assert not np.array_equal(image, getattr(other, name))
    # outside the person both show the plate: in one light without a change, in two with it
    outside = before.mask < 3
    gaps = [np.abs(scene.bg.astype(int) - scene.bg_fg)[outside].mean() for scene in (before, after)]
    assert gaps[0] < 3 < gaps[1]


def test_colours_do_not_depend_on_the_batch(folder, table):
    draws = [Draw(2, index, (7 * index) % 18) for index in range(6)]
    together = ModestScenes(folder, table, sizes=[16], augment=ALWAYS).read(draws)
    for place in reversed(range(6)):
        alone = ModestScenes(folder, table, sizes=[16], augment=ALWAYS).read([draws[place]])
        for one, all_of_them in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], all_of_them[place])


def test_reseeding_a_transform_is_building_it_with_the_seed():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    reused = build_transform(ALWAYS, 0)
    for seed in (3, 4, 3):
        reused.set_random_seed(seed)
        expected = build_transform(ALWAYS, seed)(image=image)["image"]
        np.testing.assert_array_equal(reused(image=image)["image"], expected)


def test_a_missing_file_is_named(tmp_path):
    folder = write_modest(tmp_path / "data", num_plates=1, num_cutouts=2)
    table = read_layout(folder)
    scenes = ModestScenes(folder, table, sizes=[16])
    (folder / table["depth"].iloc[1]).unlink()
    scenes.read([Draw(0, 0, 0)])
    with pytest.raises(InputError, match=re.escape(f"{folder / table['depth'].iloc[1]} cannot")):
        scenes.read([Draw(0, 0, 0), Draw(0, 1, 1)])
