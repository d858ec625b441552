"""`params.yaml` as frozen classes; names in it are checked by `depthmask.stages.read_params`."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt
from pydantic import NonNegativeFloat as NonNegative
from pydantic import PositiveFloat as Positive

from depthmask.errors import InputError

Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Side = Annotated[int, Field(ge=32, le=4096, multiple_of=8)]
FromList = Field(strict=False)  # YAML has lists, and frozen classes hold tuples
FromFilledList = Field(strict=False, min_length=1)
Range = Annotated[tuple[Positive, Positive], FromList]
Size = Annotated[tuple[PositiveInt, PositiveInt], FromList]  # height, width


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SplitSizes(Section):
    train: PositiveInt
    val: PositiveInt
    test: PositiveInt


class Splits(Section):
    plates: SplitSizes
    cutouts: SplitSizes


class PhotosParams(Section):
    teacher: str | None  # an ONNX file with Depth Anything V2's contract
    teacher_size: Annotated[int, Field(ge=28, le=4200, multiple_of=14)]  # px
    fov_degrees: Annotated[float, Field(ge=10, le=150)]  # across a picture's shorter side
    camera_height_m: Positive  # of a camera whose height the depth does not tell
    person_height_m: Range  # shortest and tallest

    def model_post_init(self, _: Any) -> None:
        if self.person_height_m[0] > self.person_height_m[1]:
            raise ValueError("person_height_m must be the shortest, then the tallest")


class PrepareParams(Section):
    class NumScenes(Section):
        val: PositiveInt
        seen_seen: PositiveInt
        seen_unseen: PositiveInt
        unseen_seen: PositiveInt
        unseen_unseen: PositiveInt
        in_scene: PositiveInt
        nobody: PositiveInt  # frames of empty test rooms, for robustness

    class Museum(Section):
        samples_per_px: PositiveInt
        cutout_samples_per_px: PositiveInt
        things: Probability  # share of the cutouts to train on
        rendered: NonNegativeInt  # frames of the rooms and people to train on

    seed: Seed
    source: Literal["museum", "photos", "modest"]
    size: Side
    splits: Splits
    num_scenes: NumScenes
    museum: Museum
    photos: PhotosParams
    modest: Section  # empty: DVC asks for a section of every source


class PlacementParams(Section):
    seed: Seed
    mirrored: Probability
    occluded: Probability


class CompositorParams(Section):
    class Crop(Section):
        p: Probability
        min_scale: Annotated[float, Field(gt=0.2, le=1)]
        max_aspect: Annotated[float, Field(ge=1, le=2)]

    class PersonLight(Section):
        gain: Annotated[float, Field(ge=0, le=2)]
        tint: Probability

    class PlateLight(PersonLight):
        p: Probability

    class Shadow(Section):
        p: Probability
        strength: Probability

    class Camera(Section):
        p: Probability
        gain: Probability
        gamma: Probability
        blur: Annotated[float, Field(ge=0, le=8)]
        jpeg: Annotated[int, Field(ge=1, le=100)]

    class Noise(Section):
        p: Probability
        sigma: Probability

    class PlateMotion(Section):
        p: Probability
        shift: Probability
        degrees: NonNegative

    seed: Seed
    flipped: Probability
    crop: Crop
    person_light: PersonLight
    shadow: Shadow
    camera: Camera
    noise: Noise
    plate_light: PlateLight
    plate_motion: PlateMotion


class Composition(NamedTuple):
    """How a scene is composed: who stands where, and what belongs to the shot."""

    placement: PlacementParams
    compositor: CompositorParams


class AugmentParams(Section):
    class HueSaturationValue(Section):
        hue: NonNegative
        saturation: NonNegative
        value: NonNegative

    class RandomBrightnessContrast(Section):
        brightness: Probability
        contrast: Probability

    seed: Seed
    num_variants: Annotated[int, Field(ge=0, le=1000)]
    p: Probability
    hue_saturation_value: HueSaturationValue
    random_brightness_contrast: RandomBrightnessContrast


class SizeSchedule(Section):
    size: Side
    epochs: PositiveInt


class Optimizer(Section):
    name: Literal["sgd", "adamw", "muon"]
    lr: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: NonNegative


class Scheduler(Section):
    name: Literal["constant", "cosine", "onecycle", "step", "plateau"]
    warmup: Probability
    step_epochs: PositiveInt
    factor: Share
    patience: NonNegativeInt


class TrainParams(Section):
    seed: Seed
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "float32", "bfloat16"]
    num_threads: Annotated[int, Field(ge=0, le=1024)]
    batch_size: Annotated[int, Field(ge=2)]
    scenes_per_epoch: PositiveInt
    nobody: Probability
    others: Probability
    rendered: Probability
    schedule: Annotated[tuple[SizeSchedule, ...], FromFilledList]
    optimizer: Optimizer
    scheduler: Scheduler
    average: Annotated[float, Field(ge=0, lt=1)]
    mask_prior: Share
    depth_range_m: Range

    def model_post_init(self, _: Any) -> None:
        if self.depth_range_m[0] >= self.depth_range_m[1]:
            raise ValueError("depth_range_m must rise from near to far")
        if self.nobody + self.rendered > 1:
            raise ValueError("nobody and rendered are shares of one whole, and above it together")
        if self.scenes_per_epoch < self.batch_size:
            raise ValueError("scenes_per_epoch must be at least batch_size")
        num_epochs = sum(step.epochs for step in self.schedule)
        num_steps = self.scenes_per_epoch // self.batch_size * num_epochs
        rising = self.scheduler.warmup * num_steps
        if self.scheduler.name == "onecycle" and not 2 <= rising <= num_steps - 2:
            words = f"onecycle would rise for {rising:.0f} of {num_steps} steps"
            raise ValueError(f"{words}: change scheduler.warmup, so that both ways take two")


class Experiment(Section):
    model: str
    mask: Annotated[dict[str, Positive], Field(min_length=1)]  # weighted loss terms
    depth: dict[str, Positive] = {}
    augmented: bool = True  # whether it sees the colour variants
    longer: Positive = 1.0  # times the epochs of `train.schedule`
    seeds: Annotated[tuple[Seed, ...], FromList] = ()  # none: `train.seed` alone

    def model_post_init(self, _: Any) -> None:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must differ, not {list(self.seeds)}")


class Robustness(Section):
    num_scenes: PositiveInt
    seed: Seed
    conditions: dict[str, Annotated[tuple[float, ...], FromFilledList]]  # strengths of each


class EvaluateParams(Section):
    num_panels: PositiveInt
    level: Share  # of the intervals
    robustness: Robustness


class Gate(Section):
    """What the best must reach on the headline set to become the champion; null asks nothing."""

    mask_iou: Probability | None  # at least
    depth_delta1: Probability | None  # at least
    depth_abs_rel: NonNegative | None  # at most
    leak_gap: Annotated[float, Field(ge=-1, le=1)] | None  # at most, of mask IoU
    latency_ms: Positive | None  # at most, of one pair at the training size


class RefineParams(Section):
    radius: Annotated[int, Field(ge=1, le=15)]  # px of the network, of the windows
    eps: Positive  # smaller differences' variances, of a range 0 to 1, are taken for noise


class ExportParams(Section):
    opset: Annotated[int, Field(ge=18, le=23)]
    tolerance: Positive
    sizes: Annotated[tuple[Size, ...], Field(min_length=3, strict=False)]
    refine: RefineParams | None
    precision_loss: Probability | None
    gate: Gate


BASELINES = {
    "difference_threshold": "person is where frame and plate differ by more than a threshold",
    "constant_depth": "one depth for every pixel",
    "plate_depth": "the empty room’s true depth, which no network is given",
    "plate_at_feet": "the same, and the best’s person as far as that under its mask’s lowest row",
    "best_with_plate_depth": "the best, given the room’s depth and the lens: `--plate-depth --fov`",
}
"""Measured without training: a model must beat the first two; the others know the room."""
SECTIONS = ("prepare", "placement", "compositor", "augment", "train", "evaluate", "export")


class Params(Section):
    profile: str
    compare: Annotated[tuple[str, ...], FromFilledList]
    prepare: PrepareParams
    placement: PlacementParams
    compositor: CompositorParams
    augment: AugmentParams
    train: TrainParams
    evaluate: EvaluateParams
    export: ExportParams
    experiments: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], Experiment]

    def model_post_init(self, _: Any) -> None:
        if unknown := [name for name in self.compare if name not in self.experiments]:
            known = ", ".join(self.experiments)
            raise ValueError(f"`compare` names {unknown[0]!r}, and `experiments` defines {known}")
        if taken := BASELINES.keys() & {*self.compare}:
            raise ValueError(f"{min(taken)} is a baseline's name: call the experiment otherwise")
        if len(set(self.compare)) < len(self.compare):
            raise ValueError("`compare` names an experiment twice")
        sizes, size = [step.size for step in self.train.schedule], self.prepare.size
        if sizes[-1] != size or max(sizes) > size:
            words = f"train.schedule must end at prepare.size, {size} px, and not exceed it"
            raise ValueError(f"{words}; its sizes are {', '.join(map(str, sizes))}")
        if self.prepare.source == "museum" and self.train.rendered > self.prepare.museum.rendered:
            raise ValueError("train.rendered asks for frames, and prepare.museum.rendered is 0")


def own_training(experiment: Experiment, train: TrainParams) -> TrainParams:
    """The training of an experiment: as many epochs of each size as it asks for."""
    steps = [(step, max(1, round(step.epochs * experiment.longer))) for step in train.schedule]
    schedule = tuple(step.model_copy(update={"epochs": epochs}) for step, epochs in steps)
    return train.model_copy(update={"schedule": schedule})


def named_experiment(params: Params, name: str) -> Experiment:
    """An experiment by its name; raises InputError if params.yaml defines no such."""
    if name not in params.experiments:
        known = ", ".join(params.experiments)
        raise InputError(f"params.yaml defines no experiment {name!r}; it defines {known}")
    return params.experiments[name]
