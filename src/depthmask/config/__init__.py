"""`params.yaml` as frozen classes, one per section; unknown keys and wrong types are refused.

Only a stage's `main` and the command line read parameters; everything else takes values.
"""

from depthmask.config.data import (
    AugmentParams,
    CompositorParams,
    Crop,
    HueSaturationValue,
    ModestParams,
    MuseumParams,
    Noise,
    NumScenes,
    PersonLight,
    PlacementParams,
    PlateLight,
    PlateMotion,
    PrepareParams,
    RandomBrightnessContrast,
    Shadow,
    Splits,
    SplitSizes,
)
from depthmask.config.photos import PhotosParams
from depthmask.config.reading import (
    SECTIONS,
    Params,
    named_experiment,
    read_params,
)
from depthmask.config.results import (
    Bootstrap,
    EvaluateParams,
    ExportParams,
    Gate,
    Robustness,
)
from depthmask.config.training import (
    Experiment,
    Optimizer,
    Scheduler,
    SizeSchedule,
    TrainParams,
)

__all__ = [
    "AugmentParams",
    "Bootstrap",
    "CompositorParams",
    "Crop",
    "EvaluateParams",
    "Experiment",
    "ExportParams",
    "Gate",
    "HueSaturationValue",
    "ModestParams",
    "MuseumParams",
    "Noise",
    "NumScenes",
    "Optimizer",
    "Params",
    "PersonLight",
    "PhotosParams",
    "PlacementParams",
    "PlateLight",
    "PlateMotion",
    "PrepareParams",
    "RandomBrightnessContrast",
    "Robustness",
    "SECTIONS",
    "Scheduler",
    "Shadow",
    "SizeSchedule",
    "SplitSizes",
    "Splits",
    "TrainParams",
    "named_experiment",
    "read_params",
]
