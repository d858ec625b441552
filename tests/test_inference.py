"""The Predictor on arrays, the files of a prediction, and the warning about a wrong plate."""

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from depthmask import Predictor
from depthmask.data.scenes import onnx_session
from depthmask.errors import InputError
from depthmask.inference import predictor
from depthmask.inference.plate_check import check_plate
from depthmask.inference.predictor import fov_of
from synthetic import make_plate


def test_answer_by_hand_and_at_any_size(difference_onnx, room_and_visitor):
    bg, bg_fg = room_and_visitor
    predictor = Predictor(str(difference_onnx), device="cpu")
    assert (predictor.training_size, predictor.depth_unit, predictor.device) == (48, "metre", "cpu")
    mask, depth = predictor.predict(bg, bg_fg)
    assert mask.shape == depth.shape == (96, 144) and mask.dtype == depth.dtype == np.float32
    # Far from edges: 80 * |383 / 765 - 0.2| - 8 = 16.05, and 80 * 0 - 8.
    assert mask[54, 72] == pytest.approx(1, abs=1e-6)
    assert mask[54, 10] == pytest.approx(1 / (1 + np.exp(8)), rel=1e-3)
    # sigmoid(4 * 0.50065 - 2) and sigmoid(4 * 0.2 - 2) of 1 to 16 m.
    assert depth[54, 72] == pytest.approx(4.007, abs=2e-3)
    assert depth[54, 10] == pytest.approx(16 ** (1 / (1 + np.exp(1.2))), abs=1e-3)
    assert np.abs(depth - predictor.predict(bg_fg, bg).depth).max() > 1, "the inputs are told apart"
    views = (np.stack([image, image[:, ::-1]])[::-1] for image in (bg, bg_fg))
    mirrored, again = predictor.predict_batch(*views).mask
    np.testing.assert_allclose([mirrored[:, ::-1], again], [mask] * 2, atol=1e-4)
    for size in ((1, 1), (31, 200), (480, 640)):
        image = np.zeros((*size, 3), dtype=np.uint8)
        mask, depth = predictor.predict(image, image)
        assert mask.shape == depth.shape == size and check_plate(image, image, mask) is None


GOOD = np.zeros((8, 9, 3), dtype=np.uint8)


def test_refuses_arguments_and_images(difference_onnx):
    with pytest.raises(InputError, match="device 'tpu' is unknown; use auto, cpu, cuda"):
        Predictor(difference_onnx, device="tpu")
    with pytest.raises(InputError, match="num_threads is 0"):
        Predictor(difference_onnx, num_threads=0)
    predictor = Predictor(difference_onnx, device="cpu")
    for bg, bg_fg, message in (
        (GOOD, np.zeros((9, 8, 3), np.uint8), "the plate is 9x8 px and the frame 8x9 px"),
        (GOOD, GOOD / 255, "bg_fg is float64 8 x 9 x 3; it must be uint8"),
        (GOOD[..., 0], GOOD, "bg is uint8 8 x 9; it must be uint8 H x W x 3"),
        (GOOD[:0], GOOD[:0], "bg is uint8 0 x 9 x 3"),
    ):
        with pytest.raises(InputError, match=message):
            predictor.predict(bg, bg_fg)


def identity(opset: int = 18, ir_version: int = 10) -> bytes:
    ports = "(float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y)"
    head = f'<ir_version: {ir_version}, opset_import: ["": {opset}]>'
    return onnx.parser.parse_model(f"{head} g {ports} {{y = Identity(x)}}").SerializeToString()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 28334210\n"
NO_MODEL = "cut short or no ONNX model"


def test_a_file_that_does_not_load_says_why_and_what_to_do(tmp_path):
    for content, message in (
        (b"", rf"{NO_MODEL} \(No graph was found in the protobuf"),
        (b"not a model", rf"{NO_MODEL} \(Protobuf parsing failed.\): export it"),
        (identity()[:-30], rf"{NO_MODEL} .* export it again with `dvc repro export"),
        (identity(opset=99), r"newer than onnxruntime \d.* reads \(Opset 99\): upgrade onnx"),
        (identity(ir_version=99), r"reads \(IR version: 99\): upgrade onnxruntime"),
        (POINTER, "is a Git LFS pointer, not the model: run `git lfs pull`"),
        (identity(), r"has x tensor\(float\) of rank 4, y .* of rank 4; it is not a model that"),
    ):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(InputError, match=f"bad.onnx .*{message}") as refused:
            Predictor(tmp_path / "bad.onnx", device="cpu")
        assert "\n" not in str(refused.value)


def test_refuses_other_metadata(difference_onnx, tmp_path):
    for key, value, message in (
        ("data_hash", None, "lacks the metadata data_hash"),
        ("depthmask_format", "1", "has the depthmask_format '1', not 2: export it again"),
        ("training_size", "big", "has the training_size 'big'"),
        ("reference_focal", None, "lacks the metadata reference_focal"),
        ("reference_focal", "0.0", "has the reference_focal '0.0'"),
        ("depth_unit", "mile", "has the depth_unit 'mile'"),
    ):
        proto = onnx.load(difference_onnx)
        properties = {item.key: item.value for item in proto.metadata_props} | {key: value}
        helper.set_model_props(proto, {k: v for k, v in properties.items() if v is not None})
        onnx.save(proto, tmp_path / "other.onnx")
        with pytest.raises(InputError, match=message):
            Predictor(tmp_path / "other.onnx", device="cpu")


def test_cuda_that_is_listed_but_does_not_work(difference_onnx, monkeypatch, capsys):
    real, asked = onnxruntime.InferenceSession, []

    def session(path, options, providers):
        asked.append([p if isinstance(p, str) else p[0] for p in providers])
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnx_session, "cuda_in_build", lambda: True)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("noise"), raising=False)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with pytest.raises(InputError, match="device cuda does not work here: check the driver"):
        Predictor(difference_onnx, device="cuda")
    assert Predictor(difference_onnx, device="auto").device == "cpu"
    assert asked == [["CUDAExecutionProvider", "CPUExecutionProvider"]] * 2
    assert capsys.readouterr() == ("", "")
    Predictor(difference_onnx, device="cpu")
    assert asked[-1] == ["CPUExecutionProvider"]


def test_cuda_that_fails_in_a_run_is_told_and_not_hidden(difference_onnx, room_and_visitor):
    found = Predictor(difference_onnx, device="cpu")

    class EPFail(Exception):
        pass

    def fail(*_):
        raise EPFail("out of memory\non device 0")

    found._session.run = fail
    with pytest.raises(EPFail):
        found.predict(*room_and_visitor)
    found.device = "cuda"
    with pytest.raises(InputError, match=r"in a run \(out of memory on device 0\): give"):
        found.predict(*room_and_visitor)
    assert not found._session._enable_fallback


def test_a_folder_gives_8_bits_to_cpus_alone(difference_onnx, monkeypatch, tmp_path):
    shutil.copy(difference_onnx, tmp_path / "model.onnx")
    assert Predictor(tmp_path).path.name == "model.onnx"
    shutil.copy(difference_onnx, tmp_path / "model_int8.onnx")
    opened = []

    def session(path, *arguments, **options):
        opened.append(path.name)
        return onnx_session.open_session(path, *arguments, **options)

    monkeypatch.setattr(predictor, "open_session", session)
    for in_build, device, files in (
        (False, "auto", ["model_int8.onnx"]),
        (True, "cpu", ["model_int8.onnx"]),
        (True, "auto", ["model.onnx", "model_int8.onnx"]),  # CUDA does not work here
    ):
        monkeypatch.setattr(predictor, "cuda_in_build", lambda found=in_build: found)
        opened.clear()
        assert Predictor(tmp_path, device).path.name == "model_int8.onnx"
        assert opened == files
    monkeypatch.setattr(predictor, "CUDA", "CPUExecutionProvider")  # as if it did
    assert Predictor(tmp_path).path.name == "model.onnx"


@pytest.mark.parametrize("number", range(4))
def test_a_wrong_plate_is_told_and_the_right_one_is_not(number):
    room = make_plate(number, 112).image
    noise = np.random.default_rng(0).normal(0, 3, room.shape)
    frame, mask = np.clip(room + noise, 0, 255).round().astype(np.uint8), np.zeros((112, 112))
    mask[30:90, 40:60] = 1
    frame[mask > 0] = (200, 60, 40)
    brighter = np.clip(frame * 1.1, 0, 255).astype(np.uint8)
    for right in ((frame, mask), (frame, 0 * mask), (brighter, mask)):
        assert check_plate(room, *right) is None
    for wrong in (make_plate(number + 1, 112).image, np.ascontiguousarray(room[:, ::-1])):
        assert check_plate(wrong, frame, mask).is_refused, "another room, or mirrored"
    for shift, is_refused in ((3, False), (6, True)):  # 2.7 and 5.4 %
        moved = check_plate(room[:, :-shift].copy(), frame[:, shift:].copy(), mask[:, shift:])
        assert "the camera has moved by about" in moved.text and moved.is_refused == is_refused


def test_an_implausibly_large_mask_and_other_light_above_15_percent_are_told():
    bare, nobody = np.full((96, 96, 3), 100, dtype=np.uint8), np.zeros((96, 96))
    for share, warns in ((0.35, False), (0.45, True), (1, True)):
        mask = np.arange(96) < np.full((96, 1), share * 96)
        verdict = check_plate(bare, bare, mask)
        assert bool(verdict) == warns
        assert not verdict or "is this the plate of the same room?" in verdict.text
    for difference, warns in ((0, False), (38, False), (39, True)):  # 0.15 * 255 = 38.25
        pair = bare, bare + np.uint8(difference)
        assert bool(check_plate(*pair, nobody)) == bool(check_plate(*pair[::-1], nobody))
        assert bool(check_plate(*pair, nobody)) == warns
    noise = np.random.default_rng(0).normal(0, 8, (2, 96, 96, 3))
    bg, bg_fg = np.clip(bare + noise, 0, 255).astype(np.uint8)
    assert check_plate(bg, bg_fg, nobody) is None, "noise on bare walls is no other room"


def test_a_lens_and_the_depth_of_the_plate(difference_onnx, relative_onnx, room_and_visitor):
    bg, bg_fg = room_and_visitor
    predictor = Predictor(difference_onnx, device="cpu")
    plain = predictor.predict(bg, bg_fg)
    fov = fov_of(0.9, plain.mask.shape)
    np.testing.assert_allclose(predictor.predict(bg, bg_fg, fov_degrees=fov).depth, plain.depth)
    # a lens twice as long shows the same from twice as far
    far = predictor.predict(bg, bg_fg, fov_degrees=fov_of(1.8, plain.mask.shape)).depth
    np.testing.assert_allclose(far, 2 * plain.depth, rtol=1e-6)

    wall = np.full(plain.mask.shape, 6.0, np.float32)
    wall[:10] = np.nan
    mask, depth = predictor.predict(bg, bg_fg, plate_depth=wall)
    assert (mask == plain.mask).all() and (depth[10:20] == 6).all()
    assert np.isfinite(depth).all(), "the network's, scaled, where the plate's is unknown"
    # a person whom the lower edge cuts off: by a known lens, else scaled to the room
    bg_fg[24:, 60:84] = 0  # near, to this network
    near = predictor.predict(bg, bg_fg).depth
    room_m, person_m = float(np.median(near)), float(near[60, 72])
    deep = np.full(plain.mask.shape, 50.0)
    by_room = predictor.predict(bg, bg_fg, plate_depth=deep).depth
    by_lens = predictor.predict(bg, bg_fg, plate_depth=deep, fov_degrees=fov).depth
    assert by_room[60, 72] == pytest.approx(50 * person_m / room_m, rel=0.01)
    assert by_lens[60, 72] == pytest.approx(person_m, rel=0.01)
    for options, message in (
        ({"plate_depth": wall[1:]}, "plate's depth is 144x95 px and the frame 144x96"),
        ({"fov_degrees": 180}, "180 degrees: give it between 1 and 179"),
    ):
        with pytest.raises(InputError, match=message):
            predictor.predict(bg, bg_fg, **options)
    with pytest.raises(InputError, match="tells relative depth: .* is in metres"):
        Predictor(relative_onnx, device="cpu").predict(bg, bg_fg, plate_depth=wall)
