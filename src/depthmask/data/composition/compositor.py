"""Plates, cutouts and placements -> batches of scenes, on the device that trains."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from depthmask.config import CompositorParams
from depthmask.data.composition.camera import blur, jpeg, sensor_noise
from depthmask.data.composition.shot import (
    NUM_LAMPS,
    NUM_LEVELS,
    Figure,
    Shots,
    horizontal,
    plan_shots,
)
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.placement import Recipes
from depthmask.data.scenes.scene import Scene

TOLERANCE_M = 0.25
"""A plate hides a person only if nearer by this much: feet stand on the floor that hides them."""

CONTACT_M = 0.25
"""How far from a foot the light comes back."""


class Plan(NamedTuple):
    """A batch of scenes in numbers, before a pixel is touched."""

    size: int  # px
    recipes: Recipes
    shots: Shots


class Sources(NamedTuple):
    """Plates and cutouts as they are at one size, on the device; a level a list's item."""

    images: Tensor  # uint8 [P, 3, S, S], the originals, their variants, the rendered frames
    depths: Tensor  # float32 [P', 1, S, S], metres, of the plates, then of the frames
    masks: Tensor  # uint8 [F, 1, S, S], of the frames
    colours: list[Tensor]  # float32 [C, 3, h, w], premultiplied, the originals first
    shapes: list[Tensor]  # float32 [C', 2, h, w], premultiplied relief in metres, and alpha


class Compositor:
    """Composes batches of scenes at any size up to the library's.

    The variants are other colours of the train split's sources, uint8 [V, P', S, S, 3] and
    [V, C', h, w, 3]; a cutout's alpha is its original's. `frames` are those of recipes that are
    rendered.
    """

    def __init__(
        self,
        library: Library,
        params: CompositorParams,
        *,
        plate_variants: np.ndarray | None = None,
        cutout_variants: np.ndarray | None = None,
        frames: Frames | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.library, self.params, self.device = library, params, torch.device(device)
        plates, cutouts = library.plates_of("train"), library.cutouts_of("train")
        self._images, self.plate_rows = _stack(library.images, plate_variants, plates)
        self._depths, self._masks = library.depths, np.zeros((0, library.size, library.size))
        self.first_frame = len(self._images)
        if frames is not None:
            pictures = torch.from_numpy(np.array(frames.bg_fg)).permute(0, 3, 1, 2)
            self._images = torch.cat([self._images, pictures])
            self._depths, self._masks = np.concatenate([self._depths, frames.depth]), frames.mask
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
        masks = torch.from_numpy(np.array(self._masks, np.uint8))[:, None]
        images, masks = (
            torch.cat([_resize(p.float(), [size, size]).round_().byte() for p in part.split(64)])
            for part in (self._images, masks)
        )
        depths = torch.from_numpy(np.array(self._depths))[:, None]
        depths = F.interpolate(depths, size=(size, size), mode="nearest-exact")
        alpha = torch.from_numpy(np.array(library.rgba[..., 3])).float()[:, None] / 255
        relief = torch.from_numpy(np.array(library.relief))[:, None] * alpha
        original = torch.empty(len(self._rgb), dtype=torch.int64)
        original[torch.from_numpy(self.cutout_rows)] = torch.arange(len(alpha))
        side = _canvas(library, size)
        colours, shapes = [], []
        for level in range(NUM_LEVELS):
            edges = [max(4, edge >> level) for edge in side]
            # premultiplied, so that colour and relief stop where the person does
            pairs = zip(self._rgb.split(64), original.split(64), strict=True)
            colour = [_resize(part.float() / 255 * alpha[rows], edges) for part, rows in pairs]
            colours.append(torch.cat(colour).contiguous().to(self.device))
            shape = torch.cat([_resize(relief, edges), _resize(alpha, edges)], 1)
            shapes.append(shape.to(self.device))
        # rows of such are copied as they lie
        images, depths, masks = (x.contiguous().to(self.device) for x in (images, depths, masks))
        return Sources(images, depths, masks, colours, shapes)

    def __call__(self, recipes: Recipes, size: int, others: Recipes | None = None) -> Scene[Tensor]:
        """Compose the recipes at `size` px, with `others` in the same rooms: a batch of float32, as
        `Scene` describes it."""
        return self.compose(plan_scenes(self.library, self.params, recipes, size, others))

    def compose(self, plan: Plan) -> Scene[Tensor]:
        """Compose a plan's scenes on the device, which waits for nothing but their numbers."""
        size, recipes, shots = plan
        sources = self.sources(size)
        rows = self.plate_rows[recipes.plate_variant, recipes.plate]
        is_rendered, frames = recipes.frame >= 0, len(self.library.plates) + recipes.frame
        shown = np.where(is_rendered, self.first_frame + recipes.frame, rows)
        room, image = (self._rows(sources.images, each).float().div_(255) for each in (rows, shown))
        frame, clean = self._grid(shots.frame, size), self._grid(shots.clean, size)
        bg_fg = F.grid_sample(image, frame, padding_mode="border", align_corners=False)
        bg = F.grid_sample(room, clean, padding_mode="border", align_corners=False)
        # depth is not blended: between a plinth and the wall behind it nothing hangs in the air
        depth = F.grid_sample(
            self._rows(sources.depths, np.where(is_rendered, frames, recipes.plate)),
            frame,
            mode="nearest",
            padding_mode="border",
            align_corners=False,
        )
        points, mask = self._points(frame, depth, recipes), torch.zeros_like(depth)
        if len(rows := np.flatnonzero(is_rendered)):
            true = self._rows(sources.masks, recipes.frame[rows]).float().div_(255)
            where = self._tensor(rows)
            mask[where] = F.grid_sample(
                true, frame[where], padding_mode="border", align_corners=False
            )
        places = [self._tensor(figure.rows) for figure in shots.figures]
        for figure, where in zip(shots.figures, places, strict=True):
            bg_fg[where] *= self._light(sources, figure, shots, points[where])
        for figure, where in zip(shots.figures, places, strict=True):
            colour, own, alpha = self._person(sources, figure, size)
            alpha = alpha * (own < depth[where] + TOLERANCE_M)
            bg_fg[where] = torch.lerp(bg_fg[where], colour, alpha)
            depth[where] = torch.where(alpha > 0.5, own.clamp_min(0.1), depth[where])
            mask[where] += (1 - mask[where]) * alpha
        bg, bg_fg = self._develop(torch.stack([bg, bg_fg], 1), shots).unbind(1)
        return Scene(bg, bg_fg, mask, depth, self._column(shots.focal))

    def _points(self, frame: Tensor, depth: Tensor, recipes: Recipes) -> Tensor:
        """What every 2 x 2 pixels show, in the camera's coordinates, N x size/2 x size/2 x 3."""
        rays = frame / (2 * self._tensor(self.library.focals(recipes.plate)))
        depth = depth.movedim(1, -1)
        points = torch.cat([rays * depth, depth], -1)
        return F.avg_pool2d(points.movedim(-1, 1), 2).movedim(1, -1)

    def _light(self, sources: Sources, figure: Figure, shots: Shots, points: Tensor) -> Tensor:
        """The share of the light that a person leaves the room, M x 1 x size x size: on floors,
        walls and furniture alike, what each lamp sees of the person is dark."""
        rows, up = figure.rows, shots.up[figure.rows]
        offset = points - self._vectors(figure.foot)
        near = torch.exp(-(offset / CONTACT_M).square().sum(-1))
        light = 1 - self._vectors(shots.contact[rows])[..., 0] * near
        for lamp in range(NUM_LAMPS):
            at = shots.lamps[rows, lamp]
            # the person as a screen that stands on the floor and faces the lamp
            facing = horizontal(at - figure.foot, up)
            side = np.cross(up, facing)
            side *= np.where(side[:, :1] < 0, -1.0, 1.0)
            ray = self._vectors(at) - points
            share = -_dot(offset, self._vectors(facing))
            share = share / _dot(ray, self._vectors(facing)).clamp_min(1e-3)
            hit = offset + share[..., None] * ray
            metres = [_dot(hit, self._vectors(axis)) for axis in (side, up)]
            place = torch.stack(metres, -1) * self._vectors(figure.per_metre)
            place += self._vectors(figure.foot_at)
            # one lamp is small, the other large: its shadows are softer
            level = sources.shapes[NUM_LEVELS - NUM_LAMPS + lamp]
            alpha = self._rows(level, figure.recipes.cutout)[:, 1:]
            alpha = F.avg_pool2d(alpha, 3, stride=1, padding=1)
            dark = F.grid_sample(alpha, place, align_corners=False)[:, 0] * (share > 0)
            light *= 1 - self._vectors(shots.cast[rows, lamp])[..., 0] * dark
        return F.interpolate(light[:, None], scale_factor=2, mode="bilinear")

    def _person(self, sources: Sources, figure: Figure, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Colour M x 3, depth in metres M x 1 and alpha M x 1 in the frame, each from its fitting
        level."""
        recipes, height = figure.recipes, sources.colours[0].shape[-2]
        grid = self._grid(figure.person, size)
        rows = self.cutout_rows[recipes.cutout_variant, recipes.cutout]
        out = torch.zeros(len(grid), 5, *grid.shape[1:3], device=self.device)
        for level, (colours, shapes) in enumerate(zip(*sources[3:], strict=True)):
            if len(chosen := np.flatnonzero(figure.level == level)):
                colour = self._rows(colours, rows[chosen])
                source = torch.cat([colour, self._rows(shapes, recipes.cutout[chosen])], 1)
                where = self._tensor(chosen)
                out[where] = F.grid_sample(source, grid[where], align_corners=False)
        colour, relief, alpha = out.split([3, 1, 1], 1)
        opaque = alpha.clamp_min(1e-3)
        above_foot = self._column(figure.foot_row) - ((grid[..., 1] + 1) / 2 * height)[:, None]
        depth = self._column(figure.foot[:, 2]) + self._column(figure.slope) * above_foot
        colour = colour / opaque * self._column(figure.gain)
        return colour, depth + relief / opaque, alpha

    def _develop(self, pictures: Tensor, shots: Shots) -> Tensor:
        """Both pictures, N x 2 x 3 x size x size, as their cameras deliver them."""
        images = (pictures * self._tensor(shots.gain)[..., None, None]).clamp_(0, 1).flatten(0, 1)
        if len(rows := np.flatnonzero(shots.gamma != 1)):
            where = self._tensor(rows)
            images[where] = images[where].pow_(self._column(shots.gamma.ravel()[rows]))
        if len(rows := np.flatnonzero(shots.blur_px)):
            where = self._tensor(rows)
            images[where] = blur(images[where], self._tensor(shots.blur_px.ravel()[rows]))
        images = images.unflatten(0, pictures.shape[:2])
        if len(rows := np.flatnonzero(shots.sigma.any(axis=1))):
            where = self._tensor(rows)
            noise = sensor_noise(self._tensor(shots.noise_key[rows]), pictures.shape[-1])
            sigma = self._tensor(shots.sigma[rows])[..., None, None, None]
            # of light, whose variance grows with it, and of reading it out
            images[where] += noise * sigma * (0.2 + 0.8 * images[where]).sqrt_()
        images = images.clamp_(0, 1).flatten(0, 1)
        if len(rows := np.flatnonzero(shots.quality < 100)):
            where = self._tensor(rows)
            images[where] = jpeg(images[where], self._tensor(shots.quality.ravel()[rows]))
        return images.unflatten(0, pictures.shape[:2])

    def _grid(self, theta: np.ndarray, size: int) -> Tensor:
        """N x size x size x 2: `affine_grid`, which takes four times as long."""
        across, down, shift = self._tensor(theta)[:, None, None].unbind(-1)
        middles = (2 * torch.arange(size, device=self.device) + 1) / size - 1
        return across * middles[:, None] + (down * middles[:, None, None] + shift)

    def _tensor(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.array(array))
        tensor = tensor.float() if array.dtype == np.float64 else tensor
        if self.device.type == "cuda":  # from such memory the copy waits for nothing
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def _rows(self, planes: Tensor, rows: np.ndarray) -> Tensor:
        return planes.index_select(0, self._tensor(rows))

    def _vectors(self, values: np.ndarray) -> Tensor:
        """Per-sample values [N] or [N, C] as N x 1 x 1 x C."""
        return self._tensor(values.reshape(len(values), 1, 1, -1))

    def _column(self, values: np.ndarray) -> Tensor:
        """Per-sample values [N] or [N, C] as N x C x 1 x 1."""
        return self._tensor(values.reshape(len(values), -1, 1, 1))


def plan_scenes(
    library: Library,
    params: CompositorParams,
    recipes: Recipes,
    size: int,
    others: Recipes | None = None,
) -> Plan:
    """What `Compositor.compose` takes: all that needs no device."""
    rows, _ = _canvas(library, size)
    shots = plan_shots(library, params, recipes, size=size, canvas_rows=rows, others=others)
    return Plan(size, recipes, shots)


def _canvas(library: Library, size: int) -> list[int]:
    """The height and width of the cutouts' canvas: nobody has more pixels than are needed."""
    return [max(16, round(edge * (size / library.size))) for edge in library.rgba.shape[1:3]]


def _dot(vectors: Tensor, others: Tensor) -> Tensor:
    return (vectors * others).sum(-1)


def _stack(
    originals: np.ndarray, variants: np.ndarray | None, train: np.ndarray
) -> tuple[Tensor, np.ndarray]:
    """The originals, then the variants of the train split's, uint8 N x 3 x H x W; and where each
    variant of each source is, int64 [V + 1, P], of which the first is itself."""
    parts = [np.asarray(part) for part in (originals, *(() if variants is None else variants))]
    rows = np.tile(np.arange(len(originals)), (len(parts), 1))
    rows[1:, train] = len(originals) + np.arange(rows[1:, train].size).reshape(-1, len(train))
    return torch.from_numpy(np.concatenate(parts)).permute(0, 3, 1, 2), rows


def _resize(images: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(images, size=size, mode="bilinear", antialias=True)
