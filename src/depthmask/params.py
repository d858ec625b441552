"""`params.yaml` as frozen classes, one per section; unknown keys and wrong types are refused.

Only a stage's `main` and the command line read parameters; everything else takes values.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from depthmask.errors import InputError
from depthmask.yaml12 import read_yaml

SECTIONS = ("prepare", "placement", "compositor", "augment", "train", "evaluate", "export")

Probability = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Side = Annotated[int, Field(ge=32, le=4096, multiple_of=8)]
LossTerms = dict[Literal["bce", "rmse", "ssim", "dice", "l1"], Positive]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SplitSizes(Section):
    train: PositiveInt
    val: PositiveInt
    test: PositiveInt


class Splits(Section):
    plates: SplitSizes
    cutouts: SplitSizes


class NumScenes(Section):
    """How many scenes each set has; see `depthmask.scene.TEST_SETS`."""

    val: PositiveInt
    seen_seen: PositiveInt
    seen_unseen: PositiveInt
    unseen_seen: PositiveInt
    unseen_unseen: PositiveInt
    in_scene: PositiveInt


class MuseumParams(Section):
    samples_per_px: PositiveInt
    cutout_samples_per_px: PositiveInt


class PrepareParams(Section):
    seed: Seed
    source: Literal["museum"]
    size: Side
    splits: Splits
    num_scenes: NumScenes
    museum: MuseumParams


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


class SizeSchedule(Section):
    size: Side
    epochs: PositiveInt


class Optimizer(Section):
    name: Literal["sgd", "adamw"]
    lr: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: NonNegative


class Scheduler(Section):
    name: Literal["constant", "cosine", "onecycle", "step", "plateau"]
    warmup: Probability
    step_epochs: PositiveInt
    factor: Annotated[float, Field(gt=0, lt=1)]
    patience: Annotated[int, Field(ge=0)]


class TrainParams(Section):
    seed: Seed
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "float32", "bfloat16"]
    num_threads: Annotated[int, Field(ge=0, le=1024)]
    batch_size: Annotated[int, Field(ge=2)]
    scenes_per_epoch: PositiveInt
    nobody: Probability
    schedule: Annotated[tuple[SizeSchedule, ...], Field(min_length=1, strict=False)]
    optimizer: Optimizer
    scheduler: Scheduler
    average: Annotated[float, Field(ge=0, lt=1)]
    mask_prior: Annotated[float, Field(gt=0, lt=1)]
    depth_range_m: Annotated[tuple[Positive, Positive], Field(strict=False)]

    @model_validator(mode="after")
    def _check(self) -> "TrainParams":
        if self.depth_range_m[0] >= self.depth_range_m[1]:
            raise ValueError("depth_range_m must rise from near to far")
        if self.scenes_per_epoch < self.batch_size:
            raise ValueError("scenes_per_epoch must be at least batch_size")
        return self


class EvaluateParams(Section):
    threshold: Probability
    num_panels: PositiveInt
    batch_size: PositiveInt


class ExportParams(Section):
    opset: Annotated[int, Field(ge=18)]
    tolerance: Positive
    sizes: Annotated[
        tuple[Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)], ...],
        Field(min_length=3, strict=False),
    ]


class Experiment(Section):
    """A network, the weighted loss terms of its heads, and whether it sees the colour variants."""

    model: Literal["depthmasknet8", "masknet3"]
    mask: Annotated[LossTerms, Field(min_length=1)]
    depth: LossTerms = {}
    augmented: bool = True

    @model_validator(mode="after")
    def _check(self) -> "Experiment":
        if self.model == "masknet3" and self.depth:
            raise ValueError("masknet3 has no depth head: remove `depth`")
        if self.model == "depthmasknet8" and not self.depth:
            raise ValueError("depthmasknet8 needs at least one loss term under `depth`")
        return self


class Params(Section):
    profile: str
    compare: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    prepare: PrepareParams
    placement: PlacementParams
    compositor: CompositorParams
    augment: AugmentParams
    train: TrainParams
    evaluate: EvaluateParams
    export: ExportParams
    experiments: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Experiment]

    @model_validator(mode="after")
    def _check(self) -> "Params":
        for name in self.compare:
            if name not in self.experiments:
                raise ValueError(
                    f"`compare` names {name!r}, which `experiments` does not define;"
                    f" it defines {', '.join(self.experiments)}"
                )
        if len(set(self.compare)) != len(self.compare):
            raise ValueError("`compare` names an experiment twice")
        if all(self.experiments[name].model != "depthmasknet8" for name in self.compare):
            raise ValueError("`compare` needs a depthmasknet8 experiment: the best is exported")
        sizes = [step.size for step in self.train.schedule]
        if sizes[-1] != self.prepare.size or max(sizes) > self.prepare.size:
            raise ValueError(
                f"train.schedule must end at prepare.size, {self.prepare.size} px, and not exceed"
                f" it; its sizes are {', '.join(map(str, sizes))}"
            )
        return self


def _merged(base: Any, override: Any) -> Any:
    if isinstance(base, dict) and isinstance(override, dict):
        return base | {key: _merged(base.get(key), value) for key, value in override.items()}
    return override


def _message(path: Path, error: ValidationError, profile: str) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "extra_forbidden":
        what = "is no parameter: remove it or mend its spelling"
    elif first["type"] == "missing":
        what = "is missing: add it"
    elif first["type"] == "value_error":
        what = str(first["ctx"]["error"])
    else:
        what = f"{first['msg'].lower()}, not {first['input']!r}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{path} (profile {profile}): {where + ': ' if where else ''}{what}{more}"


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Read `params.yaml`, its profile's overrides merged in.

    Raises:
        InputError: naming the parameter and what is wrong with it.
    """
    content = read_yaml(path)
    profiles = content.pop("profiles", None)
    profile = content.get("profile")
    if not (isinstance(profiles, dict) and isinstance(profile, str) and profile in profiles):
        known = ", ".join(profiles) if isinstance(profiles, dict) else "none"
        raise InputError(f"{path}: profile {profile!r} is not under `profiles` ({known})")
    overrides = profiles[profile]
    if not isinstance(overrides, dict) or set(overrides) - {"compare"} != set(SECTIONS):
        raise InputError(
            f"{path}: profiles.{profile} must name exactly {', '.join(SECTIONS)}, {{}} for none,"
            " and may name compare"
        )
    # DVC reads the one above, which is what runs; this one is what `depthmask profile` sets it to
    overrides = {name: values for name, values in overrides.items() if name != "compare"}
    try:
        return Params.model_validate(_merged(content, overrides))
    except ValidationError as error:
        raise InputError(_message(path, error, profile)) from None


def named_experiment(params: Params, name: str) -> Experiment:
    """An experiment by its name.

    Raises:
        InputError: if params.yaml defines no such experiment.
    """
    if name not in params.experiments:
        known = ", ".join(params.experiments)
        raise InputError(f"params.yaml defines no experiment {name!r}; it defines {known}")
    return params.experiments[name]
