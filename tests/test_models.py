"""The networks against the original's tables of layers, and what a caller relies on."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from depthmask.errors import InputError
from depthmask.models import MODELS, build_model
from depthmask.models.depth_codec import decode_depth, encode_depth

DATA = Path(__file__).parent / "data"
NUM_PARAMETERS = {"masknet3": 76_097, "depthmasknet8": 7_083_874}
RANGE_M = (0.5, 25.0)

Row = tuple[str, str, int]


def read_table(name: str) -> list[Row]:
    lines = (DATA / f"{name}_layers.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return [(kind, shape, int(num_parameters)) for kind, shape, num_parameters in rows]


def walk(model: nn.Module, size: int) -> list[Row]:
    """The rows of a torchsummary-like walk: every module but a Sequential, as it finishes."""
    rows: list[Row] = []

    def add_row(module: nn.Module, _: object, output: Tensor | tuple[Tensor | None, ...]) -> None:
        tensors = output if isinstance(output, tuple) else (output,)
        shape = "+".join("x".join(map(str, t.shape[1:])) for t in tensors if t is not None)
        num_parameters = sum(p.numel() for p in module.parameters(recurse=False))
        rows.append((type(module).__name__, shape, num_parameters))

    hooks = [
        module.register_forward_hook(add_row)
        for module in model.modules()
        if not isinstance(module, nn.Sequential)
    ]
    with torch.no_grad():
        model.eval()(*pair(1, size, size))
    for hook in hooks:
        hook.remove()
    return rows


def pair(num: int, height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    bg = torch.rand(num, 3, height, width, generator=generator)
    bg_fg = bg.clone()
    bg_fg[:, :, height // 4 : height // 2, width // 3 : width // 2] = 0.9
    return bg, bg_fg


@pytest.fixture(params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return build_model(request.param)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_row_of_the_originals_table(name: str) -> None:
    table = read_table(name)
    assert sum(num for *_, num in table) == NUM_PARAMETERS[name]
    rows = walk(build_model(name), 224)
    assert len(rows) == len(table) == {"masknet3": 14, "depthmasknet8": 147}[name]
    for number, (got, expected) in enumerate(zip(rows, table, strict=True), start=1):
        assert got == expected, f"row {number}"


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (65, 99), (63, 32)])
def test_answers_have_the_inputs_size(model: nn.Module, height: int, width: int) -> None:
    prediction = model(*pair(2, height, width))
    assert prediction.mask_logits.shape == (2, 1, height, width)
    assert (prediction.depth_logits is not None) == model.has_depth
    if model.has_depth:
        assert prediction.depth_logits.shape == (2, 1, height, width)


def test_odd_sizes_keep_the_last_row_and_column() -> None:
    """A pool that floors would drop them from the body of every encoder."""
    model = build_model("depthmasknet8").eval()
    shapes: list[torch.Size] = []
    model.encoder7.register_forward_hook(lambda _, __, output: shapes.append(output.shape))
    model(*pair(1, 65, 97))
    assert shapes == [(1, 512, 3, 4)]


@pytest.mark.parametrize("which", [0, 1])
def test_both_inputs_matter_everywhere(model: nn.Module, which: int) -> None:
    images = [image.requires_grad_() for image in pair(1, 64, 64)]
    model.eval()
    for logits in model(*images):
        if logits is not None:
            (gradient,) = torch.autograd.grad(logits.sum(), images[which], retain_graph=True)
            assert (gradient.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("prior", [0.01, 0.04, 0.3])
def test_first_mask_is_the_prior(model: nn.Module, prior: float) -> None:
    torch.manual_seed(1)
    fresh = build_model(next(n for n, c in MODELS.items() if type(model) is c), mask_prior=prior)
    assert fresh.mask.bias.item() == pytest.approx(math.log(prior / (1 - prior)), abs=1e-5)
    with torch.no_grad():
        mask = fresh(*pair(2, 64, 64)).mask_logits.sigmoid()
    assert mask.mean().item() == pytest.approx(prior, rel=0.5)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_every_parameter(model: nn.Module, training: bool) -> None:
    model.train(training)
    logits = [t for t in model(*pair(4, 64, 64)) if t is not None]
    sum(t.square().mean() for t in logits).backward()
    normalised_away = set()
    if training:  # batch normalisation subtracts the bias of the convolution before it
        layers = list(model.named_modules())
        for (name, layer), (_, following) in zip(layers, layers[1:], strict=False):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                normalised_away.add(f"{name}.bias")
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if name not in normalised_away:
            assert parameter.grad.abs().max() > 0, name


def test_in_place_shortcuts_compute_the_same_gradients() -> None:
    """Against a walk without any in-place operation, in double precision."""
    torch.manual_seed(0)
    model = build_model("depthmasknet8").double().encoder4
    features = torch.randn(2, 32, 9, 12, dtype=torch.float64, requires_grad=True)
    parameters = list(model.parameters())
    got = torch.autograd.grad(model(features).square().sum(), (features, *parameters))
    body = features
    for layer in model.body:
        body = torch.relu(body) if isinstance(layer, nn.ReLU) else layer(body)
    output = torch.relu(body + model.shortcut(features))
    expected = torch.autograd.grad(output.square().sum(), (features, *parameters))
    torch.testing.assert_close(got, expected)


def test_normalises_with_its_own_statistics(model: nn.Module) -> None:
    name = next(n for n, c in MODELS.items() if type(model) is c)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    other = build_model(name, mean=mean, std=std)
    assert other.mean.shape == other.std.shape == (1, 3, 1, 1)
    other.load_state_dict(
        {k: v for k, v in model.state_dict().items() if k not in ("mean", "std")}, strict=False
    )
    shift, scale = torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(std).view(1, 3, 1, 1)
    bg, bg_fg = pair(1, 64, 64)
    as_default = [(image - shift) / scale * 0.25 + 0.5 for image in (bg, bg_fg)]
    with torch.no_grad():
        got, expected = other.eval()(bg, bg_fg), model.eval()(*as_default)
    torch.testing.assert_close(got.mask_logits, expected.mask_logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((1, 3, 64, 64), (1, 3, 64, 48)), "1 x 3 x 64 x 48"),
        (((1, 3, 64, 64), (2, 3, 64, 64)), "one shape"),
        (((1, 4, 64, 64), (1, 4, 64, 64)), "bg is 1 x 4 x 64 x 64; it must be N x 3 x H x W"),
        (((3, 64, 64), (3, 64, 64)), "N x 3 x H x W"),
        (((1, 3, 20, 48), (1, 3, 20, 48)), "nearest valid size is 32 x 48"),
        (((1, 3, 64, 31), (1, 3, 64, 31)), "nearest valid size is 64 x 32"),
    ],
)
def test_wrong_sizes_name_the_nearest_valid(shapes: tuple, message: str) -> None:
    model = build_model("depthmasknet8").eval()
    with pytest.raises(ValueError, match=message):
        model(*(torch.zeros(shape) for shape in shapes))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": (0.5,)}, "mean has 1 values"),
        ({"std": (0.2, 0.2, 0.0)}, "std"),
        ({"mask_prior": 0.0}, "prior"),
        ({"depth_range_m": (2.0, 1.0)}, "depth_range_m"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model("depthmasknet8", **arguments)


def test_unknown_model_names_the_known() -> None:
    with pytest.raises(InputError, match="depthmasknet8, masknet3"):
        build_model("unet")


def test_exports_with_open_sizes() -> None:
    """One graph for any batch and size, odd ones included, checked on others than it was traced.

    What ONNX makes of it is for test_onnx_export.py.
    """
    torch.manual_seed(0)
    model = build_model("depthmasknet8").eval()
    axes = {axis: torch.export.Dim.DYNAMIC for axis in (0, 2, 3)}
    exported = torch.export.export(model, pair(2, 64, 96), dynamic_shapes=(axes, axes)).module()
    for size in ((1, 64, 64), (3, 45, 71)):
        images = pair(*size, seed=1)
        with torch.no_grad():
            torch.testing.assert_close(tuple(exported(*images)), tuple(model(*images)))


def test_codec_by_hand() -> None:
    """Between 1 m and 16 m: each doubling is a quarter."""
    depth_m = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    unit = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    torch.testing.assert_close(encode_depth(depth_m, (1, 16)), unit)
    torch.testing.assert_close(decode_depth(unit, (1, 16)), depth_m)


def test_codec_round_trip() -> None:
    depth_m = torch.linspace(*RANGE_M, 1000).view(10, 1, 10, 10)
    unit = encode_depth(depth_m, RANGE_M)
    assert unit.min() == 0 and unit.max() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(decode_depth(unit, RANGE_M), depth_m)
    buffer = build_model("depthmasknet8", depth_range_m=RANGE_M).depth_range_m
    torch.testing.assert_close(decode_depth(unit, buffer), depth_m)


def test_codec_clamps_what_lies_outside() -> None:
    depth_m = torch.tensor([-1.0, 0.0, 0.1, 0.5, 25.0, 1e9, torch.inf])
    assert encode_depth(depth_m, RANGE_M).tolist() == pytest.approx([0, 0, 0, 0, 1, 1, 1])


def test_a_range_from_zero_is_linear() -> None:
    values = torch.tensor([0.0, 0.25, 1.0, 2.0])
    code = encode_depth(values, (0.0, 2.0))
    assert torch.equal(code, torch.tensor([0.0, 0.125, 0.5, 1.0]))
    assert torch.equal(decode_depth(code, torch.tensor([0.0, 2.0])), values)
