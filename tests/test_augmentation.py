import inspect
import os
from pathlib import Path

import numpy as np
import pytest

from depthmask.config import AugmentParams, read_params
from depthmask.data.composition import augmentation
from depthmask.data.composition.augmentation import build_transform, make_variants

PARAMS = read_params(Path(__file__).parents[1] / "params.yaml").augment
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)


def test_a_variant_follows_from_its_own_number_alone():
    first = make_variants(IMAGES, PARAMS, 0)
    np.testing.assert_array_equal(first[:, 0], make_variants(IMAGES[:1], PARAMS, 0)[:, 0])
    assert first.shape == (PARAMS.num_variants, *IMAGES.shape) and first.dtype == np.uint8
    assert len({variant.tobytes() for variant in first[:, 0]}) > 1
    assert (first != make_variants(IMAGES, PARAMS, 1)).any()


def test_strength_zero_changes_nothing():
    values = PARAMS.model_dump()
    values["hue_saturation_value"] = {"hue": 0, "saturation": 0, "value": 0}
    values["random_brightness_contrast"] = {"brightness": 0, "contrast": 0}
    variants = make_variants(IMAGES, AugmentParams.model_validate(values), 0)
    # the round trip through HSV costs a grey level or two
    assert np.abs(variants.astype(int) - IMAGES).max() <= 6


def test_the_import_asks_no_server():
    source = inspect.getsource(augmentation)
    assert source.index("NO_ALBUMENTATIONS_UPDATE") < source.index("import albumentations")
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"


@pytest.mark.filterwarnings("ignore")
def test_an_argument_that_albumentations_does_not_know_is_an_error(monkeypatch):
    original = augmentation.A.HueSaturationValue
    changed = lambda *limits, p: original(*limits, p=p, nonsense=1)  # noqa: E731
    monkeypatch.setattr(augmentation.A, "HueSaturationValue", changed)
    with pytest.raises(UserWarning, match="nonsense"):
        build_transform(PARAMS, 0)
