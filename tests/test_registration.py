"""The plate in the light and from the place of the frame, where both are known."""

import math

import pytest
import torch
import torch.nn.functional as F

from depthmask.models.registration import _step, register

SIDE = 96
INNER = slice(8, -8)  # beyond the plate's edge nothing is known


def textures(num: int, seed: int = 0) -> torch.Tensor:
    """Rooms of 0.1 to 0.7 with structure of every size."""
    generator, total = torch.Generator().manual_seed(seed), torch.zeros(num, 3, SIDE, SIDE)
    for cells in (4, 8, 16, 32):
        noise = torch.rand(num, 3, cells, cells, generator=generator)
        total += F.interpolate(noise, (SIDE, SIDE), mode="bicubic") / cells**0.5
    low, high = (total.flatten(1).quantile(q, 1).view(-1, 1, 1, 1) for q in (0.01, 0.99))
    return 0.1 + 0.6 * ((total - low) / (high - low)).clamp(0, 1)


def moved(
    images: torch.Tensor, px: float, degrees: float, aspect: float = 1.0, zoom: float = 1.0
) -> torch.Tensor:
    """Moved along the diagonal, turned, as a frame `aspect` times as wide as high is, and made
    smaller."""
    cos, sin = (zoom * f(math.radians(degrees)) for f in (math.cos, math.sin))
    shift = 2 * px / SIDE
    theta = torch.tensor([[cos, -sin / aspect, shift * 0.7], [sin * aspect, cos, -shift * 0.7]])
    grid = F.affine_grid(theta.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False)


def error(found: torch.Tensor, true: torch.Tensor) -> float:
    return float((found - true)[..., INNER, INNER].abs().mean())


def with_person(rooms: torch.Tensor, person: torch.Tensor | float) -> torch.Tensor:
    """Somebody in more than a quarter of the frame."""
    frames = rooms.clone()
    frames[..., 20:, 30:65] = person if isinstance(person, float) else person[..., 20:, 30:65]
    return frames


MOTIONS = [(2, 0), (4, 0), (8, 0), (0, 3), (2, 2, 1.78), (0, 0, 1, 0.95), (2, 1, 1, 1.05)]


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_plate_of_a_camera_that_moved_comes_back(motion):
    rooms = textures(8)
    plates = moved(rooms, *motion)
    assert error(register(plates, rooms), rooms) < 0.25 * error(plates, rooms)


def test_a_person_hardly_counts():
    rooms, edges = textures(8), 0.95 * (textures(8, seed=1) > 0.4)
    plates = moved(rooms, 2, 0)
    assert error(register(plates, with_person(rooms, edges)), rooms) < 0.5 * error(plates, rooms)
    lit = with_person(0.6 * rooms, edges)
    assert error(register(plates, lit), 0.6 * rooms) < 0.6 * error(0.6 * plates, 0.6 * rooms)
    assert error(register(rooms, with_person(rooms, 0.9)), rooms) < 0.02


def test_light_comes_back_channel_by_channel_and_what_is_clipped_does_not_mislead():
    rooms = textures(4)
    gain = torch.tensor([0.5, 0.7, 1.3]).view(1, 3, 1, 1)
    assert error(register(rooms, rooms * gain), rooms * gain) < 0.004
    bright = (rooms * 2).clamp(max=1)  # half of it is white
    found, dark = register(bright, rooms), bright < 0.97
    assert float(((found - rooms).abs() * dark)[..., INNER, INNER].mean()) < 0.002
    assert register(rooms, bright).max() <= 1


def test_a_plate_that_moved_and_is_white_in_part_comes_back():
    rooms = textures(4)
    plates = (moved(rooms, 2, 1) * 2).clamp(max=1)
    found, dark = register(plates, rooms), plates < 0.97
    apart, before = ((x - rooms).abs() * dark for x in (found, plates / 2))
    assert error(apart, torch.zeros(())) < 0.35 * error(before, torch.zeros(()))


def test_each_of_a_batch_moves_as_it_would_alone():
    rooms = textures(3)
    plates = torch.cat((rooms[:1], moved(rooms[1:2], 3, 1), 0.5 * rooms[2:]))
    alone = torch.cat(
        [register(*pair) for pair in zip(plates.split(1), rooms.split(1), strict=True)]
    )
    torch.testing.assert_close(register(plates, rooms), alone, atol=1e-5, rtol=0)
    assert error(alone[:1], rooms[:1]) < 1e-4 < error(alone[1:2], rooms[1:2])


@pytest.mark.parametrize("kind", ["half", "ramp"])
def test_light_that_changed_in_a_part_of_the_room_is_no_motion(kind):
    rooms = textures(8)
    light = torch.linspace(0.5, 1, SIDE) if kind == "ramp" else torch.ones(SIDE)
    if kind == "half":
        light[: SIDE // 2] = 0.5
    plates, found = rooms * light, register(rooms * light, rooms)
    ratio = found.mean(1) / plates.mean(1)  # the gain alone is the same everywhere
    assert float((ratio.amax((1, 2)) - ratio.amin((1, 2))).max()) < 0.1


def test_what_is_alike_stays_as_it_is():
    rooms = textures(4)
    torch.testing.assert_close(register(rooms, rooms), rooms, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "plate, frame", [(0.0, 0.0), (1.0, 1.0), (1.0, 0.3), (0.0, 1.0), (0.4, 0.4)]
)
def test_without_anything_to_hold_on_to_the_answer_is_a_picture(plate, frame):
    pair = (torch.full((2, 3, SIDE, SIDE), value) for value in (plate, frame))
    found = register(*pair)
    assert found.isfinite().all() and 0 <= found.min() and found.max() <= 1
    plate, frame = (torch.full((1, channels, 12, 12), 0.4) for channels in (2, 1))
    assert (_step(plate, frame) == 0).all()


def test_sizes_that_eight_does_not_divide_and_autocast_change_little():
    rooms = textures(2)[..., :75, :91]
    frames = moved(rooms, 1, 0)
    found = register(rooms, frames)
    assert error(found, frames) < 0.4 * error(rooms, frames)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(register(rooms, frames), found)
