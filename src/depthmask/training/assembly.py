"""What a training is made of: its scenes, its network, its loss and its optimiser."""

from pathlib import Path

from lightning import seed_everything

from depthmask.config import CompositorParams, Experiment, PlacementParams, TrainParams
from depthmask.data.scenes.files import read_json, read_summary
from depthmask.data.sources import read_source
from depthmask.errors import InputError
from depthmask.models import build_model
from depthmask.models.losses import SceneLoss
from depthmask.training.module import DepthMaskModule
from depthmask.training.scene_data import SceneData


def assemble_data(
    params: TrainParams,
    placement: PlacementParams,
    compositor: CompositorParams,
    *,
    prepared: Path,
    augmented: Path,
    variants: bool,
) -> SceneData:
    """The scenes of a training, ready to be composed or read.

    Args:
        prepared, augmented: the folders that those stages wrote.
        variants: whether the colour variants stand beside the originals.

    Raises:
        InputError: if they were made with other parameters, are missing or damaged.
    """
    size = read_summary(prepared)["size"]
    if params.schedule[-1].size != size:
        raise InputError(
            f"train.schedule must end at prepare.size, {size} px, not at {params.schedule[-1].size}"
        )
    scenes = read_source(prepared).training_scenes(
        prepared, augmented if variants else None, params, placement, compositor
    )
    return SceneData(
        scenes,
        schedule=params.schedule,
        scenes_per_epoch=params.scenes_per_epoch,
        batch_size=params.batch_size,
    )


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
