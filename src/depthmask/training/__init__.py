"""Training with Lightning: the only package that knows it.

A batch is a list of sample numbers; the data module turns it into scenes on the training device.
Nothing random happens outside the counter-based recipes and the seeded first weights, so that a
run resumed at an epoch's end goes on exactly as if it had never stopped.
"""

from lightning import seed_everything

from depthmask.training.fitting import fit
from depthmask.training.module import Learner
from depthmask.training.scene_data import SceneData
from depthmask.training.testing import run_test

__all__ = ["Learner", "SceneData", "fit", "run_test", "seed_everything"]
