"""What a person wears."""

from dataclasses import dataclass

import numpy as np

from depthmask.data.sources.museum import clothes
from depthmask.data.sources.museum.materials import Material, mix, plain, textured
from depthmask.data.sources.museum.skeletons import Build


@dataclass(frozen=True)
class Outfit:
    skin: Material
    top: Material
    bottom: Material
    shoes: Material
    style: str  # trousers | shorts | skirt | dress | gown
    sleeves: str  # long | short | none
    layer: Material | None  # a jacket or coat over it
    coat_hem: float | None  # height of a coat's hem over the floor, in statures
    skirt_hem: float  # likewise
    flare: float  # of a skirt, in statures
    boots: bool


def draw_outfit(rng: np.random.Generator, build: Build, skin: np.ndarray) -> Outfit:
    feminine = np.clip((build.hips - 0.93) / 0.17, 0, 1)
    styles = ["trousers", "shorts", "skirt", "dress", "gown"]
    odds = np.array(
        [0.55, 0.08 + 0.1 * build.child, 0.2 * feminine, 0.24 * feminine, 0.07 * feminine]
    )
    style = str(rng.choice(styles, p=odds / odds.sum()))
    top = clothes.fabric(rng, clothes.cloth_color(rng))
    bottom = clothes.fabric(rng, clothes.cloth_color(rng), plainly=0.8 if "tr" in style else 0.5)
    if style in ("dress", "gown"):
        bottom = top
    layer, hem = None, None
    if rng.random() < 0.34:
        coat = clothes.cloth_color(rng)
        if rng.random() < 0.45:
            layer, hem = clothes.fabric(rng, coat, plainly=0.75), float(rng.uniform(0.22, 0.36))
        else:
            layer = _open_jacket(rng, coat, top)
    sleeves = (
        "long"
        if layer is not None
        else str(rng.choice(["long", "short", "none"], p=[0.5, 0.4, 0.1]))
    )
    return Outfit(
        skin=plain(skin),
        top=top,
        bottom=bottom,
        shoes=clothes.leather(rng),
        style=style,
        sleeves=sleeves,
        layer=layer,
        coat_hem=hem,
        skirt_hem=0.05 if style == "gown" else float(rng.uniform(0.15, 0.33)),
        flare=float(rng.uniform(0.0, 0.055)),
        boots=bool(rng.random() < 0.2),
    )


def _open_jacket(rng: np.random.Generator, color: np.ndarray, shirt: Material) -> Material:
    """A jacket's trunk as a texture around and along it: the shirt shows at the front."""
    size = 64
    y, x = np.mgrid[0:size, 0:size] / size
    v, from_front = 1 - y, np.abs(x - 0.25)
    under = shirt.color if shirt.color.ndim == 1 else shirt.color.mean((0, 1))
    opening = from_front < 0.012 + 0.07 * np.clip((v - 0.35) / 0.5, 0, 1)
    lapel = from_front < 0.03 + 0.11 * np.clip((v - 0.35) / 0.5, 0, 1)
    image = mix(np.broadcast_to(color, (size, size, 3)), color * 0.75, lapel * 1.0)
    image = mix(image, under, opening * 1.0)
    if rng.random() < 0.4:
        image = mix(image, clothes.cloth_color(rng), (opening & (from_front < 0.018)) * 1.0)
    return textured(image)


def plain_of(material: Material) -> Material:
    """A jacket's sleeves: its cloth without the open front."""
    return plain(material.color[32, 48]) if material.tile_m == (1.0, 1.0) else material
