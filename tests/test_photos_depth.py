"""Depth maps and the teacher."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from depthmask.data.sources.photos import pictures
from depthmask.data.sources.photos.folder import Findings
from depthmask.errors import InputError
from photo_files import FLOAT, room_depth, save, texture, write_onnx, write_teacher

SHAPE = (60, 80)
METRES = room_depth(SHAPE, pitch_degrees=5.0)
MM = np.rint(METRES * 1000).astype(np.uint16)


def read(path, shape=SHAPE, size=60) -> tuple[np.ndarray, str, list[str]]:
    """Values, unit and warnings."""
    findings = Findings(path.parent, path.parent / "findings.csv")
    values, unit = pictures.read_depth_map(path, shape, size, findings)
    return values, unit, [row.code for row in findings.rows]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy", "b.tif"])
def test_metric_maps(tmp_path, name):
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, METRES.astype(np.float64))
    else:
        save(path, METRES if name == "b.tif" else MM)
    values, unit, warnings = read(path, (600, 800))
    assert (unit, warnings, values.dtype) == ("metre", [], np.float32)
    np.testing.assert_allclose(values, METRES[:, 10:70], atol=0.0006)


def test_relative_maps_and_holes(tmp_path):
    grey = np.tile(np.array([[0, 100, 255]], np.uint8).repeat(20, 1), (60, 1))
    for array in (grey, np.repeat(grey[..., None], 3, 2)):  # 255 is the nearest
        values, unit, _ = read(save(tmp_path / "a.png", array), (60, 60), 30)
        assert unit == "relative" and values[0, [0, 15, -1]].tolist() == [0, 100, 255]
    relative = np.linspace(100, 65000, 60 * 80).reshape(60, 80).astype(np.uint16)
    assert read(save(tmp_path / "a.png", relative))[2] == ["far"]  # with 16 bits, mistaken for mm
    holed = METRES.copy()
    holed[10:20, 30:40], holed[30, 30] = 0, np.nan
    values, _, warnings = read(save(tmp_path / "a.tif", holed))
    np.testing.assert_allclose(values[15, 20], METRES[15, 29], atol=0.001)
    assert warnings == ["holes"] and np.isfinite(values).all()


def test_nothing_hangs_between_an_edge_and_the_wall_behind(tmp_path):
    depth = room_depth((64, 64), pitch_degrees=5.0)
    depth[20:60, 20:40] = 1.5  # a plinth
    found = read(save(tmp_path / "a.tif", depth), (64, 64), 48)[0]
    expected = room_depth((48, 48), pitch_degrees=5.0)
    np.testing.assert_allclose(found[40:, 35:], expected[40:, 35:], rtol=1e-4)
    near = found[:, 12:34]
    assert ((np.abs(near - 1.5) < 0.1) | (np.abs(near / expected[:, 12:34] - 1) < 0.1)).all()


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("a.png", MM[:, :60], "is 60x60 px.* another aspect than its plate's 80x60 px"),
        ("a.png", np.zeros(SHAPE, np.uint16), "is not measured .* in 100%"),
        ("a.png", np.full(SHAPE, 9, np.uint8), "has the same value everywhere"),
        ("a.png", texture(0, SHAPE), "is in colour"),
        ("a.npy", MM, "holds no floats, H x W: save metres"),
        ("a.npy", METRES[None], "holds no floats, H x W: save metres"),
        ("a.npy", None, "holds no floats, H x W: save metres"),
        ("a.png", None, "cannot be read as an image"),
    ],
)
def test_maps_are_refused(tmp_path, name, array, match):
    path = tmp_path / name
    if array is None:
        path.write_bytes(b"no depth")
    elif name.endswith("npy"):
        np.save(path, array)
    else:
        save(path, array)
    with pytest.raises(InputError, match=f"{name} {match}"):
        read(path)


@pytest.fixture
def calls(monkeypatch) -> list[tuple[int, ...]]:
    """The shapes that models are called with from now on."""
    shapes, run = [], InferenceSession.run

    def record(session, names, feed):
        shapes.append(feed["pixel_values"].shape)
        return run(session, names, feed)

    monkeypatch.setattr(InferenceSession, "run", record)
    return shapes


@pytest.fixture
def paths(tmp_path) -> list:
    """Wide pictures whose red is a ramp, another for each."""
    found = []
    for number in range(5):
        image = texture(number, (64, 96)).copy()
        image[..., 0] = np.linspace(number, 200, 64)[:, None]
        found.append(save(tmp_path / f"plate-{number}.png", image))
    return found


def teach(model, paths, size: int = 28, batch: int = 4) -> list[np.ndarray]:
    """What the teacher says of the pictures, 64 px."""
    teacher = pictures.Teacher(model, size, batch, model.parent / "cache")
    return teacher.inverse_depths(paths, 64)


@pytest.mark.parametrize("answer", [("n", "h", "w"), ("n", 1, "h", "w")])
def test_the_teacher_sees_normalised_rgb_once_a_plate(tmp_path, calls, paths, answer):
    model = write_teacher(tmp_path / "teacher.onnx", scale=3.0, shift=1.0, answer=answer)
    first = teach(model, [*paths, paths[0]], 56, 2)
    for number, found in enumerate(first[:5]):
        assert found.shape == (64, 64) and found.dtype == np.float32
        expected = 3 * np.linspace(number, 200, 64) / 255 + 1
        np.testing.assert_allclose(found[4:-4, 32], expected[4:-4], atol=0.03)
    assert calls == [(2, 3, 56, 56), (2, 3, 56, 56), (1, 3, 56, 56)]
    np.testing.assert_array_equal(teach(model, paths, 56, 2), first[:5])
    assert len(calls) == 3  # nothing was asked anew
    teach(model, paths[:1], 28, 2)
    teach(write_teacher(model), paths[:1], 56, 2)
    assert len(calls) == 5  # another size and another model were


@pytest.mark.parametrize(
    ("shape", "sent"),
    [((1, 3, 28, 42), [(1, 3, 28, 42)] * 3), ((2, 3, "h", "w"), [(2, 3, 56, 56)] * 2)],
)
def test_what_the_model_fixes_is_respected(tmp_path, calls, paths, shape, sent):
    model = write_teacher(tmp_path / "a.onnx", shape=shape, answer=(shape[0], "h", "w"))
    found = teach(model, paths[:3], 56, 8)
    assert calls == sent
    np.testing.assert_allclose(found[2][32, 32], 101 / 255, atol=0.03)


def test_a_damaged_answer_is_asked_for_again(tmp_path, calls, paths):
    model = write_teacher(tmp_path / "a.onnx")
    first = teach(model, paths[:1])
    (entry,) = (tmp_path / "cache").iterdir()
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 0xFF
    for num_calls, damaged in enumerate((content, content[:-200]), start=2):
        entry.write_bytes(damaged)
        np.testing.assert_array_equal(first, teach(model, paths[:1]))
        assert len(calls) == num_calls
    assert list((tmp_path / "cache").iterdir()) == [entry]  # nothing half-written


NCHW, NHW = (("n", 3, "h", "w"), FLOAT), ("n", "h", "w")


@pytest.mark.parametrize(
    ("inputs", "answers", "named"),
    [
        ([NCHW, ([1], FLOAT)], [NHW], "more_1"),
        ([(("n", 4, "h", "w"), FLOAT)], [NHW], "n x 4 x h x w"),
        ([(("n", 3, "h", "w"), TensorProto.UINT8)], [NHW], "tensor(uint8)"),
        ([NCHW], [("n", "w")], "predicted_depth (tensor(float) 2 x 2)"),
        ([NCHW], [NHW, NHW], "other_1"),
        ([NCHW], [("n", 1, 1)], "with 2 x 1 x 1"),
    ],
)
def test_another_contract_is_refused(tmp_path, paths, inputs, answers, named):
    """Every output is a constant of its rank."""
    sides = [2 if isinstance(side, str) else side for side in answers[0]]
    value = numpy_helper.from_array(np.ones(sides, np.float32))
    names = ["predicted_depth", "other_1"][: len(answers)]
    nodes = [helper.make_node("Constant", [], [name], value=value) for name in names]
    model = write_onnx(tmp_path / "teacher.onnx", nodes, inputs, answers)
    with pytest.raises(InputError) as refused:
        teach(model, paths)
    message = str(refused.value)
    assert named in message and "one input, float32 N x 3 x H x W" in message
    assert "prepare.photos.teacher" in message and "\n" not in message


def test_teachers_that_do_not_work(tmp_path, paths):
    gone, link, text = (tmp_path / f"{name}.onnx" for name in ("gone", "link", "text"))
    link.symlink_to(gone)
    text.write_text("no model")
    # symbolic sides in the header and fixed ones inside, as careless exports have
    nodes = [helper.make_node("Reshape", ["pixel_values", "sides"], ["predicted_depth"])]
    sides = {"sides": np.array([3, 56, 56])}
    fixed = write_onnx(tmp_path / "fixed.onnx", nodes, [NCHW], [NHW], sides)
    endless = write_teacher(tmp_path / "endless.onnx", scale=np.nan)
    flat = write_teacher(tmp_path / "flat.onnx", scale=0, shift=7)
    for model, match in (
        (gone, "gone.onnx is missing: mend prepare.photos.teacher"),
        (link, "link.onnx is a link to .*: run `dvc checkout`"),
        (text, "text.onnx .*Depth Anything V2"),
        (fixed, "fixed.onnx fails on 1 x 3 x 28 x 28: .*_size"),
        (endless, "plate-0.png: the teacher's depth is not finite or flat"),
        (flat, "plate-0.png: the teacher's depth is not finite or flat"),
    ):
        with pytest.raises(InputError, match=match):
            teach(model, paths[:1])
    assert not list(tmp_path.glob("cache/*"))
