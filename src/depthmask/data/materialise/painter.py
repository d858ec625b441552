"""Scenes for files: the compositor's arithmetic on one image at a time, with OpenCV.

The compositor works on whole batches and frames, as a device that trains wants it; a core
of a CPU that only wants files is several times faster with images of 8 bits that fit its cache,
and with the person's box instead of the frame. Every decision, and the sources at this size, are
the compositor's; the pixels agree to within rounding, but where a coordinate's last bit decides
between neighbours. A test holds the two together.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import torch

from depthmask.data.composition.compositor import TOLERANCE_M, Compositor
from depthmask.data.composition.noise import sensor_noise
from depthmask.data.composition.shot import Shots, plan_shots
from depthmask.data.scenes.placement import Recipes
from depthmask.data.scenes.scene import Scene

_LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_NEAREST = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP

Planes = list[np.ndarray]
"""Blue, green and red, each size x size, 0..255."""


class Painter:
    """Paints scenes at `size` px; may be used by several threads at once.

    Args:
        compositor: what to paint as; on the CPU.
        size: px, up to the library's.
    """

    def __init__(self, compositor: Compositor, size: int) -> None:
        self.compositor, self.size = compositor, size
        sources = compositor.sources(size)
        self._images, self._aux = sources.images.numpy(), sources.aux.numpy()
        self._colours = [colours.numpy() for colours in sources.colours]
        self._shapes = [shapes.numpy() for shapes in sources.shapes]
        self._extents = [[_extent(alpha > 0) for alpha in shapes[:, 1]] for shapes in self._shapes]

    def paint(self, recipes: Recipes) -> Iterator[Scene[np.ndarray]]:
        """Paint the recipes one by one.

        Yields:
            bg and bg_fg uint8 size x size x 3, in OpenCV's order BGR; mask uint8 size x size,
            255 where all is person; depth float32 size x size, metres.
        """
        compositor, size = self.compositor, self.size
        height, width = self._shapes[0].shape[-2:]
        shots = plan_shots(
            compositor.library, compositor.params, recipes, size=size, canvas=(width, height)
        )
        canvases = np.array([shapes.shape[:-3:-1] for shapes in self._shapes])
        shots = shots._replace(
            frame=_pixel_maps(shots.frame, size, np.array([size, size])),
            clean=_pixel_maps(shots.clean, size, np.array([size, size])),
            person=_pixel_maps(shots.person, size, canvases[shots.level]),
            shadow=_pixel_maps(shots.shadow, max(1, size // 2), canvases[-1]),
        )
        plate_rows = compositor.plate_rows[recipes.plate_variant, recipes.plate]
        cutout_rows = compositor.cutout_rows[recipes.cutout_variant, recipes.cutout]
        for number, nobody in enumerate(recipes.nobody):
            shot = Shots(*(column[number] for column in shots))
            frame, clean = shot.frame, shot.clean
            image = list(self._images[plate_rows[number]][::-1])
            bg = bg_fg = [_warped(plane, frame, _LINEAR) for plane in image]
            if not np.array_equal(clean, frame):
                bg = [_warped(plane, clean, _LINEAR) for plane in image]
            plate_depth, floor = self._aux[recipes.plate[number]]
            depth = _warped(plate_depth, frame, _NEAREST).copy()
            mask = np.zeros((size, size), np.uint8)
            if not nobody:
                shade = self._shade(shot, recipes.cutout[number])
                light = 1 - shade * _warped(floor, frame, _NEAREST)
                bg_fg = [cv2.multiply(plane, light, dtype=cv2.CV_32F) for plane in bg_fg]
                row = cutout_rows[number]
                self._paste_person(shot, row, recipes.cutout[number], bg_fg, mask, depth)
            noise = sensor_noise(torch.tensor([shot.noise_key]), size)[0].numpy()
            yield Scene(
                self._expose(bg, shot.plate_gain, noise[0], shot.sigma[0]),
                self._expose(bg_fg, np.ones(3), noise[1], shot.sigma[1]),
                mask,
                depth,
            )

    def _paste_person(
        self,
        shot: Shots,
        row: int,
        original: int,
        frame: Planes,
        mask: np.ndarray,
        depth: np.ndarray,
    ) -> None:
        """Paste a cutout into float32 planes, an empty mask and the plate's depth."""
        colours, (relief, alpha) = (
            self._colours[shot.level][row],
            self._shapes[shot.level][original],
        )
        to_canvas = shot.person
        box = _reach(to_canvas, self._extents[shot.level][original], self.size)
        if box is None:
            return
        rows, columns = box
        to_canvas[:, 2] += to_canvas[:, :2] @ (columns.start, rows.start)
        extent = (columns.stop - columns.start, rows.stop - rows.start)

        def painted(plane: np.ndarray) -> np.ndarray:
            return cv2.warpAffine(plane, to_canvas, extent, flags=_LINEAR)

        alpha, relief = painted(alpha), painted(relief)
        # rows of the canvas as it is at this size, at its finest level
        scale = self._shapes[0].shape[-2] / colours.shape[-2]
        across, down, first = to_canvas[1] * scale
        canvas_row = np.add.outer(
            down * np.arange(extent[1]) + first + 0.5 * scale, across * np.arange(extent[0])
        )
        person_m = (shot.foot_m + shot.slope * (shot.foot_row - canvas_row)).astype(np.float32)
        person_m += relief / np.maximum(alpha, 1e-3)
        behind_m = depth[box]
        visible = (person_m < behind_m + TOLERANCE_M).astype(np.float32)
        share = alpha * visible
        for plane, colour, gain in zip(
            frame, colours[::-1], 255 * shot.person_gain[::-1], strict=True
        ):
            # the colour is premultiplied already
            plane[box] += painted(colour) * (visible * np.float32(gain)) - plane[box] * share
        mask[box] = cv2.convertScaleAbs(share, alpha=255)
        np.copyto(behind_m, np.maximum(person_m, 0.1), where=share > 0.5)

    def _shade(self, shot: Shots, cutout: int) -> np.ndarray:
        """How much light the person takes from the floor, size x size in 0..1."""
        half, size = max(1, self.size // 2), self.size
        silhouette = self._shapes[-1][cutout, 1]
        silhouette = cv2.warpAffine(silhouette, shot.shadow, (half, half), flags=_LINEAR)
        silhouette = cv2.blur(silhouette, (5, 5), borderType=cv2.BORDER_CONSTANT)
        silhouette = cv2.resize(silhouette, (size, size), interpolation=cv2.INTER_LINEAR)
        at = (np.arange(size) + 0.5) / size * 2 - 1
        u, v, across, away = shot.contact
        column = shot.footprint * np.exp(-(((at - v) / away) ** 2))
        row = np.exp(-(((at - u) / across) ** 2))
        shade = column[:, None].astype(np.float32) * row.astype(np.float32)
        shade += np.float32(shot.cast) * silhouette
        return np.minimum(shade, 0.95, out=shade)

    def _expose(
        self, planes: Planes, gain: np.ndarray, noise: np.ndarray, sigma: float
    ) -> np.ndarray:
        """The planes in their light and with the sensor's noise, uint8 size x size x 3, BGR.

        Args:
            gain, noise: of red, green and blue.
        """
        if sigma == 0 and (gain == 1).all():
            planes = [cv2.convertScaleAbs(plane) for plane in planes]
            return cv2.merge(planes)
        exposed = []
        for plane, factor, grain in zip(planes, gain[::-1], noise[::-1], strict=True):
            exposed.append(cv2.addWeighted(plane, factor, grain, 255 * sigma, 0, dtype=cv2.CV_8U))
        return cv2.merge(exposed)


def _pixel_maps(thetas: np.ndarray, size: int, sources: np.ndarray) -> np.ndarray:
    """`affine_grid`'s thetas [N, 2, 3] as maps of pixel indices, frame to source, float64.

    Args:
        size: side of the frame, px.
        sources: (width, height), px, of all or [N, 2].
    """
    linear = thetas[:, :, :2] * (sources / size)[..., None]
    first = thetas[:, :, :2].sum(2) * (1 / size - 1) + thetas[:, :, 2] + 1
    return np.concatenate([linear, (first * sources / 2 - 0.5)[..., None]], axis=2)


def _warped(plane: np.ndarray, mapping: np.ndarray, flags: int) -> np.ndarray:
    """A plane of the plate under a pixel map; a view where that is the same, or its mirror."""
    size = plane.shape[1]
    if np.abs(mapping - [[1, 0, 0], [0, 1, 0]]).max() < 1e-9:
        return plane
    if np.abs(mapping - [[-1, 0, size - 1], [0, 1, 0]]).max() < 1e-9:
        return cv2.flip(plane, 1)
    return cv2.warpAffine(
        plane, mapping, plane.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def _extent(covered: np.ndarray) -> np.ndarray:
    """Left, top and right, bottom of what is covered, [2, 2], and a pixel around it."""
    x, y, width, height = cv2.boundingRect(covered.astype(np.uint8))
    return np.array([[x - 1, y - 1], [x + width, y + height]])


def _reach(to_canvas: np.ndarray, extent: np.ndarray, size: int) -> tuple[slice, slice] | None:
    """Rows and columns of the frame that an extent of the canvas reaches; None for none."""
    corners = np.array([extent[[0, 1, 0, 1], 0], extent[[0, 0, 1, 1], 1]])
    points = np.linalg.solve(to_canvas[:, :2], corners - to_canvas[:, 2:])
    low = np.clip(np.floor(points.min(1)), 0, size).astype(int)
    high = np.clip(np.ceil(points.max(1)) + 1, 0, size).astype(int)
    if (low >= high).any():
        return None
    return slice(low[1], high[1]), slice(low[0], high[0])
