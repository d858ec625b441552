"""What stands on both sides of a split fails the pipeline, in one line."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from depthmask.config import Splits, SplitSizes
from depthmask.data.scenes.leakage_check import SplitLeak
from depthmask.data.sources import check_leakage
from depthmask.data.sources.modest import SAMPLES, prepare_modest
from depthmask.stages import prepare
from modest_folder import write_modest
from synthetic import TINY, write_synthetic

SPLIT = SplitSizes(train=2, val=1, test=1)
NUM_SCENES = dict.fromkeys(("val", "seen_seen", "seen_unseen", "unseen_seen", "unseen_unseen"), 2)
MODEST = TINY.prepare.model_copy(
    update={
        "source": "modest",
        "size": 32,
        "num_scenes": TINY.prepare.num_scenes.model_copy(update=NUM_SCENES),
    }
)
KINDS = pytest.mark.parametrize("kind, name", [("plate", "room"), ("cutout", "person")])


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Prepared data: of 8 plates and 8 people the first 4 train, then 2 validate and 2 test."""
    root = tmp_path_factory.mktemp("data")
    write_synthetic(root)
    return root / "data/prepared"


@pytest.fixture
def prepared(written, tmp_path) -> Path:
    """As from photographs, whose pictures are compared."""
    folder = Path(shutil.copytree(written, tmp_path / "prepared"))
    set_source(folder, "photos")
    return folder


def set_source(prepared: Path, source: str) -> None:
    path = prepared / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"source": source}))


def change(path: Path, row: int, column: str, value) -> None:
    table = pd.read_parquet(path)
    table.loc[row, column] = value
    table.to_parquet(path)


def overwrite(path: Path, row: int, picture: np.ndarray) -> None:
    array = np.load(path)
    array[row] = picture
    np.save(path, array)


def refusal(prepared: Path) -> str:
    with pytest.raises(SplitLeak) as error:
        check_leakage(prepared)
    assert "\n" not in str(error.value)
    return str(error.value)


@KINDS
def test_a_twin_under_another_name(prepared, kind, name):
    check_leakage(prepared)
    path = prepared / {"plate": "plates_image.npy", "cutout": "cutouts_rgba.npy"}[kind]
    overwrite(path, 6, np.load(path)[2])
    assert refusal(prepared) == (
        f"1 pair stands on both sides of a split; the first: {kind} {name}-00002 of train and"
        f" {kind} {name}-00006 of test look the same: run `dvc repro --force prepare`, and with"
        " another prepare.seed if it comes again"
    )
    set_source(prepared, "museum")  # where nothing is compared: rooms are drawn at random
    check_leakage(prepared)


def test_a_plate_in_other_light_and_mirrored(prepared):
    path = prepared / "plates_image.npy"
    overwrite(path, 3, np.load(path)[0])  # within a split
    check_leakage(prepared)
    darker = np.rint(0.6 * np.load(path)[[1, 2]]).astype(np.uint8)
    overwrite(path, 5, darker[0][:, ::-1])
    overwrite(path, 7, darker[1])
    said = refusal(prepared)
    assert said.startswith("2 pairs stand on both sides of a split; the first: plate room-00001")
    assert re.search("of train and plate room-00005 of val .*, mirrored", said)


@pytest.mark.parametrize("source", ["museum", "photos"])
@KINDS
def test_names_and_placements(prepared, source, kind, name):
    set_source(prepared, source)
    path = prepared / f"{kind}s.parquet"
    table = pd.read_parquet(path)
    change(path, 7, "name", f"{name}-00001")
    assert f"1 {kind}s stand twice; the first: {name}-00001 in train and test:" in refusal(prepared)
    table.to_parquet(path)
    change(path, 6, "split", "train")
    said = refusal(prepared)
    assert f"show a {kind} of another split; the first: {name}-00006 of train, where test" in said
    assert "placements.parquet" in said


@pytest.mark.parametrize("kind", ["plate", "cutout"])
@pytest.mark.parametrize("name, other", [("val", 6), ("seen_seen", 6), ("unseen_unseen", 0)])
def test_every_set_shows_its_own_splits(prepared, kind, name, other):
    path = prepared / "placements.parquet"
    change(path, pd.read_parquet(path)["set"].tolist().index(name), kind, other)
    assert f"1 of 20 scenes in {path} show a {kind} of another split" in refusal(prepared)


def test_rendered_frames_show_test_sources(prepared):
    path = prepared / "nobody.parquet"
    pd.DataFrame({"plate": [6, 4]}).to_parquet(path)
    assert "1 of 2 scenes" in refusal(prepared) and "room-00004 of val" in refusal(prepared)
    change(prepared / "in_scene.parquet", 1, "cutout", 0)
    assert "in_scene.parquet show a cutout" in refusal(prepared)


@pytest.fixture
def modest(tmp_path) -> Path:
    """Prepared data of a folder in MODEST's layout."""
    folder = write_modest(tmp_path / "source", num_plates=8, num_cutouts=8, side=64)
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    splits = {"splits": Splits(plates=SPLIT, cutouts=SPLIT)}
    prepare_modest(folder, prepared, MODEST.model_copy(update=splits))
    return prepared


def numbers(prepared: Path, kind: str) -> list[int]:
    """One of train, val and test."""
    table = pd.read_parquet(prepared / SAMPLES).drop_duplicates("set").set_index("set")
    return table.loc[["train", "val", "unseen_unseen"], kind].tolist()


def test_a_plate_of_files_under_two_numbers(modest, tmp_path):
    check_leakage(modest)
    (train, _, test), folder = numbers(modest, "plate"), tmp_path / "source"
    image = np.asarray(Image.open(folder / f"bg/bg{train:03d}.jpeg"))
    darker = np.rint(0.7 * image[:, ::-1]).astype(np.uint8)
    Image.fromarray(darker).save(folder / f"bg/bg{test:03d}.jpeg", quality=80)
    said = refusal(modest)
    assert said.startswith("1 pair stands on both sides of a split; the first: plate ")
    assert f"plate {train} of train" in said and f"plate {test} of test" in said
    assert said.endswith(f"mirrored: remove one's lines from {folder / 'file_map.txt'}")


def test_a_person_of_files_under_two_numbers(modest, tmp_path):
    train, val, _ = numbers(modest, "cutout")
    for path in sorted((tmp_path / "source").glob(f"bg_fg*/*_fg{train:03d}_*")):
        if path.parent.name != "bg_fg_depth_map":
            image = Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            image.save(str(path).replace(f"fg{train:03d}", f"fg{val:03d}"), quality=95)
    said = refusal(modest)
    assert f"cutout {train} of train" in said and f"cutout {val} of val" in said


def test_a_composite_of_files_serves_one_set(modest):
    path = modest / SAMPLES
    table = pd.read_parquet(path)
    rows = {name: table.index[table["set"] == name][0] for name in ("train", "seen_unseen")}
    pd.concat([table, table.loc[[rows["train"]]].assign(set="seen_seen")]).to_parquet(path)
    assert "1 composites stand twice; the first: bg_fg/" in refusal(modest)
    table.loc[rows["seen_unseen"], "set"] = "train"
    table.to_parquet(path)
    assert re.search(r"1 cutouts stand twice; the first: \d in .*test", refusal(modest))


def test_prepare_refuses_files_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_modest(Path("data/source/modest"), num_plates=4, num_cutouts=4, side=64)
    for number in (2, 3, 4):
        shutil.copy(folder / "bg/bg001.jpeg", folder / f"bg/bg{number:03d}.jpeg")
    with pytest.raises(SplitLeak, match="5 pairs stand on both sides of a split; .* the same"):
        prepare.prepare(Path("data/prepared"), MODEST, TINY.placement)
    assert list(Path("data").iterdir()) == [Path("data/source")]
