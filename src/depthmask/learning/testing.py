"""The figures of a trained network by Lightning's own test loop."""

from collections.abc import Sequence

import lightning as L
from torch import Tensor

from depthmask.learning.learner import Learner
from depthmask.scene import Scene


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
    trainer.test(learner, dataloaders=scenes, verbose=False)
    return learner.test_metrics.compute()
