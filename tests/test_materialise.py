import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from filelock import FileLock

from depthmask import cli
from depthmask.data.composition.training_scenes import read_compositor
from depthmask.data.materialise import materialise, plain_shots, writing
from depthmask.data.materialise.writing import NOTES, Encoding, Writer
from depthmask.data.scenes.library import Library, read_array
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer
from depthmask.data.sources.modest import FOLDERS, read_layout
from depthmask.data.sources.modest.scenes import Draw, FileScenes
from depthmask.errors import InputError
from depthmask.models.depth_codec import decode_depth, encode_depth
from synthetic import SIZE, TINY

RANGE_M = (0.5, 25.0)
LUMA = np.float32([0.299, 0.587, 0.114])
CHUNK = 8  # scenes, in place of 32
COUNT = 18  # two whole chunks and a part
NUM_VAL = TINY.prepare.num_scenes.val


@pytest.fixture(scope="module")
def data(synthetic_data) -> Iterator[Path]:
    """A folder with params.yaml and data; chunks are smaller."""
    params = (Path(__file__).parents[1] / "params.yaml").read_text()
    params = params.replace("profile: laptop", "profile: tiny", 1)
    (synthetic_data.parent / "params.yaml").write_text(params)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "CHUNK", CHUNK)
        yield synthetic_data.parent


def write(data: Path, out: Path, **changes) -> int:
    """The number of scenes written."""
    prepared, augmented = data / "data/prepared", data / "data/augmented"
    arguments = {"prepared": prepared, "augmented": augmented, "set_name": "train", "count": COUNT}
    arguments |= {"size": 48, "placement": TINY.placement, "compositor_params": TINY.compositor}
    arguments |= {"nobody": 0.1, "encoding": Encoding(RANGE_M, quality=95)}
    return materialise(out, **arguments | changes)[0]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "whole"
    # what OpenCV has started here does not come along into a worker, which must not wait for it
    cv2.setNumThreads(4)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (31, 31), 5)
    write(data, out, num_workers=2)
    return out


def tree(folder: Path) -> dict[str, bytes]:
    """Every file that is for others to read."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.glob("**/*.*")
        if "/." not in str(p)
    }


def read(path: Path) -> np.ndarray:
    """RGB or grey, 8 or 16 bit."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return pixels[..., ::-1] if pixels.ndim == 3 else pixels


def read_map(out: Path, name: str = "file_map") -> list[list[str]]:
    return [line.split("\t") for line in (out / f"{name}.txt").read_text().splitlines()]


def test_layout_is_the_originals_and_the_source_modest_reads_it(whole):
    lines, boxes = read_map(whole), read_map(whole, "bbox")
    assert len(lines) == len(boxes) == COUNT
    for number, (line, box) in enumerate(zip(lines, boxes, strict=True), start=1):
        name = line[1]
        assert re.fullmatch(rf"bg\d{{3}}_fg\d{{3}}_{number:06d}", name)
        assert line == [name, name, f"{name}_mask", f"{name}_depth_map"]
        person = read(whole / f"bg_fg_mask/{name}_mask.jpeg") >= 128
        expected = cv2.boundingRect(person.astype(np.uint8))
        assert box[0] == f"{name}.jpeg"
        assert tuple(map(int, box[1:])) == pytest.approx(expected, abs=2)
    assert any("_fg000_" in line[1] for line in lines)
    assert not (whole / "depth_mm").exists()
    table = read_layout(whole)
    assert len(table) == COUNT and table["bg"].is_unique
    scene = FileScenes(whole, table).read([Draw(0, n, n, 32) for n in (0, 1)])
    bg, bg_fg, mask, depth = scene[:4]
    assert bg.shape == bg_fg.shape == (2, 32, 32, 3) and mask.max() == 255 and depth.min() < 255
    statistics = json.loads((whole / "statistics.json").read_text())
    assert list(statistics["images"]) == list(FOLDERS.values())
    columns = zip(*lines, strict=True)
    for names, (folder, entry) in zip(columns, statistics["images"].items(), strict=True):
        paths = [whole / folder / f"{name}.jpeg" for name in names]
        assert sorted(paths) == sorted((whole / folder).iterdir())
        pixels = np.stack([read(path) for path in paths]).reshape(-1, len(entry["mean"])) / 255
        assert entry["num_files"] == len(paths) == COUNT and entry["shape"][:2] == [48, 48]
        assert entry["num_bytes"] == sum(path.stat().st_size for path in paths)
        # the files have been through JPEG, the figures have not
        assert entry["mean"] == pytest.approx(pixels.mean(0), abs=0.003)
        assert entry["std"] == pytest.approx(pixels.std(0), abs=0.006)
    assert statistics["num_files"] == 4 * COUNT
    assert statistics["num_plates"] == statistics["num_people"] == 4


def test_files_hold_what_training_composes(data, tmp_path):
    out = tmp_path / "out"
    write(data, out, count=10, size=SIZE, encoding=Encoding(RANGE_M, True, 100))
    library = Library.read(data / "data/prepared")
    compositor = read_compositor(library, TINY.compositor, data / "data/augmented")
    visible = read_array(data / "data/prepared/visible_shares.npy")
    shares = {"nobody": 0.1, "num_variants": compositor.num_variants}
    recipes = Placer(library, visible, TINY.placement, **shares).draw(TRAIN_STREAM, 0, range(10))
    scene = compositor(recipes, SIZE)
    codes = encode_depth(scene.depth, RANGE_M)
    for number, (bg, bg_fg, mask, depth) in enumerate(read_map(out)):
        assert int(bg_fg[2:5]) == recipes.plate[number] + 1
        person = 0 if recipes.nobody[number] else recipes.cutout[number] + 1
        assert int(bg_fg[8:11]) == person
        for folder, stem, field in (("bg", bg, scene.bg), ("bg_fg", bg_fg, scene.bg_fg)):
            true = (field[number].permute(1, 2, 0) * 255).numpy()
            error = read(out / folder / f"{stem}.jpeg") - true
            assert error.mean((0, 1)) == pytest.approx(0, abs=2)
            assert np.abs(error @ LUMA).mean() < 1  # colour is kept at half the size
        error = read(out / f"bg_fg_mask/{mask}.jpeg") - scene.mask[number, 0].numpy() * 255
        assert np.abs(error).max() <= 3
        grey = read(out / f"bg_fg_depth_map/{depth}.jpeg")
        assert np.abs(grey - codes[number, 0].numpy() * 255).max() <= 3
        metres = decode_depth(torch.from_numpy(grey / 255), RANGE_M).numpy()
        exact = read(out / f"depth_mm/{bg_fg}_depth_mm.png")
        assert exact.dtype == np.uint16
        assert exact == pytest.approx(scene.depth[number, 0].numpy() * 1000, abs=1)
        assert metres == pytest.approx(exact / 1000, rel=0.06)


def test_plain_scenes_share_one_file_a_plate_and_a_larger_count_adds_scenes(data, tmp_path):
    plain = {"compositor_params": plain_shots(TINY.compositor), "nobody": 0.0, "size": SIZE}
    for count in (11, COUNT):
        write(data, tmp_path / "grown", count=count, augmented=None, **plain)
    write(data, tmp_path / "whole", augmented=None, **plain)
    assert tree(tmp_path / "grown") == tree(tmp_path / "whole")
    lines = read_map(tmp_path / "whole")
    assert all(line[1].startswith(f"{line[0]}_fg") for line in lines)
    names = sorted(path.stem for path in (tmp_path / "whole/bg").iterdir())
    assert names == sorted({line[0] for line in lines}) == ["bg001", "bg002", "bg003", "bg004"]
    statistics = json.loads((tmp_path / "whole/statistics.json").read_text())
    assert statistics["images"]["bg"]["num_files"] == 4
    library = Library.read(data / "data/prepared")
    for name, image in zip(names, library.images[:4].astype(float), strict=True):
        error = read(tmp_path / f"whole/bg/{name}.jpeg") - image
        assert np.abs(error).mean() < 6 and abs(error.mean()) < 1


def test_workers_change_nothing_and_what_is_not_noted_is_written_again(data, whole, tmp_path):
    out = tmp_path / "out"
    for count in (11, COUNT):
        write(data, out, num_workers=1, count=count)
    assert tree(out) == tree(whole)
    names = [line[1] for line in read_map(out)]
    (out / f"bg_fg/{names[3]}.jpeg").unlink()
    (out / NOTES / f"0-{CHUNK}.csv").unlink()  # killed before it noted the first chunk
    assert write(data, out) == CHUNK
    assert tree(out) == tree(whole)
    times = {path: path.stat().st_mtime_ns for path in (out / "bg_fg").iterdir()}
    assert write(data, out) == 0
    assert times == {path: path.stat().st_mtime_ns for path in (out / "bg_fg").iterdir()}


def test_test_sets_are_written_from_their_placements(data, tmp_path):
    write(data, tmp_path, set_name="val", count=NUM_VAL)
    library, table = Library.read(data / "data/prepared"), read_layout(tmp_path)
    assert len(table) == NUM_VAL
    assert set(table["plate"] - 1) <= set(library.plates_of("val"))
    assert set(table["cutout"] - 1) <= set(library.cutouts_of("val"))


def test_bad_arguments_and_a_folder_of_something_else_are_refused(data, whole, tmp_path):
    prepared = shutil.copytree(data / "data/prepared", tmp_path / "prepared")
    path = prepared / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"unit": "relative"}))
    before, none = tree(whole), tmp_path / "none"
    for name, content in (("mine/thesis.txt", "all of it"), ("damaged/recipe.json", "{")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    exact = Encoding(RANGE_M, True, 95)
    for out, changes, message in (
        (none, {"size": SIZE + 8}, f"--size {SIZE + 8}: give a multiple of 8 from 32 to {SIZE}"),
        (none, {"size": SIZE - 4}, f"--size {SIZE - 4}: give a multiple of 8 from 32 to {SIZE}"),
        (none, {"prepared": Path("nowhere")}, "is missing: run `dvc repro`"),
        (none, {"set_name": "val"}, f"val has {NUM_VAL} scenes: give --count {NUM_VAL} or less"),
        (none, {"prepared": prepared, "encoding": exact}, "no metres: leave out --exact-depth"),
        (whole, {"size": 40}, r"other settings \(size\)"),
        (whole, {"set_name": "val", "count": 4}, r"other settings \(set, .*\)"),
        (whole, {"encoding": Encoding(RANGE_M, quality=50)}, r"other settings \(encoding\)"),
        (whole, {"augmented": None}, r"other settings \(augmented\)"),
        (whole, {"count": COUNT - 1}, "has 18 scenes already: give --count 18 or more"),
        (tmp_path / "mine", {}, "holds something else"),
        (tmp_path / "damaged", {}, "other settings"),
    ):
        with pytest.raises(InputError, match=message):
            write(data, out, **changes)
    with FileLock(whole / ".lock"), pytest.raises(InputError, match="another run writes to"):
        write(data, whole)
    assert tree(whole) == before and list(tree(tmp_path / "mine")) == ["thesis.txt"]
    assert not none.exists()
    write(data, none, prepared=prepared, count=2)
    assert json.loads((none / "statistics.json").read_text())["unit"] == "relative"


@pytest.mark.skipif(sys.platform != "linux", reason="workers are processes on Linux alone")
def test_a_worker_that_is_killed_is_one_line(data, tmp_path, monkeypatch):
    def kill(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Writer, "__getitem__", kill)
    with pytest.raises(InputError, match="the same command goes on, with --workers 1"):
        write(data, tmp_path / "out", num_workers=2)


def test_a_run_stopped_by_ctrl_c_and_then_killed_goes_on_to_the_same_files(
    data, tmp_path, environment, monkeypatch, capsys
):
    count, out = 20 * CHUNK, tmp_path / "stopped"
    code = "from depthmask import cli; from depthmask.data.materialise import writing;"
    code += f"writing.CHUNK = {CHUNK}; cli.main()"
    command = [sys.executable, "-c", code, "materialise", "--out", str(out)]
    command += ["--count", str(count), "--workers", "2"]
    options = {"stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    there = 0
    for stop in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(command, cwd=data, env=environment, **options)
        while len(list(out.glob(f"{NOTES}/*.csv"))) <= there:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        # Ctrl-C is sent to every process of the terminal
        (os.killpg if stop == signal.SIGINT else os.kill)(process.pid, stop)
        _, err = process.communicate(timeout=60)
        if stop == signal.SIGINT:
            assert process.returncode == 130 and "Traceback" not in err
            assert f"of {count} scenes are in {out}: the same command goes on" in err
        assert not (out / "file_map.txt").exists()
        there = len(list(out.glob(f"{NOTES}/*.csv")))

    monkeypatch.chdir(data)
    for name, rest in (("stopped", count - CHUNK * there), ("whole", count)):
        arguments = ["--out", str(tmp_path / name), "--count", str(count)]
        monkeypatch.setattr(sys, "argv", ["depthmask", "materialise", *arguments])
        with pytest.raises(SystemExit, match="^0$"):
            cli.main()
        said, err = capsys.readouterr()
        assert f"Wrote {rest:,} scenes" in said and f"of {rest}" in err
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")
