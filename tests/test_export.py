"""The wrapper, the ONNX file, the proof that it equals the network, the model card."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F

import depthmask
from conftest import DIFFERENCE_SIZE, METADATA, difference_model
from depthmask.config import RefineParams
from depthmask.export import onnx_export, precision
from depthmask.export.model_card import model_card
from depthmask.export.onnx_export import ExportWrapper, ParityError, check_parity, export_onnx
from depthmask.inference.predictor import Predictor
from depthmask.models import MODELS

SIZE = 48
SIZES = [(48, 48), (37, 91), (161, 130)]  # the square trained at; odd and oblong; larger
REFINE = RefineParams(radius=2, eps=0.005)


@pytest.mark.parametrize(
    ("num_in", "num_out"), [(7, 3), (101, 48), (48, 1080), (1, 5), (5, 1), (7, 7)]
)
def test_resampling_is_interpolate(num_in, num_out):
    # Five wide: interpolate itself mistakes an image one pixel wide for channels_last.
    image = torch.rand(1, 1, num_in, 5, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(image, size=(num_out, 5), mode="bilinear", antialias=True)
    at_once = onnx_export.resampling_weights(num_in, num_out) @ image
    for found in (at_once, onnx_export.resample(image, num_out)):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


NOISE = np.random.default_rng(1).integers(0, 256, (2, 3, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> tuple[Path, ExportWrapper]:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("network") / "model.onnx"
    model = MODELS["depthmasknet8_diff"]().train()  # with the operators of all others
    wrapper = export_onnx(model, path, input_size=SIZE, metadata=METADATA, refine=REFINE)
    assert model.training and not wrapper.training and wrapper.model is not model, "a copy"
    return path, wrapper


def test_agrees_with_torch_at_every_size(network):
    report = check_parity(*network, NOISE, SIZES)
    assert report["num_scenes"] == 3
    assert set(report["differences"]) == {"48x48", "37x91", "161x130"}
    assert [item.name for item in network[0].parent.iterdir()] == ["model.onnx"]


def test_8_bits_take_a_third_of_the_bytes_and_change_little(network, tmp_path):
    path, _ = network
    pairs = [tuple(pair[:, None]) for pair in NOISE.transpose(1, 0, 2, 3, 4)]
    for name in ("a.onnx", "b.onnx"):
        precision.to_int8(path, tmp_path / name, pairs)
    a, b = ((tmp_path / name).read_bytes() for name in ("a.onnx", "b.onnx"))
    assert a == b and len(a) < path.stat().st_size / 3
    whole, small = onnx.load(path), onnx.load(tmp_path / "a.onnx")
    whole.metadata_props.add(key="precision", value="int8")
    assert small.metadata_props == whole.metadata_props
    kinds = [node.op_type for node in small.graph.node]
    assert kinds.count("QuantizeLinear") > 20 and kinds.count("Conv") == 51
    found, expected = (
        Predictor(each, "cpu").predict(*NOISE[:, 0]) for each in (tmp_path / "a.onnx", path)
    )
    for plane, true in zip(found, expected, strict=True):
        apart, spread = np.abs(plane - true).mean(), true.max() - true.min()
        assert 0 < apart < 0.05 * spread


def test_fewer_bits_that_lose_too_much_leave_no_file(network, tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    shutil.copy(network[0], path)
    scene = SimpleNamespace(bg=torch.rand(2, 3, 48, 48), bg_fg=torch.rand(2, 3, 48, 48))
    sets = SimpleNamespace(scenes=lambda name: iter([scene]) if name == "val" else 1 / 0)
    figures = {"mask_iou": 0.8, "person_delta1": 0.7}
    monkeypatch.setattr(
        precision, "measure_figures", lambda *_: {"mask_iou": 0.81, "person_delta1": 0.685}
    )
    monkeypatch.setattr(precision, "_measure_float16", lambda *_: precision.measure_figures())
    report = precision.export_precisions(path, None, sets, figures, 0.02)
    for name in ("int8", "float16"):
        lost = {"mask_iou": -0.01, "person_delta1": 0.015}
        assert report[name]["is_kept"] and report[name]["lost"] == pytest.approx(lost)
        assert (tmp_path / f"model_{name}.onnx").exists()
    report = precision.export_precisions(path, None, sets, figures, 0.01)
    assert not report["int8"]["is_kept"] and report["float16"]["mask_iou"] == 0.81
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]


def test_file_is_the_same_from_any_checkout(difference_onnx, tmp_path):
    other = tmp_path / "somewhere else" / "depthmask"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(depthmask.__file__).parent, other, ignore=ignored)
    paths = os.pathsep.join(map(str, (other.parent, Path(__file__).parent)))
    target = tmp_path / "model.onnx"
    export = "import conftest, sys; conftest.export_difference(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", export, target], check=True, env=environment)
    assert target.read_bytes() == difference_onnx.read_bytes()


def test_names_axes_opset_and_metadata(network):
    proto = onnx.load(network[0])
    metadata = {prop.key: prop.value for prop in proto.metadata_props}
    own = {"depthmask_format": "2", "training_size": "48", "reference_focal": "0.9"}
    assert metadata == {**own, **METADATA}
    shapes = {
        port.name: [dim.dim_param or dim.dim_value for dim in port.type.tensor_type.shape.dim]
        for port in (*proto.graph.input, *proto.graph.output)
    }
    plane = ["n", "h", "w"]
    assert shapes == {"bg": [*plane, 3], "bg_fg": [*plane, 3], "mask": plane, "depth": plane}
    assert not any(node.metadata_props or node.doc_string for node in proto.graph.node)
    assert b'File "' not in network[0].read_bytes()
    assert [(item.domain, item.version) for item in proto.opset_import] == [("", 18)]
    attributes = [item for node in proto.graph.node for item in node.attribute]
    # the CUDA provider has had this one wrong
    assert not any(item.name == "antialias" and item.i for item in attributes)


def test_refuses_what_it_cannot_export_before_anything_is_written(tmp_path):
    path, metadata = tmp_path / "m.onnx", {"experiment": "x"}
    with pytest.raises(ValueError, match="metadata lacks data_hash, depth_unit"):
        export_onnx(difference_model(), path, input_size=32, metadata=metadata)
    with pytest.raises(ValueError, match="MaskNet3 has no depth head"):
        export_onnx(MODELS["masknet3"](), path, input_size=32, metadata=METADATA)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"bg": "bg_fg"}, {"bg": "bg_fg", "bg_fg": "bg"}])
def test_a_miswired_file_is_refused(network, tmp_path, change):
    path, wrapper = network
    proto = onnx.load(path)
    for node in proto.graph.node:
        node.input[:] = [change.get(name, name) for name in node.input]
    onnx.save(proto, tmp_path / "wrong.onnx")
    with pytest.raises(ParityError, match=r"wrong.onnx: mask at 48x48 px differs from torch by"):
        check_parity(tmp_path / "wrong.onnx", wrapper, NOISE, SIZES)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("swapping the inputs", lambda bg, bg_fg: (bg & bg_fg, bg | bg_fg)),
        ("giving the plate for the frame", lambda bg, bg_fg: (bg, 0 * bg_fg)),
        ("giving the frame for the plate", lambda bg, bg_fg: (0 * bg, bg_fg)),
    ],
)
def test_an_input_without_effect_is_refused(difference_onnx, monkeypatch, change, seen):
    network, predict = ExportWrapper(difference_model(), SIZE, None), Predictor.predict_batch
    monkeypatch.setattr(Predictor, "predict_batch", lambda self, *pair: predict(self, *seen(*pair)))
    pair = np.full((2, 1, 48, 48, 3), 20, dtype=np.uint8)
    pair[1, 0, 10:30, 20:30] = 31
    with pytest.raises(ParityError, match=f"{change} at 48x48 px changes the answer by only 0"):
        check_parity(difference_onnx, lambda *pair: network(*seen(*pair)), pair, SIZES)


@pytest.mark.parametrize(("far_m", "message"), [(16.16, ""), (math.nan, "differs .* by nan")])
def test_a_wrong_depth_is_refused_in_metres(difference_onnx, far_m, message):
    wrapper = ExportWrapper(difference_model(), DIFFERENCE_SIZE, None)
    wrapper.range_m = (1.0, far_m)
    with pytest.raises(ParityError, match=f"depth at 48x48 px {message}"):
        check_parity(difference_onnx, wrapper, NOISE, SIZES)


def test_float16_is_half_as_large_and_nearly_the_same(network, tmp_path):
    path, _ = network
    small = tmp_path / "small.onnx"
    precision.to_float16(path, small)
    assert small.stat().st_size < 0.52 * path.stat().st_size
    exact, rounded = Predictor(path, "cpu"), Predictor(small, "cpu")
    assert rounded.metadata == {**exact.metadata, "precision": "float16"}
    answers = (each.predict_batch(*NOISE) for each in (exact, rounded))
    for true, found in zip(*answers, strict=True):
        assert found.dtype == np.float32 and not np.array_equal(found, true)
        np.testing.assert_allclose(found, true, atol=0.05)
    proto = onnx.load(path)
    weights = {each.name: each for each in proto.graph.initializer}
    name = next(node.input[1] for node in proto.graph.node if node.op_type == "Conv")
    huge = np.full(weights[name].dims, 1e6, dtype=np.float32)
    weights[name].CopyFrom(onnx.numpy_helper.from_array(huge, name))
    onnx.save(proto, tmp_path / "huge.onnx")
    with pytest.raises(ValueError, match="does not fit float16"):
        precision.to_float16(tmp_path / "huge.onnx", tmp_path / "other.onnx")
    assert not (tmp_path / "other.onnx").exists()


def test_model_card_has_figures_with_intervals_data_limits_and_licence():
    card = {"experiment": "x", "seed": 0, "key": "0a1b", "model": "depthmasknet8", "size": 96}
    card |= {"unit": "metre", "data_hash": "feed", "source": "museum", "num_parameters": 7083874}
    card["losses"] = {"mask": {"bce": 1.0}, "depth": {"ssim": 2.0, "l1": 0.1}}
    figures, intervals = (
        {"x": {"in_scene": {"mask_iou": iou, "depth_rmse": rmse}}}
        for iou, rmse in ((0.8123, 0.456), ([0.7501, 0.8602], [0.4, 0.5]))
    )
    metrics = {"ranking": ["x"], "rule": "highest mean", "level": 0.95, "unit": "metre"}
    metrics |= {"experiments": figures, "intervals": intervals}
    parity = {"differences": {"96x96": {"mask": 1e-6, "depth": 2e-5}}}
    parity["figures"] = {"set": "in_scene", "largest_difference": 3e-7}
    assert "_int8" not in model_card(card, metrics, parity, 18)
    figures = {"mask_iou": 0.8114, "person_delta1": 0.7004}
    parity["precisions"] = {"int8": {**figures, "is_kept": True}, "float16": {"is_kept": False}}
    assert "_float16" not in model_card(card, metrics, parity, 18)
    text = model_card(card, metrics, parity, 18)
    for part in (
        "For CPUs: `model_int8.onnx`; on the test below mask IoU 0.811, person's δ1 0.700",
        "# DepthMaskNet: x",
        "depthmasknet8, mask: bce, depth: 2·ssim + 0.1·l1; seed 0, run 0a1b",
        "| Mask IoU ↑ | 0.812 | 0.750 to 0.860 |",
        "| Depth RMSE ↓ | 0.46 m | 0.40 to 0.50 m |",
        "masks by 1.0e-06 and their depths by 2.0e-05",
        "metres along the optical axis",
        "measure it on photographs",
    ):
        assert part in text
