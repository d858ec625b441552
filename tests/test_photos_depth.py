import numpy as np
import pytest
from onnx import TensorProto

from depthmask.data.sources.photos import teacher as teachers
from depthmask.data.sources.photos.depth_maps import read_depth_map
from depthmask.data.sources.photos.teacher import Teacher
from depthmask.errors import InputError
from photo_files import room_depth, save, texture, write_teacher

SHAPE = (60, 80)
METRES = room_depth(SHAPE, pitch_degrees=5.0)
MM = np.rint(METRES * 1000).astype(np.uint16)


@pytest.fixture
def calls(monkeypatch) -> list[tuple[int, ...]]:
    """The shapes that models are called with from now on."""
    shapes = []

    class Counted:
        def __init__(self, session):
            self._session = session

        def __getattr__(self, name):
            return getattr(self._session, name)

        def run(self, names, feed):
            shapes.extend(array.shape for array in feed.values())
            return self._session.run(names, feed)

    opened = teachers.open_session
    monkeypatch.setattr(
        teachers, "open_session", lambda *args, **kwargs: Counted(opened(*args, **kwargs))
    )
    return shapes


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy", "b.tif"])
def test_metric_maps(tmp_path, name):
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, METRES.astype(np.float64))
    else:
        save(path, METRES if name == "b.tif" else MM)
    found = read_depth_map(path, (600, 800), 60)
    assert found.unit == "metre" and found.warnings == ()
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(found.values, METRES[:, 10:70], atol=0.0006)


def test_8_bits_are_relative_and_255_is_the_nearest(tmp_path):
    grey = np.tile(np.array([[0, 100, 255]], np.uint8).repeat(20, 1), (60, 1))
    for name, array in (("grey.png", grey), ("rgb.png", np.repeat(grey[..., None], 3, 2))):
        found = read_depth_map(save(tmp_path / name, array), (60, 60), 30)
        assert found.unit == "relative"
        assert found.values[0, [0, 15, -1]].tolist() == [0, 100, 255]  # larger is nearer


def test_holes_take_the_nearest_value(tmp_path):
    holed = MM.copy()
    holed[10:20, 30:40] = 0
    found = read_depth_map(save(tmp_path / "a.png", holed), SHAPE, 60)
    np.testing.assert_allclose(found.values[15, 20], METRES[15, 29], atol=0.001)
    assert [code for code, _ in found.warnings] == ["holes"]
    floats = METRES.copy()
    floats[30, 30] = np.nan
    np.save(tmp_path / "b.npy", floats)
    assert np.isfinite(read_depth_map(tmp_path / "b.npy", SHAPE, 60).values).all()


def test_planes_are_interpolated_and_edges_are_not(tmp_path):
    depth = room_depth((64, 64), pitch_degrees=5.0)
    depth[20:60, 20:40] = 1.5  # a plinth
    found = read_depth_map(save(tmp_path / "a.tif", depth), (64, 64), 48).values
    expected = room_depth((48, 48), pitch_degrees=5.0)
    np.testing.assert_allclose(found[:, 35:], expected[:, 35:], rtol=0.03)  # the crease included
    np.testing.assert_allclose(found[40:, 35:], expected[40:, 35:], rtol=1e-4)
    near = found[:, 12:34]
    assert ((np.abs(near - 1.5) < 1e-4) | (np.abs(near / expected[:, 12:34] - 1) < 0.1)).all()


def test_a_relative_map_saved_with_16_bits_is_suspected(tmp_path):
    relative = np.linspace(100, 65000, 60 * 80).reshape(60, 80).astype(np.uint16)
    found = read_depth_map(save(tmp_path / "a.png", relative), SHAPE, 60)
    assert [code for code, _ in found.warnings] == ["far"]
    assert "in millimetres?" in found.warnings[0][1]


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("a.png", MM[:, :60], "is 60x60 px, another aspect than its plate's 80x60 px:"),
        (
            "a.png",
            MM.T.copy(),
            r"is 60x80 px, another aspect .* \(turned as its EXIF orientation says\)",
        ),
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
        read_depth_map(path, SHAPE, 48)


def red_plates(folder, count: int) -> tuple[list, list[np.ndarray]]:
    """Wide pictures whose red is a ramp, another for each, and what a teacher should say."""
    paths, answers = [], []
    for number in range(count):
        image = texture(number, (64, 96)).copy()
        image[..., 0] = np.linspace(number, 200, 64)[:, None]
        paths.append(save(folder / f"plate-{number}.png", image))
        answers.append(np.linspace(number, 200, 64) / 255)
    return paths, answers


def ask(teacher: Teacher, paths: list, size: int = 64) -> list[np.ndarray]:
    return list(teacher.inverse_depths(paths, [path.stem for path in paths], size))


@pytest.mark.parametrize("answer", [("n", "h", "w"), ("n", 1, "h", "w")])
def test_the_teacher_sees_normalised_rgb_once_a_plate(tmp_path, calls, answer):
    model = write_teacher(tmp_path / "teacher.onnx", scale=3.0, shift=1.0, answer=answer)
    paths, expected = red_plates(tmp_path, 5)
    teacher = Teacher(model, size=56, batch=2, cache=tmp_path / "cache")
    for found, ramp in zip(ask(teacher, paths), expected, strict=True):
        assert found.shape == (64, 64) and found.dtype == np.float32
        np.testing.assert_allclose(found[4:-4, 32], 3 * ramp[4:-4] + 1, atol=0.03)
    assert calls == [(2, 3, 56, 56), (2, 3, 56, 56), (1, 3, 56, 56)]
    again = Teacher(model, size=56, batch=2, cache=tmp_path / "cache")
    np.testing.assert_array_equal(ask(again, paths), ask(teacher, paths))
    assert len(calls) == 3  # nothing was asked anew


def test_what_the_model_fixes_is_respected(tmp_path, calls):
    paths, expected = red_plates(tmp_path, 3)
    for name, shape, sent in (
        ("one", (1, 3, 28, 42), [(1, 3, 28, 42)] * 3),
        ("two", (2, 3, "h", "w"), [(2, 3, 56, 56)] * 2),
    ):
        model = write_teacher(tmp_path / f"{name}.onnx", shape=shape, answer=(shape[0], "h", "w"))
        calls.clear()
        found = ask(Teacher(model, size=56, batch=8, cache=tmp_path / name), paths)
        assert calls == sent
        np.testing.assert_allclose(found[2][6:-6, 32], expected[2][6:-6], atol=0.03)


def test_another_model_size_or_picture_is_asked_anew(tmp_path, calls):
    paths, _ = red_plates(tmp_path, 2)
    cache = tmp_path / "cache"
    model = write_teacher(tmp_path / "a.onnx")
    ask(Teacher(model, size=56, batch=4, cache=cache), paths[:1])
    ask(Teacher(model, size=28, batch=4, cache=cache), paths[:1])
    ask(Teacher(model, size=56, batch=4, cache=cache), paths)
    ask(
        Teacher(write_teacher(tmp_path / "b.onnx", shift=1.0), size=56, batch=4, cache=cache), paths
    )
    assert [shape[0] for shape in calls] == [1, 1, 1, 2]


def test_equal_pictures_are_asked_about_once(tmp_path, calls):
    paths, _ = red_plates(tmp_path, 1)
    teacher = Teacher(write_teacher(tmp_path / "a.onnx"), size=28, batch=4, cache=tmp_path / "c")
    assert len(ask(teacher, paths * 3)) == 3
    assert calls == [(1, 3, 28, 28)]


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped"])
def test_a_damaged_answer_is_asked_for_again(tmp_path, calls, damage):
    paths, _ = red_plates(tmp_path, 1)
    teacher = Teacher(write_teacher(tmp_path / "a.onnx"), size=28, batch=4, cache=tmp_path / "c")
    (first,) = ask(teacher, paths)
    (entry,) = (tmp_path / "c").iterdir()
    content = bytearray(entry.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    entry.write_bytes({"cut": content[:-200], "empty": b"", "flipped": bytes(content)}[damage])
    (again,) = ask(teacher, paths)
    assert len(calls) == 2
    np.testing.assert_array_equal(first, again)
    assert [path.suffix for path in (tmp_path / "c").iterdir()] == [".npz"]  # nothing half-written


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"second_input": True}, "focal"),
        ({"shape": ("n", 3, "h")}, "pixel_values (float n x 3 x h)"),
        ({"shape": ("n", 4, "h", "w")}, "pixel_values (float n x 4 x h x w)"),
        ({"kind": TensorProto.UINT8}, "pixel_values (uint8 n x 3 x h x w)"),
        ({"answer": ("n", "w")}, "predicted_depth (float 2 x 2)"),
        ({"answer": ("n", 2, "h", "w")}, "predicted_depth (float 2 x 2 x 2 x 2)"),
        ({"outputs": 2}, "more_1"),
    ],
)
def test_another_contract_is_refused(tmp_path, changes, named):
    settings = {"shape": ("n", 3, "h", "w"), "answer": ("n", "h", "w")} | changes
    model = write_unchecked(tmp_path / "teacher.onnx", **settings)
    with pytest.raises(InputError) as refused:
        Teacher(model, size=56, batch=1, cache=tmp_path)
    message = str(refused.value)
    assert named in message and "one input, float32 N x 3 x H x W" in message
    assert "prepare.photos.teacher" in message and "\n" not in message


def write_unchecked(path, *, shape, answer, kind=TensorProto.FLOAT, second_input=False, outputs=1):
    """Any ports at all: every output is a constant of its rank."""
    import onnx
    from onnx import helper

    names = ["predicted_depth", *(f"more_{number}" for number in range(1, outputs))]
    sides = [2 if isinstance(side, str) else side for side in answer]
    value = onnx.numpy_helper.from_array(np.ones(sides, np.float32))
    inputs = [helper.make_tensor_value_info("pixel_values", kind, shape)]
    if second_input:
        inputs.append(helper.make_tensor_value_info("focal", TensorProto.FLOAT, [1]))
    graph = helper.make_graph(
        [helper.make_node("Constant", [], [name], value=value) for name in names],
        "other",
        inputs,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, answer) for name in names],
    )
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


def test_a_missing_teacher_and_a_file_that_is_none(tmp_path):
    with pytest.raises(InputError, match=r"gone.onnx is missing: mend prepare.photos.teacher"):
        Teacher(tmp_path / "gone.onnx", size=56, batch=1, cache=tmp_path)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InputError, match="text.onnx is no ONNX model .*Depth Anything V2"):
        Teacher(tmp_path / "text.onnx", size=56, batch=1, cache=tmp_path)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"scale": np.nan}, "plate-0.png: the teacher's depth is not finite"),
        ({"scale": 0.0, "shift": 7.0}, "plate-0.png: the teacher's depth is 7 everywhere"),
    ],
)
def test_answers_that_are_no_depth_are_refused(tmp_path, changes, match):
    paths, _ = red_plates(tmp_path, 1)
    model = write_teacher(tmp_path / "a.onnx", **changes)
    teacher = Teacher(model, size=28, batch=1, cache=tmp_path / "cache")
    with pytest.raises(InputError, match=match):
        ask(teacher, paths)
    assert not list(tmp_path.glob("cache/*"))


def test_answers_of_another_shape_and_a_model_that_fails_are_refused(tmp_path):
    paths, _ = red_plates(tmp_path, 1)
    settings = {"shape": ("n", 3, "h", "w"), "answer": ("n", 1, 1)}
    model = write_unchecked(tmp_path / "flat.onnx", **settings)
    with pytest.raises(
        InputError, match=r"flat.onnx answers float32 1 x 3 x 28 x 28 with 2 x 1 x 1"
    ):
        ask(Teacher(model, size=28, batch=1, cache=tmp_path / "c"), paths)


def test_a_model_that_fails_names_the_size(tmp_path):
    """Symbolic sides in the header and fixed ones inside, as careless exports have."""
    import onnx
    from onnx import helper

    paths, _ = red_plates(tmp_path, 1)
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["pixel_values", "sides"], ["predicted_depth"])],
        "fixed",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("predicted_depth", TensorProto.FLOAT, ["n", "h", "w"])],
        [onnx.numpy_helper.from_array(np.array([3, 56, 56]), "sides")],
    )
    opset = helper.make_opsetid("", 18)
    path = tmp_path / "fixed.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    with pytest.raises(InputError, match=r"fixed.onnx fails on float32 1 x 3 x 28 x 28: .*_size"):
        ask(Teacher(path, size=28, batch=1, cache=tmp_path / "c"), paths)
