import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import depthmask.inference.predictor
from depthmask import Predictor
from depthmask.errors import InputError


def test_answer_by_hand(difference_onnx, room_and_visitor):
    bg, bg_fg = room_and_visitor
    mask, depth = Predictor(difference_onnx, device="cpu").predict(bg, bg_fg)
    assert mask.shape == depth.shape == (96, 144)
    assert mask.dtype == depth.dtype == np.float32
    # Far from edges: 80 * |383 / 765 - 0.2| - 8 = 16.05, and 80 * 0 - 8.
    assert mask[54, 72] == pytest.approx(1, abs=1e-6)
    assert mask[54, 10] == pytest.approx(1 / (1 + np.exp(8)), rel=1e-3)
    # sigmoid(4 * 0.50065 - 2) and sigmoid(4 * 0.2 - 2) of 1 to 16 m.
    assert depth[54, 72] == pytest.approx(4.007, abs=2e-3)
    assert depth[54, 10] == pytest.approx(16 ** (1 / (1 + np.exp(1.2))), abs=1e-3)


def test_swapping_the_inputs_changes_the_answer(difference_onnx, room_and_visitor):
    bg, bg_fg = room_and_visitor
    predictor = Predictor(difference_onnx, device="cpu")
    assert np.abs(predictor.predict(bg, bg_fg).depth - predictor.predict(bg_fg, bg).depth).max() > 1


@pytest.mark.parametrize("size", [(1, 1), (31, 200), (480, 640)])
def test_any_size(difference_onnx, size):
    image = np.zeros((*size, 3), dtype=np.uint8)
    mask, depth = Predictor(difference_onnx, device="cpu").predict(image, image)
    assert mask.shape == depth.shape == size


def test_batch_equals_one_by_one(difference_onnx):
    rng = np.random.default_rng(0)
    bg, bg_fg = rng.integers(0, 256, (2, 3, 40, 50, 3), dtype=np.uint8)
    predictor = Predictor(difference_onnx, device="cpu", num_threads=1)
    batch = predictor.predict_batch(bg, bg_fg)
    for index in range(3):
        single = predictor.predict(bg[index], bg_fg[index])
        np.testing.assert_allclose(batch.mask[index], single.mask, atol=1e-5)
        np.testing.assert_allclose(batch.depth[index], single.depth, atol=1e-4)


def test_a_view_is_as_good_as_an_array(difference_onnx, room_and_visitor):
    bg, bg_fg = room_and_visitor
    predictor = Predictor(difference_onnx, device="cpu")
    mirrored = predictor.predict(bg[:, ::-1], bg_fg[:, ::-1]).mask
    np.testing.assert_allclose(mirrored[:, ::-1], predictor.predict(bg, bg_fg).mask, atol=1e-4)


def test_says_what_it_is(difference_onnx):
    predictor = Predictor(str(difference_onnx))
    assert predictor.training_size == 48
    assert predictor.metadata["experiment"] == "difference"
    assert predictor.metadata["depth_unit"] == "metre"
    assert predictor.device in ("cpu", "cuda")


GOOD = np.zeros((8, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("bg", "bg_fg", "message"),
    [
        (GOOD, np.zeros((9, 8, 3), np.uint8), "the plate is 9x8 px and the frame 8x9 px"),
        (GOOD, GOOD / 255, "bg_fg is float64 1 x 8 x 9 x 3; it must be uint8"),
        (GOOD[..., 0], GOOD, "bg is uint8 8 x 9; it must be uint8 H x W x 3"),
        (GOOD, np.zeros((8, 9, 4), np.uint8), "bg_fg is uint8 1 x 8 x 9 x 4"),
        (GOOD[:0], GOOD[:0], "no pixels"),
    ],
)
def test_refuses_images(difference_onnx, bg, bg_fg, message):
    with pytest.raises(InputError, match=message):
        Predictor(difference_onnx, device="cpu").predict(bg, bg_fg)


def test_refuses_what_is_no_model(tmp_path):
    with pytest.raises(InputError, match=r"nothing.onnx is missing: make it with `make repro`"):
        Predictor(tmp_path / "nothing.onnx")
    for content in (b"", b"not a model", b"\x08\x08" * 50):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(InputError, match=r"bad.onnx (is no ONNX model|has the inputs)"):
            Predictor(tmp_path / "bad.onnx", device="cpu")


def test_refuses_a_truncated_model(difference_onnx, tmp_path):
    content = difference_onnx.read_bytes()
    (tmp_path / "half.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="half.onnx is no ONNX model"):
        Predictor(tmp_path / "half.onnx", device="cpu")


def foreign_model(path):
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8])
        for name in ("image", "scores")
    ]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["scores"])], "g", ports[:1], ports[1:]
    )
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)


def test_refuses_somebody_elses_model(tmp_path):
    foreign_model(tmp_path / "foreign.onnx")
    with pytest.raises(InputError, match=r"has the inputs image tensor\(float\) of rank 4; it is"):
        Predictor(tmp_path / "foreign.onnx", device="cpu")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("data_hash", None, "lacks the metadata data_hash"),
        ("depthmask_format", "2", "has format 2, this depthmask reads 1"),
        ("training_size", "big", "has the training_size 'big'"),
        ("depth_unit", "mile", "has the depth_unit 'mile'"),
    ],
)
def test_refuses_other_metadata(difference_onnx, tmp_path, key, value, message):
    proto = onnx.load(difference_onnx)
    properties = {item.key: item.value for item in proto.metadata_props} | {key: value}
    helper.set_model_props(proto, {k: v for k, v in properties.items() if v is not None})
    onnx.save(proto, tmp_path / "other.onnx")
    with pytest.raises(InputError, match=message):
        Predictor(tmp_path / "other.onnx", device="cpu")


def test_refuses_arguments(difference_onnx):
    with pytest.raises(InputError, match="device 'tpu' is unknown; use auto, cpu or cuda"):
        Predictor(difference_onnx, device="tpu")
    with pytest.raises(InputError, match="num_threads is 0"):
        Predictor(difference_onnx, num_threads=0)


@pytest.fixture
def cuda_listed(monkeypatch):
    """onnxruntime-gpu on a machine without CUDA: listed, asked for, and silently left out."""
    real = onnxruntime.InferenceSession
    asked = []

    def session(path, options, providers):
        asked.append([p if isinstance(p, str) else p[0] for p in providers])
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(depthmask.data.scenes.onnx_session, "cuda_in_build", lambda: True)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("noise"), raising=False)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    return asked


def test_cuda_that_is_listed_but_does_not_work(difference_onnx, cuda_listed, capsys):
    with pytest.raises(InputError, match="device cuda does not work here: check the driver"):
        Predictor(difference_onnx, device="cuda")
    predictor = Predictor(difference_onnx, device="auto")
    assert predictor.device == "cpu"
    assert cuda_listed == [["CUDAExecutionProvider", "CPUExecutionProvider"]] * 2
    assert capsys.readouterr() == ("", "")
    Predictor(difference_onnx, device="cpu")
    assert cuda_listed[-1] == ["CPUExecutionProvider"]


def test_cuda_without_the_gpu_package(difference_onnx, monkeypatch):
    monkeypatch.setattr(depthmask.data.scenes.onnx_session, "cuda_in_build", lambda: False)
    with pytest.raises(InputError, match="needs onnxruntime-gpu.*install the extra `gpu`"):
        Predictor(difference_onnx, device="cuda")


def test_imports_neither_torch_nor_anything_heavy(difference_onnx, tmp_path, environment):
    shutil.copy(difference_onnx, tmp_path / "model.onnx")
    code = (
        "import sys, numpy; from depthmask import Predictor;"
        "x = numpy.zeros((9, 9, 3), numpy.uint8); Predictor('model.onnx').predict(x, x);"
        "heavy = {'torch', 'lightning', 'mlflow', 'dvc', 'pydantic', 'cv2', 'onnx', 'pandas'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
