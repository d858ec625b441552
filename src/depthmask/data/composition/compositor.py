"""Plates + cutouts + placements -> a batch of scenes, on the device that trains.

`shot` works out a few numbers per sample; here they become pixels: `grid_sample` brings
plate, person and shadow into the frame.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depthmask.config import CompositorParams
from depthmask.data.composition.shot import NOISE_SIDE, NUM_LEVELS, Shots, plan_shots
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import Recipes
from depthmask.data.scenes.scene import Scene

_MAPS = ("frame", "clean", "person", "shadow")
_TOLERANCE_M = 0.25
"""A plate hides a person only if nearer by this much: feet stand on the floor that hides them."""


class Compositor(nn.Module):
    """Composes batches of scenes at any size up to the library's.

    `num_variants` photometric variants stand beside each original of the train split.

    Args:
        library: plates and cutouts.
        params: strengths and probabilities.
        plate_variants: uint8 [V, P', S, S, 3], photometric variants of the train split's plates,
            or None.
        cutout_variants: uint8 [V, C', h, w, 3], likewise (their alpha is the original's).
    """

    def __init__(
        self,
        library: Library,
        params: CompositorParams,
        *,
        plate_variants: np.ndarray | None = None,
        cutout_variants: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.library, self.params = library, params
        self.num_plates, self.num_cutouts = len(library.plates), len(library.cutouts)
        self._plate_row = _variant_rows(library.plates_of("train"), self.num_plates)
        self._cutout_row = _variant_rows(library.cutouts_of("train"), self.num_cutouts)
        images = [np.asarray(library.images)]
        rgb = [np.asarray(library.rgba[..., :3])]
        if plate_variants is not None:
            images += [np.asarray(variant) for variant in plate_variants]
        if cutout_variants is not None:
            rgb += [np.asarray(variant) for variant in cutout_variants]
        self.num_variants = len(images) - 1
        self._variant_plates = len(images[1]) if len(images) > 1 else 0
        self._variant_cutouts = len(rgb[1]) if len(rgb) > 1 else 0
        self._images = torch.from_numpy(np.concatenate(images)).permute(0, 3, 1, 2)
        self._rgb = torch.from_numpy(np.concatenate(rgb)).permute(0, 3, 1, 2)
        noise = np.random.default_rng(params.seed).standard_normal((NOISE_SIDE, NOISE_SIDE))
        self.register_buffer("noise", torch.from_numpy(noise.astype(np.float32)), persistent=False)
        self._size = 0

    def _prepare_size(self, size: int) -> None:
        """Shrink the sources once per training size; a person never has more pixels than needed."""
        if size == self._size:
            return
        library, device = self.library, self.noise.device
        if size > library.size:
            raise ValueError(f"size {size} exceeds the library's {library.size}")
        self.register_buffer("images", _shrink(self._images, size).to(device), persistent=False)
        depth = torch.from_numpy(np.array(library.depths))[:, None]
        floor = torch.from_numpy(_floor(library))[:, None]
        aux = F.interpolate(torch.cat([depth, floor], 1), size=(size, size), mode="nearest-exact")
        self.register_buffer("aux", aux.to(device), persistent=False)
        alpha = torch.from_numpy(np.array(library.rgba[..., 3])).float()[:, None] / 255
        rows = torch.arange(len(self._rgb))
        originals = torch.from_numpy(self._cutout_of_row(rows.numpy()))
        scale = size / library.size
        side = [max(16, round(edge * scale)) for edge in self._rgb.shape[-2:]]
        for level in range(NUM_LEVELS):
            edges = [max(4, edge >> level) for edge in side]
            small = _resize(alpha, edges)
            # premultiplied, so that colour and relief stop where the person does
            colour = torch.cat(
                [
                    _resize(part.float() / 255 * alpha[originals[index]], edges)
                    for part, index in zip(self._rgb.split(64), rows.split(64), strict=True)
                ]
            )
            relief = torch.from_numpy(np.array(library.relief))[:, None] * alpha
            shape = torch.cat([_resize(relief, edges), small], 1)
            self.register_buffer(f"colour_{level}", colour.to(device), persistent=False)
            self.register_buffer(f"shape_{level}", shape.to(device), persistent=False)
        self.register_buffer("original", originals.to(device), persistent=False)
        self._size = size

    def _cutout_of_row(self, rows: np.ndarray) -> np.ndarray:
        train = self.library.cutouts_of("train")
        if self._variant_cutouts == 0:
            return rows
        return np.where(
            rows < self.num_cutouts, rows, train[(rows - self.num_cutouts) % self._variant_cutouts]
        )

    def forward(self, recipes: Recipes, size: int) -> Scene[Tensor]:
        """Compose the recipes at `size` px.

        Returns:
            bg, bg_fg float32 N x 3 x size x size in 0..1; mask float32 N x 1 x size x size in
            0..1; depth float32 N x 1 x size x size, metres.
        """
        self._prepare_size(size)
        height, width = self.colour_0.shape[-2:]
        shots = plan_shots(self.library, self.params, recipes, size=size, canvas=(width, height))
        theta = {name: self._tensor(getattr(shots, name)) for name in _MAPS}
        shape = [len(recipes.plate), 1, size, size]
        nobody = self._column(recipes.nobody)

        image = self.images[self._plate_rows(recipes)].float().div_(255)
        frame = F.affine_grid(theta["frame"], shape, align_corners=False)
        clean = F.affine_grid(theta["clean"], shape, align_corners=False)
        room = F.grid_sample(image, frame, padding_mode="border", align_corners=False)
        bg = F.grid_sample(image, clean, padding_mode="border", align_corners=False)
        # depth is not blended: between a plinth and the wall behind it nothing hangs in the air
        plate_depth, floor = F.grid_sample(
            self.aux[self._tensor(recipes.plate)],
            frame,
            mode="nearest",
            padding_mode="border",
            align_corners=False,
        ).split(1, 1)

        colour, relief, alpha = self._people(recipes, shots, theta["person"], shape)
        rows = F.affine_grid(theta["person"], shape, align_corners=False)[..., 1]
        above_foot = self._column(shots.foot_row) - ((rows + 1) / 2 * height)[:, None]
        depth = self._column(shots.foot_m) + self._column(shots.slope) * above_foot + relief
        mask = alpha * ((depth < plate_depth + _TOLERANCE_M) & ~nobody)

        shade = self._shade(recipes, shots, theta["shadow"], shape) * ~nobody
        gain = self._column(shots.person_gain)
        bg_fg = room * (1 - floor * shade) * (1 - mask) + colour * gain * mask
        depth = torch.where(mask > 0.5, depth.clamp_min(0.1), plate_depth)
        noise, sigma = self._noise(shots.noise_at, size), self._column(shots.sigma)
        bg = (bg * self._column(shots.plate_gain) + noise[:, :3] * sigma[:, :1]).clamp_(0, 1)
        bg_fg = (bg_fg + noise[:, 3:] * sigma[:, 1:]).clamp_(0, 1)
        return Scene(bg, bg_fg, mask, depth)

    def _people(
        self, recipes: Recipes, shots: Shots, theta: Tensor, shape: list[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Colour N x 3, relief N x 1 and alpha N x 1 in the frame, each from its fitting level."""
        rows = self._cutout_rows(recipes)
        out = torch.zeros(shape[0], 5, *shape[2:], device=self.noise.device)
        for level in range(NUM_LEVELS):
            chosen = self._tensor(np.flatnonzero(shots.level == level))
            if len(chosen) == 0:
                continue
            source = torch.cat(
                [
                    getattr(self, f"colour_{level}")[rows[chosen]],
                    getattr(self, f"shape_{level}")[self.original[rows[chosen]]],
                ],
                1,
            )
            grid = F.affine_grid(theta[chosen], [len(chosen), *shape[1:]], align_corners=False)
            out[chosen] = F.grid_sample(source, grid, align_corners=False)
        colour, relief, alpha = out.split([3, 1, 1], 1)
        opaque = alpha.clamp_min(1e-3)
        return colour / opaque, relief / opaque, alpha

    def _shade(self, recipes: Recipes, shots: Shots, theta: Tensor, shape: list[int]) -> Tensor:
        """How much light a person takes from the floor, N x 1 x size x size in 0..1."""
        half = [shape[0], 1, max(1, shape[2] // 2), max(1, shape[3] // 2)]
        alpha = self.shape_2[self._tensor(recipes.cutout), 1:]  # the coarsest: shadows are soft
        grid = F.affine_grid(theta, half, align_corners=False)
        silhouette = F.grid_sample(alpha, grid, align_corners=False)
        silhouette = F.avg_pool2d(silhouette, 5, stride=1, padding=2)
        silhouette = F.interpolate(silhouette, size=shape[2:], mode="bilinear")
        v = (torch.arange(shape[2], device=alpha.device) + 0.5) / shape[2] * 2 - 1
        u = (torch.arange(shape[3], device=alpha.device) + 0.5) / shape[3] * 2 - 1
        at = self._column(shots.contact)
        across = ((u - at[:, 0]) / at[:, 2]) ** 2
        away = ((v[:, None] - at[:, 1]) / at[:, 3]) ** 2
        underfoot = torch.exp(-(across + away))[:, None]
        cast, footprint = self._column(shots.cast), self._column(shots.footprint)
        return (cast * silhouette + footprint * underfoot).clamp_(0, 0.95)

    def _noise(self, at: np.ndarray, size: int) -> Tensor:
        """Six patches of the noise bank per sample: N x 6 x size x size of standard deviation 1."""
        corners = self._tensor(at)
        windows = self.noise.unfold(0, size, 1).unfold(1, size, 1)
        return windows[corners[..., 0], corners[..., 1]]

    def _tensor(self, array: np.ndarray) -> Tensor:
        dtype = torch.float32 if array.dtype == np.float64 else None
        return torch.as_tensor(np.array(array), dtype=dtype, device=self.noise.device)

    def _column(self, values: np.ndarray) -> Tensor:
        """Per-sample values [N] or [N, C] as N x C x 1 x 1."""
        return self._tensor(values.reshape(len(values), -1, 1, 1))

    def _plate_rows(self, recipes: Recipes) -> Tensor:
        """Where each plate's variant stands among the images; the originals come first."""
        rows = self.num_plates + (recipes.plate_variant - 1) * self._variant_plates
        rows = rows + self._plate_row[recipes.plate]
        return self._tensor(np.where(recipes.plate_variant == 0, recipes.plate, rows))

    def _cutout_rows(self, recipes: Recipes) -> Tensor:
        rows = self.num_cutouts + (recipes.cutout_variant - 1) * self._variant_cutouts
        rows = rows + self._cutout_row[recipes.cutout]
        return self._tensor(np.where(recipes.cutout_variant == 0, recipes.cutout, rows))


def _variant_rows(train: np.ndarray, total: int) -> np.ndarray:
    """Position of each source among the train split's, where its variants are stored."""
    rows = np.zeros(total, np.int64)
    rows[train] = np.arange(len(train))
    return rows


def _floor(library: Library) -> np.ndarray:
    """1 where a plate shows floor (within 5 cm of height 0), float32 [P, S, S]."""
    size, floors = library.size, []
    centres = (np.arange(size) + 0.5) / size - 0.5
    for plate in range(len(library.plates)):
        camera = library.camera(plate)
        x, y, z = camera.up
        rays = (x * centres[None, :] + y * centres[:, None]) / camera.focal + z
        height = camera.height_m + library.depths[plate] * rays
        floors.append(np.abs(height) < 0.05)
    return np.stack(floors).astype(np.float32)


def _resize(images: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(images, size=size, mode="bilinear", antialias=True)


def _shrink(images: Tensor, size: int) -> Tensor:
    """uint8 N x 3 x size x size; in parts, since the float copies of a large library are big."""
    if math.prod(images.shape[-2:]) == size * size:
        return images.contiguous()
    parts = [_resize(part.float(), [size, size]).round_().byte() for part in images.split(64)]
    return torch.cat(parts)
