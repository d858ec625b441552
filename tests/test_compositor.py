import inspect
import io
import itertools
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from depthmask.config import AugmentParams, CompositorParams
from depthmask.config.reading import read_params
from depthmask.data.composition import augmentation
from depthmask.data.composition.augmentation import build_transform, make_variants
from depthmask.data.composition.camera import blur, jpeg, sensor_noise
from depthmask.data.composition.compositor import Compositor
from depthmask.data.composition.shot import apply, lens, stances
from depthmask.data.materialise import plain_shots
from depthmask.data.scenes.placement import NUM_UNIFORMS, Recipes
from depthmask.data.scenes.scene import REFERENCE_FOCAL
from depthmask.metrics import mask_iou
from synthetic import CAMERA_M, FOCAL, SIZE, WALL_M, make_frames, make_library, make_placer

PARAMS = read_params(Path(__file__).parents[1] / "params.yaml")
SHIPPED, AUGMENT = PARAMS.compositor, PARAMS.augment
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)


def still(**changes) -> CompositorParams:
    return CompositorParams.model_validate(plain_shots(SHIPPED).model_dump() | changes)


def recipe(**choices) -> Recipes:
    first, no = np.zeros(1, np.int64), np.zeros(1, bool)
    plain = Recipes(*[first] * 5, no, no, first - 1, np.full((1, NUM_UNIFORMS), 0.4))
    return plain._replace(**{name: np.array([value]) for name, value in choices.items()})


def shoot(library, params=None, **choices):
    return Compositor(library, params or still())(recipe(**choices), library.size)


@pytest.fixture(scope="module")
def library():
    return make_library()


def test_the_person_stands_where_the_camera_sees_the_stand(library):
    size = library.size
    rows, columns = np.nonzero(shoot(library, stand=3).mask[0, 0].numpy() > 0.5)
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    x, y, z = np.asarray(library.stands[0, 3], float)
    px_per_metre = FOCAL * size / z
    assert y == pytest.approx(CAMERA_M)
    assert bottom == pytest.approx(size / 2 + y * px_per_metre, abs=1)
    assert bottom - top == pytest.approx(library.cutouts.height_m[0] * px_per_metre, abs=1.1)
    assert right - left == pytest.approx(0.5 * px_per_metre, abs=1.6)
    assert (left + right) / 2 == pytest.approx(size / 2 + x * px_per_metre, abs=1)


def test_colours_and_depth_are_the_sources(library):
    scene = shoot(library, stand=2)
    person, depth = scene.mask[0, 0] > 0.5, scene.depth[0, 0]
    assert torch.allclose(depth[person], torch.tensor(library.stands[0, 2, 2]), atol=1e-4)
    assert torch.equal(depth[~person], torch.from_numpy(library.depths[0])[~person])
    assert depth.max() == WALL_M
    plate = torch.from_numpy(library.images[0]).permute(2, 0, 1) / 255
    assert torch.allclose(scene.bg[0], plate, atol=1e-5)
    empty, full = scene.mask[0, 0] == 0, scene.mask[0, 0] > 0.999
    assert torch.allclose(scene.bg_fg[0][:, empty], plate[:, empty], atol=1e-5)
    colour = torch.from_numpy(library.rgba[0, 20, 24, :3] / 255).float()
    assert full.any()
    assert torch.allclose(scene.bg_fg[0][:, full], colour[:, None], atol=0.02)


def test_what_is_nearer_hides_the_person_and_nobody_means_the_plate(library):
    hidden, half = make_library(), library.size // 2
    hidden.depths[0, :half] = 1.0  # a screen over the upper half
    scene, free = shoot(hidden), shoot(library)
    assert free.mask[0, 0, :half].sum() > 0
    assert scene.mask[0, 0, :half].sum() == 0
    assert torch.equal(scene.mask[0, 0, half:], free.mask[0, 0, half:])
    assert (scene.depth[0, 0, :half] == 1).all()
    scene = shoot(library, still(shadow={"p": 1.0, "strength": 0.8}), nobody=True)
    assert scene.mask.sum() == 0
    assert torch.allclose(scene.bg, scene.bg_fg, atol=1e-5)
    assert torch.equal(scene.depth[0, 0], torch.from_numpy(library.depths[0]))


def test_a_rendered_frame_is_shown_as_it_is_and_moves_as_a_composed_one(library):
    frames = make_frames(library, 3, "train")
    plate, cutout, stand = (int(frames.table[name][2]) for name in ("plate", "cutout", "stand"))
    chosen = {"plate": plate, "cutout": cutout, "stand": stand, "nobody": True, "frame": 2}
    noise = np.random.default_rng(0).integers(0, 256, frames.bg_fg.shape, np.uint8)
    shown = Compositor(library, still(), frames=frames._replace(bg_fg=noise))
    scene, empty = shown(recipe(**chosen), library.size), shoot(library, plate=plate, nobody=True)
    assert torch.equal(scene.bg, empty.bg) and torch.equal(scene.focal, empty.focal)
    for found, stored in ((scene.bg_fg, noise[2]), (scene.mask, frames.mask[2])):
        stored = torch.from_numpy(stored).view(*found.shape[-2:], -1).movedim(-1, 0)
        torch.testing.assert_close(found[0], stored / 255, atol=1e-4, rtol=0)
    torch.testing.assert_close(scene.depth[0, 0], torch.from_numpy(frames.depth[2]))
    half = still(crop={"p": 1.0, "min_scale": 0.5, "max_aspect": 1.0}, flipped=1.0)
    composed = Compositor(library, half)(recipe(plate=plate, cutout=cutout, stand=stand), SIZE)
    moved = Compositor(library, half, frames=frames)(recipe(**chosen), SIZE)
    assert 0.3 < float(composed.mask.mean() / scene.mask.mean()) / 4 < 1.1  # nearer by a zoom
    assert torch.equal(moved.bg, composed.bg)
    assert float(mask_iou(moved.mask, composed.mask)) > 0.85  # but for the enlarged edge
    for name in ("bg_fg", "depth"):
        apart = (getattr(moved, name) - getattr(composed, name)).abs()
        assert float((apart < 0.05).float().mean()) > 0.9, name
    # whoever the frame's edge cuts off is there up to it
    everywhere = frames._replace(mask=np.full_like(frames.mask, 255))
    at_the_edge = recipe(**chosen)._replace(uniforms=np.full((1, NUM_UNIFORMS), 0.9))
    cropped = Compositor(library, half, frames=everywhere)(at_the_edge, SIZE)
    assert float(cropped.mask.min()) > 0.999


def test_a_person_is_mirrored_about_the_foot_and_a_flipped_scene_is_the_mirror_image(library):
    lopsided = make_library()
    lopsided.rgba[0, :, : lopsided.rgba.shape[2] // 2, 3] = 0  # only the right half is left
    centre = lopsided.camera(0).project(np.asarray(lopsided.stands[0, 0], float), 64)[0]
    for mirrored, side in ((False, 1), (True, -1)):
        scene = shoot(lopsided, mirrored=mirrored)
        columns = np.nonzero(scene.mask[0, 0].numpy() > 0.5)[1] + 0.5
        assert side * (columns.mean() - centre) > 1
    plain, flipped = shoot(library, stand=3), shoot(library, still(flipped=1.0), stand=3)
    for field, other in zip(plain[:4], flipped[:4], strict=True):
        assert torch.allclose(field, other.flip(-1), atol=2e-3)


def test_samples_do_not_depend_on_the_batch(library):
    many = make_placer(library, nobody=0.1).draw(0, 0, range(24))
    compositor = Compositor(library, SHIPPED)
    whole = compositor(many, 48)
    assert whole.bg.shape == whole.bg_fg.shape == (24, 3, 48, 48)
    assert whole.mask.shape == whole.depth.shape == (24, 1, 48, 48)
    assert all(image.min() >= 0 and image.max() <= 1 for image in whole[:3])
    assert whole.depth.min() > 0.1 and torch.isfinite(whole.depth).all()
    assert (whole.mask.sum((1, 2, 3)) == 0).tolist() == many.nobody.tolist()
    for start in range(0, 24, 8):
        part = compositor(many.take(range(start, start + 8)), 48)
        for found, field in zip(part, whole, strict=True):
            assert torch.allclose(found, field[start : start + 8], atol=1e-5)


def test_each_strength_changes_what_it_should_and_a_shadow_only_darkens(library):
    base, both = shoot(library), ["bg", "bg_fg"]
    every = [*both, "mask", "depth", "focal"]
    for name, values, expected in (
        ("noise", {"p": 1.0, "sigma": 0.05}, both),
        ("camera", {"p": 1.0, "gain": 0.3, "gamma": 0.2, "blur": 1.0, "jpeg": 40}, both),
        ("plate_light", {"p": 1.0, "gain": 0.3, "tint": 0.1}, ["bg"]),
        ("plate_motion", {"p": 1.0, "shift": 0.05, "degrees": 2.0}, ["bg"]),
        ("person_light", {"gain": 0.5, "tint": 0.1}, ["bg_fg"]),
        (
            "crop",
            {"p": 1.0, "min_scale": 0.6, "max_aspect": 1.1},
            every,
        ),
        ("shadow", {"p": 1.0, "strength": 0.8}, ["bg_fg"]),
    ):
        scene = shoot(library, still(**{name: values}))
        pairs = zip(scene._fields, scene, base, strict=True)
        assert [n for n, a, b in pairs if not torch.allclose(a, b, atol=1e-4)] == expected, name
    outside = (scene.mask == 0).expand_as(scene.bg_fg)
    change = scene.bg_fg - base.bg_fg
    assert change[outside].max() <= 1e-5 and change[outside].min() < -0.02


def test_variants_replace_the_colours_only(library):
    train = len(library.plates_of("train"))
    compositor = Compositor(
        library,
        still(),
        plate_variants=np.full((1, train, 64, 64, 3), 7, np.uint8),
        cutout_variants=np.full((1, train, *library.rgba.shape[1:3], 3), 250, np.uint8),
    )
    plain, scene = shoot(library), compositor(recipe(plate_variant=1, cutout_variant=1), 64)
    assert torch.allclose(scene.bg, torch.full_like(scene.bg, 7 / 255), atol=1e-5)
    full = scene.mask[0, 0] > 0.999
    assert torch.allclose(scene.bg_fg[0][:, full], torch.tensor(250 / 255), atol=0.02)
    assert torch.equal(scene.mask, plain.mask) and torch.equal(scene.depth, plain.depth)
    with pytest.raises(ValueError, match="size 96 exceeds the library's 64"):
        compositor(recipe(), 96)


def test_noise_is_as_strong_as_said_and_the_sample_s_own():
    grey = make_library()
    grey.images[:] = 128
    last = np.arange(NUM_UNIFORMS) == 42  # what the noise follows from
    recipes = make_placer(grey, nobody=1.0).draw(0, 0, range(3))
    recipes = recipes._replace(uniforms=np.where(last, recipes.uniforms, 0.5))

    def noise(recipes: Recipes, seed: int = 0) -> torch.Tensor:
        params = still(noise={"p": 1.0, "sigma": 0.05}, seed=seed)
        scene = Compositor(grey, params)(recipes, grey.size)
        return torch.cat([scene.bg, scene.bg_fg], 1) - 128 / 255

    found = noise(recipes)
    apart = torch.corrcoef(found[0].flatten(1)) - torch.eye(6)  # of bg and of bg_fg
    assert apart.abs().max() < 5 / grey.size
    strength = 0.5 * 0.05 * (0.2 + 0.8 * 128 / 255) ** 0.5
    torch.testing.assert_close(found.std((2, 3)), torch.full((3, 6), strength), rtol=0.1, atol=0)
    for other in (found[1], noise(recipes.take([2]), seed=1)[0]):
        assert torch.isclose(found[2], other).float().mean() < 0.01


def test_no_channel_s_noise_is_another_s_displaced():
    """A network can learn a displaced copy: bg and bg_fg once shared theirs, 52 px apart."""
    num, size = 24, 96
    keys = torch.from_numpy(np.random.default_rng(0).integers(0, 2**53, num))
    noise = sensor_noise(keys, size).flatten(1, 2)
    spectra = torch.fft.fft2(noise.double())
    for first, second in itertools.combinations(range(6), 2):
        cross = torch.fft.ifft2(spectra[:, first] * spectra[:, second].conj()).real / size**2
        # at any shift of any sample, and at one shift in the mean of all
        assert cross.abs().max() < 6.5 / size, (first, second)
        assert cross.mean(0).abs().max() < 6 / size / num**0.5, (first, second)
    moments = [float((noise**power).mean()) for power in (1, 2, 4)]
    assert moments == pytest.approx([0, 1, 3], abs=0.03)


def test_noise_is_the_same_everywhere():
    """The first number of SplitMix64 from 0 is 0xE220A8397B1DCDAF, by its authors' code."""
    radius = math.sqrt(-2 * math.log((0xE220A8 + 1) / 2**24))
    angle = 0x1DCDAF / 2**24 * 2 * math.pi
    expected = torch.tensor([radius * math.cos(angle), radius * math.sin(angle)])
    torch.testing.assert_close(sensor_noise(torch.tensor([0]), 1)[0, :, 0, 0, 0], expected)


def test_the_depth_that_is_learnt_is_how_small_people_look(library):
    """A crop is a longer lens: in its metres a person as high in the frame is as far away."""
    zoomed = still(crop={"p": 1.0, "min_scale": 0.6, "max_aspect": 1.1})
    for params in (still(), zoomed):
        scene = shoot(library, params, stand=3)
        rows = np.nonzero(scene.mask[0, 0].numpy() > 0.5)[0]
        share = (rows.max() + 1 - rows.min()) / library.size
        learnt_m = float(library.stands[0, 3, 2] * REFERENCE_FOCAL / scene.focal)
        seen = library.cutouts.height_m[0] * REFERENCE_FOCAL / learnt_m
        assert share == pytest.approx(seen, abs=2 / library.size)


def test_the_lens_shows_the_part_asked_for():
    scale, centre = np.array([[0.5, 0.25]]), np.array([[0.5, 0.75]])
    shown = lens(scale, centre, np.zeros(1), np.zeros((1, 2)), 100)
    np.testing.assert_allclose(apply(shown, np.array([[50.0, 50.0]])), [[50, 75]])
    np.testing.assert_allclose(apply(shown, np.array([[0.0, 100.0]])), [[25, 87.5]])


def test_a_plate_that_moved_is_shifted_in_frames_and_turned_whatever_the_crop_and_squeeze():
    scale, centre, points = np.array([[0.5, 0.25]]), np.array([[0.5, 0.5]]), [[90.0, 50], [50, 90]]
    shown = lens(scale, centre, np.array([30.0]), np.array([[0.1, 0.0]]), 100)
    middle, right, below = (apply(shown, np.array([p]))[0] for p in ([50.0, 50.0], *points))
    np.testing.assert_allclose(middle, [55, 50])  # a tenth of the frame, which is half the plate
    assert np.linalg.norm(right - middle) == pytest.approx(20)  # 40 px of the frame
    assert np.linalg.norm(below - middle) == pytest.approx(10)
    assert (right - middle) @ (below - middle) == pytest.approx(0)  # no shear


@pytest.mark.parametrize("pitch", [0.0, 0.35])
def test_foot_and_head_are_where_the_camera_sees_them(pitch):
    library, one = make_library(), np.zeros(1, np.int64)
    up = np.array([0.0, -np.cos(pitch), -np.sin(pitch)])  # looking down: the head is nearer
    tilted = replace(library, plates=library.plates.assign(up_x=up[0], up_y=up[1], up_z=up[2]))
    recipes = Recipes(*[one] * 4, one + 4, one > 0, one > 0, one - 1, np.zeros((1, NUM_UNIFORMS)))
    stance = stances(tilted, recipes, 64)
    cutout, camera = tilted.cutouts.iloc[0], tilted.camera(0)
    rows = cutout.height_m / cutout.metres_per_px
    canvas_foot = np.array([[cutout.foot_u, cutout.foot_v]])
    canvas_head = canvas_foot - [[0, rows]]
    foot = np.asarray(tilted.stands[0, 4], float)
    head = foot + cutout.height_m * up
    np.testing.assert_allclose(apply(stance.to_plate, canvas_foot)[0], camera.project(foot, 64))
    np.testing.assert_allclose(apply(stance.to_plate, canvas_head)[0], camera.project(head, 64))
    assert stance.foot[0, 2] + rows * stance.depth_per_row[0] == pytest.approx(head[2])


def test_a_shadow_falls_where_a_lamp_does_not_reach_on_the_floor_and_on_the_wall(library):
    """The lamp of these numbers is 0.7 m to the left, 0.7 m nearer and 3 or 2 m above the floor."""
    lit = still(shadow={"p": 1.0, "strength": 1.0})
    camera, height_m = library.camera(0), library.cutouts.height_m[0]
    last = int(np.argmax(library.stands[0, :, 2]))
    for stand, lamp_m, share, plane in ((3, 3.0, 0.95, "floor"), (last, 2.0, 0.9, "wall")):
        foot = np.asarray(library.stands[0, stand], float)
        lamp, body = foot + [-0.7, -lamp_m, -0.7], foot - [0, share * height_m, 0]
        on_floor = lamp_m / (lamp_m - share * height_m)
        reach = on_floor if plane == "floor" else (WALL_M - lamp[2]) / 0.7
        assert reach <= on_floor
        numbers = np.where(np.isin(np.arange(NUM_UNIFORMS), [4, 5]), (lamp_m - 2) / 2.5, 0.4)
        scene = shoot(library, lit, stand=stand, uniforms=numbers)
        light = (scene.bg_fg + 0.01) / (scene.bg + 0.01)
        for point, is_dark in ((lamp + reach * (body - lamp), True), (foot + [-1.0, 0, 0], False)):
            column, row = camera.project(point, library.size).astype(int)
            assert scene.mask[0, 0, row, column] == 0
            assert (float(light[0, :, row, column].mean()) < 0.9) == is_dark, (plane, is_dark)


def test_somebody_else_is_there_too_and_the_nearer_hides(library):
    far, near = recipe(stand=3, cutout=0), recipe(stand=0, cutout=1)
    compose = Compositor(library, still())
    both, first, second = compose(far, 64, near), compose(far, 64), compose(near, 64)
    assert torch.equal(compose(near, 64, far).mask > 0.5, both.mask > 0.5)
    assert torch.equal(both.mask > 0.5, (first.mask > 0.5) | (second.mask > 0.5))
    nearer = torch.where(second.mask > 0.5, second.depth, first.depth)
    assert torch.allclose(both.depth, nearer)
    nobody = near._replace(nobody=np.array([True]))
    assert torch.equal(compose(far, 64, nobody).bg_fg, first.bg_fg)
    drawn = make_placer(library, others=0.5)
    recipes = drawn.draw(0, 0, range(400))
    others = drawn.draw_others(recipes, 0, range(400))
    assert (others.plate == recipes.plate).all()
    there = ~others.nobody
    assert 0.2 < there.mean() < 0.5 and (others.stand != recipes.stand)[there].all()


def test_jpeg_and_blur_do_what_files_and_lenses_do():
    photo = torch.from_numpy(np.kron(IMAGES[:1], np.ones((1, 4, 4, 1), np.uint8))).permute(
        0, 3, 1, 2
    )
    buffer = io.BytesIO()
    pixels = photo[0].permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=40, subsampling=0)
    stored = torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1)[None] / 255
    found = jpeg(photo / 255, torch.tensor([40.0]))
    # a file's luma and colour differences are rounded before the transform
    assert (found - stored).abs().mean() < 0.2 * (stored - photo / 255).abs().mean()
    point = torch.zeros(2, 3, 64, 64)
    point[..., 32, 32] = 1
    seen = blur(point, torch.tensor([1.0, 2.0]))
    offset = torch.arange(64.0) - 32
    assert torch.allclose(seen.sum((2, 3)), torch.ones(2, 3), atol=1e-4)
    spread = (seen.sum(2) * offset.square()).sum(-1).sqrt()[:, 0]
    assert torch.allclose(spread, torch.tensor([1.0, 2.0]), atol=0.01)


def test_a_variant_follows_from_its_own_number_alone_and_is_as_strong_as_said():
    first = make_variants(IMAGES, AUGMENT, 0)
    np.testing.assert_array_equal(first[:, 0], make_variants(IMAGES[:1], AUGMENT, 0)[:, 0])
    assert first.shape == (AUGMENT.num_variants, *IMAGES.shape) and first.dtype == np.uint8
    assert len({variant.tobytes() for variant in first[:, 0]}) > 1
    assert (first != make_variants(IMAGES, AUGMENT, 1)).any()
    values = AUGMENT.model_dump()
    values["hue_saturation_value"] = {"hue": 0, "saturation": 0, "value": 0}
    values["random_brightness_contrast"] = {"brightness": 0, "contrast": 0}
    variants = make_variants(IMAGES, AugmentParams.model_validate(values), 0)
    # strength zero changes nothing; the round trip through HSV costs a grey level or two
    assert np.abs(variants.astype(int) - IMAGES).max() <= 6


@pytest.mark.filterwarnings("ignore")
def test_albumentations_asks_no_server_and_an_argument_unknown_to_it_is_an_error(monkeypatch):
    source = inspect.getsource(augmentation)
    assert source.index("NO_ALBUMENTATIONS_UPDATE") < source.index("import albumentations")
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"
    original = augmentation.A.HueSaturationValue
    changed = lambda *limits, p: original(*limits, p=p, nonsense=1)  # noqa: E731
    monkeypatch.setattr(augmentation.A, "HueSaturationValue", changed)
    with pytest.raises(UserWarning, match="nonsense"):
        build_transform(AUGMENT, 0)
