"""What a training is made of: its scenes, its network, its loss and its optimiser."""

from pathlib import Path
from typing import TYPE_CHECKING

from lightning import seed_everything

from depthmask.config import (
    AugmentParams,
    CompositorParams,
    Experiment,
    PlacementParams,
    TrainParams,
)
from depthmask.data.composition.compositor import Compositor
from depthmask.data.composition.eval_sets import placed_recipes
from depthmask.data.scenes.files import read_array, read_json, read_summary
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import Placer
from depthmask.errors import InputError
from depthmask.models import build_model
from depthmask.models.losses import SceneLoss
from depthmask.training.module import DepthMaskModule
from depthmask.training.scene_data import SceneData

if TYPE_CHECKING:
    from depthmask.training.file_data import FileData


def assemble_data(
    params: TrainParams,
    placement: PlacementParams,
    compositor: CompositorParams,
    *,
    prepared: Path,
    augmented: Path,
    variants: bool,
) -> "SceneData | FileData":
    """The scenes of a training, ready to be composed or read.

    Args:
        prepared, augmented: the folders that those stages wrote.
        variants: whether the colour variants stand beside the originals.

    Raises:
        InputError: if they were made with other parameters, are missing or damaged.
    """
    summary = read_summary(prepared)
    if params.schedule[-1].size != summary["size"]:
        raise InputError(
            f"train.schedule must end at prepare.size, {summary['size']} px,"
            f" not at {params.schedule[-1].size}"
        )
    if summary["source"] == "modest":
        return _file_data(params, prepared=prepared, augmented=augmented, variants=variants)
    library = Library.read(prepared)
    composer = read_compositor(library, compositor, augmented if variants else None)
    # other seeds of a training see other draws; its validation stays the same
    draws = placement.model_copy(update={"seed": placement.seed + (params.seed << 32)})
    placer = Placer(
        library,
        read_array(prepared / "visible_shares.npy", shape=library.stands.shape[:2]),
        draws,
        nobody=params.nobody,
        num_variants=composer.num_variants,
    )
    return SceneData(
        composer,
        placer,
        placed_recipes(prepared, "val", placement.seed),
        schedule=params.schedule,
        scenes_per_epoch=params.scenes_per_epoch,
        batch_size=params.batch_size,
    )


def _file_data(
    params: TrainParams, *, prepared: Path, augmented: Path, variants: bool
) -> "FileData":
    # not above: OpenCV and Albumentations, which these need, are not on every GPU machine
    from depthmask.data.sources.modest.checking import num_cores
    from depthmask.data.sources.modest.sets import COLOURS, file_scenes
    from depthmask.training.file_data import FileData

    colours = None
    if variants:
        colours = AugmentParams.model_validate(read_json(augmented / COLOURS))
    sizes = [step.size for step in params.schedule for _ in range(step.epochs)]
    return FileData(
        file_scenes(prepared, "train", sizes, colours),
        file_scenes(prepared, "val", sizes),
        schedule=params.schedule,
        scenes_per_epoch=params.scenes_per_epoch,
        batch_size=params.batch_size,
        num_workers=num_cores(),
        seed=params.seed,
    )


def read_compositor(
    library: Library, params: CompositorParams, augmented: Path | None
) -> Compositor:
    """A compositor of the library's sources and, where the folder is given, their variants."""
    if augmented is None:
        return Compositor(library, params)
    sources = {
        "plates_image": (len(library.plates_of("train")), *library.images.shape[1:]),
        "cutouts_rgb": (len(library.cutouts_of("train")), *library.rgba.shape[1:3], 3),
    }
    plates, cutouts = (
        read_array(augmented / f"{name}.npy", shape=(None, *shape))
        for name, shape in sources.items()
    )
    return Compositor(library, params, plate_variants=plates, cutout_variants=cutouts)


def build_module(
    experiment: Experiment, params: TrainParams, *, prepared: Path, augmented: Path
) -> DepthMaskModule:
    """The network with fresh weights, its loss, optimiser and schedule; all of it from the seed."""
    seed_everything(params.seed, workers=True, verbose=False)
    summary = read_summary(prepared)
    statistics = read_json(augmented / "statistics.json", ("bg_fg_mean", "bg_fg_std"))
    # the data's own range where its depth has no metres
    near, far = summary.get("depth_range") or params.depth_range_m
    model = build_model(
        experiment.model,
        mean=statistics["bg_fg_mean"],
        std=statistics["bg_fg_std"],
        mask_prior=params.mask_prior,
        depth_range_m=(near, far),
    )
    return DepthMaskModule(
        model,
        SceneLoss(experiment.mask, experiment.depth),
        optimizer=params.optimizer,
        scheduler=params.scheduler,
        depth_range_m=(near, far),
        alignment=summary.get("depth_alignment"),
    )
