"""What makes frames harder: nothing at the neutral strength, and beyond it what it says."""

import math

import pytest
import torch

from depthmask.data.scenes.scene import Scene
from depthmask.evaluation.robustness.conditions import CONDITIONS, Draws, harder
from depthmask.evaluation.robustness.light import light_between, typical_shadow
from depthmask.evaluation.robustness.people import can_stand_together, together

SIZE = 48
STRONG = {"shift": 2.5, "rotation": 4, "exposure": 0.7, "temperature": 0.6, "noise": 0.05,
          "jpeg": 30, "shadow": 2, "camouflage": 1}  # fmt: skip


def make_scene(*, left=20, wall=(0.6, 0.5, 0.4), person=(0.2, 0.3, 0.8), depth=3.0, shadow=1.0):
    """A plain wall, a person 8 px wide whose rim is half theirs, a shadow to their right."""
    bg = torch.tensor(wall).view(1, 3, 1, 1).expand(1, 3, SIZE, SIZE).clone()
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 12:40, left : left + 8] = 1
    mask[..., 12:40, (left, left + 7)] = 0.5
    light = torch.ones(1, 1, SIZE, SIZE)
    light[..., 30:44, left + 8 : left + 18] = shadow
    colour = torch.tensor(person).view(1, 3, 1, 1)
    return Scene(
        bg=bg,
        bg_fg=bg * light * (1 - mask) + colour * mask,
        mask=mask,
        depth=torch.where(mask > 0.5, depth, 6.0),
    )


@pytest.fixture
def scenes():
    random = torch.Generator().manual_seed(0)
    mask = torch.zeros(4, 1, SIZE, SIZE)
    mask[..., 10:40, 14:26] = 1
    bg, bg_fg = (torch.randint(0, 256, (4, 3, SIZE, SIZE), generator=random) / 255 for _ in "ab")
    return Scene(bg, bg_fg, mask, torch.where(mask > 0, 2.0, 5.0))


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_neutral_strength_changes_nothing(scenes, name):
    draws = Draws.of(scenes, 0)
    assert harder(scenes, name, CONDITIONS[name].neutral, draws) is scenes
    if name == "jpeg":
        return  # the best JPEG is still one; 100 stands for none
    # nor does what is measured jump there
    same = CONDITIONS[name].change(scenes, CONDITIONS[name].neutral, draws)
    for before, after in zip(scenes, same, strict=True):
        torch.testing.assert_close(after, before, atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", CONDITIONS)
def test_pictures_stay_a_camera_s_and_the_truth_stays_true(scenes, name):
    changed = harder(scenes, name, STRONG[name], Draws.of(scenes, 0))
    for image in (changed.bg, changed.bg_fg):
        assert image.min() >= 0 and image.max() <= 1
        assert torch.equal(image, (image * 255).round() / 255)
    assert torch.equal(changed.mask, scenes.mask) and torch.equal(changed.depth, scenes.depth)
    plate_alone = name in ("shift", "rotation", "exposure", "temperature")
    assert torch.equal(changed.bg_fg, scenes.bg_fg) == plate_alone
    assert torch.equal(changed.bg, scenes.bg) == (name in ("shadow", "camouflage"))


def test_a_shift_by_whole_pixels_moves_the_plate(scenes):
    draws = Draws.of(scenes, 0)._replace(direction=torch.tensor([0, 0.5, 1, 1.5]) * math.pi)
    bg = harder(scenes, "shift", 3, draws).bg
    for row, (dx, dy) in enumerate([(3, 0), (0, 3), (-3, 0), (0, -3)]):
        moved = scenes.bg[row].roll((-dy, -dx), (1, 2))
        inside = slice(6, -6)
        torch.testing.assert_close(bg[row, :, inside, inside], moved[:, inside, inside])


def test_a_shift_by_half_a_pixel_is_half_a_pixel():
    at = torch.arange(SIZE) + 0.5
    spot = torch.exp(-((at - 24) ** 2 + (at[:, None] - 24) ** 2) / 32).expand(1, 3, SIZE, SIZE)
    scene = Scene(spot, spot, torch.zeros(1, 1, SIZE, SIZE), torch.ones(1, 1, SIZE, SIZE))
    draws = Draws.of(scene, 0)._replace(direction=torch.zeros(1))
    moved = CONDITIONS["shift"].change(scene, 0.5, draws).bg[0, 0]
    assert float((moved.sum(0) * at).sum() / moved.sum()) == pytest.approx(23.5, abs=0.01)


def test_a_quarter_turn_is_a_quarter_turn(scenes):
    draws = Draws.of(scenes, 0)
    bg = harder(scenes, "rotation", 90, draws).bg
    for row, turn in enumerate(draws.turn.tolist()):
        torch.testing.assert_close(bg[row], torch.rot90(scenes.bg[row], int(turn), (1, 2)))


def test_shifts_and_turns_go_every_way(scenes):
    many = Scene(*(field[:1].expand(200, -1, -1, -1) for field in scenes))
    draws = Draws.of(many, 0)
    assert torch.bincount((draws.direction / (math.pi / 2)).long(), minlength=4).min() > 30
    assert abs(float(draws.turn.mean())) < 0.2 and set(draws.turn.tolist()) == {-1.0, 1.0}
    # a scene's numbers do not depend on how many others there are
    assert torch.equal(draws.noise[:4], Draws.of(scenes, 0).noise)
    assert not torch.equal(draws.noise[:4], Draws.of(scenes, 1).noise)


def test_light_changes_by_stops():
    scene, draws = make_scene(wall=(0.2, 0.4, 0.8)), None
    brighter = harder(scene, "exposure", 1, draws).bg[0, :, 0, 0]
    torch.testing.assert_close(brighter, torch.tensor([0.4, 0.8, 1.0]), atol=0.002, rtol=0)
    warmer = CONDITIONS["temperature"].change(scene, 1, draws).bg[0, :, 0, 0]
    ratio = (warmer[0] / warmer[2]) / (0.2 / 0.8)
    assert float(ratio) == pytest.approx(2) and float(warmer[1]) == pytest.approx(0.4)


def test_noise_is_as_strong_as_said_and_each_picture_s_own(scenes):
    grey = Scene(*(torch.full_like(f, 0.5) for f in scenes[:2]), *scenes[2:])
    noisy = harder(grey, "noise", 0.05, Draws.of(grey, 0))
    assert float((noisy.bg - 0.5).std()) == pytest.approx(0.05, rel=0.03)
    both = torch.stack([(noisy.bg - 0.5).flatten(), (noisy.bg_fg - 0.5).flatten()])
    assert abs(float(torch.corrcoef(both)[0, 1])) < 0.05


def test_jpeg_loses_more_at_lower_quality():
    smooth = torch.linspace(0, 1, SIZE).expand(1, 3, SIZE, SIZE).contiguous()
    scene = make_scene()._replace(bg=smooth)
    losses = [
        float((harder(scene, "jpeg", quality, None).bg - smooth).abs().mean())
        for quality in (95, 50, 10)
    ]
    assert 0 < losses[0] < losses[1] < losses[2] < 0.1


def test_a_shadow_is_taken_away_and_doubled():
    scene = make_scene(shadow=0.5)
    middle = (..., slice(35, 40), slice(32, 35))
    without, twice = (harder(scene, "shadow", k, None).bg_fg for k in (0, 2))
    torch.testing.assert_close(without[middle], scene.bg[middle], atol=0.03, rtol=0)
    torch.testing.assert_close(twice[middle], scene.bg[middle] / 4, atol=0.03, rtol=0)
    person = (scene.mask == 1).expand(-1, 3, -1, -1)
    for changed in (without, twice):
        torch.testing.assert_close(changed[person], scene.bg_fg[person], atol=0.002, rtol=0)
        far = (..., slice(0, 6), slice(0, 48))
        torch.testing.assert_close(changed[far], scene.bg[far], atol=0.01, rtol=0)
    assert typical_shadow(scene) == pytest.approx(0.5, abs=0.05)


def test_other_light_on_the_plate_is_no_shadow():
    scene = make_scene(wall=(0.3, 0.25, 0.2), shadow=0.5)
    scene = scene._replace(bg=scene.bg * 1.5)
    assert light_between(scene).exp().flatten().tolist() == pytest.approx([1 / 1.5] * 3, rel=0.05)
    without = harder(scene, "shadow", 0, None).bg_fg[..., 33:40, 32:35]
    torch.testing.assert_close(without, scene.bg[..., 33:40, 32:35] / 1.5, atol=0.03, rtol=0)


def test_who_wears_the_wall_s_colour_vanishes_rim_and_all():
    scene = make_scene()
    half, whole = (harder(scene, "camouflage", share, None).bg_fg for share in (0.5, 1))
    torch.testing.assert_close(whole, scene.bg, atol=0.003, rtol=0)
    torch.testing.assert_close(half, (scene.bg + scene.bg_fg) / 2, atol=0.003, rtol=0)


def test_clothes_keep_their_folds():
    scene = make_scene()
    folds = torch.ones(SIZE, SIZE)
    folds[20:30] = 0.5
    dark = scene._replace(bg_fg=torch.where(scene.mask == 1, scene.bg_fg * folds, scene.bg_fg))
    worn = harder(dark, "camouflage", 1, None).bg_fg[0, :, :, 24]
    assert (worn[:, 25] < 0.9 * worn[:, 15]).all()
    colour = worn[:, 25] / worn[:, 25].sum()
    torch.testing.assert_close(colour, torch.tensor([0.6, 0.5, 0.4]) / 1.5, atol=0.01, rtol=0)


@pytest.mark.parametrize("swapped", [False, True])
def test_two_people_the_nearer_in_front(swapped):
    near = make_scene(left=20, person=(0.9, 0.1, 0.1), depth=2.0, shadow=0.6)
    far = make_scene(left=24, person=(0.1, 0.1, 0.9), depth=4.0, shadow=0.6)
    both = together(far, near) if swapped else together(near, far)
    row = 20
    colours = both.bg_fg[0, :, row]
    assert both.mask[0, 0, row, 19:33].tolist() == [0, 0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0.5, 0]
    assert both.depth[0, 0, row, 22:31].tolist() == [2, 2, 2, 2, 2, 4, 4, 4, 4]
    assert torch.equal(colours[:, 22], near.bg_fg[0, :, row, 22])
    assert torch.equal(colours[:, 30], far.bg_fg[0, :, row, 30])
    # through the nearer one's rim the other is seen, not the wall
    rim = (near.bg_fg[0, :, row, 23] + far.bg_fg[0, :, row, 28]) / 2
    torch.testing.assert_close(colours[:, 27], rim, atol=0.03, rtol=0)
    # where both shadows fall it is darker than in either
    light = both.bg_fg[0, 0, 36, 34] / both.bg[0, 0, 36, 34]
    assert float(light) == pytest.approx(0.36, abs=0.03)
    assert torch.equal(both.bg, near.bg)


def test_two_people_stand_together_only_where_both_have_room_and_are_seen():
    def person(column: int, distance: float) -> Scene[torch.Tensor]:
        mask = torch.zeros(1, 1, 16, 16)
        mask[..., 4:12, column : column + 4] = 1
        image = torch.zeros(1, 3, 16, 16)
        return Scene(image, image, mask, torch.where(mask > 0.5, distance, 9.0))

    middle = person(6, 4.0)
    assert can_stand_together(middle, person(11, 4.0)).item()  # beside each other
    assert not can_stand_together(middle, person(8, 4.2)).item()  # in each other
    assert can_stand_together(middle, person(9, 5.0)).item()  # behind, three quarters seen
    assert not can_stand_together(middle, person(7, 5.0)).item()  # behind, a quarter seen
    assert not can_stand_together(person(7, 5.0), middle).item()
