"""Plates, cutouts and depth from picture files; the teacher."""

import numpy as np
import pytest
from onnxruntime import InferenceSession
from PIL import Image

from depthmask.data.scenes.images import read_rgb
from depthmask.data.sources.photos import pictures
from depthmask.errors import InputError
from photo_files import person, room_depth, save, texture, write_onnx, write_teacher

PATCHES = np.array([[[250, 20, 30], [10, 240, 40]], [[20, 30, 230], [200, 200, 60]]], np.uint8)
QUADRANTS = PATCHES.repeat(40, 0).repeat(40, 1)


def read_cutout(path, height_m=1.7):
    return pictures.read_cutout(path, 96, height_m)


def test_a_plate_is_the_middle_square_resized(tmp_path):
    wide = np.hstack([np.zeros((80, 30, 3), np.uint8), QUADRANTS, np.zeros((80, 30, 3), np.uint8)])
    for picture, expected in ((wide, PATCHES), (wide.swapaxes(0, 1), PATCHES.swapaxes(0, 1))):
        plate = pictures.plate_image(tmp_path / "a.png", picture, 40)
        assert plate.shape == (40, 40, 3)
        np.testing.assert_array_equal(plate[10::20, 10::20], expected)
    with pytest.raises(InputError, match=r"a.png is too small: 140x80 px.* 81 px"):
        pictures.plate_image(tmp_path / "a.png", wide, 81)


def test_a_cutout_stands_on_the_canvas_at_its_height(tmp_path):
    cutout = read_cutout(save(tmp_path / "p.png", person(0, height=400, margin=30)))
    alpha = cutout.rgba[..., 3]
    assert cutout.rgba.shape == (96, 72, 4)
    rows = np.flatnonzero((alpha > 127).any(1))
    assert len(rows) * cutout.metres_per_px == pytest.approx(1.7, abs=0.03)
    assert cutout.foot == pytest.approx((36, rows[-1] + 1), abs=0.6)
    assert (cutout.rgba[alpha == 0] == 0).all()
    one_leg = np.zeros((400, 200, 4), np.uint8)
    one_leg[20:340, 60:140] = one_leg[340:380, 120:140] = 255
    one_leg[390:, :, 3] = 8  # haze of a bad matte
    cutout = read_cutout(save(tmp_path / "p.png", one_leg))
    columns = np.flatnonzero((cutout.rgba[..., 3] > 127).any(0))
    share = (cutout.foot[0] - columns[0]) / len(columns)
    assert share == pytest.approx(0.875, abs=0.04)


@pytest.mark.parametrize("width, height_m", [(500, 1.7), (100, 2.3)])
def test_the_wide_and_the_tall_fit_on_the_canvas(tmp_path, width, height_m):
    rgba = np.zeros((300, width, 4), np.uint8)
    rgba[5:295, 5:-5] = 255
    cutout = read_cutout(save(tmp_path / "p.png", rgba), height_m)
    alpha = cutout.rgba[..., 3] > 127
    assert not (alpha[:, 0].any() or alpha[:, -1].any() or alpha[0].any())
    assert alpha.any(1).sum() * cutout.metres_per_px == pytest.approx(height_m, abs=0.05)


def test_alpha_of_every_kind_and_a_green_screen_that_lends_the_edge_no_colour(tmp_path):
    rgba = person(0, height=400)
    rgba[..., :3] = np.where(rgba[..., 3:] > 0, 200, (0, 255, 0))
    for array, options in ((rgba, {}), (rgba[..., :3].copy(), {"transparency": (0, 255, 0)})):
        found = read_cutout(save(tmp_path / "p.png", array, **options)).rgba
        assert 0.1 < (found[..., 3] > 127).mean() < 0.6
        assert np.ptp(found[found[..., 3] > 30, :3].astype(int), axis=1).max() <= 4


def test_cutouts_are_refused(tmp_path):
    for change, match in (
        (lambda rgba: rgba[..., :3].copy(), "has no alpha channel"),
        (lambda rgba: rgba // np.array([1, 1, 1, 3], np.uint8), "has an empty alpha channel"),
        (lambda rgba: rgba | np.array([0, 0, 0, 255], np.uint8), "is opaque all over"),
        (lambda rgba: rgba[::12, ::12].copy(), r"is too small: the person is \d+ px high"),
    ):
        path = save(tmp_path / "a.png", change(person(0, height=400)))
        with pytest.raises(InputError, match=f"a.png {match}"):
            read_cutout(path)


def test_somebody_cut_off_is_warned_of(tmp_path, capsys):
    for picture, edge in ((person(0), ""), (person(0)[:80], "lower"), (person(0)[40:], "upper")):
        read_cutout(save(tmp_path / "p.png", picture))
        assert capsys.readouterr().err.count(f"{edge} edge: is the person cut") == bool(edge)


def test_premultiplied_alpha_is_warned_of(tmp_path, capsys):
    straight = person(0, height=400)
    alpha = Image.fromarray(straight[..., 3])
    straight[..., 3] = alpha.resize((40, 80)).resize((200, 400), Image.Resampling.BILINEAR)
    straight[..., :3] = straight[..., :3].clip(60)
    premultiplied = straight.copy()
    premultiplied[..., :3] = np.rint(straight[..., :3] * (straight[..., 3:] / 255))
    black = straight * np.array([0, 0, 0, 1], np.uint8)
    for picture, warned in ((straight, False), (black, False), (premultiplied, True)):
        read_cutout(save(tmp_path / "p.png", picture))
        told = capsys.readouterr().err
        assert ("p.png seems to have premultiplied alpha" in told) == warned
        assert ("save it straight" in told) == warned


SHAPE = (60, 80)
METRES = room_depth(SHAPE, pitch_degrees=5.0)
MM = np.rint(METRES * 1000).astype(np.uint16)


def read_depth(path, shape=SHAPE, size=60) -> tuple[np.ndarray, str]:
    return pictures.read_depth_map(path, shape, size)


def test_metric_maps(tmp_path):
    np.save(tmp_path / "a.npy", METRES.astype(np.float64))
    maps = (save(tmp_path / name, MM) for name in ("a.png", "a.tif"))
    for path in (*maps, save(tmp_path / "b.tif", METRES), tmp_path / "a.npy"):
        values, unit = read_depth(path, (600, 800))
        assert (unit, values.dtype) == ("metre", np.float32)
        np.testing.assert_allclose(values, METRES[:, 10:70], atol=0.0006)


def test_relative_maps_and_holes(tmp_path, capsys):
    grey = np.tile(np.array([[0, 100, 255]], np.uint8).repeat(20, 1), (60, 1))
    for array in (grey, np.repeat(grey[..., None], 3, 2)):  # 255 is the nearest
        values, unit = read_depth(save(tmp_path / "a.png", array), (60, 60), 30)
        assert unit == "relative" and values[0, [0, 15, -1]].tolist() == [0, 100, 255]
    relative = np.linspace(100, 65000, 60 * 80).reshape(60, 80).astype(np.uint16)
    read_depth(save(tmp_path / "a.png", relative))  # mistaken for mm
    assert "is it in metres?" in capsys.readouterr().err
    holed = METRES.copy()
    holed[10:20, 30:40], holed[30, 30] = 0, np.nan
    values, _ = read_depth(save(tmp_path / "a.tif", holed))
    np.testing.assert_allclose(values[15, 20], METRES[15, 29], atol=0.001)
    assert "the nearest value is taken" in capsys.readouterr().err and np.isfinite(values).all()


def test_nothing_hangs_between_an_edge_and_the_wall_behind(tmp_path):
    depth = room_depth((64, 64), pitch_degrees=5.0)
    depth[20:60, 20:40] = 1.5  # a plinth
    found = read_depth(save(tmp_path / "a.tif", depth), (64, 64), 48)[0]
    expected = room_depth((48, 48), pitch_degrees=5.0)
    np.testing.assert_allclose(found[40:, 35:], expected[40:, 35:], rtol=1e-4)
    near = found[:, 12:34]
    assert ((np.abs(near - 1.5) < 0.1) | (np.abs(near / expected[:, 12:34] - 1) < 0.1)).all()


def test_maps_are_refused(tmp_path):
    for name, array, match in (
        ("a.png", MM[:, :60], "is 60x60 px.* another aspect than its plate's 80x60 px"),
        ("a.png", np.zeros(SHAPE, np.uint16), "knows no depth"),
        ("a.png", np.full(SHAPE, 9, np.uint8), "has the same value everywhere"),
        ("a.png", texture(0, SHAPE), "is in colour"),
        ("a.npy", None, "holds no floats, H x W: save metres"),
        ("a.png", None, "cannot be read as an image"),
    ):
        path = tmp_path / name
        if array is None:
            path.write_bytes(b"no depth")
        else:
            save(path, array)
        with pytest.raises(InputError, match=f"{name} {match}"):
            read_depth(path)


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
    images = [texture(number, (64, 96)).copy() for number in range(5)]
    for number, image in enumerate(images):
        image[..., 0] = np.linspace(number, 200, 64)[:, None]
    return [save(tmp_path / f"plate-{n}.png", image) for n, image in enumerate(images)]


def teach(model, paths, size: int = 28) -> list[np.ndarray]:
    teacher = pictures.Teacher(model, size, model.parent / "cache")
    return [teacher.inverse_depth(path, read_rgb(path), 64) for path in paths]


@pytest.mark.parametrize("answer", ["n,h,w", "n,1,h,w"])
def test_the_teacher_sees_normalised_rgb_once_a_plate(tmp_path, calls, paths, answer):
    model = write_teacher(tmp_path / "teacher.onnx", scale=3.0, shift=1.0, answer=answer)
    first = teach(model, [*paths, paths[0]], 56)
    for number, found in enumerate(first[:5]):
        assert found.shape == (64, 64) and found.dtype == np.float32
        expected = 3 * np.linspace(number, 200, 64) / 255 + 1
        np.testing.assert_allclose(found[4:-4, 32], expected[4:-4], atol=0.03)
    assert calls == [(1, 3, 56, 56)] * 5
    np.testing.assert_array_equal(teach(model, paths, 56), first[:5])
    assert len(calls) == 5  # nothing was asked anew
    teach(model, paths[:1], 28)
    assert pictures.Teacher(model, 28, tmp_path).ask(read_rgb(paths[0])).shape == (28, 42)
    teach(write_teacher(model), paths[:1], 56)
    assert len(calls) == 8  # another size and another model were


def test_what_the_model_fixes_is_respected(tmp_path, calls, paths):
    model = write_teacher(tmp_path / "a.onnx", shape="1,3,28,42", answer="1,h,w")
    found = teach(model, paths[:3], 56)
    assert calls == [(1, 3, 28, 42)] * 3
    np.testing.assert_allclose(found[2][32, 32], 101 / 255, atol=0.03)


IMAGES, DEPTHS = "float[n,3,h,w] pixel_values", "float[n,h,w] predicted_depth"


def test_another_contract_is_refused(tmp_path, paths):
    nodes = "predicted_depth = Constant <value = float[2,1,1] {1, 1}> ()"
    for inputs, outputs, more, words in (
        (f"{IMAGES}, float[1] more_1", DEPTHS, "", "has other inputs or outputs"),
        ("float[n,4,h,w] pixel_values", DEPTHS, "", "fails on 1 x 3 x 28 x 28"),
        ("uint8[n,3,h,w] pixel_values", DEPTHS, "", "fails on 1 x 3 x 28 x 28"),
        (IMAGES, f"{DEPTHS}, float[n,h,w] other_1", "other_1 = Neg (predicted_depth)", "has other"),
        (IMAGES, "float[n,1,1] predicted_depth", "", "answers no H x W"),
    ):
        model = write_onnx(tmp_path / "teacher.onnx", inputs, outputs, nodes + more)
        with pytest.raises(InputError, match=f"{words}.*: a teacher has one input, float32"):
            teach(model, paths)


def test_teachers_that_do_not_work(tmp_path, paths):
    gone, link, text = (tmp_path / f"{name}.onnx" for name in ("gone", "link", "text"))
    link.symlink_to(gone)
    text.write_text("no model")
    # symbolic sides in the header and fixed ones inside, as careless exports have
    nodes = "sides = Constant <value_ints = [3, 56, 56]> ()"
    nodes += "predicted_depth = Reshape (pixel_values, sides)"
    fixed = write_onnx(tmp_path / "fixed.onnx", IMAGES, DEPTHS, nodes)
    flat = write_teacher(tmp_path / "flat.onnx", scale=0, shift=7)
    for model, match in (
        (gone, "gone.onnx is missing: mend prepare.photos.teacher"),
        (link, "link.onnx is a link to .*: run `dvc checkout`"),
        (text, "text.onnx .*Depth Anything V2"),
        (fixed, "fixed.onnx fails on 1 x 3 x 28 x 28: .*_size"),
        (flat, "plate-0.png: the teacher's depth is not finite or flat"),
    ):
        with pytest.raises(InputError, match=match):
            teach(model, paths[:1])
    assert not list(tmp_path.glob("cache/*"))
