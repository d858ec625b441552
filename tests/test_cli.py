import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_args

import av
import numpy as np
import pytest
from PIL import Image

import depthmask
from depthmask import cli
from depthmask.config.reading import read_params
from depthmask.data.scenes import onnx_session
from depthmask.data.scenes.scene import COMPOSED_SETS
from depthmask.inference import prediction, predictor
from depthmask.inference.predictor import Predictor
from photo_files import write_teacher
from report_files import write_run
from test_video import write_video
from tracked import card, runs, write_outputs

PREDICT = "predict --bg plate.png --scene frame.png"


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def run(command: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["depthmask", *command.split()])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return stopped.value.code or 0, out, err

    return run


@pytest.fixture
def photos(tmp_path, difference_onnx, room_and_visitor) -> Path:
    (tmp_path / "models/best").mkdir(parents=True)
    shutil.copy(difference_onnx, tmp_path / "models/best/model.onnx")
    for name, image in zip(("plate", "frame"), room_and_visitor, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    return tmp_path


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_predict_writes_the_files_of_the_contract(run, photos):
    (photos / "found").mkdir()
    (photos / "found/mine.txt").write_text("mine")
    (photos / "found/frame.json").write_text('{"area_share": 0.0, "of": "an earlier run"}')
    code, out, err = run(f"{PREDICT} --out found --device cpu")
    assert (code, err) == (0, "")
    made = [f"frame{end}" for end in (".json", "_depth.png", "_mask.png", "_overlay.png")]
    assert listing(photos / "found") == [*made, "mine.txt"]
    images = {kind: Image.open(f"found/frame_{kind}.png") for kind in ("mask", "depth", "overlay")}
    assert [image.mode for image in images.values()] == ["L", "I;16", "RGB"]
    assert {image.size for image in images.values()} == {(144, 96)}
    mask, depth, overlay = map(np.asarray, images.values())
    assert mask[54, 72] == 255 and mask[54, 10] == 0
    assert depth[54, 72] == pytest.approx(4007, abs=3)
    assert int(overlay[54, 72, 1]) - overlay[54, 72, 0] > 50  # tinted
    assert tuple(overlay[54, 10]) == 3 * (round(0.7 * 51),)  # the grey wall is darker grey
    summary = json.loads(Path("found/frame.json").read_text())
    # Half a pixel of the network's 48 px is one and a half of the frame's.
    assert summary.pop("box") == pytest.approx([60, 24, 24, 60], abs=3)
    assert summary.pop("area_share") == pytest.approx(24 * 60 / (96 * 144), abs=0.02)
    assert summary.pop("distance_m") == pytest.approx(4.0, abs=0.05)
    assert summary.pop("latency_ms") > 0
    assert summary == {
        "scene": "frame.png", "plate": "plate.png", "width_px": 144, "height_px": 96,
        "depth_unit": "metre", "model": "model.onnx", "device": "cpu", "experiment": "difference",
        "warning": None, "fov_degrees": 79.6, "fov_from": "training", "has_plate_depth": False,
    }  # fmt: skip
    assert "frame.png: a person 4.0" in out
    assert "Wrote 4 files to found (cpu); look at found/frame_overlay*" in out


def test_the_person_cut_out_and_a_cloud_of_points(run, photos):
    code, out, _ = run(f"{PREDICT} --alpha --colors --ply --fov 90")
    assert code == 0 and "Wrote 7 files" in out
    with Image.open("predictions/frame_colors.png") as image:
        assert (image.mode, image.size) == ("RGB", (144, 96))
    rgba = np.asarray(Image.open("predictions/frame_alpha.png"))
    np.testing.assert_array_equal(rgba[..., :3], np.asarray(Image.open("frame.png")))
    np.testing.assert_array_equal(
        rgba[..., 3], np.asarray(Image.open("predictions/frame_mask.png"))
    )
    head, points = Path("predictions/frame.ply").read_bytes().split(b"end_header\n")
    assert head.startswith(b"ply\nformat binary_little_endian 1.0\nelement vertex 13824\n")
    points = np.frombuffer(points, "<f4, <f4, <f4, u1, u1, u1").reshape(96, 144)
    depth = np.asarray(Image.open("predictions/frame_depth.png")) / 1000
    x, y, z, red, *_ = points[54, 143].tolist()
    # at 90 degrees the frame's right edge lies as far to the right as it is away
    assert z == pytest.approx(depth[54, 143], abs=1e-3) and red == 51
    assert (x, y) == pytest.approx((z * 71.5 / 72, z * 6.5 / 72), rel=1e-4)


def test_nobody_there_and_depth_without_a_unit(run, photos, relative_onnx):
    assert "plate.png: nobody found" in run("predict --bg plate.png --scene plate.png")[1]
    summary = json.loads(Path("predictions/plate.json").read_text())
    assert (summary["distance_m"], summary["box"], summary["area_share"]) == (None, None, 0)
    code, out, _ = run(f"{PREDICT} --model {relative_onnx}")
    assert code == 0 and "a person at relative depth 4.0" in out and " m away" not in out
    assert "predictions/frame_depth_relative.png" in listing(photos)
    assert "predictions/frame_depth.png" not in listing(photos)
    summary = json.loads(Path("predictions/frame.json").read_text())
    assert (summary["distance_m"], summary["relative_depth"]) == (None, pytest.approx(4, abs=0.05))


def test_a_plate_s_depth_is_made_fitted_and_used(run, photos):
    code, out, err = run("plate --bg plate.png --out depth/plate.png")
    assert (code, err) == (0, "") and "depthmask calibrate depth/plate.png" in out
    wall_m = np.asarray(Image.open("depth/plate.png"))[50, 50] / 1000
    code, out, err = run("calibrate depth/plate.png --at 50,50=5 --at 100,20=5")
    assert (code, err) == (0, "")
    assert f"50,50: measured 5.00 m, told {wall_m:.2f} m, now 5.00 m" in out
    assert "now 0.00 m; fitted: scale\nWrote depth/plate_calibrated.png" in out
    small = Image.open("depth/plate_calibrated.png").resize((72, 48), Image.Resampling.NEAREST)
    small.save("small.png")
    exif = Image.Exif()
    exif[0x8769] = {0xA405: 28}  # mm, of film
    Image.open("frame.png").save("camera.png", exif=exif)
    code, out, _ = run("predict --bg plate.png --scene camera.png --plate-depth small.png")
    summary = json.loads(Path("predictions/camera.json").read_text())
    assert code == 0 and summary["has_plate_depth"] and "fov_from" not in summary
    depth = np.asarray(Image.open("predictions/camera_depth.png"))
    assert depth[10, 10] == 5000 and depth[54, 72] <= 5000
    run("predict --bg plate.png --scene camera.png")
    summary = json.loads(Path("predictions/camera.json").read_text())
    # 36.0 mm of the width of 3:2 film
    assert summary["fov_from"] == "EXIF" and summary["fov_degrees"] == pytest.approx(65.5, abs=0.1)
    ramp = np.tile(np.linspace(51, 255, 144).astype(np.uint8)[:, None], (96, 1, 3))
    Image.fromarray(ramp).save("ramp.png")
    write_teacher(photos / "teacher.onnx")  # says red: 0.2 at the left, 1 at the right
    teacher = "plate --bg ramp.png --out taught.png --teacher teacher.onnx"
    assert run(f"{teacher} --at 0,50=5 --at 143,50=1")[0] == 0
    taught = np.asarray(Image.open("taught.png"))
    assert taught[50, 71] == pytest.approx(1000 / 0.6, rel=0.02), "linear in inverse depth"
    before = listing(photos)
    for command, message in (
        (f"{teacher} --at 0,50=5", "a teacher's depth has no unit: give two distances"),
        ("plate --bg ramp.png --out x.png --at 0,50=5", "--at belongs to --teacher here"),
        ("calibrate depth/plate.png --at 50,50=0", "--at 50,50=0 is no X,Y=METRES above 0"),
        ("calibrate plate.png --at 5,5=1", "plate.png has 8 bits"),
        ("plate --bg plate.png --out plate.jpg", "plate.jpg is no PNG's name"),
    ):
        code, _, err = run(command)
        assert (code, err.count("\n")) == (2, 1) and message in err and listing(photos) == before


def test_the_largest_region_is_found_among_specks():
    mask, depth = np.zeros((2160, 3840), np.float32), np.full((2160, 3840), 9, np.float32)
    mask[:4, :4] = mask[-4:, -4:] = 1
    mask[1412:1712, 2298:2304], depth[1412:1712, 2298:2304] = 1, 3
    person = prediction.locate(mask, depth)
    assert person.depth == 3 and person.box == pytest.approx((2298, 1412, 6, 300), abs=2)
    assert person.area_share == pytest.approx(1800 / mask.size, rel=0.01)
    assert prediction.locate(0 * mask, depth) is None


# a folder, and what a shell makes of *.png
@pytest.mark.parametrize(
    "scenes",
    ["frame.png --scene more", "frame.png more/a.JPG more/b.png --scene more/../frame.png"],
)
def test_several_frames_are_each_read_and_predicted_once(run, photos, scenes, monkeypatch):
    Path("more").mkdir()
    for name in ("b.png", "a.JPG", "notes.txt"):
        shutil.copy("frame.png", Path("more") / name)
    read, predicted = [], []
    read_rgb, predict = prediction.images.read_rgb, Predictor.predict

    def counted(*args, **options):
        predicted.append(1)
        return predict(*args, **options)

    monkeypatch.setattr(prediction.images, "read_rgb", lambda p: read.append(p) or read_rgb(p))
    monkeypatch.setattr(Predictor, "predict", counted)
    code, out, _ = run(f"predict --bg plate.png --scene {scenes} --out x/y")
    assert code == 0 and len(listing(photos / "x/y")) == 12 and "Wrote 12 files" in out
    assert out.index("frame.png:") < out.index("a.JPG:") < out.index("b.png:")
    assert (len(read), len(predicted)) == (4, 3)


def test_a_plate_of_another_room_is_told(run, photos):
    # Stripes finer than the network sees: no person to it, yet nowhere the frame's grey.
    stripes = np.zeros((96, 144, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save("plate.png")
    Image.fromarray(np.full_like(stripes, 127)).save("frame.png")
    code, _, err = run(PREDICT)
    assert code == 0 and err.count("\n") == 1
    assert err.startswith("frame.png: warning: half of the room differs from the plate by more")
    assert "take a new plate" in json.loads(Path("predictions/frame.json").read_text())["warning"]


def test_a_frame_of_another_room_is_refused_unless_it_is_forced(run, photos):
    rng = np.random.default_rng(0)
    for name in ("plate", "frame"):
        blocks = rng.integers(0, 255, (12, 18, 1), dtype=np.uint8).repeat(3, axis=2)
        Image.fromarray(blocks).resize((144, 96), Image.Resampling.NEAREST).save(f"{name}.png")
    before = listing(photos)
    code, _, err = run(PREDICT)
    assert (code, err.count("\n")) == (2, 1) and listing(photos) == before
    assert "the same room?, or give --force for an answer all the same" in err
    code, _, err = run(f"{PREDICT} --force")
    assert code == 0 and "frame.png: warning: the frame's edges are not the plate's" in err


def test_of_several_plates_each_frame_takes_the_one_most_like_it(run, photos):
    for name in ("plate", "frame"):
        image = Image.open(f"{name}.png")
        Image.eval(image, lambda value: 255 - value).save(f"night_{name}.png")
        image.resize((72, 48)).save(f"small_{name}.png")
    write_video(Path("night.mp4"), [np.asarray(Image.open("night_frame.png"))] * 3)
    plates = "--bg plate.png --bg night_plate.png --bg small_plate.png"
    names = ("frame", "night_frame", "small_frame")
    scenes = " ".join(f"--scene {name}.png" for name in names) + " --scene night.mp4"
    code, out, err = run(f"predict {plates} {scenes}")
    assert (code, err.count("warning")) == (0, 0), err
    found = [json.loads(Path(f"predictions/{name}.json").read_text())["plate"] for name in names]
    assert found == ["plate.png", "night_plate.png", "small_plate.png"]
    assert "night.mp4: 3 frames, a person in 3 of them" in out
    assert "belongs to one plate" in run(f"predict {plates} {scenes} --plate-depth x.png")[2]


def test_large_frames_are_answered_smaller_and_the_answer_is_enlarged(run, photos, monkeypatch):
    summaries = []
    for most in (2**21, 4000):
        for module in (prediction, predictor):
            monkeypatch.setattr(module, "LARGE_PX", most)
        assert run(PREDICT)[0] == 0
        summaries.append(json.loads(Path("predictions/frame.json").read_text()))
    sizes = {p.name: Image.open(p).size for p in Path("predictions").glob("*.png")}
    assert sizes["frame_mask.png"] == sizes["frame_depth.png"] == (144, 96)
    assert np.prod(sizes["frame_overlay.png"]) <= 4000
    whole, large = summaries
    assert large["distance_m"] == pytest.approx(whole["distance_m"], abs=0.05)
    assert large["box"] == pytest.approx(whole["box"], abs=4)
    assert large["area_share"] == pytest.approx(whole["area_share"], abs=0.01)


@pytest.fixture
def broken(photos) -> Path:
    Image.new("RGB", (96, 144)).save(photos / "upright.png")
    (photos / "text.png").write_text("no image")
    (photos / "bad.onnx").write_text("no model")
    Image.new("L", (144, 96), 9).save(photos / "eight.png")
    Image.new("I;16", (144, 96)).save(photos / "unknown.png")
    np.save(photos / "square.npy", np.ones((96, 96)))
    os.mkfifo(photos / "pipe")
    (photos / "empty").mkdir()
    (photos / "twins").mkdir()
    for name in ("frame.png", "frame.jpg"):
        shutil.copy(photos / "frame.png", photos / "twins" / name)
    return photos


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("gone.png", "gone.png is missing: check the path"),
        ("--bg empty", "empty is a folder: name an image file in it"),
        ("--scene empty", "empty holds no frames: give .bmp"),
        ("--scene twins", "would both become frame_mask: rename one"),
        ("--model gone.onnx", "gone.onnx is missing: make it with `make repro`"),
        ("--model empty", "empty/model.onnx is missing: make it with `make repro`, or name"),
        ("--model bad.onnx", "bad.onnx is cut short or no ONNX model"),
        ("--out text.png/deeper", "text.png is a file: name a folder with --out"),
        ("--plate-depth pipe", "pipe is a pipe or a device: save what it gives"),
        ("--plate-depth gone.png", "gone.png is missing: check the path"),
        ("--plate-depth eight.png", "eight.png has 8 bits: depth is 16 bits in millimetres or"),
        ("--plate-depth unknown.png", "unknown.png knows no depth: every pixel is 0"),
        ("--plate-depth square.npy", "square.npy is 96x96 px and the plate 144x96: give the"),
        ("--fov 200", "a field of view of 200 degrees: give it between 1 and 179"),
        ("--device cuda", "device cuda needs onnxruntime-gpu"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(run, broken, monkeypatch, change, message):
    monkeypatch.setattr(onnx_session, "cuda_in_build", lambda: False)
    before = listing(broken)
    code, out, err = run(f"{PREDICT} --out deep/found {change}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("depthmask: ") and message in err
    assert listing(broken) == before


def test_frames_that_fail_are_named_and_counted_and_the_others_kept(run, broken):
    code, out, err = run(f"{PREDICT} text.png upright.png plate.png --out found")
    assert code == 2 and "Wrote 8 files to found" in out
    lines = err.splitlines()
    assert lines[0].startswith("depthmask: text.png cannot be read as an image: give a PNG")
    assert "upright.png is 96x144 px and the plate plate.png 144x96: take both" in lines[1]
    assert lines[2:] == ["depthmask: 2 of 4 failed, wholly or in part: see above"]
    assert len(listing(broken / "found")) == 8
    code, out, err = run("predict --bg plate.png --scene text.png --out found")
    assert (code, out, err.count("\n")) == (2, "", 1), "one alone needs no count"


def test_a_video_of_which_frames_are_missing(run, photos):
    frame = np.asarray(Image.open("frame.png"))
    path = write_video(Path("film.avi"), [frame] * 9, codec="mjpeg")
    content = path.read_bytes()
    chunks = [
        n.start() for n in re.finditer(b"00dc", content) if n.start() > content.index(b"movi")
    ]
    path.write_bytes(content[: chunks[6]])
    code, out, err = run("predict --bg plate.png --scene film.avi")
    assert code == 2 and "film.avi: 6 frames, a person in 6 of them" in out
    assert "film.avi: it is cut short: it ends 0.1 s before its file says\n" in err
    assert err.endswith("depthmask: 1 of 1 failed, wholly or in part: see above\n")


@pytest.fixture
def stream(photos):
    """The address of a camera that sends the frame, twenty times a second."""
    file = io.BytesIO()
    Image.open(photos / "frame.png").save(file, format="JPEG", quality=95)
    whole = file.getvalue()
    head = f"--f\r\nContent-Type: image/jpeg\r\nContent-Length: {len(whole)}\r\n\r\n"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=f")
            self.end_headers()
            with suppress(OSError):
                for _ in range(20 if self.path == "/short" else 600):
                    damaged = whole[:20] + bytes(len(whole) - 20)
                    sent = damaged if self.path == "/damaged" else whole
                    self.wfile.write(head.encode() + sent + b"\r\n")
                    time.sleep(0.05)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_camera_is_looked_through_for_a_time(run, photos, stream):
    code, out, err = run(f"predict --bg plate.png --camera {stream} --seconds 1.5")
    assert code == 0 and "camera: " in err and "frames/s" in err, err
    told = [json.loads(line) for line in out.splitlines()]
    times = [line["time_s"] for line in told]
    assert told and times[-1] <= 1.5 and (np.diff(times) > 0).all()
    assert all(line["distance_m"] == pytest.approx(4, abs=0.3) for line in told)
    assert Path("predictions/camera.jsonl").read_text() == out
    with av.open("predictions/camera_overlay.mp4") as container:
        shown = [frame.time for frame in container.decode(video=0)]
    assert shown == pytest.approx(times, abs=0.02)
    for options, message in (
        (f"--camera {stream} --scene frame.png", "give frames with --scene, or a camera with"),
        ("", "give frames with --scene, or a camera with --camera"),
        ("--camera here", "--camera here is no webcam's number and no stream's address"),
        ("--camera rtsp://127.0.0.1:9/x", "rtsp://127.0.0.1:9/x cannot be read as a video (Conn"),
    ):
        code, _, err = run(f"predict --bg plate.png {options} --out other")
        assert (code, err.splitlines()[-1][: 11 + len(message)]) == (2, f"depthmask: {message}")
    code, _, err = run(f"predict --bg plate.png --camera {stream} --seconds 1")
    assert code == 2 and "camera_mask.mp4 is there already: name another --out" in err
    assert "a camera needs one plate" in run(f"predict --bg auto --camera {stream}")[2]


def test_a_stream_that_ends_is_told_and_what_came_is_kept(run, photos, stream):
    address = stream.replace("//", "//user:secret@")
    code, out, err = run(f"predict --bg plate.png --camera {address}short")
    assert code == 2 and err.endswith(
        "depthmask: the camera's stream has ended: what came is written\n"
    )
    assert Path("predictions/camera.jsonl").read_text() == out and out and "secret" not in err


def test_a_camera_that_sends_damage_alone_ends_in_time(run, photos, stream):
    started = time.monotonic()
    code, _, err = run(f"predict --bg plate.png --camera {stream}damaged --seconds 1")
    assert code == 2 and "holds no frame that can be decoded" in err
    assert time.monotonic() - started < 10 and not list(Path("predictions").iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_camera_and_keeps_what_was_seen(photos, stream, environment, number, code):
    command = [sys.executable, "-m", "depthmask.cli", *"predict --bg plate.png --camera".split()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pipes["preexec_fn"] = lambda: signal.signal(number, signal.SIG_DFL)  # a shell has it ignored
    with subprocess.Popen([*command, stream], cwd=photos, env=environment, **pipes) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    written = (photos / "predictions/camera.jsonl").read_text()
    assert written.startswith("".join(lines) + out), "and perhaps the line on which it came"
    assert (photos / "predictions/camera_mask.mp4").stat().st_size > 500


def test_a_plate_made_of_the_frames(run, photos):
    bg, bg_fg = (np.asarray(Image.open(f"{name}.png")) for name in ("plate", "frame"))
    Path("walk").mkdir()
    for number in range(9):
        frame = np.roll(bg_fg, 16 * number, axis=1)
        Image.fromarray(frame).save(f"walk/{number}.png")
    write_video(Path("walk/film.mp4"), [np.roll(bg_fg, 16 * n, axis=1) for n in range(9)])
    code, out, err = run("predict --bg auto --scene walk --out found")
    assert code == 0, err
    made = [path for path in listing(photos / "found") if "plate" in path]
    assert made == ["film_plate.png", "median_plate.png"]
    for name in made:
        plate = np.asarray(Image.open(f"found/{name}")).astype(int)
        assert np.abs(plate - bg).max() < 12, "the wall, as H.264 has it"
    assert "Wrote the plate, the median of the frames, to found/median_plate.png" in out
    assert "film.mp4: 9 frames, a person in 9 of them" in out and "Wrote 39 files" in out
    assert run("predict --bg auto --scene walk --out found")[0] == 0, "again"
    Path("walk/bad.png").write_text("no picture")
    code, out, err = run("predict --bg auto --scene walk --out found")
    assert code == 2 and "walk/bad.png cannot be read" in err and "Wrote 39 files" in out
    assert "1 of 11 failed" in err
    Path("walk/bad.png").unlink()
    for content in (Path("plate.png").read_bytes(), b"no picture"):
        Path("found/median_plate.png").write_bytes(content)
        code, _, err = run("predict --bg auto --scene walk --out found")
        assert code == 2 and "found/median_plate.png is no earlier result" in err


@pytest.mark.parametrize(
    ("error", "end"), [(KeyboardInterrupt(), 130), (OSError(28, "No space"), 2)]
)
def test_an_end_while_writing_leaves_nothing(run, photos, monkeypatch, error, end):
    def fail(*_):
        raise error

    monkeypatch.setattr(prediction, "draw_overlay", fail)
    before = listing(photos)
    code, out, err = run(PREDICT)
    assert (code, out) == (end, "") and listing(photos) == before
    line = "depthmask: the disk: No space: make room\n"
    assert err == (line if end == 2 else "depthmask: interrupted\n")


@pytest.mark.parametrize(
    "command",
    [
        f"{PREDICT} --device tpu",
        "fly",
        "bench --runs 0",
        "lr-find x --steps 9",
    ],
)
def test_wrong_usage_exits_with_2(run, photos, command):
    code, out, err = run(command)
    assert (code, out) == (2, "") and "Error: " in err


def test_bench(run, photos):
    shutil.copy("models/best/model.onnx", "models/best/model_int8.onnx")
    command = "bench --size 48x64 --size 96x32 --runs 3 --batch 1 --batch 2 --threads 1"
    code, out, _ = run(f"{command} --json deep/latency.json --chart deep/latency.png")
    assert code == 0
    rows = [row.split()[:6] for row in out.splitlines()[1:10]]
    assert rows[0] == ["model", "device", "threads", "height", "width", "batch"]
    assert rows[1] == ["models/best/model.onnx", "cpu", "1", "48", "64", "1"]
    assert rows[8] == ["models/best/model_int8.onnx", "cpu", "1", "96", "32", "2"]
    with Image.open("deep/latency.png") as image:
        assert image.width > 600
    report = json.loads(Path("deep/latency.json").read_text())
    assert (report["training_size"], report["experiment"]) == (48, "difference")
    first = report["sizes"][0]
    assert (first["height"], first["width"], first["num_runs"]) == (48, 64, 3)
    assert 0 < first["median_ms"] <= first["p99_ms"]
    parts = {(part["width"], part["part"]): part["median_ms"] for part in report["parts"]}
    assert len(parts) == 12 and min(parts.values()) > 0 and "find the person" in out
    line = "depthmask: --size 48x64x3 is no size: write HEIGHTxWIDTH, such as 480x640\n"
    assert run("bench --size=48x64x3 --size=48") == (2, "", line)


def test_doctor(run, broken):
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    assert "models/best/model.onnx: experiment difference, 48 px; runs on" in out
    code, out, _ = run("doctor --model bad.onnx")
    assert code == 1 and "FAIL  model" in out


def test_import_runs(run, root):
    missing = "depthmask: nowhere has no models/experiments: unpack runs.tar.gz there\n"
    assert run("import-runs nowhere")[::2] == (2, missing)
    write_outputs(root / "away", card("a"), card("b", 3))
    expected = ["a", "b, seed 3", "Imported 2 runs; look at them with `make ui`"]
    assert run("import-runs away")[1].splitlines() == expected
    assert run("import-runs away")[1].startswith("Imported 0 runs")
    assert set(runs(root)) == {"a0key", "b3key"}


@pytest.mark.parametrize("dead_server", ["refused"], indirect=True)
def test_import_runs_without_a_server(run, checkout, dead_server):
    write_outputs(checkout, card("a"))
    code, out, err = run("import-runs .")
    assert (code, out) == (2, "")
    assert err.endswith("depthmask: nothing imported: see the line above, then run it again\n")


def test_version_and_every_set(run):
    assert run("--version") == (0, f"depthmask {depthmask.__version__}\n", "")
    assert get_args(cli.training.SetName) == ("train", *COMPOSED_SETS)


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        (PREDICT, ("torch", "lightning", "mlflow", "dvc", "onnx", "pandas")),
        ("--help", ("torch", "numpy", "onnxruntime", "PIL", "pydantic")),
    ],
)
def test_a_verb_imports_only_what_it_needs(photos, environment, command, heavy):
    code = (
        "import sys; from depthmask.cli import app\n"
        f"try: app({command.split()})\n"
        "except SystemExit as stop: assert not stop.code\n"
        f"print(sorted(set({heavy}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=photos, env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.fixture
def judged(photos) -> Path:
    text = (Path(__file__).parents[1] / "params.yaml").read_text()
    (photos / "params.yaml").write_text(text.replace("latency_ms: 200", "latency_ms: 60000"))
    figures = {"mask_iou": 0.712, "depth_delta1": 0.7, "depth_abs_rel": 0.2}
    metrics = {"best": "difference", "headline": {"set": "in_scene"}, "unit": "metre",
               "data": "feed", "seeds": {"difference": {"0": {"in_scene": figures}}},
               "leak": {"difference": {"mask_iou": {"excess": 0.01}}}}  # fmt: skip
    (photos / "reports").mkdir()
    (photos / "reports/metrics.json").write_text(json.dumps(metrics))
    return photos


def set_threshold(folder: Path, name: str, value: object) -> None:
    path = folder / "params.yaml"
    path.write_text(re.sub(rf"(?m)^(    {name}): [^ \n]*", rf"\1: {value}", path.read_text()))


def test_gate_judges_a_model_that_no_export_has_judged(run, judged):
    code, out, err = run("gate")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "depthmask: difference is not promoted: in_scene mask IoU 0.712 is 0.038 below"
        " export.gate.mask_iou 0.75",
        "depthmask: MLflow was not told; `depthmask gate --promote` tells it",
    ]
    set_threshold(judged, "mask_iou", 0.7)
    code, out, err = run("gate")
    assert (code, err) == (0, "")
    verdict, figures = out.splitlines()
    assert verdict.startswith("difference passes the gate; MLflow was not told")
    assert figures.startswith("in_scene mask IoU 0.712 is 0.012 above export.gate.mask_iou 0.7, ")
    assert not (judged / "reports/gate.json").exists(), "nobody was told"


def test_gate_reads_what_export_recorded_as_long_as_it_holds(run, judged):
    from depthmask.stages import BEST, METRICS, RECORD
    from depthmask.tracking.gate import Registered, judge, write_record

    set_threshold(judged, "mask_iou", 0.7)
    model = BEST / "model.onnx"
    thresholds = read_params(judged / "params.yaml").export.gate
    judgement = judge(model, Predictor(model).metadata, METRICS, thresholds, 8.0)
    known = replace(judgement, registered=Registered("4", "4", "difference"))
    write_record(RECORD, known)
    code, out, err = run("gate")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "promoted difference as DepthMaskNet version 4, champion"
    assert "latency 8 ms" in out

    set_threshold(judged, "latency_ms", 1e-6)
    code, _, err = run("gate")
    assert code == 1 and "version 4" not in err and "above export.gate.latency_ms 1e-06" in err
    for name in ("reports/metrics.json", "models/best/model.onnx", "params.yaml"):
        (judged / name).unlink()
        code, out, err = run("gate")
        assert (code, out, err.count("\n")) == (2, "", 1) and err.startswith(f"depthmask: {name} ")


def test_report_writes_the_page(run, tmp_path):
    missing = "depthmask: reports/metrics.json is missing: run `dvc repro` (or `dvc pull`) first\n"
    assert run("report") == (2, "", missing)
    write_run(tmp_path)
    code, out, err = run("report")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"Wrote reports/report\.html \(\d\.\d MB\)\n", out)
    assert (tmp_path / "reports/report.html").read_text().rstrip().endswith("</html>")
