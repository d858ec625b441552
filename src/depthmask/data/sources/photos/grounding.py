"""A plate's depth, camera and stands from what is known of its depth."""

from typing import NamedTuple

import numpy as np

from depthmask.data.scenes.scene import Camera
from depthmask.data.sources.photos.depth_maps import Unit
from depthmask.data.sources.photos.floor import (
    find_floor,
    focal_of,
    metric_camera,
    nominal_camera,
    nominal_depth,
)
from depthmask.data.sources.photos.stands import draw_stands

_STREAM = 21
_TILTED_DEGREES = 4.0
_LIKELY_HEIGHTS_M = (0.3, 6.0)
_MUCH_CLAMPED = 0.05


class Ground(NamedTuple):
    """What a plate's depth says about its geometry.

    Attributes:
        depth: float32, S x S: metres, or nominal metres where the unit is relative.
        camera: recovered from metres, or nominal.
        stands: float32, K x 3; empty if there is no place to stand.
        floor_share: of the image, 0 if no floor was found.
        roll_degrees: of the floor; the camera has none.
        warnings: (code, text).
    """

    depth: np.ndarray
    camera: Camera
    stands: np.ndarray
    floor_share: float
    roll_degrees: float
    warnings: tuple[tuple[str, str], ...]


def ground_plate(
    values: np.ndarray,
    unit: Unit,
    *,
    fov_degrees: float,
    camera_height_m: float,
    person_height_m: float,
    seed: list[int],
) -> Ground:
    """Find the floor, the camera over it, and where people may stand.

    Relative depth becomes *nominal metres*: scale and shift of the inverse depth are chosen so
    that the floor is that of a camera `camera_height_m` high. Sizes and what hides what are then
    consistent within the plate, and no figure in it is a measurement.

    Where no floor is found the camera is taken to be level, and people stand on the lower third.

    Args:
        values: float32, S x S: metres, or relative inverse depth.
        unit: of the values.
        fov_degrees: angle of view across the plate.
        camera_height_m: where it is not known.
        person_height_m: whose size in the frame guides the choice of stands.
        seed: of the plate.
    """
    rng = np.random.default_rng([_STREAM, *seed])
    focal = focal_of(fov_degrees)
    inverse = 1 / values if unit == "metre" else values
    floor = find_floor(inverse, rng)
    warnings = []
    if floor is None:
        warnings.append(
            (
                "no-floor",
                "shows no floor that its depth would tell: people stand on its lower third, before"
                " a level camera; look at the contact sheet, and remove the picture if they float",
            )
        )
        standable = np.zeros(values.shape, bool)
        standable[2 * len(values) // 3 :] = True
    else:
        standable = floor.mask
        if abs(floor.roll_degrees) > _TILTED_DEGREES:
            warnings.append(
                ("tilted", f"leans by {abs(floor.roll_degrees):.0f} degrees: people will not")
            )
    if unit == "metre":
        depth = values
        camera = Camera(focal, (0.0, -1.0, 0.0), camera_height_m)
        if floor is not None:
            camera = metric_camera(floor, focal)
            if not _LIKELY_HEIGHTS_M[0] < camera.height_m < _LIKELY_HEIGHTS_M[1]:
                warnings.append(
                    (
                        "camera-height",
                        f"is seen from {camera.height_m:.2f} m above its floor, says its depth:"
                        " is that so, and is fov_degrees right?",
                    )
                )
    else:
        camera = nominal_camera(floor, values, focal, camera_height_m)
        depth, clamped = nominal_depth(values, floor, camera)
        if clamped > _MUCH_CLAMPED:
            warnings.append(
                ("clamped", f"has {clamped:.0%} of its depth outside the nominal range")
            )
    stands = draw_stands(depth, standable, camera, person_height_m, rng)
    share = 0.0 if floor is None else float(floor.mask.mean())
    roll = 0.0 if floor is None else floor.roll_degrees
    return Ground(depth, camera, stands, share, roll, tuple(warnings))
