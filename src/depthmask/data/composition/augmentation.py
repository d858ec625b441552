"""Photometric variants of plates and cutouts with Albumentations.

Colour alone changes: geometry belongs to the placement, and noise and light to the shot.
"""

import os
import warnings

import numpy as np

# before the import: it asks a server for its newest version otherwise
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A  # noqa: E402

from depthmask.config import AugmentParams  # noqa: E402


def build_transform(params: AugmentParams, seed: int) -> A.Compose:
    """The colour transform of one image; its seed is the image's own."""
    hsv, contrast = params.hue_saturation_value, params.random_brightness_contrast
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # of an unknown argument it would only warn
        colour = A.HueSaturationValue(hsv.hue, hsv.saturation, hsv.value, p=params.p)
        light = A.RandomBrightnessContrast(contrast.brightness, contrast.contrast, p=params.p)
        return A.Compose([colour, light], seed=seed)


def make_variants(images: np.ndarray, params: AugmentParams, stream: int) -> np.ndarray:
    """Draw `num_variants` colour variants of every image: uint8 [N, H, W, 3] to [V, N, H, W, 3].

    Variant v of image n depends on (seed, stream, v, n) only; plates and cutouts have streams.
    """
    variants = np.empty((params.num_variants, *images.shape), np.uint8)
    for variant, number in np.ndindex(variants.shape[:2]):
        entropy = np.random.SeedSequence([params.seed, stream, variant, number])
        transform = build_transform(params, int(entropy.generate_state(1)[0]))
        image = np.ascontiguousarray(images[number])
        variants[variant, number] = transform(image=image)["image"]
    return variants
