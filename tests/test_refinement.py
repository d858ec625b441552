"""Edges at the frame's own size: sharper where the pictures tell, unchanged where they do not."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from conftest import difference_model
from depthmask.config import RefineParams
from depthmask.export.onnx_export import ExportWrapper
from depthmask.export.refinement import slope
from depthmask.models import MODELS, Prediction

SIZE = 32
REFINE = RefineParams(radius=2, eps=0.005)


def soft_model():
    """Finds the difference of both pictures, but blurred over 5 px; who is found is near."""
    model = difference_model()

    def forward(bg: Tensor, bg_fg: Tensor) -> Prediction:
        differs = (bg_fg - bg).abs().amax(dim=1, keepdim=True)
        mask = 40 * F.avg_pool2d(differs, 5, 1, 2, count_include_pad=False) - 6
        return Prediction(mask, 1 - 2 * mask.sigmoid())

    model.forward = forward
    return model


def pair_with_disc(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """bg and bg_fg, uint8 1 x H x W x 3, with a disc in another colour, and where it is."""
    rows, columns = np.ogrid[:height, :width]
    distance = np.hypot((rows + 0.5) / height - 0.5, (columns + 0.5) / width - 0.4)
    disc = torch.from_numpy(distance < 0.21)[None]
    bg = torch.randint(90, 110, (1, height, width, 3), generator=torch.Generator().manual_seed(0))
    return bg.byte(), (bg + 75 * disc[..., None] * torch.tensor([1, 0, 0])).byte(), disc


@pytest.mark.parametrize(("height", "width"), [(256, 256), (255, 191), (97, 240)])
def test_mask_and_depth_get_the_edge_that_the_pictures_have(height: int, width: int) -> None:
    *pair, disc = pair_with_disc(height, width)
    errors = []
    for refine in (None, REFINE):
        mask, depth = ExportWrapper(soft_model(), SIZE, refine)(*pair)
        near, far = (16 ** torch.tensor(logit).sigmoid() for logit in (-1.0, 1.0))
        of_depth = (depth / torch.where(disc, near, far)).log().abs().mean()
        errors.append(torch.stack(((mask - disc.float()).abs().mean(), of_depth)))
        iou = ((mask > 0.5) & disc).sum() / ((mask > 0.5) | disc).sum()
    assert iou > 0.99
    assert (errors[1] < 0.5 * errors[0]).all(), errors


def test_changes_nothing_at_the_size_of_the_network_or_where_nothing_differs() -> None:
    torch.manual_seed(0)
    wrappers = [ExportWrapper(MODELS["depthmasknet8"](), SIZE, each) for each in (None, REFINE)]
    wrappers[1].model = wrappers[0].model
    same_size = torch.randint(256, (2, 1, SIZE, SIZE, 3), dtype=torch.uint8).unbind()
    empty = torch.randint(256, (1, 90, 71, 3), dtype=torch.uint8)
    # of another size the depth follows sigmoid(enlarged) where it had enlarged(sigmoid)
    for pair, depth_m in ((same_size, 1e-4), ((empty, empty), 0.01)):
        plain, found = (wrapper(*pair) for wrapper in wrappers)
        torch.testing.assert_close(found[0], plain[0], atol=1e-4, rtol=0)
        torch.testing.assert_close(found[1], plain[1], atol=depth_m, rtol=0)


def test_does_no_harm_to_a_frame_smaller_than_the_network() -> None:
    *pair, _ = pair_with_disc(21, 27)
    plain, found = (ExportWrapper(soft_model(), SIZE, each)(*pair)[0] for each in (None, REFINE))
    assert ((plain > 0.5) != (found > 0.5)).float().mean() < 0.01


def test_slope_is_the_least_squares_of_a_window_and_zero_for_a_flat_guide() -> None:
    generator = torch.Generator().manual_seed(0)
    guide, noise = torch.rand(2, 1, 1, 9, 9, generator=generator).unbind()
    exact = slope(guide, 3 * guide + 1, RefineParams(radius=1, eps=1e-9))
    torch.testing.assert_close(exact, torch.full_like(guide, 3.0), atol=1e-3, rtol=0)
    found = slope(guide, noise, RefineParams(radius=2, eps=0.01))[0, 0, 4, 4]
    window = (slice(None), slice(None), slice(2, 7), slice(2, 7))
    x, y = guide[window].flatten(), noise[window].flatten()
    cov = ((x - x.mean()) * (y - y.mean())).mean()
    assert found.item() == pytest.approx((cov / (x.var(correction=0) + 0.01)).item(), rel=1e-3)
    assert slope(0 * guide + 0.4, noise, REFINE).abs().max() < 1e-4
