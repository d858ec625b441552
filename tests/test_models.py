"""The networks against the original's tables of layers, and what a caller relies on."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from depthmask.data.scenes.scene import REFERENCE_FOCAL
from depthmask.models import MODELS, Prediction
from depthmask.models.depth_codec import decode_depth, encode_depth

DATA = Path(__file__).parent / "data"
RANGE_M = (0.5, 25.0)


def pair(num: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    bg = torch.rand(num, 3, height, width, generator=torch.Generator().manual_seed(0))
    bg_fg = bg.clone()
    bg_fg[:, :, height // 4 : height // 2, width // 3 : width // 2] = 0.9
    return bg, bg_fg


@pytest.fixture(params=sorted(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name]()


def test_every_row_of_the_originals_table(name: str, model: nn.Module) -> None:
    """By a walk like torchsummary's: every module but a Sequential, as it finishes."""
    rows: list[str] = []

    def add_row(module: nn.Module, _: object, output: Tensor | tuple[Tensor | None, ...]) -> None:
        tensors = output if isinstance(output, tuple) else (output,)
        shape = "+".join("x".join(map(str, t.shape[1:])) for t in tensors if t is not None)
        num_parameters = sum(p.numel() for p in module.parameters(recurse=False))
        rows.append(f"{type(module).__name__} {shape} {num_parameters}")

    for module in model.modules():
        if not isinstance(module, nn.Sequential):
            module.register_forward_hook(add_row)
    with torch.no_grad():
        model.eval()(*pair(1, 224, 224))
    lines = (DATA / f"{name.removesuffix('_diff')}_layers.txt").read_text().splitlines()
    rows[-1] = rows[-1].replace("Diff", "")
    assert rows == [" ".join(line.split()) for line in lines if not line.startswith("#")]
    num_parameters = {"masknet3": 76_097, "depthmasknet8": 7_083_874}[name.removesuffix("_diff")]
    assert sum(int(row.split()[-1]) for row in rows) == num_parameters


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (65, 99), (63, 32)])
def test_answers_have_the_inputs_size(model: nn.Module, height: int, width: int) -> None:
    shapes = [logits.shape for logits in model(*pair(2, height, width)) if logits is not None]
    assert shapes == [(2, 1, height, width)] * (2 if model.has_depth else 1)


def test_odd_sizes_keep_the_last_row_and_column() -> None:
    """A pool that floors would drop them from the body of every encoder."""
    model = MODELS["depthmasknet8"]().eval()
    shapes: list[torch.Size] = []
    model.encoder7.register_forward_hook(lambda _, __, output: shapes.append(output.shape))
    model(*pair(1, 65, 97))
    assert shapes == [(1, 512, 3, 4)]


def test_both_inputs_matter_everywhere(model: nn.Module) -> None:
    images = [image.requires_grad_() for image in torch.rand(2, 1, 3, 64, 64)]
    for logits in model.eval()(*images):
        if logits is not None:
            for gradient in torch.autograd.grad(logits.sum(), images, retain_graph=True):
                assert (gradient.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("prior", [0.01, 0.04, 0.3])
def test_first_mask_is_the_prior(name: str, prior: float) -> None:
    torch.manual_seed(1)
    fresh = MODELS[name](mask_prior=prior)
    assert fresh.mask.bias.item() == pytest.approx(math.log(prior / (1 - prior)), abs=1e-5)
    mask = fresh(*pair(2, 64, 64)).mask_logits.sigmoid()
    assert mask.mean().item() == pytest.approx(prior, rel=0.5)


def test_gradients_reach_every_parameter(model: nn.Module) -> None:
    """In evaluation; batch normalisation subtracts the bias of the convolution before it."""
    logits = [t for t in model.eval()(*pair(4, 64, 64)) if t is not None]
    sum(t.square().mean() for t in logits).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().max() > 0, name


def test_normalises_with_its_own_statistics(
    name: str, model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    # which takes pictures of 0 to 1, not those that make up for other statistics
    monkeypatch.setattr(MODELS[name], "register", lambda self, bg, bg_fg: bg)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    other = MODELS[name](mean=mean, std=std)
    weights = {k: v for k, v in model.state_dict().items() if k not in ("mean", "std")}
    other.load_state_dict(weights, strict=False)
    shift, scale = (torch.tensor(figures).view(1, 3, 1, 1) for figures in (mean, std))
    images = pair(1, 64, 64)
    as_default = [(image - shift) / scale * 0.25 + 0.5 for image in images]
    got, expected = other.eval()(*images), model.eval()(*as_default)
    torch.testing.assert_close(got.mask_logits, expected.mask_logits, rtol=1e-4, atol=1e-4)


def test_wrong_sizes_name_the_nearest_valid() -> None:
    model = MODELS["depthmasknet8"]()
    for bg, bg_fg, message in (
        ((1, 3, 64, 64), (1, 3, 64, 48), r"bg_fg \(1, 3, 64, 48\); both must be .* one shape"),
        ((1, 3, 64, 64), (2, 3, 64, 64), "one shape"),
        ((1, 4, 64, 64), (1, 4, 64, 64), "N x 3 x H x W"),
        ((3, 64, 64), (3, 64, 64), "N x 3 x H x W"),
        ((1, 3, 20, 48), (1, 3, 20, 48), "nearest valid size is 32 x 48"),
        ((1, 3, 64, 31), (1, 3, 64, 31), "nearest valid size is 64 x 32"),
    ):
        with pytest.raises(ValueError, match=message):
            model(torch.zeros(bg), torch.zeros(bg_fg))


@pytest.mark.parametrize(
    "wrong", [{"std": (0.2, 0.2, 0.0)}, {"mask_prior": 0.0}, {"depth_range_m": (2.0, 1.0)}]
)
def test_wrong_arguments(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MODELS["depthmasknet8"](**wrong)


@pytest.mark.parametrize(
    ("range_m", "depth_m", "code"),
    [
        ((1.0, 16.0), [1.0, 2.0, 4.0, 8.0, 16.0], [0.0, 0.25, 0.5, 0.75, 1.0]),
        ((0.0, 2.0), [0.0, 0.25, 1.0, 2.0], [0.0, 0.125, 0.5, 1.0]),  # linear
    ],
)
def test_codec_by_hand(range_m: tuple, depth_m: list[float], code: list[float]) -> None:
    found = encode_depth(torch.tensor(depth_m), range_m)
    torch.testing.assert_close(found, torch.tensor(code))
    for given in (range_m, torch.tensor(range_m)):
        torch.testing.assert_close(decode_depth(found, given), torch.tensor(depth_m))


def test_codec_clamps_what_lies_outside_and_leads_back() -> None:
    outside = torch.tensor([-1.0, 0.0, 0.1, 0.5, 25.0, 1e9, torch.inf])
    assert encode_depth(outside, RANGE_M).tolist() == pytest.approx([0, 0, 0, 0, 1, 1, 1])
    depth_m = torch.linspace(*RANGE_M, 1000).view(10, 1, 10, 10)
    range_m = MODELS["depthmasknet8"](depth_range_m=RANGE_M).depth_range_m
    torch.testing.assert_close(decode_depth(encode_depth(depth_m, RANGE_M), range_m), depth_m)


def test_metres_are_proportional_to_the_focal_length() -> None:
    focal = torch.tensor([REFERENCE_FOCAL, 2 * REFERENCE_FOCAL]).view(2, 1, 1, 1)
    answer = Prediction(torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2))
    _, plain = answer.decode(RANGE_M)
    _, scaled = answer.decode(RANGE_M, focal)
    torch.testing.assert_close(scaled[0], plain[0])
    torch.testing.assert_close(scaled[1], 2 * plain[1])


def test_a_difference_counts_from_the_first_step_on() -> None:
    """Alike, both pictures give the mask's last decoder nothing, whatever they show."""
    fresh, seen = MODELS["depthmasknet8_diff"]().eval(), []
    fresh.mask_decoder4.register_forward_hook(lambda _, inputs, __: seen.append(inputs[1]))
    bg, bg_fg = pair(1, 64, 64)
    fresh(bg, bg)
    fresh(bg, bg_fg)
    assert not seen[0].any() and seen[1].any()
