import pytest
import torch
import torch.nn.functional as F

from conftest import difference_model
from depthmask.export.wrapper import Deployable, resampling_matrix
from depthmask.models import build_model


def test_resampling_matrix_by_hand():
    # Halving: a triangle two pixels to each side of the edge between the pixels it joins,
    # weights 3/4, 3/4, 1/4; normalised by 7/4 at the border.
    expected = torch.tensor([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7
    torch.testing.assert_close(resampling_matrix(4, 2), expected)
    # Doubling: three quarters of the nearer, one of the farther; the border is repeated.
    expected = torch.tensor([[4, 0], [3, 1], [1, 3], [0, 4]]) / 4
    torch.testing.assert_close(resampling_matrix(2, 4), expected)
    assert torch.equal(resampling_matrix(7, 7), torch.eye(7))


@pytest.mark.parametrize(("num_in", "num_out"), [(7, 3), (3, 7), (101, 48), (48, 1080), (1, 5)])
def test_resampling_matrix_is_interpolate(num_in, num_out):
    # Five wide: interpolate itself mistakes an image one pixel wide for channels_last.
    image = torch.rand(1, 1, num_in, 5, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(image, size=(num_out, 5), mode="bilinear", antialias=True)
    found = resampling_matrix(num_in, num_out) @ image
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_answer_by_hand():
    bg = torch.zeros(1, 40, 56, 3, dtype=torch.uint8)
    bg_fg = torch.full((1, 40, 56, 3), 51, dtype=torch.uint8)  # 0.2 of full scale
    mask, depth = Deployable(difference_model(), 32)(bg, bg_fg)
    # 80 * 0.2 - 8 = 8; code sigmoid(4 * 0.2 - 2) of 1 to 16 m.
    torch.testing.assert_close(mask, torch.full((1, 40, 56), 8.0).sigmoid())
    code = 1 / (1 + torch.exp(torch.tensor(1.2)))
    torch.testing.assert_close(depth, (16**code).expand(1, 40, 56), atol=1e-4, rtol=0)


def test_wraps_a_copy():
    model = build_model("depthmasknet8").train()
    deployable = Deployable(model, 48)
    assert model.training and not deployable.training
    next(deployable.parameters()).data.fill_(7)
    assert not (next(model.parameters()) == 7).all()


def test_refuses_a_model_without_depth():
    with pytest.raises(ValueError, match="MaskNet3 has no depth head"):
        Deployable(build_model("masknet3"), 48)
