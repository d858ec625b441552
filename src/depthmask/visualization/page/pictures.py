"""Pictures inside the page: as data, so that the page is one file."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from depthmask.errors import InputError
from depthmask.visualization.depth_colors import ERROR_LIMIT, DepthScale, depth_ramp, error_ramp
from depthmask.visualization.page.definitions import DEFINITIONS
from depthmask.visualization.page.files import TILES, RunFiles
from depthmask.visualization.page.numbers import figure, known
from depthmask.visualization.tiles import FALSE, MISSED

SHEET_WIDTH, SHEET_QUALITY = 1400, 82

FIELDS = {
    "bg": "plate (bg)",
    "bg_fg": "frame (bg_fg)",
    "true_mask": "true mask",
    "pred_mask": "predicted mask",
    "true_depth": "true depth",
    "pred_depth": "predicted depth",
    "depth_error": "depth error",
}
"""What is shown of a scene, in this order."""

GROUPS = {
    "best": ("The best scenes", "by mask IoU"),
    "median": ("The median scenes", "half of all scenes are better than these, half are worse"),
    "worst": ("The worst scenes", "by mask IoU: what goes wrong"),
    "worst_depth": ("The worst in depth", "by AbsRel"),
}
SHOWN = ("mask_iou", "depth_abs_rel", "person_distance_error")


@dataclass(frozen=True)
class Tile:
    """A picture, its name, and the same for who does not see it."""

    data: str
    caption: str
    alt: str


@dataclass(frozen=True)
class SceneTiles:
    """A scene's pictures and figures."""

    number: int
    who: list[str]
    figures: list[tuple[str, str]]
    tiles: list[Tile]


@dataclass(frozen=True)
class SceneGroup:
    title: str
    note: str
    scenes: list[SceneTiles]


@dataclass(frozen=True)
class Legend:
    """A colour scale: a CSS gradient and what to write at which share of it, in %."""

    title: str
    gradient: str
    ticks: list[tuple[float, str]]

    @property
    def placed(self) -> list[tuple[float, int, str]]:
        """Where each text stands, how much of it to the left of there, both in %, and the text."""
        return [(at, 0 if at < 5 else 100 if at > 95 else 50, text) for at, text in self.ticks]


@dataclass(frozen=True)
class Gallery:
    """The scenes with what their colours mean.

    Attributes:
        missed, false: colours of a mask's errors.
    """

    groups: list[SceneGroup]
    legends: list[Legend]
    missed: str = MISSED
    false: str = FALSE

    @property
    def typical(self) -> SceneTiles | None:
        """A scene from the middle, for the top of the page."""
        middle = [group for group in self.groups if group.title == GROUPS["median"][0]]
        return middle[0].scenes[0] if middle else None


def gallery(run: RunFiles) -> Gallery | None:
    """The chosen scenes of the best experiment, where evaluate left them.

    Raises:
        InputError: if the index names a picture that is not there, or is none.
    """
    index = run.tiles
    if index is None:
        return None
    try:
        groups = [
            SceneGroup(*GROUPS[kind], [_scene(run, scene) for scene in index["groups"][kind]])
            for kind in GROUPS
            if index["groups"].get(kind)
        ]
        scale = DepthScale(index["scale"]["near"], index["scale"]["far"], index["unit"])
    except (KeyError, TypeError, AttributeError) as error:
        path = run.root / TILES / "index.json"
        raise InputError(
            f"{path} is damaged (it lacks {error}): run `dvc repro --force evaluate`"
        ) from None
    return Gallery(groups, [depth_legend(scale), error_legend()])


def depth_legend(scale: DepthScale) -> Legend:
    """The scale of every depth map, near to far, marked in metres where it is in metres."""
    ticks = [(100 * at, text) for at, text in scale.ticks()]
    return Legend(scale.label.capitalize(), _gradient(depth_ramp(12)), ticks)


def error_legend() -> Legend:
    percent = f"{100 * ERROR_LIMIT:g} %"
    words = ((0.0, f"\N{MINUS SIGN}{percent}"), (50.0, "0"), (100.0, f"+{percent}"))
    return Legend("Depth error: too near, too far", _gradient(error_ramp(11)), list(words))


def sheet(path: Path) -> str:
    """A sheet of many pictures, smaller, as data of a page."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    if picture.width > SHEET_WIDTH:
        height = round(picture.height * SHEET_WIDTH / picture.width)
        picture = picture.resize((SHEET_WIDTH, height), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=SHEET_QUALITY, method=6)
    return _as_data(content.getvalue(), "webp")


def _scene(run: RunFiles, scene: dict[str, Any]) -> SceneTiles:
    figures = [
        (DEFINITIONS[name].label, figure(scene["figures"][name], DEFINITIONS[name], run.unit))
        for name in SHOWN
        if known(scene["figures"].get(name)) is not None
    ]
    who = [str(scene[key]) for key in ("plate", "cutout") if scene.get(key)]
    name = f"frame {scene['scene']}"
    tiles = []
    for field, caption in FIELDS.items():
        if field in scene["tiles"]:
            path = run.root / TILES / scene["tiles"][field]
            try:
                content = path.read_bytes()
            except OSError:
                raise InputError(f"{path} is missing: run `dvc repro --force evaluate`") from None
            tiles.append(Tile(_as_data(content, "png"), caption, f"{caption} of {name}"))
    return SceneTiles(scene["scene"], who, figures, tiles)


def _as_data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _gradient(ramp: Sequence[Sequence[int]]) -> str:
    stops = ", ".join("#{:02x}{:02x}{:02x}".format(*(int(c) for c in color)) for color in ramp)
    return f"linear-gradient(90deg, {stops})"
