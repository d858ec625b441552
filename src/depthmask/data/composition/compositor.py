"""Plates, cutouts and placements -> batches of scenes, on the device that trains."""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from depthmask.config import CompositorParams
from depthmask.data.composition.shot import NUM_LEVELS, Shots, plan_shots
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import Recipes
from depthmask.data.scenes.scene import Scene

TOLERANCE_M = 0.25
"""A plate hides a person only if nearer by this much: feet stand on the floor that hides them."""


class Sources(NamedTuple):
    """Plates and cutouts as they are at one size, on the device; a level a list's item."""

    images: Tensor  # uint8 [P, 3, S, S], the originals first
    aux: Tensor  # float32 [P', 2, S, S], depth in metres, and 1 where the plate shows floor
    colours: list[Tensor]  # float32 [C, 3, h, w], premultiplied, the originals first
    shapes: list[Tensor]  # float32 [C', 2, h, w], premultiplied relief in metres, and alpha


class Compositor:
    """Composes batches of scenes at any size up to the library's.

    The variants are other colours of the train split's sources, uint8 [V, P', S, S, 3] and
    [V, C', h, w, 3]; a cutout's alpha is its original's.
    """

    def __init__(
        self,
        library: Library,
        params: CompositorParams,
        *,
        plate_variants: np.ndarray | None = None,
        cutout_variants: np.ndarray | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.library, self.params, self.device = library, params, torch.device(device)
        plates, cutouts = library.plates_of("train"), library.cutouts_of("train")
        self._images, self.plate_rows = _stack(library.images, plate_variants, plates)
        self._rgb, self.cutout_rows = _stack(library.rgba[..., :3], cutout_variants, cutouts)
        self.num_variants = len(self.plate_rows) - 1
        self._prepared: tuple[int, torch.device, Sources] | None = None

    def sources(self, size: int) -> Sources:
        """The sources, shrunk once per training size; raises ValueError beyond the library's."""
        if self._prepared is None or self._prepared[:2] != (size, self.device):
            self._prepared = size, self.device, self._shrink_sources(size)
        return self._prepared[2]

    def _shrink_sources(self, size: int) -> Sources:
        library = self.library
        if size > library.size:
            raise ValueError(f"size {size} exceeds the library's {library.size}")
        # in parts, since the float copies of a large library are big
        parts = self._images.split(64)
        images = torch.cat([_resize(p.float(), [size, size]).round_().byte() for p in parts])
        aux = torch.from_numpy(np.stack([library.depths, _floor(library)], 1))
        aux = F.interpolate(aux, size=(size, size), mode="nearest-exact")
        alpha = torch.from_numpy(np.array(library.rgba[..., 3])).float()[:, None] / 255
        relief = torch.from_numpy(np.array(library.relief))[:, None] * alpha
        original = torch.empty(len(self._rgb), dtype=torch.int64)
        original[torch.from_numpy(self.cutout_rows)] = torch.arange(len(alpha))
        # a person never has more pixels than needed
        side = [max(16, round(edge * (size / library.size))) for edge in self._rgb.shape[-2:]]
        colours, shapes = [], []
        for level in range(NUM_LEVELS):
            edges = [max(4, edge >> level) for edge in side]
            # premultiplied, so that colour and relief stop where the person does
            pairs = zip(self._rgb.split(64), original.split(64), strict=True)
            colour = [_resize(part.float() / 255 * alpha[rows], edges) for part, rows in pairs]
            colours.append(torch.cat(colour).to(self.device))
            shape = torch.cat([_resize(relief, edges), _resize(alpha, edges)], 1)
            shapes.append(shape.to(self.device))
        return Sources(images.to(self.device), aux.to(self.device), colours, shapes)

    def __call__(self, recipes: Recipes, size: int) -> Scene[Tensor]:
        """Compose the recipes at `size` px: a batch of float32, as `Scene` describes it."""
        sources = self.sources(size)
        height = sources.colours[0].shape[-2]
        shots = plan_shots(self.library, self.params, recipes, size=size, canvas_rows=height)
        shape = [len(recipes.plate), 1, size, size]
        nobody = self._column(recipes.nobody)

        rows = self.plate_rows[recipes.plate_variant, recipes.plate]
        image = sources.images[self._tensor(rows)].float().div_(255)
        frame, clean = self._grid(shots.frame, shape), self._grid(shots.clean, shape)
        room = F.grid_sample(image, frame, padding_mode="border", align_corners=False)
        bg = F.grid_sample(image, clean, padding_mode="border", align_corners=False)
        # depth is not blended: between a plinth and the wall behind it nothing hangs in the air
        aux = sources.aux[self._tensor(recipes.plate)]
        plate_depth, floor = F.grid_sample(
            aux, frame, mode="nearest", padding_mode="border", align_corners=False
        ).split(1, 1)

        person = self._grid(shots.person, shape)
        colour, relief, alpha = self._people(sources, recipes, shots.level, person)
        above_foot = self._column(shots.foot_row) - ((person[..., 1] + 1) / 2 * height)[:, None]
        depth = self._column(shots.foot_m) + self._column(shots.slope) * above_foot + relief
        mask = alpha * ((depth < plate_depth + TOLERANCE_M) & ~nobody)

        shade = self._shade(sources, recipes, shots, size) * ~nobody
        gain = self._column(shots.person_gain)
        bg_fg = room * (1 - floor * shade) * (1 - mask) + colour * gain * mask
        depth = torch.where(mask > 0.5, depth.clamp_min(0.1), plate_depth)
        bg = bg * self._column(shots.plate_gain)
        noisy = self._tensor(np.flatnonzero(shots.sigma.any(axis=1)))
        noise = sensor_noise(self._tensor(shots.noise_key)[noisy], size)
        sigma = self._column(shots.sigma)[noisy]
        bg[noisy] += noise[:, 0] * sigma[:, :1]
        bg_fg[noisy] += noise[:, 1] * sigma[:, 1:]
        focal = self._column(shots.focal)
        return Scene(bg.clamp_(0, 1), bg_fg.clamp_(0, 1), mask, depth, focal)

    def _people(
        self, sources: Sources, recipes: Recipes, levels: np.ndarray, grid: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Colour N x 3, relief N x 1 and alpha N x 1 in the frame, each from its fitting level."""
        rows = self._tensor(self.cutout_rows[recipes.cutout_variant, recipes.cutout])
        cutout = self._tensor(recipes.cutout)
        out = torch.zeros(len(grid), 5, *grid.shape[1:3], device=self.device)
        for level, (colours, shapes) in enumerate(zip(*sources[2:], strict=True)):
            chosen = self._tensor(np.flatnonzero(levels == level))
            if len(chosen) > 0:
                source = torch.cat([colours[rows[chosen]], shapes[cutout[chosen]]], 1)
                out[chosen] = F.grid_sample(source, grid[chosen], align_corners=False)
        colour, relief, alpha = out.split([3, 1, 1], 1)
        opaque = alpha.clamp_min(1e-3)
        return colour / opaque, relief / opaque, alpha

    def _shade(self, sources: Sources, recipes: Recipes, shots: Shots, size: int) -> Tensor:
        """How much light a person takes from the floor, N x 1 x size x size in 0..1."""
        alpha = sources.shapes[-1][self._tensor(recipes.cutout), 1:]  # shadows are soft
        grid = self._grid(shots.shadow, [len(alpha), 1, size // 2, size // 2])
        silhouette = F.grid_sample(alpha, grid, align_corners=False)
        silhouette = F.avg_pool2d(silhouette, 5, stride=1, padding=2)
        silhouette = F.interpolate(silhouette, size=(size, size), mode="bilinear")
        at = self._column(shots.contact)
        centres = (torch.arange(size, device=self.device) + 0.5) / size * 2 - 1
        across = ((centres - at[:, 0]) / at[:, 2]) ** 2
        away = ((centres[:, None] - at[:, 1]) / at[:, 3]) ** 2
        underfoot = torch.exp(-(across + away))[:, None]
        cast, footprint = self._column(shots.cast), self._column(shots.footprint)
        return (cast * silhouette + footprint * underfoot).clamp_(0, 0.95)

    def _grid(self, theta: np.ndarray, shape: list[int]) -> Tensor:
        return F.affine_grid(self._tensor(theta), shape, align_corners=False)

    def _tensor(self, array: np.ndarray) -> Tensor:
        dtype = torch.float32 if array.dtype == np.float64 else None
        return torch.as_tensor(np.array(array), dtype=dtype, device=self.device)

    def _column(self, values: np.ndarray) -> Tensor:
        """Per-sample values [N] or [N, C] as N x C x 1 x 1."""
        return self._tensor(values.reshape(len(values), -1, 1, 1))


def _stack(
    originals: np.ndarray, variants: np.ndarray | None, train: np.ndarray
) -> tuple[Tensor, np.ndarray]:
    """The originals, then the variants of the train split's, uint8 N x 3 x H x W; and where each
    variant of each source is, int64 [V + 1, P], of which the first is itself."""
    parts = [np.asarray(part) for part in (originals, *(() if variants is None else variants))]
    rows = np.tile(np.arange(len(originals)), (len(parts), 1))
    rows[1:, train] = len(originals) + np.arange(rows[1:, train].size).reshape(-1, len(train))
    return torch.from_numpy(np.concatenate(parts)).permute(0, 3, 1, 2), rows


def _floor(library: Library) -> np.ndarray:
    """1 where a plate shows floor (within 5 cm of height 0), float32 [P, S, S]."""
    floor = np.empty(library.depths.shape, np.float32)
    centres = (np.arange(library.size) + 0.5) / library.size - 0.5
    for plate in range(len(floor)):
        focal, (x, y, z), height_m = library.camera(plate)
        rays = (x * centres[None, :] + y * centres[:, None]) / focal + z
        floor[plate] = np.abs(height_m + library.depths[plate] * rays) < 0.05
    return floor


def _resize(images: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(images, size=size, mode="bilinear", antialias=True)


_STEP, _MIX_1, _MIX_2 = (
    number - (1 << 64) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)  # as torch's signed integers


def sensor_noise(keys: Tensor, size: int) -> Tensor:
    """Draw from the standard normal distribution, N x 2 x 3 x size x size: for bg, then for bg_fg.

    A sample's numbers follow from its key, int64 [N]: a pixel's counter goes through SplitMix64
    (Steele, Lea, Flood 2014), in integers that are the same on every device, and its 64 bits give
    two independent normal numbers (Box and Muller 1958).
    """
    counter = torch.arange(1, 3 * size * size + 1, device=keys.device)
    bits = keys[:, None] + counter * _STEP
    for places, factor in ((30, _MIX_1), (27, _MIX_2)):
        bits ^= _shifted(bits, places)
        bits *= factor
    bits = (bits ^ _shifted(bits, 31)).view(len(keys), 3, size, size)
    # 24 bits each, all that float32 holds; the first in (0, 1], whose logarithm is finite
    radius = ((_shifted(bits, 40) + 1).float() * 2**-24).log_().mul_(-2).sqrt_()
    angle = (bits & 0xFFFFFF).float() * (2 * math.pi * 2**-24)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """To the right, zeros coming in: torch's own shift repeats the sign."""
    return (bits >> places).bitwise_and_((1 << (64 - places)) - 1)
