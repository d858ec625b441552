"""What stands on both sides of a split fails the pipeline, in one line."""

import itertools
import json
import re
import shutil
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from depthmask.config import Splits, SplitSizes
from depthmask.data.composition.source import Places
from depthmask.data.scenes.leakage_check import SplitLeak, group, near_pairs
from depthmask.data.sources import read_source
from depthmask.data.sources.modest import SAMPLES, SOURCE
from depthmask.stages import prepare
from modest_folder import write_modest
from photo_files import person, texture
from synthetic import TINY

SPLIT = SplitSizes(train=2, val=1, test=1)
NUM_SCENES = dict.fromkeys(("val", "seen_seen", "seen_unseen", "unseen_seen", "unseen_unseen"), 2)
FEW = TINY.prepare.num_scenes.model_copy(update=NUM_SCENES)
MODEST = TINY.prepare.model_copy(update={"source": "modest", "size": 32, "num_scenes": FEW})
plate, cutout = partial(texture, shape=(96, 96)), partial(person, height=96, margin=6)
KINDS = pytest.mark.parametrize("kind, name", [("plate", "room"), ("cutout", "person")])


@pytest.fixture
def prepared(synthetic_data, tmp_path) -> Path:
    """As from photographs, whose pictures are compared: of 8 plates and 8 people the first 4 train,
    then 2 validate and 2 test."""
    folder = Path(shutil.copytree(synthetic_data / "prepared", tmp_path / "prepared"))
    set_source(folder, "photos")
    return folder


def set_source(prepared: Path, source: str) -> None:
    path = prepared / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"source": source}))


def change(path: Path, row: int, column: str, value) -> None:
    table = pd.read_parquet(path)
    table.loc[row, column] = value
    table.to_parquet(path)


def refusal(prepared: Path) -> str:
    with pytest.raises(SplitLeak) as error:
        read_source(prepared).check_leakage(prepared)
    return str(error.value)


@KINDS
def test_a_twin_under_another_name_and_a_name_that_stands_twice(prepared, kind, name):
    read_source(prepared).check_leakage(prepared)
    (path,) = (*prepared.glob(f"{kind}s_image.npy"), *prepared.glob(f"{kind}s_rgba.npy"))
    array = np.load(path)
    array[6] = array[2]
    np.save(path, array)
    assert refusal(prepared) == (
        f"1 pairs of {kind}s stand on both sides of a split; the first: {kind} {name}-00002 of"
        f" train and {kind} {name}-00006 of test look the same: run `dvc repro --force prepare`,"
        " and with another prepare.seed if it comes again"
    )
    set_source(prepared, "museum")  # where nothing is compared: rooms are drawn at random
    read_source(prepared).check_leakage(prepared)
    change(prepared / f"{kind}s.parquet", 7, "name", f"{name}-00001")
    assert f"1 {kind}s stand twice, such as {name}-00001 in train and test:" in refusal(prepared)


def test_every_set_shows_its_own_splits(prepared):
    path = prepared / "placements.parquet"
    table = pd.read_parquet(path)
    sets = ("val", 6), ("seen_seen", 6), ("unseen_unseen", 0)
    for kind, (name, other) in itertools.product(("plate", "cutout"), sets):
        change(path, table["set"].tolist().index(name), kind, other)
        assert f"1 of 20 scenes in {path} show a {kind} of another split" in refusal(prepared)
        table.to_parquet(path)
    pd.DataFrame({"plate": [6, 4]}).to_parquet(prepared / "nobody.parquet")
    said = refusal(prepared)
    assert "1 of 2 scenes" in said and "room-00004" in said
    change(prepared / "in_scene.parquet", 1, "cutout", 0)
    assert "in_scene.parquet show a cutout" in refusal(prepared)
    change(prepared / "rendered.parquet", 1, "plate", 6)
    assert "rendered.parquet show a plate" in refusal(prepared)


@pytest.fixture
def modest(tmp_path) -> Path:
    """Prepared data of a folder in MODEST's layout."""
    folder = write_modest(tmp_path / "source", num_plates=8, num_cutouts=8, side=64)
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    splits = {"splits": Splits(plates=SPLIT, cutouts=SPLIT)}
    SOURCE.prepare(
        prepared, Places(folder, tmp_path), MODEST.model_copy(update=splits), TINY.placement
    )
    return prepared


def first_of(prepared: Path, kind: str, *names: str) -> list[int]:
    table = pd.read_parquet(prepared / SAMPLES)
    return [int(table.loc[table["set"] == name, kind].iloc[0]) for name in names]


def test_a_plate_of_files_under_two_numbers(modest, tmp_path):
    read_source(modest).check_leakage(modest)
    folder = tmp_path / "source"
    train, test = first_of(modest, "plate", "train", "unseen_unseen")
    image = np.asarray(Image.open(folder / f"bg/bg{train:03d}.jpeg"))
    darker = np.rint(0.7 * image[:, ::-1]).astype(np.uint8)
    Image.fromarray(darker).save(folder / f"bg/bg{test:03d}.jpeg", quality=80)
    said = refusal(modest)
    assert said.startswith("1 pairs of plates stand on both sides of a split; the first: plate ")
    assert f"plate {train} of train" in said and f"plate {test} of test" in said
    assert said.endswith(f"look the same: remove one's lines from {folder / 'file_map.txt'}")


def test_a_person_of_files_under_two_numbers(modest, tmp_path):
    train, val = first_of(modest, "cutout", "train", "val")
    for path in sorted((tmp_path / "source").glob(f"bg_fg*/*_fg{train:03d}_*")):
        if path.parent.name != "bg_fg_depth_map":
            image = Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            image.save(str(path).replace(f"fg{train:03d}", f"fg{val:03d}"), quality=95)
    said = refusal(modest)
    assert f"cutout {train} of train" in said and f"cutout {val} of val" in said


def test_a_composite_of_files_serves_one_set(modest):
    path = modest / SAMPLES
    table = pd.read_parquet(path)
    row = table.index[table["set"] == "train"][-1]
    pd.concat([table, table.loc[[row]].assign(set="seen_seen")]).to_parquet(path)
    assert "1 composites stand twice, such as bg_fg/" in refusal(modest)
    table.loc[row, "set"] = "val"
    table.to_parquet(path)
    assert re.search(r"1 plates stand twice, such as \d in train and val", refusal(modest))


def test_prepare_refuses_files_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_modest(Path("data/source/modest"), num_plates=4, num_cutouts=4, side=64)
    for number in (2, 3, 4):
        shutil.copy(folder / "bg/bg001.jpeg", folder / f"bg/bg{number:03d}.jpeg")
    with pytest.raises(SplitLeak, match="5 pairs of plates stand on both sides .* the same"):
        prepare.prepare(Path("data/prepared"), MODEST, TINY.placement)
    assert list(Path("data").iterdir()) == [Path("data/source")]


def darker(image: np.ndarray) -> np.ndarray:
    """A stop darker, warmer, and the blacks lifted."""
    rgb = (image[..., :3] / 255.0) ** 1.2 * np.array([0.6, 0.5, 0.42]) + 0.03
    return np.dstack([np.rint(255 * rgb), image[..., 3:]]).astype(np.uint8)


def jpeg(image: np.ndarray) -> np.ndarray:
    _, content = cv2.imencode(".jpg", image[..., :3], [cv2.IMWRITE_JPEG_QUALITY, 30])
    return np.dstack([cv2.imdecode(content, cv2.IMREAD_COLOR), image[..., 3:]])


def cropped(image: np.ndarray) -> np.ndarray:
    """Without the 2 % at the left and at the top, as large as before."""
    return cv2.resize(image[2:, 2:].copy(), image.shape[1::-1])


smaller = partial(cv2.resize, dsize=None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
mirrored = partial(cv2.flip, flipCode=1)
CHANGES = [darker], [jpeg], [cropped], [smaller], [mirrored], [mirrored, darker, jpeg, smaller]


@pytest.mark.parametrize("kind", [plate, cutout])
@pytest.mark.parametrize("changes", CHANGES)
def test_a_copy_is_found(kind, changes):
    for number in range(20):
        copy = kind(number)
        for change in changes:
            copy = change(copy)
        assert near_pairs([kind(number), copy]) == [(0, 1)]


def test_strangers_are_told_apart_and_a_person_moved_is_the_same():
    for kind in (plate, cutout):
        assert near_pairs([kind(number) for number in range(300)]) == []
    canvas = np.zeros((140, 90, 4), np.uint8)
    canvas[30:126, 20:68] = cutout(0)
    assert len(near_pairs([cutout(0), canvas])) == 1


def test_sides_and_groups():
    images = [plate(1), plate(0), mirrored(plate(1)), plate(2), cropped(plate(1))]
    assert group(images).tolist() == [0, 1, 0, 3, 0]
    assert near_pairs(images) == [(0, 2), (0, 4), (2, 4)]
