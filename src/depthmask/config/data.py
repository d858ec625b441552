"""Sections of `params.yaml` that decide what a scene is made of."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from depthmask.config.base import NonNegative, Probability, Section, Seed, Side
from depthmask.config.photos import PhotosParams


class SplitSizes(Section):
    """How many sources; of a folder's, which has its own number, how they are shared out."""

    train: PositiveInt
    val: PositiveInt
    test: PositiveInt

    def shares(self) -> dict[str, float]:
        """Of train, val and test, 0 to 1."""
        total = self.train + self.val + self.test
        return {name: count / total for name, count in self.model_dump().items()}


class Splits(Section):
    plates: SplitSizes
    cutouts: SplitSizes


class NumScenes(Section):
    """How many scenes each set has; see `depthmask.data.scenes.scene.TEST_SETS`.

    `nobody` are frames of empty test rooms, of which robustness is measured.
    """

    val: PositiveInt
    seen_seen: PositiveInt
    seen_unseen: PositiveInt
    unseen_seen: PositiveInt
    unseen_unseen: PositiveInt
    in_scene: PositiveInt
    nobody: PositiveInt


class MuseumParams(Section):
    samples_per_px: PositiveInt
    cutout_samples_per_px: PositiveInt


class ModestParams(Section):
    decoded: Annotated[int, Field(ge=0)]


class PrepareParams(Section):
    seed: Seed
    source: Literal["museum", "photos", "modest"]
    size: Side
    splits: Splits
    num_scenes: NumScenes
    museum: MuseumParams
    photos: PhotosParams
    modest: ModestParams


class Crop(Section):
    p: Probability
    min_scale: Annotated[float, Field(gt=0.2, le=1)]
    max_aspect: Annotated[float, Field(ge=1, le=2)]


class PersonLight(Section):
    gain: Probability
    tint: Probability


class Shadow(Section):
    p: Probability
    strength: Probability


class Noise(Section):
    p: Probability
    sigma: Probability


class PlateLight(Section):
    p: Probability
    gain: Probability
    tint: Probability


class PlateMotion(Section):
    p: Probability
    shift: Probability
    degrees: NonNegative


class PlacementParams(Section):
    seed: Seed
    mirrored: Probability
    occluded: Probability


class CompositorParams(Section):
    seed: Seed
    flipped: Probability
    crop: Crop
    person_light: PersonLight
    shadow: Shadow
    noise: Noise
    plate_light: PlateLight
    plate_motion: PlateMotion


class HueSaturationValue(Section):
    hue: NonNegative
    saturation: NonNegative
    value: NonNegative


class RandomBrightnessContrast(Section):
    brightness: Probability
    contrast: Probability


class AugmentParams(Section):
    seed: Seed
    num_variants: Annotated[int, Field(ge=0, le=1000)]
    p: Probability
    hue_saturation_value: HueSaturationValue
    random_brightness_contrast: RandomBrightnessContrast
