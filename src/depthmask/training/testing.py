"""The figures of a trained network by Lightning's own test loop."""

import warnings
from collections.abc import Sequence

import lightning as L
from torch import Tensor
from torch.utils.data import DataLoader

from depthmask.data.scenes.scene import Scene
from depthmask.training.fitting import HARMLESS
from depthmask.training.module import Learner


def run_test(learner: Learner, scenes: Sequence[Scene[Tensor]], *, device: str) -> dict[str, float]:
    """Measure the learner's network in float32, as evaluate measures what is stored of it.

    Args:
        scenes: the batches of a test set.
        device: cpu, cuda or mps.

    Returns:
        The mean of each metric over the scenes.
    """
    trainer = L.Trainer(
        accelerator=device,
        devices=1,
        precision="32-true",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    learner.test_metrics.reset()
    batches = DataLoader(scenes, batch_size=None)  # they are batches already
    with warnings.catch_warnings():
        for message in HARMLESS:
            warnings.filterwarnings("ignore", message=message)
        trainer.test(learner, dataloaders=batches, verbose=False)
    return learner.test_metrics.compute()
