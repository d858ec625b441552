import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import depthmask
from depthmask import cli
from depthmask.config import read_params
from depthmask.data.scenes import onnx_session
from depthmask.inference import prediction
from depthmask.inference.predictor import Predictor
from report_files import write_run


@pytest.fixture
def depthmask_cli(monkeypatch, tmp_path, capsys):
    """Run `depthmask …` in a folder of its own: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["depthmask", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return stopped.value.code or 0, out, err

    return run


@pytest.fixture
def photos(tmp_path, difference_onnx, room_and_visitor) -> Path:
    """A working folder with the exported model in its place, plate.png and frame.png."""
    (tmp_path / "models/best").mkdir(parents=True)
    shutil.copy(difference_onnx, tmp_path / "models/best/model.onnx")
    for name, image in zip(("plate", "frame"), room_and_visitor, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    return tmp_path


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_predict_writes_the_files_of_the_contract(depthmask_cli, photos, room_and_visitor):
    code, out, err = depthmask_cli(
        "predict", "--bg", "plate.png", "--scene", "frame.png", "--out", "found", "--device", "cpu"
    )
    assert (code, err) == (0, "")
    assert listing(photos / "found") == [
        "frame.json",
        "frame_depth.png",
        "frame_mask.png",
        "frame_overlay.png",
    ]
    with Image.open("found/frame_mask.png") as image:
        assert (image.mode, image.size) == ("L", (144, 96))
        mask = np.asarray(image)
    assert mask[54, 72] == 255 and mask[54, 10] == 0
    with Image.open("found/frame_depth.png") as image:
        assert (image.mode, image.size) == ("I;16", (144, 96))
        assert np.asarray(image)[54, 72] == pytest.approx(4007, abs=3)
    summary = json.loads(Path("found/frame.json").read_text())
    assert summary["distance_m"] == pytest.approx(4.0, abs=0.05)
    # Half a pixel of the network's 48 px is one and a half of the frame's.
    assert summary["box"] == pytest.approx([60, 24, 24, 60], abs=3)
    assert summary["area_share"] == pytest.approx(24 * 60 / (96 * 144), abs=0.02)
    assert summary["latency_ms"] > 0
    assert (summary["device"], summary["experiment"]) == ("cpu", "difference")
    assert (summary["width_px"], summary["height_px"]) == (144, 96)
    assert "frame.png: a person 4.0" in out
    assert "Wrote 4 files to found (cpu); look at found/frame_overlay.png" in out


def test_overlay_marks_the_person_and_nobody_else(depthmask_cli, photos, room_and_visitor):
    depthmask_cli("predict", "--bg", "plate.png", "--scene", "frame.png", "--device", "cpu")
    with Image.open("predictions/frame_overlay.png") as image:
        assert (image.mode, image.size) == ("RGB", (144, 96))
        overlay = np.asarray(image).astype(int)
    assert overlay[54, 72, 1] - overlay[54, 72, 0] > 50  # tinted
    assert np.ptp(overlay[54, 10]) == 0  # the grey wall stays grey, and darker
    assert overlay[54, 10, 0] == round(0.7 * 51)


def test_nobody_there(depthmask_cli, photos):
    code, out, _ = depthmask_cli("predict", "--bg", "plate.png", "--scene", "plate.png")
    assert code == 0
    assert "plate.png: nobody found" in out
    summary = json.loads(Path("predictions/plate.json").read_text())
    assert (summary["distance_m"], summary["box"], summary["area_share"]) == (None, None, 0)


def test_depth_without_a_unit_says_so_everywhere(
    depthmask_cli, photos, room_and_visitor, relative_onnx
):
    code, out, _ = depthmask_cli(
        "predict", "--bg", "plate.png", "--scene", "frame.png", "--model", str(relative_onnx)
    )
    assert code == 0 and "a person at relative depth 4.0" in out and " m away" not in out
    assert "frame_depth_relative.png" in listing(photos / "predictions")
    assert "frame_depth.png" not in listing(photos / "predictions")
    summary = json.loads(Path("predictions/frame.json").read_text())
    assert summary["distance_m"] is None
    assert summary["relative_depth"] == pytest.approx(4.0, abs=0.05)


@pytest.mark.parametrize(
    "scenes",
    [
        ["--scene", "frame.png", "--scene", "more"],
        ["--scene", "frame.png", "more/a.JPG", "more/b.png"],  # what a shell makes of *.png
    ],
)
def test_several_frames_and_a_folder(depthmask_cli, photos, scenes, monkeypatch):
    Path("more").mkdir()
    for name in ("b.png", "a.JPG", "notes.txt"):
        shutil.copy("frame.png", Path("more") / name)
    read, predicted = [], []
    real_read, real_predict = prediction.read_rgb, Predictor.predict
    monkeypatch.setattr(prediction, "read_rgb", lambda path: read.append(path) or real_read(path))
    monkeypatch.setattr(
        Predictor, "predict", lambda *images: predicted.append(1) or real_predict(*images)
    )
    code, out, _ = depthmask_cli("predict", "--bg", "plate.png", *scenes, "--out", "x/y")
    assert code == 0
    assert len(listing(photos / "x/y")) == 12
    assert out.index("frame.png:") < out.index("a.JPG:") < out.index("b.png:")
    assert "Wrote 12 files" in out
    assert (len(read), len(predicted)) == (4, 3), "each picture is read and predicted once"


def test_other_files_in_the_folder_stay(depthmask_cli, photos):
    Path("found").mkdir()
    Path("found/mine.txt").write_text("mine")
    Path("found/frame.json").write_text("old")
    depthmask_cli("predict", "--bg", "plate.png", "--scene", "frame.png", "--out", "found")
    assert Path("found/mine.txt").read_text() == "mine"
    assert json.loads(Path("found/frame.json").read_text())["scene"] == "frame.png"


def test_a_plate_of_another_room_is_told(depthmask_cli, photos):
    # Stripes finer than the network sees: no person to it, yet nowhere the frame's grey.
    stripes = np.zeros((96, 144, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save("plate.png")
    Image.fromarray(np.full_like(stripes, 127)).save("frame.png")
    code, _, err = depthmask_cli("predict", "--bg", "plate.png", "--scene", "frame.png")
    assert code == 0
    assert err.startswith("frame.png: warning: half of the room differs from the plate by more")
    assert err.count("\n") == 1
    assert "take a new plate" in json.loads(Path("predictions/frame.json").read_text())["warning"]


def broken_inputs(folder: Path) -> None:
    Image.new("RGB", (96, 144)).save(folder / "upright.png")
    (folder / "text.png").write_text("no image")
    (folder / "bad.onnx").write_text("no model")
    (folder / "empty").mkdir()
    (folder / "twins").mkdir()
    for name in ("frame.png", "frame.jpg"):
        shutil.copy(folder / "frame.png", folder / "twins" / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--bg": "gone.png"}, "gone.png is missing: check the path"),
        ({"--scene": "gone.png"}, "gone.png is missing: check the path"),
        ({"--bg": "text.png"}, "text.png cannot be read as an image: give a PNG"),
        ({"--scene": "text.png"}, "text.png cannot be read as an image: give a PNG"),
        ({"--bg": "empty"}, "empty is a folder: name an image file in it"),
        ({"--scene": "empty"}, "empty holds no image: give frames as .bmp"),
        ({"--scene": "twins"}, "would both become frame_mask.png: rename one"),
        ({"--scene": "upright.png"}, "upright.png is 96x144 px and the plate plate.png 144x96:"),
        ({"--model": "gone.onnx"}, "gone.onnx is missing: make it with `make repro`"),
        ({"--model": "bad.onnx"}, "bad.onnx is cut short or no ONNX model"),
        ({"--out": "text.png"}, "text.png is a file: name a folder with --out"),
        ({"--out": "text.png/deeper"}, "text.png is a file: name a folder with --out"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(depthmask_cli, photos, change, message):
    broken_inputs(photos)
    before = listing(photos)
    arguments = {"--bg": "plate.png", "--scene": "frame.png", "--out": "deep/found"} | change
    code, out, err = depthmask_cli("predict", *(x for pair in arguments.items() for x in pair))
    assert code == 2
    assert out == ""
    assert err.startswith("depthmask: ")
    assert message in err
    assert err.count("\n") == 1
    assert listing(photos) == before


def test_a_later_bad_frame_takes_the_earlier_ones_with_it(depthmask_cli, photos):
    broken_inputs(photos)
    before = listing(photos)
    code, _, err = depthmask_cli(
        "predict", "--bg", "plate.png", "--scene", "frame.png", "--scene", "text.png"
    )
    assert (code, err.count("\n")) == (2, 1)
    assert listing(photos) == before


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, ""),
        (
            OSError(28, "No space left on device"),
            2,
            "depthmask: cannot write to predictions (No space left on device):"
            " make room or name another --out\n",
        ),
    ],
)
def test_an_end_while_writing_leaves_nothing(
    depthmask_cli, photos, monkeypatch, error, code, message
):
    def fail(*_):
        raise error

    monkeypatch.setattr(prediction, "draw_overlay", fail)
    before = listing(photos)
    stopped, _, err = depthmask_cli("predict", "--bg", "plate.png", "--scene", "frame.png")
    assert (stopped, err) == (code, message)
    assert listing(photos) == before


@pytest.mark.parametrize("verb", ["predict --bg plate.png --scene frame.png", "bench"])
def test_cuda_without_cuda(depthmask_cli, photos, monkeypatch, verb):
    monkeypatch.setattr(onnx_session, "cuda_in_build", lambda: False)
    code, out, err = depthmask_cli(*verb.split(), "--device", "cuda")
    assert (code, out) == (2, "")
    assert err.startswith("depthmask: device cuda needs onnxruntime-gpu")
    assert "--device cpu" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict"],
        ["predict", "--bg", "plate.png"],
        ["predict", "--bg", "plate.png", "--scene", "frame.png", "--device", "tpu"],
        ["predict", "--bg", "plate.png", "--scene", "frame.png", "--threads", "0"],
        ["fly"],
        ["bench", "--runs", "0"],
        ["bench", "--frames", "3"],
    ],
)
def test_wrong_usage_exits_with_2(depthmask_cli, photos, arguments):
    code, out, err = depthmask_cli(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_bench(depthmask_cli, photos):
    code, out, _ = depthmask_cli(
        "bench", "--size", "48x64", "--size", "96x32", "--runs", "3", "--json", "deep/latency.json"
    )
    assert code == 0
    lines = out.splitlines()
    assert lines[1].split() == ["height", "x", "width", "batch", "median", "ms", "p95", "ms",
                                "images/s"]  # fmt: skip
    assert [line.split()[0] for line in lines[2:4]] == ["48x64", "96x32"]
    report = json.loads(Path("deep/latency.json").read_text())
    assert (report["training_size"], report["experiment"]) == (48, "difference")
    first = report["sizes"][0]
    assert (first["height"], first["width"], first["num_runs"]) == (48, 64, 3)
    assert 0 < first["median_ms"] <= first["p95_ms"]
    assert first["images_per_s"] == pytest.approx(1000 / first["median_ms"], rel=0.01)


@pytest.mark.parametrize("size", ["48", "48x", "0x5", "48*64", "-1x5", "48x64x3"])
def test_bench_refuses_a_size(depthmask_cli, photos, size):
    code, _, err = depthmask_cli("bench", f"--size={size}")
    assert code == 2
    assert err == f"depthmask: --size {size} is no size: write HEIGHTxWIDTH, such as 480x640\n"


def test_doctor(depthmask_cli, photos):
    code, out, err = depthmask_cli("doctor")
    assert (code, err) == (0, "")
    assert "CPU (tried, not only listed)" in out or "CUDA" in out
    assert "models/best/model.onnx: experiment difference, 48 px; runs on" in out


def test_doctor_finds_a_bad_model(depthmask_cli, photos):
    broken_inputs(photos)
    code, out, _ = depthmask_cli("doctor", "--model", "bad.onnx")
    assert code == 1
    assert "FAIL  model" in out


def test_import_runs_refuses_what_is_no_folder(depthmask_cli, photos):
    code, _, err = depthmask_cli("import-runs", "nowhere")
    assert (code, err) == (
        2,
        "depthmask: nowhere is not a folder: name the one with the journals\n",
    )


def test_import_runs_names_what_it_imported(depthmask_cli, photos, monkeypatch):
    asked = []

    def import_journals(folder):
        asked.append(folder)
        return ["best-0a1b", "bce_rmse-2c3d"]

    tracking = SimpleNamespace(import_journals=import_journals)
    monkeypatch.setitem(sys.modules, "depthmask.tracking", tracking)
    code, out, _ = depthmask_cli("import-runs", "models")
    assert (code, asked) == (0, [Path("models")])
    assert out.splitlines()[:2] == ["best-0a1b", "bce_rmse-2c3d"]
    assert "Imported 2 runs" in out


def test_version(depthmask_cli):
    assert depthmask_cli("--version") == (0, f"depthmask {depthmask.__version__}\n", "")


def run_python(code: str, folder: Path, environment: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_predict_imports_no_torch(photos, environment):
    code = (
        "import sys; from depthmask.cli import app;"
        "app('predict --bg plate.png --scene frame.png'.split(), standalone_mode=False);"
        "print(sorted({'torch', 'lightning', 'mlflow', 'dvc', 'onnx', 'pandas'}"
        " & set(sys.modules)))"
    )
    assert run_python(code, photos, environment).splitlines()[-1] == "[]"
    assert (photos / "predictions/frame.json").is_file()


def test_help_is_quick_because_it_imports_nothing(photos, environment):
    code = (
        "import sys; from depthmask.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'onnxruntime', 'PIL', 'pydantic'} & set(sys.modules)))"
    )
    out = run_python(code, photos, environment)
    assert "predict" in out and "bench" in out
    assert out.splitlines()[-1] == "[]"


@pytest.fixture
def judged(photos) -> Path:
    """The working folder with parameters, and metrics that call the exported model the best."""
    text = (Path(__file__).parents[1] / "params.yaml").read_text()
    (photos / "params.yaml").write_text(text.replace("latency_ms: 200", "latency_ms: 60000"))
    figures = {"mask_iou": 0.712, "depth_delta1": 0.7, "depth_abs_rel": 0.2}
    metrics = {
        "best": "difference",
        "headline": {"set": "in_scene", **figures},
        "unit": "metre",
        "data": "feed",
        "leak": {"difference": {"mask_iou": {"gap": 0.01}}},
    }
    (photos / "reports").mkdir()
    (photos / "reports/metrics.json").write_text(json.dumps(metrics))
    return photos


def set_threshold(folder: Path, name: str, value: object) -> None:
    path = folder / "params.yaml"
    text = re.sub(rf"^    {name}: [^ ]*$", f"    {name}: {value}", path.read_text(), flags=re.M)
    text = re.sub(rf"^    {name}: [^ ]* #", f"    {name}: {value} #", text, flags=re.M)
    path.write_text(text)


def test_gate_judges_a_model_that_no_export_has_judged(depthmask_cli, judged):
    code, out, err = depthmask_cli("gate")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "depthmask: difference is not promoted: in_scene mask IoU 0.712 is 0.038 below"
        " export.gate.mask_iou 0.75",
        "depthmask: MLflow was not told; its champion stays what it was",
    ]
    set_threshold(judged, "mask_iou", 0.7)
    code, out, err = depthmask_cli("gate")
    assert (code, err) == (0, "")
    verdict, figures = out.splitlines()
    assert verdict.startswith("difference passes the gate and is not promoted: it came from DVC's")
    assert figures.startswith("in_scene mask IoU 0.712 (at least 0.7), in_scene depth δ1 0.700 (")
    assert not (judged / "reports/gate.json").exists(), "nobody was told"


def test_gate_reads_what_export_recorded_as_long_as_it_holds(depthmask_cli, judged):
    from depthmask.inference.predictor import Predictor
    from depthmask.stages import BEST, METRICS, RECORD
    from depthmask.tracking.gate import judge, write_record
    from depthmask.tracking.registry import Registered

    set_threshold(judged, "mask_iou", 0.7)
    model = BEST / "model.onnx"
    thresholds = read_params(judged / "params.yaml").export.gate
    judgement = judge(model, Predictor(model).metadata, METRICS, thresholds, 8.0)
    known = replace(judgement, published=True, registered=Registered("4", "4", "difference"))
    write_record(RECORD, known)
    code, out, err = depthmask_cli("gate")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "promoted difference as DepthMaskNet version 4, champion"
    assert "latency 8.0 ms" in out

    set_threshold(judged, "latency_ms", 1e-6)
    code, _, err = depthmask_cli("gate")
    assert code == 1 and "version 4" not in err and "above export.gate.latency_ms 1e-06" in err


@pytest.mark.parametrize("name", ["models/best/model.onnx", "reports/metrics.json", "params.yaml"])
def test_gate_without_something_to_judge(depthmask_cli, judged, name):
    (judged / name).unlink()
    code, out, err = depthmask_cli("gate")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"depthmask: {name} ")


def test_gate_does_not_take_another_model_s_figures(depthmask_cli, judged):
    path = judged / "reports/metrics.json"
    path.write_text(path.read_text().replace("difference", "bce_rmse"))
    code, _, err = depthmask_cli("gate")
    assert code == 2
    assert err == (
        "depthmask: reports/metrics.json calls bce_rmse the best and models/best/model.onnx"
        " difference: run `dvc repro`, then both are of one run\n"
    )


def test_report_writes_the_page(depthmask_cli, tmp_path, monkeypatch):
    write_run(tmp_path)
    code, out, err = depthmask_cli("report")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"Wrote reports/report\.html \(\d\.\d MB\)\n", out)
    assert (tmp_path / "reports/report.html").read_text().endswith("</html>\n")
    opened = []
    monkeypatch.setattr("typer.launch", opened.append)
    assert depthmask_cli("report", "--open")[0] == 0
    assert opened == [str(tmp_path / "reports/report.html")]


def test_report_needs_a_run(depthmask_cli):
    code, out, err = depthmask_cli("report")
    assert (code, out) == (2, "")
    assert err == (
        "depthmask: reports/metrics.json is missing: run `dvc repro` (or `dvc pull`) first\n"
    )
