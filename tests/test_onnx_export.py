import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import depthmask
from conftest import DIFFERENCE_SIZE, METADATA, difference_model
from depthmask.data.scenes.scene import Scene
from depthmask.export.onnx_export import ParityError, check_parity, export_onnx, to_float16
from depthmask.export.wrapper import Deployable
from depthmask.inference.predictor import Predictor
from depthmask.models import build_model

SIZE = 48
SIZES = [(48, 48), (37, 91), (161, 130)]  # the square trained at; odd and oblong; larger

EXPORT = """
import sys, pathlib, torch
from depthmask.models import build_model
from depthmask.export.onnx_export import export_onnx
torch.manual_seed(0)
export_onnx(build_model("depthmasknet8"), pathlib.Path(sys.argv[1]), input_size=48,
            metadata={"experiment": "difference", "git_commit": "0123abcd", "data_hash": "feed",
                      "depth_unit": "metre"})
"""


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = np.random.default_rng(1)
    bg, bg_fg = rng.integers(0, 256, (2, 3, 64, 64, 3), dtype=np.uint8)
    return [Scene(room, frame, None, None) for room, frame in zip(bg, bg_fg, strict=True)]


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> tuple[Path, Deployable]:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("network") / "model.onnx"
    model = build_model("depthmasknet8")
    return path, export_onnx(model, path, input_size=SIZE, metadata=METADATA)


def test_agrees_with_torch_at_every_size(network, scenes):
    report = check_parity(*network, scenes, SIZES)
    assert set(report["differences"]) == {"48x48", "37x91", "161x130"}
    for differences in report["differences"].values():
        assert differences["mask"] <= 1e-3
        assert differences["depth"] <= 1e-3
    assert report["num_scenes"] == 3


def test_file_is_one_and_the_same_from_any_checkout(network, tmp_path):
    path, _ = network
    assert [item.name for item in path.parent.iterdir()] == ["model.onnx"]
    other = tmp_path / "another checkout"
    shutil.copytree(Path(depthmask.__file__).parent, other / "depthmask")
    subprocess.run(
        [sys.executable, "-c", EXPORT, str(tmp_path / "model.onnx")],
        env={**os.environ, "PYTHONPATH": str(other)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "model.onnx").read_bytes() == path.read_bytes()


def test_file_says_what_it_is(network):
    proto = onnx.load(network[0])
    onnx.checker.check_model(proto, full_check=True)
    assert {item.key: item.value for item in proto.metadata_props} == {
        **METADATA,
        "depthmask_format": "1",
        "training_size": "48",
        "depth_unit": "metre",
    }
    shapes = {
        port.name: [axis.dim_param or axis.dim_value for axis in port.type.tensor_type.shape.dim]
        for port in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes == {
        "bg": ["n", "h", "w", 3],
        "bg_fg": ["n", "h", "w", 3],
        "mask": ["n", "h", "w"],
        "depth": ["n", "h", "w"],
    }
    assert not any(node.metadata_props or node.doc_string for node in proto.graph.node)
    content = network[0].read_bytes()
    for trace in (str(Path(torch.__file__).parent), str(Path(depthmask.__file__).parent), 'File "'):
        assert trace.encode() not in content


def test_opset_18_only_uses_what_cuda_runs(network):
    proto = onnx.load(network[0])
    assert [(item.domain, item.version) for item in proto.opset_import] == [("", 18)]
    for node in proto.graph.node:
        antialias = [item.i for item in node.attribute if item.name == "antialias"]
        assert antialias in ([], [0]), "the CUDA provider has had this one wrong"


def test_missing_metadata_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="metadata lacks git_commit, data_hash"):
        export_onnx(
            difference_model(), tmp_path / "m.onnx", input_size=32, metadata={"experiment": "x"}
        )
    assert list(tmp_path.iterdir()) == []


def rewired(source: Path, target: Path, change: dict[str, str]) -> Path:
    proto = onnx.load(source)
    for node in proto.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = change.get(name, name)
    onnx.save(proto, target)
    return target


@pytest.mark.parametrize(
    "change", [{"bg": "bg_fg"}, {"bg_fg": "bg"}, {"bg": "bg_fg", "bg_fg": "bg"}]
)
def test_a_miswired_file_is_refused(network, scenes, tmp_path, change):
    path, deployable = network
    wrong = rewired(path, tmp_path / "wrong.onnx", change)
    with pytest.raises(ParityError, match=r"wrong.onnx: mask at 48x48 px differs from torch by"):
        check_parity(wrong, deployable, scenes, SIZES)


class OneEyed(torch.nn.Module):
    """A network that a slip in its code has made blind to one of its inputs."""

    has_depth = True

    def __init__(self, blind_to: str) -> None:
        super().__init__()
        self.inner = difference_model()
        self.blind_to = blind_to
        self.register_buffer("depth_range_m", torch.tensor((1.0, 16.0)))

    def forward(self, bg, bg_fg):
        if self.blind_to == "order":
            return self.inner((bg - bg_fg).abs(), torch.zeros_like(bg))
        if self.blind_to == "bg":
            return self.inner(torch.zeros_like(bg), bg_fg)
        return self.inner(bg, torch.zeros_like(bg_fg))


@pytest.mark.parametrize(
    ("blind_to", "message"),
    [
        ("order", "swapping the inputs at 48x48 px changes the answer by only 0"),
        ("bg_fg", "giving the plate for the frame at 48x48 px changes the answer by only 0"),
        ("bg", "giving the frame for the plate at 48x48 px changes the answer by only 0"),
    ],
)
def test_an_input_without_effect_is_refused(tmp_path, blind_to, message):
    path = tmp_path / "blind.onnx"
    bg = np.full((48, 48, 3), 20, dtype=np.uint8)
    bg_fg = bg.copy()
    bg_fg[10:30, 20:30] = 31
    scenes = [Scene(bg, bg_fg, None, None)]
    deployable = export_onnx(OneEyed(blind_to), path, input_size=SIZE, metadata=METADATA)
    with pytest.raises(ParityError, match=message):
        check_parity(path, deployable, scenes, SIZES)


def test_a_wrong_depth_is_refused_in_metres(difference_onnx, scenes):
    deployable = Deployable(difference_model(), DIFFERENCE_SIZE)
    deployable.model.depth_range_m[1] *= 1.01
    with pytest.raises(ParityError, match="depth at 48x48 px"):
        check_parity(difference_onnx, deployable, scenes, SIZES)


def test_not_a_number_is_refused(difference_onnx, scenes):
    deployable = Deployable(difference_model(), DIFFERENCE_SIZE)
    deployable.model.depth_range_m[1] = float("nan")
    with pytest.raises(ParityError, match="depth at 48x48 px differs from torch by nan"):
        check_parity(difference_onnx, deployable, scenes, SIZES)


def test_parity_on_nothing_is_no_proof(difference_onnx):
    deployable = Deployable(difference_model(), DIFFERENCE_SIZE)
    with pytest.raises(ValueError, match="at least one"):
        check_parity(difference_onnx, deployable, [], SIZES)


def test_float16_is_half_as_large_and_nearly_the_same(network, scenes, tmp_path):
    path, _ = network
    small = tmp_path / "small.onnx"
    to_float16(path, small)
    assert small.stat().st_size < 0.51 * path.stat().st_size
    assert small.stat().st_size < 16 * 2**20
    exact, rounded = Predictor(path, "cpu"), Predictor(small, "cpu")
    assert rounded.metadata == {**exact.metadata, "weights": "float16"}
    pair = scenes[0].bg, scenes[0].bg_fg
    for true, found in zip(exact.predict(*pair), rounded.predict(*pair), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, true, atol=0.05)
        assert not np.array_equal(found, true)


def test_float16_refuses_a_weight_that_does_not_fit(difference_onnx, tmp_path):
    proto = onnx.load(difference_onnx)
    proto.graph.initializer.append(
        onnx.numpy_helper.from_array(np.full(4, 1e6, dtype=np.float32), "huge")
    )
    onnx.save(proto, tmp_path / "huge.onnx")
    with pytest.raises(ValueError, match="huge does not fit float16"):
        to_float16(tmp_path / "huge.onnx", tmp_path / "small.onnx")
    assert not (tmp_path / "small.onnx").exists()
