"""From a trained network, with its resizing and decoding, to one self-contained ONNX file, and the
proof that it equals the network: answers and figures."""

import copy
import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper
from PIL import Image
from torch import Tensor, nn

import depthmask
from depthmask.config import RefineParams
from depthmask.data.composition.eval_sets import EvalSets, to_pixels
from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.scene import REFERENCE_FOCAL, spread
from depthmask.export.refinement import guidance, refined
from depthmask.inference.predictor import FORMAT, INPUTS, METADATA, OUTPUTS, Predictor
from depthmask.metrics import SceneMetrics, largest_difference
from depthmask.models.depth_codec import decode_depth

_BLOCKS = 16  # of rows; 9 and 24 are as fast


class ParityError(RuntimeError):
    """The exported file and the network disagree, or an input does not matter."""


class ExportWrapper(nn.Module):
    """A copy of a network trained at S x S px, on the CPU, in float32, with resizing and decoding.

    In: bg and bg_fg, uint8, N x H x W x 3, RGB, any H and W.
    Out: mask, float32, N x H x W, 0 to 1; depth, float32, N x H x W, metres.
    What shrinks is low-pass filtered, what grows is interpolated and, with `refine`, given the
    edges of the frame. ValueError without a depth head.
    """

    def __init__(self, model: nn.Module, input_size: int, refine: RefineParams | None) -> None:
        super().__init__()
        if not model.has_depth:
            raise ValueError(f"{type(model).__name__} has no depth head: export a depthmasknet8")
        self.model = copy.deepcopy(model).cpu().float()
        self.input_size = input_size
        self.refine = refine
        # as numbers: a buffer would have every pixel decoded twice, with and without ratios
        self.range_m = tuple(model.get_buffer("depth_range_m").tolist())
        self.eval()

    def forward(self, bg: Tensor, bg_fg: Tensor) -> tuple[Tensor, Tensor]:
        height, width = bg.shape[1:3]
        columns = resampling_weights(self.input_size, width).T

        def enlarge(planes: Tensor) -> Tensor:
            return resample(planes @ columns, height)

        small = self._shrink(bg), self._shrink(bg_fg)
        logits = self.model(*small)
        if self.refine is None:
            mask, unit = enlarge(torch.cat(logits, 1)).sigmoid().unbind(1)
        else:
            guide = guidance(bg.float(), bg_fg.float(), 3)
            small_guide = guidance(*small, 1).unsqueeze(1)
            mask, unit = refined(logits, small_guide, guide, enlarge, self.refine)
        return mask, decode_depth(unit, self.range_m)

    def _shrink(self, image: Tensor) -> Tensor:
        """N x H x W x 3, 0 to 255, to N x 3 x S x S, 0 to 1."""
        num, height, width, channels = image.shape
        size = self.input_size
        # rows first, over the pixels as they lie in memory
        rows = resample(image.reshape(num, height, -1), size)
        rows = rows.reshape(num, size, width, channels).permute(0, 3, 1, 2)
        return rows @ (resampling_weights(width, size).T / 255)


def resampling_weights(
    num_in: int, num_out: int, place_in: Tensor | None = None, place_out: Tensor | None = None
) -> Tensor:
    """The weights of `interpolate(mode="bilinear", antialias=True)`: float32, num_out x num_in, or
    those between some places of both, ... x 1 x K and ... x M x 1, 0 of a place that is none."""
    # the operator Resize with antialias was wrong in onnxruntime's CUDA provider (issue 25264);
    # distances in 1 / (2 num_in num_out) of the side are exact
    place_in = torch.arange(num_in).unsqueeze(0) if place_in is None else place_in
    place_out = torch.arange(num_out).unsqueeze(1) if place_out is None else place_out
    apart = (2 * place_in + 1) * num_out - (2 * place_out + 1) * num_in
    weights = (1 - apart.abs().float() / (2 * torch.sym_max(num_in, num_out))).clamp(min=0)
    weights = weights * ((place_in >= 0) & (place_in < num_in))
    return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-6)


def resample(image: Tensor, num_out: int) -> Tensor:
    """The rows, ... x num_in x C, as `num_out` rows, float32, by `resampling_weights`.

    A row is made of its neighbours alone, so that one product by all weights would multiply by
    zero most of the time: each block of rows is a product over the few that it needs.
    """
    num_in = image.shape[-2]
    num_rows = (num_out + _BLOCKS - 1) // _BLOCKS
    reach = 2 * torch.sym_max(num_in, num_out)
    num_needed = ((num_rows - 1) * num_in + reach) // num_out + 2
    start = num_rows * torch.arange(_BLOCKS).view(-1, 1, 1)
    first = ((2 * start + 1) * num_in - num_out - reach) // (2 * num_out)
    needed, rows = first + torch.arange(num_needed), start + torch.arange(num_rows).unsqueeze(1)
    weights = resampling_weights(num_in, num_out, needed, rows)
    # gathered before they become floats: a quarter of the bytes
    parts = image.index_select(-2, needed.clamp(0, num_in - 1).flatten())
    blocks = weights @ parts.unflatten(-2, (_BLOCKS, num_needed)).float()
    # the last block may have rows too many
    return blocks.flatten(-3, -2).index_select(-2, torch.arange(num_out))


def export_onnx(
    model: nn.Module,
    path: Path,
    *,
    input_size: int,
    metadata: Mapping[str, str],
    opset: int = 18,
    refine: RefineParams | None = None,
) -> ExportWrapper:
    """Write the model, trained at `input_size` px, as one ONNX file whose bytes depend on nothing
    but the arguments; returns what was exported. ValueError if some of `METADATA` is missing."""
    wrapper = ExportWrapper(model, input_size, refine)
    own = {"depthmask_format": FORMAT, "training_size": str(input_size)}
    metadata = {**own, "reference_focal": str(REFERENCE_FOCAL), **metadata}
    if missing := [key for key in METADATA if key not in metadata]:
        raise ValueError(f"metadata lacks {', '.join(missing)}")
    # two tensors of their own: one for both inputs would wire one input to both, silently
    generator = torch.Generator().manual_seed(0)
    shape = (2, input_size + 18, input_size + 35, 3)
    bg, bg_fg = (torch.randint(256, shape, dtype=torch.uint8, generator=generator) for _ in INPUTS)
    sizes = {axis: torch.export.Dim(name) for axis, name in enumerate(("n", "h", "w"))}
    # the exporter warns of a library that we do not use and of names that we chose
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            wrapper,
            (bg, bg_fg),
            dynamo=True,
            opset_version=opset,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=(sizes, sizes),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    graph = proto.graph
    for item in (proto, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        item.ClearField("metadata_props")  # they hold the paths of where it was traced
        item.ClearField("doc_string")
    graph.ClearField("value_info")  # inferred shapes name symbols of the tracer
    proto.ir_version = 10  # what onnxruntime 1.18 and later read
    proto.producer_name, proto.producer_version = "depthmask", depthmask.__version__
    save(proto, path, metadata)
    return wrapper


def save(proto: onnx.ModelProto, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a checked file whose bytes depend on nothing else."""
    helper.set_model_props(proto, dict(sorted(metadata.items())))
    onnx.checker.check_model(proto, full_check=True)
    with replaced_file(path) as temporary:
        temporary.write_bytes(proto.SerializeToString(deterministic=True))


def held_out_pairs(sets: EvalSets) -> tuple[np.ndarray, np.ndarray]:
    """bg and bg_fg, uint8 N x H x W x 3, of a few scenes of the hardest test set."""
    scene = next(sets.scenes(sets.headline))
    rows = spread(len(scene.mask), 4)
    return to_pixels(scene.bg[rows]), to_pixels(scene.bg_fg[rows])


def check_parity(
    path: Path,
    wrapper: ExportWrapper,
    pairs: tuple[np.ndarray, np.ndarray],
    sizes: Sequence[tuple[int, int]],
    *,
    tolerance: float = 1e-3,
) -> dict[str, Any]:
    """The largest `differences`, by size ("96x160") and output, of the file on the CPU and the
    network on pairs resized to (height, width) px; ParityError, also if an input is ignored."""
    predictor = Predictor(path, device="cpu")
    differences = {}
    for height, width in sizes:
        size = f"{height}x{width}"
        bg, bg_fg = (_resize(images, (width, height)) for images in pairs)
        found = np.stack(predictor.predict_batch(bg, bg_fg))
        with torch.inference_mode():
            true = torch.stack(wrapper(torch.from_numpy(bg), torch.from_numpy(bg_fg))).numpy()
        largest = np.abs(found - true).max(axis=(1, 2, 3)).tolist()
        differences[size] = dict(zip(OUTPUTS, largest, strict=True))
        for name, difference in differences[size].items():
            if not difference <= tolerance:  # so that a NaN is refused as well
                apart = f"{path.name}: {name} at {size} px differs from torch by {difference:.3g}"
                raise ParityError(f"{apart}, more than {tolerance:g}")
        for change, pair in (
            ("swapping the inputs", (bg_fg, bg)),
            ("giving the plate for the frame", (bg, bg)),
            ("giving the frame for the plate", (bg_fg, bg_fg)),
        ):
            # either output: the mask of a hardly trained network may be flat
            effect = np.abs(np.stack(predictor.predict_batch(*pair)) - found).max()
            if effect <= tolerance:
                little = f"{change} at {size} px changes the answer by only {effect:.3g}"
                cause = "an input is not wired up, or the network ignores it"
                raise ParityError(f"{path.name}: {little}: {cause}")
    return {"tolerance": tolerance, "num_scenes": len(pairs[0]), "differences": differences}


def measure_figures(path: Path, sets: EvalSets) -> dict[str, float]:
    """The file's mean figures on the headline set, on the CPU."""
    predictor = Predictor(path, device="cpu")
    metrics = SceneMetrics(sets.alignment)
    for scene in sets.scenes(sets.headline):
        answer = predictor.predict_batch(to_pixels(scene.bg), to_pixels(scene.bg_fg))
        mask, depth = (torch.from_numpy(plane)[:, None] for plane in answer)
        if scene.focal is not None:
            depth = depth * (scene.focal.cpu() / predictor.reference_focal)
        metrics.update(mask, depth, scene.mask, scene.depth)
    return metrics.compute()


def check_figures(
    path: Path, sets: EvalSets, expected: Mapping[str, float | None], tolerance: float
) -> dict[str, Any]:
    """Compare the file's figures with those of `metrics.json`: `set`, `largest_difference` and the
    figures; raises ParityError."""
    found = measure_figures(path, sets)
    name, apart = largest_difference(found, expected)
    if apart > tolerance:
        both = f"{found.get(name, math.nan):.6g} of the file and {expected[name]} of the network"
        raise ParityError(f"{name} is {both}, more than {tolerance:g} apart")
    return {"set": sets.headline, "largest_difference": apart, **found}


def _resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    bilinear = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(each).resize(size, bilinear)) for each in images])
