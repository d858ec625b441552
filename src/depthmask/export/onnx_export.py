"""From a trained network, with its resizing and decoding, to one self-contained ONNX file."""

import copy
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import depthmask
from depthmask.data.scenes.files import replaced_file
from depthmask.inference.predictor import FORMAT, INPUTS, METADATA, OUTPUTS
from depthmask.models.networks import decode_depth


class ExportWrapper(nn.Module):
    """A network with its resizing and decoding: a copy, on the CPU, in float32, for evaluation.

    In: bg and bg_fg, uint8, N x H x W x 3, RGB, any H and W.
    Out: mask, float32, N x H x W, 0 to 1; depth, float32, N x H x W, metres.
    The network sees S x S; what shrinks is low-pass filtered, what grows is interpolated.
    """

    def __init__(self, model: nn.Module, input_size: int) -> None:
        """Wrap a network trained at S = `input_size` px; ValueError without a depth head."""
        super().__init__()
        if not model.has_depth:
            raise ValueError(f"{type(model).__name__} has no depth head: export a depthmasknet8")
        self.model = copy.deepcopy(model).cpu().float()
        self.input_size = input_size
        self.eval()

    def forward(self, bg: Tensor, bg_fg: Tensor) -> tuple[Tensor, Tensor]:
        height, width = bg.shape[1:3]
        prediction = self.model(self._shrink(bg), self._shrink(bg_fg))
        logits = torch.cat((prediction.mask_logits, prediction.depth_logits), dim=1)
        rows = resampling_matrix(self.input_size, height)
        columns = resampling_matrix(self.input_size, width)
        unit = torch.sigmoid(rows @ (logits @ columns.T))
        return unit[:, 0], decode_depth(unit[:, 1], self.model.get_buffer("depth_range_m"))

    def _shrink(self, image: Tensor) -> Tensor:
        """uint8 N x H x W x 3, 0 to 255, to float32 N x 3 x S x S, 0 to 1."""
        num, height, width, channels = image.shape
        size = self.input_size
        # Rows first, as one large product over the pixels as they lie in memory.
        rows = resampling_matrix(height, size) / 255 @ image.float().reshape(num, height, -1)
        rows = rows.reshape(num, size, width, channels).permute(0, 3, 1, 2)
        return rows @ resampling_matrix(width, size).T


def resampling_matrix(num_in: int, num_out: int) -> Tensor:
    """The weights of bilinear resizing with antialiasing: float32, num_out x num_in.

    Multiplying by it equals `interpolate(mode="bilinear", antialias=True)`: a triangle around
    each output's centre, as wide as the larger of the two pitches, normalised. As a product it
    gives the same numbers in torch and in every provider of onnxruntime; the operator Resize
    with antialias was wrong in the CUDA provider (onnxruntime issue 25264) and is missing in
    TensorRT. Counting in units of 1 / (2 num_in num_out) of the side keeps distances exact.
    """
    centres_out = (2 * torch.arange(num_out).unsqueeze(1) + 1) * num_in
    centres_in = (2 * torch.arange(num_in).unsqueeze(0) + 1) * num_out
    pitch = 2 * torch.sym_max(num_in, num_out)
    weights = (1 - (centres_in - centres_out).abs().float() / pitch).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


def export_onnx(
    model: nn.Module, path: Path, *, input_size: int, metadata: Mapping[str, str], opset: int = 18
) -> ExportWrapper:
    """Write the model as one ONNX file whose bytes depend on nothing but the arguments.

    input_size: px, the side that the model was trained at; metadata: `experiment`, `data_hash`,
    `depth_unit`, and whatever else should travel along, ValueError if one is missing.
    Returns what was exported, for `check_parity`.
    """
    wrapper = ExportWrapper(model, input_size)
    metadata = {"depthmask_format": FORMAT, "training_size": str(input_size), **metadata}
    if missing := [key for key in METADATA if key not in metadata]:
        raise ValueError(f"metadata lacks {', '.join(missing)}")
    # Two tensors of their own: one for both inputs would wire one input to both, silently.
    generator = torch.Generator().manual_seed(0)
    shape = (2, input_size + 18, input_size + 35, 3)
    bg, bg_fg = (torch.randint(256, shape, dtype=torch.uint8, generator=generator) for _ in INPUTS)
    sizes = {axis: torch.export.Dim(name) for axis, name in enumerate(("n", "h", "w"))}
    # The exporter warns of a library that we do not use and of names that we chose.
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
    _save(proto, path, metadata)
    return wrapper


def to_float16(path_in: Path, path_out: Path) -> None:
    """Halve an exported file: weights stored as float16, widened to float32 when it is loaded.

    Inputs, outputs and arithmetic stay as they are, so it runs wherever the original does.
    Raises ValueError if a weight is too large for float16.
    """
    proto = onnx.load(path_in)
    casts = []
    for weights in proto.graph.initializer:
        values, name = numpy_helper.to_array(weights), weights.name
        if weights.data_type != TensorProto.FLOAT or values.size == 1:
            continue  # of a constant such as 255 or near: nothing to gain, precision to lose
        if not np.abs(values).max() <= np.finfo(np.float16).max:
            raise ValueError(f"{name} does not fit float16")
        weights.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.float16"))
        casts.append(
            helper.make_node("Cast", [weights.name], [name], f"{name}.cast", to=TensorProto.FLOAT)
        )
    nodes = [*casts, *proto.graph.node]
    proto.graph.ClearField("node")
    proto.graph.node.extend(nodes)
    metadata = {item.key: item.value for item in proto.metadata_props}
    _save(proto, path_out, metadata | {"weights": "float16"})


def _save(proto: onnx.ModelProto, path: Path, metadata: Mapping[str, str]) -> None:
    helper.set_model_props(proto, dict(sorted(metadata.items())))
    onnx.checker.check_model(proto, full_check=True)
    with replaced_file(path) as temporary:
        temporary.write_bytes(proto.SerializeToString(deterministic=True))
