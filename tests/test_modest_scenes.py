"""MODEST's images and scenes: the right pixels, damage found, an order that resumes."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from depthmask.data.sources.modest import read_layout
from depthmask.data.sources.modest.layout import check_images
from depthmask.data.sources.modest.scenes import (
    Draw,
    EpochOrder,
    FileScenes,
    FileTrainingScenes,
    read_image,
)
from depthmask.errors import InputError
from modest_folder import SIDE, save, write_modest
from synthetic import TINY

ALWAYS = TINY.augment.model_copy(update={"p": 1.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_modest(tmp_path_factory.mktemp("modest") / "data", num_plates=3, num_cutouts=3)


@pytest.fixture
def broken(tmp_path):
    return write_modest(tmp_path / "data", num_plates=2, num_cutouts=2)


@pytest.fixture(scope="module")
def table(folder):
    return read_layout(folder)


def test_a_scene_holds_its_rows_files(folder, table):
    draws = [Draw(0, row, row, SIDE) for row in range(len(table))]
    scene = FileScenes(folder, table).read(draws)
    for row in (5, 16):
        for name, field in list(scene._asdict().items())[:4]:
            np.testing.assert_array_equal(field[row], Image.open(folder / table[name].iloc[row]))


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
    gaps = [
        (scene.bg.int() - scene.bg_fg).abs()[outside].double().mean() for scene in (before, after)
    ]
    assert gaps[0] < 3 < gaps[1]


def test_every_row_comes_before_one_comes_twice():
    order = EpochOrder(10, [32], 4, seed=7)
    rows = []
    for epoch in range(5):
        order.set_epoch(epoch)
        draws = list(order)
        assert [draw[:2] for draw in draws] == [(epoch, place) for place in range(len(order))]
        rows += [draw.row for draw in draws]
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))
    assert rows[:10] != rows[10:]
    assert [draw.row for draw in EpochOrder(3, [32])] == [0, 1, 2]
    resumed, other = EpochOrder(10, [8, 16], 4, seed=7), EpochOrder(10, [8, 16], 4, seed=8)
    for order in (resumed, other):
        order.set_epoch(2)
    assert [draw.row for draw in resumed] == rows[8:12] != [draw.row for draw in other]
    assert {draw.size for draw in resumed} == {16}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_the_draws_whatever_the_workers(folder, table, num_workers):
    scenes = FileScenes(folder, table, ALWAYS)
    training = FileTrainingScenes(scenes, scenes, seed=5, num_workers=num_workers)
    cpu = torch.device("cpu")
    loader = training.loader("train", 50, 4, [16], 3, cpu)
    # all are kept to the end: memory that is written again must not show in them
    batches = list(loader)
    assert len(loader) == len(batches) == 13
    draws = list(loader.sampler)
    for place, batch in enumerate(batches):
        scene = training.scene(batch, cpu)
        assert scene.bg.is_contiguous(memory_format=torch.channels_last)
        expected = scenes.read(draws[4 * place : 4 * place + 4])
        for found, field in zip(scene[:4], expected[:4], strict=True):
            planes = field.float() / 255
            planes = planes.permute(0, 3, 1, 2) if field.ndim == 4 else planes[:, None]
            assert found.dtype == torch.float32 and torch.equal(found, planes)
    # a last batch of one is left out of training
    sizes = {("train", 9, 4): [4, 4], ("train", 10, 4): [4, 4, 2], ("val", 9, 17): [17, 1]}
    for case, expected in sizes.items():
        loader = training.loader(*case, [8], 0, cpu)
        assert [len(batch.mask) for batch in loader] == expected


def smooth(size: int, channels: int = 3) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, channels), dtype=np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [224, 200, 112, 50, 28, 24])
def test_smaller_is_the_mean_of_the_pixels_it_covers(tmp_path, size):
    save(tmp_path / "a.jpeg", smooth(224))
    full = np.asarray(Image.open(tmp_path / "a.jpeg"))
    expected = cv2.resize(full, (size, size), interpolation=cv2.INTER_AREA).astype(int)
    image = read_image(tmp_path / "a.jpeg", size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8
    assert size < 224 or np.abs(image - expected).max() <= 2
    # a shift by a pixel of the file would be above 5 at most sizes
    assert np.abs(image - expected).mean() < 1.5


def test_grey_and_coloured_files_read_grey_and_png(tmp_path):
    grey = smooth(64, 1)
    expected = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(int)
    for name, picture in (("grey", grey), ("rgb", np.dstack([grey] * 3))):
        save(tmp_path / f"{name}.jpeg", picture)
        image = read_image(tmp_path / f"{name}.jpeg", 32, "L")
        assert image.shape == (32, 32) and np.abs(image - expected).mean() < 1.5
    save(tmp_path / "a.png", grey)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 64, "L"), grey)


def test_faults_are_counted_and_one_is_named(broken, capfd):
    table = read_layout(broken)
    side, content = check_images(broken, table)
    assert side == SIDE and "images checked: 26 of 26" in capfd.readouterr().err
    path = broken / "bg_fg/bg001_fg002_01.jpeg"
    data = path.read_bytes()
    path.write_bytes(data + b"\n\x00\x00")  # padding does no harm, but is other data
    assert check_images(broken, table)[1] != content
    for damaged in (data[:-100], data[:20], b"", b"no image \xff\xd9"):
        path.write_bytes(damaged)
        said = "bg001_fg002_01.jpeg is no JPEG or PNG, or cut short: unpack"
        with pytest.raises(
            InputError, match=f"1 of 26 images in .* cannot be used, such as .*{said}"
        ):
            check_images(broken, table)
    save(broken / "bg/bg002.jpeg", smooth(48))
    with pytest.raises(InputError, match="2 of 26 .* bg/bg002.jpeg is not 32 x 32 px"):
        check_images(broken, table)
