import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from depthmask import cli
from depthmask.errors import InputError
from depthmask.evaluation import footage
from depthmask.evaluation.footage import find_footage, make_plate, measure_footage, summarise

HEIGHT, WIDTH = 40, 60
ROOM, PERSON = (90, 100, 110), (200, 160, 130)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def scene(left: int | None) -> tuple[np.ndarray, np.ndarray]:
    """A frame of somebody 10 px wide and 20 high, and CDnet's codes: a border of 170 around it and
    a hard shadow of 50 below; or of nobody."""
    frame, codes = np.tile(np.uint8(ROOM), (HEIGHT, WIDTH, 1)), np.zeros((HEIGHT, WIDTH), np.uint8)
    if left is not None:
        frame[10:30, left : left + 10] = PERSON
        frame[31:34, left : left + 10] = np.array(ROOM) // 2
        codes[31:34, left : left + 10] = 50
        codes[9:31, left - 1 : left + 11] = 170
        codes[10:30, left : left + 10] = 255
    return frame, codes


def write_cdnet(home: Path, lefts: list[int | None]) -> Path:
    for number, left in enumerate(lefts, start=1):
        frame, codes = scene(left)
        save(home / f"input/in{number:06d}.png", frame)
        save(home / f"groundtruth/gt{number:06d}.png", codes)
    return home


def measure(folder: Path, predict, threshold=None, rule="truth"):
    ((name, frames),) = find_footage(folder).items()
    plate = make_plate(frames, rule)
    judged = [frame for frame in frames if frame.truth]
    table, views = measure_footage(judged, plate, predict, threshold, lambda _: None)
    table.insert(0, "sequence", name)
    return table, views


def test_figures_count_the_pixels_that_the_truth_judges(tmp_path):
    def predict(bg, bg_fg):  # half the person, 40 px of shadow or wall, and all that is ignored
        mask = np.zeros(bg.shape[:2], np.float32)
        mask[10:20] = (bg_fg[10:20] == PERSON).all(-1)
        mask[9] = mask[30] = (bg_fg[15] == PERSON).all(-1)
        mask[36:40, :10] = 1
        return mask, mask

    table, views = measure(write_cdnet(tmp_path, [10, 30, None]), predict, 0.3)
    own = table[table.method == "network"]
    assert own[footage.COUNTS].to_numpy().tolist() == [[100, 40, 100]] * 2 + [[0, 40, 0]]
    assert own.mask_iou.tolist()[:2] == pytest.approx([100 / 240] * 2)
    assert own.false_alarm.tolist()[2] == 1  # 40 of 2,400 pixels are above a thousandth
    assert (
        own.isna().sum().to_dict() | {"mask_iou": 1, "false_alarm": 2} == own.isna().sum().to_dict()
    )
    summary = summarise(table).set_index(["sequence", "method"])
    network, threshold = summary.loc["pooled", "network"], summary.loc["pooled", "threshold"]
    assert network.pooled_iou == pytest.approx(200 / 520)
    assert network.pooled_f == pytest.approx(400 / 720)
    assert (network.num_frames, network.num_empty, network.false_alarm) == (3, 1, 1)
    assert (threshold.mask_iou, threshold.mask_boundary_f, threshold.false_alarm) == (1, 1, 0)
    kinds = [(kind, view.name) for kind, view in views]
    assert kinds[0] == ("best", "in000001") and kinds[-1] == ("nobody there", "in000003")


def test_the_plate_is_the_room_where_the_truth_says_nobody_is(tmp_path, monkeypatch):
    monkeypatch.setattr(footage, "BLOCK_BYTES", 4 * WIDTH * 3 * 7)  # seven rows at once
    lefts = [20, 20, 20, 40]  # somebody who stays for three of four frames
    (frames,) = find_footage(write_cdnet(tmp_path, lefts)).values()
    assert (make_plate(frames, "truth") == ROOM).all()  # shadow and border neither
    median = make_plate(frames, "median")
    assert (median[10:30, 20:30] == PERSON).all() and (median[10:30, 40:50] == ROOM).all()
    (frames,) = find_footage(write_cdnet(tmp_path / "always", [20, 20])).values()
    plate = make_plate(frames, "truth")
    assert (plate[15, 25] == PERSON).all() and (plate[15, 5] == ROOM).all()


def test_cdnet_is_matched_by_number_within_its_time_and_region(tmp_path):
    write_cdnet(tmp_path, [10, 20, 30, 40])
    (tmp_path / "temporalROI.txt").write_text("2 3\n")
    (tmp_path / "groundtruth/gt000003.png").rename(tmp_path / "groundtruth/gt3.png")
    roi = np.full((HEIGHT, WIDTH), 255)
    roi[:, :25] = 0
    save(tmp_path / "ROI.bmp", roi)
    ((name, frames),) = find_footage(tmp_path).items()
    assert name == tmp_path.name
    truths = [frame.truth and frame.truth.name for frame in frames]
    assert truths == [None, "gt000002.png", "gt3.png", None]
    table, _ = measure(tmp_path, lambda bg, _: (np.ones(bg.shape[:2]), None))
    assert table.true_positives.tolist() == [100, 200]  # of the first, x 20 to 29, a half
    assert table.false_positives.tolist()[1] == HEIGHT * 35 - 22 * 12


def test_pairs_are_matched_by_stem_and_bring_their_plates(tmp_path):
    for name, shade in (("a1", 0), ("b1", 9)):
        frame, codes = scene(10)
        save(tmp_path / f"set/bg_fg/{name}.png", frame + np.uint8(shade))
        save(tmp_path / f"set/mask/{name}.png", np.where(codes == 255, 255, 0))
        save(tmp_path / f"set/bg/{name}.png", scene(None)[0] + np.uint8(shade))
    found = find_footage(tmp_path)
    plates = []

    def predict(bg, bg_fg):
        plates.append(int(bg[0, 0, 0]))
        return (bg_fg[..., 0] > 150).astype(np.float32), None

    table, _ = measure_footage(found["set"], None, predict, None, lambda _: None)
    assert table.mask_iou.tolist() == [1, 1] and plates[:2] == [90, 99]
    (tmp_path / "set/bg/b1.png").rename(tmp_path / "set/bg.png")
    assert [frame.bg.name for frame in find_footage(tmp_path)["set"]] == ["a1.png", "bg.png"]
    given = find_footage(tmp_path, tmp_path / "mine.png")["set"]
    assert {frame.bg.name for frame in given} == {"mine.png"}


@pytest.fixture
def run(monkeypatch, tmp_path, capsys, difference_onnx):
    monkeypatch.chdir(tmp_path)
    shutil.copy(difference_onnx, tmp_path / "model.onnx")
    write_cdnet(tmp_path / "clips/hall/one", [10, 30, None])
    write_cdnet(tmp_path / "clips/two", [20, 40])

    def run(options: str = "") -> tuple[int, str, str]:
        command = f"depthmask evaluate-footage clips --model model.onnx --out out {options}"
        monkeypatch.setattr(sys, "argv", command.split())
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return (stopped.value.code or 0, *capsys.readouterr())

    return run


def test_the_verb_writes_tables_and_a_sheet(run, tmp_path):
    code, out, _ = run()
    assert code == 0 and "reports/metrics.json is missing" in out
    (tmp_path / "reports").mkdir()
    settings = {"baseline_settings": {"difference_threshold": 0.3}}
    (tmp_path / "reports/metrics.json").write_text(json.dumps(settings))
    code, out, _ = run()
    assert code == 0 and "hall/one" in out and "1.000" in out and "nan" not in out
    summary = pd.read_csv(tmp_path / "out/footage.csv").set_index(["sequence", "method"])
    assert list(summary.index.levels[0]) == ["hall/one", "pooled", "two"]
    assert summary.pooled_iou["two", "threshold"] == 1
    assert 0.6 < summary.pooled_iou["two", "network"] <= 1
    assert len(pd.read_csv(tmp_path / "out/frames.csv")) == 2 * 5
    assert Image.open(tmp_path / "out/best_and_worst.png").width > 900
    assert run("--frames 1")[0] == 0
    assert len(pd.read_csv(tmp_path / "out/frames.csv")) == 2 * 2
    (tmp_path / "plate.png").write_bytes((tmp_path / "clips/two/input/in000002.png").read_bytes())
    assert run("--bg plate.png --frames 1")[0] == 0  # a plate beside --out is no reason to refuse


def test_what_is_wrong_with_the_footage_is_said_in_a_line(run, tmp_path):
    code, _, err = run("--out clips/two/input/found")
    assert code == 2 and "clips/two/input/found lies among" in err
    frame = tmp_path / "clips/two/input/in000002.png"
    frame.write_bytes(frame.read_bytes()[:60])
    code, _, err = run()
    assert code == 2 and "in000002.png cannot be read" in err
    assert not (tmp_path / "out").exists()
    save(frame, np.zeros((HEIGHT, 50, 3)))
    code, _, err = run()
    assert code == 2 and "in000002.png is 50x40 px, not 60x40 px" in err
    (tmp_path / "clips/two/temporalROI.txt").write_text("7 8")
    with pytest.raises(InputError, match="groundtruth has no mask of the same number at its end"):
        find_footage(tmp_path / "clips")
    (tmp_path / "clips/two/temporalROI.txt").write_text("all")
    with pytest.raises(InputError, match="temporalROI.txt must hold the numbers"):
        find_footage(tmp_path / "clips")
    with pytest.raises(InputError, match="holds no sequence: give a folder with input/ and ground"):
        find_footage(tmp_path / "out")
