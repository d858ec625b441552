"""Depth maps and the teacher."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from depthmask.data.sources.photos import depth as depths
from depthmask.data.sources.photos.depth import Teacher
from depthmask.data.sources.photos.folder import Findings
from depthmask.errors import InputError
from photo_files import FLOAT, room_depth, save, texture, write_onnx, write_teacher

SHAPE = (60, 80)
METRES = room_depth(SHAPE, pitch_degrees=5.0)
MM = np.rint(METRES * 1000).astype(np.uint16)


def read(path, shape=SHAPE, size=60) -> tuple[np.ndarray, str, list[str]]:
    """Values, unit and warnings."""
    findings = Findings(path.parent, path.parent / "findings.csv")
    return *depths.read_depth_map(path, shape, size, findings), [row.code for row in findings.rows]


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


def test_8_bits_are_relative_and_255_is_the_nearest(tmp_path):
    grey = np.tile(np.array([[0, 100, 255]], np.uint8).repeat(20, 1), (60, 1))
    for name, array in (("grey.png", grey), ("rgb.png", np.repeat(grey[..., None], 3, 2))):
        values, unit, _ = read(save(tmp_path / name, array), (60, 60), 30)
        assert unit == "relative" and values[0, [0, 15, -1]].tolist() == [0, 100, 255]


def test_holes_take_the_nearest_value(tmp_path):
    holed = MM.copy()
    holed[10:20, 30:40] = 0
    values, _, warnings = read(save(tmp_path / "a.png", holed))
    np.testing.assert_allclose(values[15, 20], METRES[15, 29], atol=0.001)
    assert warnings == ["holes"]
    floats = METRES.copy()
    floats[30, 30] = np.nan
    np.save(tmp_path / "b.npy", floats)
    assert np.isfinite(read(tmp_path / "b.npy")[0]).all()


def test_nothing_hangs_between_an_edge_and_the_wall_behind(tmp_path):
    depth = room_depth((64, 64), pitch_degrees=5.0)
    depth[20:60, 20:40] = 1.5  # a plinth
    found = read(save(tmp_path / "a.tif", depth), (64, 64), 48)[0]
    expected = room_depth((48, 48), pitch_degrees=5.0)
    np.testing.assert_allclose(found[40:, 35:], expected[40:, 35:], rtol=1e-4)
    near = found[:, 12:34]
    assert ((np.abs(near - 1.5) < 0.1) | (np.abs(near / expected[:, 12:34] - 1) < 0.1)).all()


def test_a_relative_map_saved_with_16_bits_is_suspected(tmp_path):
    relative = np.linspace(100, 65000, 60 * 80).reshape(60, 80).astype(np.uint16)
    assert read(save(tmp_path / "a.png", relative))[2] == ["far"]


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("a.png", MM[:, :60], "is 60x60 px.* another aspect than its plate's 80x60 px"),
        ("a.png", np.zeros(SHAPE, np.uint16), "is not measured .* in 100%"),
        ("a.png", np.full(SHAPE, 9, np.uint8), "has the same value everywhere"),
        ("a.png", texture(0, SHAPE), "is in colour"),
        ("a.npy", MM, "is uint16 60 x 80: save metres as floats"),
        ("a.npy", METRES[None], "is float32 1 x 60 x 80"),
        ("a.npy", None, "cannot be read: save it with numpy.save"),
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
    shapes = []
    run = Teacher._run

    def counted(teacher, paths):
        session = teacher._session
        count = teacher._fixed_batch or len(paths)
        shapes.append((count, *session.get_inputs()[0].shape[1:2], teacher._height, teacher._width))
        return run(teacher, paths)

    monkeypatch.setattr(Teacher, "_run", counted)
    return shapes


def red_plates(folder, count: int) -> tuple[list, list[np.ndarray]]:
    """Wide pictures whose red is a ramp, another for each, and what a teacher should say."""
    paths, answers = [], []
    for number in range(count):
        image = texture(number, (64, 96)).copy()
        image[..., 0] = np.linspace(number, 200, 64)[:, None]
        paths.append(save(folder / f"plate-{number}.png", image))
        answers.append(np.linspace(number, 200, 64) / 255)
    return paths, answers


def teach(model, size: int = 28, batch: int = 4) -> Teacher:
    return Teacher(model, size, batch, model.parent / "cache")


@pytest.mark.parametrize("answer", [("n", "h", "w"), ("n", 1, "h", "w")])
def test_the_teacher_sees_normalised_rgb_once_a_plate(tmp_path, calls, answer):
    model = write_teacher(tmp_path / "teacher.onnx", scale=3.0, shift=1.0, answer=answer)
    paths, expected = red_plates(tmp_path, 5)
    first = list(teach(model, 56, 2).inverse_depths([*paths, paths[0]], 64))
    for found, ramp in zip(first, expected, strict=False):
        assert found.shape == (64, 64) and found.dtype == np.float32
        np.testing.assert_allclose(found[4:-4, 32], 3 * ramp[4:-4] + 1, atol=0.03)
    assert calls == [(2, 3, 56, 56), (2, 3, 56, 56), (1, 3, 56, 56)]
    again = list(teach(model, 56, 2).inverse_depths(paths, 64))
    np.testing.assert_array_equal(again, first[:5])
    assert len(calls) == 3  # nothing was asked anew
    list(teach(model, 28, 2).inverse_depths(paths[:1], 64))
    list(teach(write_teacher(model), 56, 2).inverse_depths(paths[:1], 64))
    assert len(calls) == 5  # another size and another model were


@pytest.mark.parametrize(
    ("shape", "sent"),
    [((1, 3, 28, 42), [(1, 3, 28, 42)] * 3), ((2, 3, "h", "w"), [(2, 3, 56, 56)] * 2)],
)
def test_what_the_model_fixes_is_respected(tmp_path, calls, shape, sent):
    paths, expected = red_plates(tmp_path, 3)
    model = write_teacher(tmp_path / "a.onnx", shape=shape, answer=(shape[0], "h", "w"))
    found = list(teach(model, 56, 8).inverse_depths(paths, 64))
    assert calls == sent
    np.testing.assert_allclose(found[2][6:-6, 32], expected[2][6:-6], atol=0.03)


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped"])
def test_a_damaged_answer_is_asked_for_again(tmp_path, calls, damage):
    paths, _ = red_plates(tmp_path, 1)
    teacher = teach(write_teacher(tmp_path / "a.onnx"))
    (first,) = teacher.inverse_depths(paths, 64)
    (entry,) = (tmp_path / "cache").iterdir()
    content = bytearray(entry.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    entry.write_bytes({"cut": content[:-200], "empty": b"", "flipped": bytes(content)}[damage])
    (again,) = teacher.inverse_depths(paths, 64)
    assert len(calls) == 2
    np.testing.assert_array_equal(first, again)
    assert list((tmp_path / "cache").iterdir()) == [entry]  # nothing half-written


NCHW, NHW = (("n", 3, "h", "w"), FLOAT), ("n", "h", "w")


@pytest.mark.parametrize(
    ("inputs", "answers", "named"),
    [
        ([NCHW, ([1], FLOAT)], [NHW], "more_1"),
        ([(("n", 3, "h"), FLOAT)], [NHW], "pixel_values (tensor(float) n x 3 x h)"),
        ([(("n", 4, "h", "w"), FLOAT)], [NHW], "n x 4 x h x w"),
        ([(("n", 3, "h", "w"), TensorProto.UINT8)], [NHW], "tensor(uint8)"),
        ([NCHW], [("n", "w")], "predicted_depth (tensor(float) 2 x 2)"),
        ([NCHW], [("n", 2, "h", "w")], "2 x 2 x 2 x 2"),
        ([NCHW], [NHW, NHW], "other_1"),
        ([NCHW], [("n", 1, 1)], "with 2 x 1 x 1"),
    ],
)
def test_another_contract_is_refused(tmp_path, inputs, answers, named):
    """Every output is a constant of its rank."""
    sides = [2 if isinstance(side, str) else side for side in answers[0]]
    value = numpy_helper.from_array(np.ones(sides, np.float32))
    names = ["predicted_depth", "other_1"][: len(answers)]
    nodes = [helper.make_node("Constant", [], [name], value=value) for name in names]
    model = write_onnx(tmp_path / "teacher.onnx", nodes, inputs, answers)
    paths, _ = red_plates(tmp_path, 1)
    with pytest.raises(InputError) as refused:
        list(teach(model).inverse_depths(paths, 64))
    message = str(refused.value)
    assert named in message and "one input, float32 N x 3 x H x W" in message
    assert "prepare.photos.teacher" in message and "\n" not in message


def test_a_model_that_fails_names_the_size(tmp_path):
    """Symbolic sides in the header and fixed ones inside, as careless exports have."""
    paths, _ = red_plates(tmp_path, 1)
    nodes = [helper.make_node("Reshape", ["pixel_values", "sides"], ["predicted_depth"])]
    sides = {"sides": np.array([3, 56, 56])}
    model = write_onnx(tmp_path / "fixed.onnx", nodes, [NCHW], [NHW], sides)
    with pytest.raises(InputError, match=r"fixed.onnx fails on float32 1 x 3 x 28 x 28: .*_size"):
        list(teach(model).inverse_depths(paths, 64))


def test_a_missing_teacher_and_a_file_that_is_none(tmp_path):
    with pytest.raises(InputError, match=r"gone.onnx is missing: mend prepare.photos.teacher"):
        teach(tmp_path / "gone.onnx")
    (tmp_path / "link.onnx").symlink_to(tmp_path / "gone.onnx")
    with pytest.raises(InputError, match="link.onnx is a link to .*: run `dvc checkout`"):
        teach(tmp_path / "link.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InputError, match=r"text.onnx .*Depth Anything V2"):
        teach(tmp_path / "text.onnx")


@pytest.mark.parametrize("scale, shift", [(np.nan, 0), (0, 7)])
def test_answers_that_are_no_depth_are_refused(tmp_path, scale, shift):
    paths, _ = red_plates(tmp_path, 1)
    model = write_teacher(tmp_path / "a.onnx", scale=scale, shift=shift)
    with pytest.raises(InputError, match="plate-0.png: the teacher's depth is not finite or"):
        list(teach(model).inverse_depths(paths, 64))
    assert not list(tmp_path.glob("cache/*"))
