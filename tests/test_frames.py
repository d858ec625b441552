"""What a user may name as frames, and the plate that is made from them."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from depthmask.errors import InputError
from depthmask.inference import frames as frames_module
from depthmask.inference.frames import list_frames, median_plate

OUT = Path("out")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("walk").mkdir()
    for name in ("b.png", "a.JPEG", "c.mp4", "d.avif", "._b.png", ".DS_Store"):
        Path("walk", name).touch()
    Path("walk/x.png").mkdir()
    return tmp_path


def names(*texts: str) -> list[str]:
    return [path.as_posix() for path in list_frames(texts, OUT)[0]]


WALK = ["walk/a.JPEG", "walk/b.png", "walk/c.mp4", "walk/d.avif"]


def test_folders_are_sorted_and_what_is_hidden_or_no_file_is_left_out():
    assert names("walk") == WALK
    assert names("walk/b.png", "walk") == ["walk/b.png", WALK[0], *WALK[2:]], "each once"
    assert list_frames(["walk"], OUT)[1] == []
    for name in ("e.HEIC", "f.heic", "notes"):
        Path("walk", name).touch()
    Path("walk/away.png").symlink_to("gone.png")
    os.mkfifo("walk/pipe.mp4")
    (note,) = list_frames(["walk"], OUT)[1]
    assert note.startswith("walk: left out")
    assert note.endswith(": 1 of .png, 2 of .heic, 1 of no suffix, 1 of .mp4")
    assert names("walk") == WALK


def test_a_pattern_that_no_shell_has_expanded_and_a_file_of_that_name():
    assert names("walk/[ab].*") == ["walk/a.JPEG", "walk/b.png"]
    Path("[ab].png").touch()
    assert names("[ab].png") == ["[ab].png"]


def test_what_is_no_frame_is_named():
    os.mkfifo("pipe.png")
    Path("empty").mkdir()
    Path("empty/.hidden.png").touch()
    long = "ä" * 110 + ".png"
    Path(long).touch()
    for text, message in (
        ("", "--scene is empty: name a file"),
        ("https://example.org/a.png", "https://example.org/a.png is an address: download it"),
        ("pipe.png", "pipe.png is a pipe or a device"),
        ("*.gone", "*.gone matches no file"),
        ("empty", "empty holds no frames: give .bmp, "),
        (long, "has a long name that no result's would fit"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            list_frames([text], OUT)


def test_nothing_that_is_not_ours_is_overwritten():
    with pytest.raises(InputError, match="--out walk/. is the frames' own folder|--out walk is"):
        list_frames(["walk"], Path("walk/."))
    OUT.mkdir()
    for user, record, frame in (
        ("a_mask.png", "a.json", "walk/a.JPEG"),
        ("c_overlay.mp4", "c.jsonl", "walk/c.mp4"),
    ):
        (OUT / user).touch()
        for text in (None, "{}", "\ud800"):
            if text is not None:
                (OUT / record).write_text(text, errors="surrogatepass")
            with pytest.raises(InputError, match=f"out/{user} is no earlier result: name another"):
                list_frames([frame], OUT)
        (OUT / record).write_text('{"area_share": 0.0}')
        assert names(frame) == [frame]
    (OUT / "c_mask").mkdir()
    for name, is_ours in (("000000.png", True), ("000000.jpg", False), ("notes.png", False)):
        (OUT / "c_mask" / name).touch()
        if is_ours:
            assert names("walk/c.mp4") == ["walk/c.mp4"], "it may be replaced"
            continue
        with pytest.raises(InputError, match="out/c_mask is no earlier result"):
            list_frames(["walk/c.mp4"], OUT)
        (OUT / "c_mask" / name).unlink()
    (OUT / "c_depth").symlink_to("c_mask")
    with pytest.raises(InputError, match="out/c_depth is no earlier result"):
        list_frames(["walk/c.mp4"], OUT)
    (OUT / "c_depth").unlink()
    (OUT / "c_depth").touch()
    with pytest.raises(InputError, match="out/c_depth is no earlier result"):
        list_frames(["walk/c.mp4"], OUT)
    (OUT / "c_depth").unlink()
    Path("b.jpg").touch()
    with pytest.raises(
        InputError, match="b.jpg and walk/b.png would both become b_mask: rename one"
    ):
        list_frames(["b.jpg", "walk/b.png"], OUT)
    Path("a.mp4").touch()
    assert names("a.mp4", "walk/a.JPEG") == ["a.mp4", "walk/a.JPEG"], "a picture and a video"


def test_results_of_an_earlier_run_are_no_frames():
    for name in ("a_overlay.png", "a_mask.png", "b_mask.png", "c_overlay.mp4"):
        Path("walk", name).touch()
    Path("walk/c_depth_relative.mkv").touch()
    ours = PngInfo()
    ours.add_text("Software", "depthmask")
    Image.new("RGB", (9, 9)).save("walk/c_plate.png", pnginfo=ours)
    Image.new("RGB", (9, 9)).save("walk/b_plate.png")
    Path("walk/a.json").write_text('{"area_share": 0.0}')
    Path("walk/c.jsonl").write_text('{"area_share": 0.0}')
    frames, notes = list_frames(["walk/[abc]*"], OUT)
    found = [path.name for path in frames]
    assert found == ["a.JPEG", "b.png", "b_mask.png", "b_plate.png", "c.mp4"], (
        "b's are a user's own"
    )
    assert notes == ["left out 7 results of an earlier run"]
    assert names("walk/a_mask.png") == ["walk/a_mask.png"], "asked for by its name"
    with pytest.raises(InputError, match="all of these are results of an earlier run"):
        list_frames(["walk/a_*"], OUT)
    Path("walk/c_mask").mkdir()
    for number in range(2):
        Path(f"walk/c_mask/00000{number}.png").touch()
    assert names("walk/c.mp4", "walk/c_mask") == ["walk/c.mp4"], "a folder of PNGs"
    with pytest.raises(InputError, match="all of these are results of an earlier run"):
        list_frames(["walk/c_mask"], OUT)


def moving(num_frames: int, *, stays: int = 0) -> list[np.ndarray]:
    """A wall on which a square moves on each frame, but for those in which it stays where it is."""
    frames = []
    for number in range(num_frames):
        frame = np.full((40, 200, 3), 90, np.uint8)
        left = 4 * max(0, number - stays) % 180
        frame[10:30, left : left + 10] = 200
        frames.append(frame)
    return frames


def test_the_median_is_the_empty_room_and_who_stays_is_told(monkeypatch):
    for count in (20, 45, 200):
        plate, warning = median_plate(iter(moving(count)))
        assert (plate == 90).all() and warning == ""
    # in 30 of 90 frames on 200 of 8000 pixels
    plate, warning = median_plate(moving(90, stays=30))
    assert (plate == 90).all() and warning.startswith("2% of the room looks otherwise for a fifth")
    monkeypatch.setattr(frames_module, "_PLATE_BYTES", 8 * plate.nbytes)
    for count in (7, 200):
        assert (median_plate(moving(count))[0] == 90).all(), "of 4 to 7 large frames"
    assert median_plate(moving(90, stays=70))[0][20, 5, 0] == 200, "no median knows better"


def test_a_plate_needs_frames_of_one_size():
    with pytest.raises(InputError, match="three frames or more: give one with --bg"):
        median_plate(moving(2))
    with pytest.raises(InputError, match="not of one size"):
        median_plate([*moving(3), np.zeros((8, 8, 3), np.uint8)])
