import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from depthmask.config import CompositorParams, read_params
from depthmask.data.composition.compositor import Compositor
from depthmask.data.composition.noise import sensor_noise
from depthmask.data.scenes.placement import NUM_UNIFORMS, Recipes
from synthetic import CAMERA_M, FOCAL, WALL_M, make_library, make_placer

SHIPPED = read_params(Path(__file__).parents[1] / "params.yaml").compositor


def still(**changes) -> CompositorParams:
    """Everything that varies from shot to shot switched off."""
    off = {
        "flipped": 0.0,
        "crop": {"p": 0.0, "min_scale": 1.0, "max_aspect": 1.0},
        "person_light": {"gain": 0.0, "tint": 0.0},
        "shadow": {"p": 0.0, "strength": 0.0},
        "noise": {"p": 0.0, "sigma": 0.0},
        "plate_light": {"p": 0.0, "gain": 0.0, "tint": 0.0},
        "plate_motion": {"p": 0.0, "shift": 0.0, "degrees": 0.0},
    }
    return CompositorParams.model_validate(SHIPPED.model_dump() | off | changes)


def recipe(library, *, plate=0, cutout=0, stand=0, mirrored=False, nobody=False, number=0.4):
    return Recipes(
        plate=np.array([plate]),
        cutout=np.array([cutout]),
        plate_variant=np.array([0]),
        cutout_variant=np.array([0]),
        stand=np.array([stand]),
        mirrored=np.array([mirrored]),
        nobody=np.array([nobody]),
        uniforms=np.full((1, NUM_UNIFORMS), number),
    )


@pytest.fixture(scope="module")
def library():
    return make_library()


@pytest.fixture(scope="module")
def many(library):
    return make_placer(library, nobody=0.1).draw(0, 0, range(24))


def test_the_person_stands_where_the_camera_sees_the_stand(library):
    size = library.size
    scene = Compositor(library, still())(recipe(library, stand=3), size)
    rows, columns = np.nonzero(scene.mask[0, 0].numpy() > 0.5)
    x, y, z = np.asarray(library.stands[0, 3], float)
    px_per_metre = FOCAL * size / z
    height_m = library.cutouts.height_m[0]
    assert y == pytest.approx(CAMERA_M)
    assert rows.max() + 1 == pytest.approx(size * (FOCAL * y / z + 0.5), abs=1)
    assert rows.max() + 1 - rows.min() == pytest.approx(height_m * px_per_metre, abs=1.1)
    assert columns.max() + 1 - columns.min() == pytest.approx(0.5 * px_per_metre, abs=1.6)
    assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(
        size * (FOCAL * x / z + 0.5), abs=1
    )


def test_depth_is_the_stand_s_on_the_person_and_the_room_s_elsewhere(library):
    scene = Compositor(library, still())(recipe(library, stand=2), library.size)
    person = scene.mask[0, 0] > 0.5
    depth = scene.depth[0, 0]
    assert torch.allclose(depth[person], torch.tensor(library.stands[0, 2, 2]), atol=1e-4)
    assert torch.equal(depth[~person], torch.from_numpy(library.depths[0])[~person])
    assert depth.max() == WALL_M


def test_colours_are_the_sources(library):
    scene = Compositor(library, still())(recipe(library), library.size)
    plate = torch.from_numpy(library.images[0]).permute(2, 0, 1) / 255
    assert torch.allclose(scene.bg[0], plate, atol=1e-5)
    empty = scene.mask[0, 0] == 0
    assert torch.allclose(scene.bg_fg[0][:, empty], plate[:, empty], atol=1e-5)
    colour = torch.from_numpy(library.rgba[0, 20, 24, :3] / 255).float()
    full = scene.mask[0, 0] > 0.999
    assert full.any()
    assert torch.allclose(scene.bg_fg[0][:, full], colour[:, None], atol=0.02)


def test_what_is_nearer_hides_the_person(library):
    hidden = make_library()
    hidden.depths[0, : hidden.size // 2] = 1.0  # a screen over the upper half
    scene = Compositor(hidden, still())(recipe(hidden), hidden.size)
    free = Compositor(library, still())(recipe(library), library.size)
    half = library.size // 2
    assert free.mask[0, 0, :half].sum() > 0
    assert scene.mask[0, 0, :half].sum() == 0
    assert torch.equal(scene.mask[0, 0, half:], free.mask[0, 0, half:])
    assert (scene.depth[0, 0, :half] == 1).all()


def test_nobody_means_the_plate(library):
    params = still(shadow={"p": 1.0, "strength": 0.8})
    scene = Compositor(library, params)(recipe(library, nobody=True), library.size)
    assert scene.mask.sum() == 0
    assert torch.allclose(scene.bg, scene.bg_fg, atol=1e-5)
    assert torch.equal(scene.depth[0, 0], torch.from_numpy(library.depths[0]))


def test_mirroring_flips_the_cutout_about_its_foot(library):
    lopsided = make_library()
    lopsided.rgba[0, :, : lopsided.rgba.shape[2] // 2, 3] = 0  # only the right half is left
    compositor = Compositor(lopsided, still())
    centre = lopsided.camera(0).project(np.asarray(lopsided.stands[0, 0], float), 64)[0]
    for mirrored, side in ((False, 1), (True, -1)):
        scene = compositor(recipe(lopsided, mirrored=mirrored), 64)
        columns = np.nonzero(scene.mask[0, 0].numpy() > 0.5)[1] + 0.5
        assert side * (columns.mean() - centre) > 1


def test_a_flipped_scene_is_the_mirror_image(library):
    plain = Compositor(library, still())(recipe(library, stand=3), 64)
    flipped = Compositor(library, still(flipped=1.0))(recipe(library, stand=3), 64)
    for name in plain._fields:
        mirrored = getattr(flipped, name).flip(-1)
        assert torch.allclose(getattr(plain, name), mirrored, atol=2e-3), name


def test_samples_do_not_depend_on_the_batch(library, many):
    compositor = Compositor(library, SHIPPED)
    whole = compositor(many, 48)
    for start in range(0, 24, 8):
        part = compositor(Recipes(*(column[start : start + 8] for column in many)), 48)
        for name in whole._fields:
            found, expected = getattr(part, name), getattr(whole, name)[start : start + 8]
            assert torch.allclose(found, expected, atol=1e-5), name


def test_ranges_and_shapes(library, many):
    scene = Compositor(library, SHIPPED)(many, 40)
    assert scene.bg.shape == scene.bg_fg.shape == (24, 3, 40, 40)
    assert scene.mask.shape == scene.depth.shape == (24, 1, 40, 40)
    for image in (scene.bg, scene.bg_fg, scene.mask):
        assert image.min() >= 0 and image.max() <= 1
    assert scene.depth.min() > 0.1 and torch.isfinite(scene.depth).all()
    assert (scene.mask.sum((1, 2, 3)) == 0).tolist() == many.nobody.tolist()


def test_each_strength_acts(library):
    """Each of the shot's variations changes what it should and nothing else."""
    base = Compositor(library, still())(recipe(library), 64)
    cases = {
        "noise": ({"p": 1.0, "sigma": 0.05}, {"bg", "bg_fg"}),
        "plate_light": ({"p": 1.0, "gain": 0.3, "tint": 0.1}, {"bg"}),
        "plate_motion": ({"p": 1.0, "shift": 0.05, "degrees": 2.0}, {"bg"}),
        "person_light": ({"gain": 0.5, "tint": 0.1}, {"bg_fg"}),
        "shadow": ({"p": 1.0, "strength": 0.6}, {"bg_fg"}),
        "crop": ({"p": 1.0, "min_scale": 0.6, "max_aspect": 1.1}, {"bg", "bg_fg", "mask", "depth"}),
    }
    for name, (values, expected) in cases.items():
        scene = Compositor(library, still(**{name: values}))(recipe(library), 64)
        changed = {
            field
            for field in scene._fields
            if not torch.allclose(getattr(scene, field), getattr(base, field), atol=1e-4)
        }
        assert changed == expected, name


def test_a_shadow_only_darkens_the_floor(library):
    params = still(shadow={"p": 1.0, "strength": 0.8})
    base = Compositor(library, still())(recipe(library), 64)
    scene = Compositor(library, params)(recipe(library), 64)
    outside = (scene.mask == 0).expand_as(scene.bg_fg)
    change = scene.bg_fg - base.bg_fg
    assert change[outside].max() <= 1e-5 and change[outside].min() < -0.02
    wall = (scene.depth == WALL_M).expand_as(scene.bg_fg) & outside
    assert torch.allclose(scene.bg_fg[wall], base.bg_fg[wall], atol=1e-5)


def test_variants_replace_the_colours_only(library):
    train = library.plates_of("train")
    plate_variants = np.full((1, len(train), 64, 64, 3), 7, np.uint8)
    cutout_variants = np.full((1, len(train), *library.rgba.shape[1:3], 3), 250, np.uint8)
    compositor = Compositor(
        library,
        still(),
        plate_variants=plate_variants,
        cutout_variants=cutout_variants,
    )
    plain = Compositor(library, still())(recipe(library), 64)
    varied = recipe(library)._replace(plate_variant=np.array([1]), cutout_variant=np.array([1]))
    scene = compositor(varied, 64)
    assert torch.allclose(scene.bg, torch.full_like(scene.bg, 7 / 255), atol=1e-5)
    full = scene.mask[0, 0] > 0.999
    assert torch.allclose(scene.bg_fg[0][:, full], torch.tensor(250 / 255), atol=0.02)
    assert torch.equal(scene.mask, plain.mask) and torch.equal(scene.depth, plain.depth)


def test_a_size_beyond_the_library_s_is_refused(library):
    with pytest.raises(ValueError, match="64"):
        Compositor(library, still())(recipe(library), 96)


def noise_of(library, recipes) -> torch.Tensor:
    """What the sensor adds to mid grey plates, N x 6 x size x size."""
    library.images[:] = 128
    scene = Compositor(library, still(noise={"p": 1.0, "sigma": 0.05}))(recipes, library.size)
    return torch.cat([scene.bg, scene.bg_fg], 1) - 128 / 255


def test_noise_is_as_strong_as_said_and_the_sample_s_own(library):
    grey = make_library()
    recipes = make_placer(grey, nobody=1.0).draw(0, 0, range(3))
    recipes = recipes._replace(
        uniforms=np.where(np.arange(NUM_UNIFORMS) < 27, 0.5, recipes.uniforms)
    )
    noise = noise_of(grey, recipes)
    torch.testing.assert_close(noise.std((2, 3)), torch.full((3, 6), 0.025), rtol=0.1, atol=0)
    assert not torch.isclose(noise[0], noise[1]).float().mean() > 0.01
    alone = noise_of(grey, Recipes(*(column[2:] for column in recipes)))
    assert torch.equal(alone[0], noise[2])


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
    values = noise.flatten()
    assert abs(float(values.mean())) < 0.01 and float(values.std()) == pytest.approx(1, abs=0.01)
    assert float((values**4).mean()) == pytest.approx(3, abs=0.1)
    assert float((values.abs() > 3).float().mean()) == pytest.approx(0.0027, abs=3e-4)


def test_noise_is_the_same_everywhere():
    """SplitMix64 of key 0, its first value, by its authors' code: 0xE220A8397B1DCDAF."""
    radius = math.sqrt(-2 * math.log((0xE220A8 + 1) / 2**24))
    angle = 0x1DCDAF / 2**24 * 2 * math.pi
    found = sensor_noise(torch.tensor([0]), 1)[0, :, 0, 0, 0]
    torch.testing.assert_close(found, torch.tensor([radius, radius]) * torch.tensor(
        [math.cos(angle), math.sin(angle)]))  # fmt: skip
