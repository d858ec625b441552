"""From a trained network to one self-contained ONNX file."""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import depthmask
from depthmask.data.scenes.files import replaced_file
from depthmask.export.wrapper import ExportWrapper
from depthmask.inference.predictor import FORMAT, INPUTS, METADATA, OUTPUTS

IR_VERSION = 10  # what onnxruntime 1.18 and later read


def export_onnx(
    model: nn.Module,
    path: Path,
    *,
    input_size: int,
    metadata: Mapping[str, str],
    opset: int = 18,
) -> ExportWrapper:
    """Write the model as one ONNX file whose bytes depend on nothing but the arguments.

    Args:
        input_size: px, the side that the model was trained at.
        metadata: `experiment`, `data_hash`, `depth_unit`, and whatever else should travel along.
        opset: of ONNX, 18 or later.

    Returns:
        What was exported, for `check_parity`.

    Raises:
        ValueError: the model has no depth head, or metadata is missing.
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
    _strip(proto)
    proto.ir_version = IR_VERSION
    proto.producer_name, proto.producer_version = "depthmask", depthmask.__version__
    _save(proto, path, metadata)
    return wrapper


def to_float16(path_in: Path, path_out: Path) -> None:
    """Halve an exported file: weights stored as float16, widened to float32 when it is loaded.

    Inputs, outputs and arithmetic stay as they are, so it runs wherever the original does.

    Raises:
        ValueError: a weight is too large for float16.
    """
    proto = onnx.load(path_in)
    graph = proto.graph
    casts = []
    for weights in [item for item in graph.initializer if item.data_type == TensorProto.FLOAT]:
        values = numpy_helper.to_array(weights)
        if values.size == 1:
            continue  # a constant such as 255 or near: nothing to gain, precision to lose
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if not np.isfinite(halves).all():
            raise ValueError(f"{weights.name} does not fit float16")
        name = weights.name
        weights.CopyFrom(numpy_helper.from_array(halves, f"{name}.float16"))
        casts.append(
            helper.make_node("Cast", [weights.name], [name], f"{name}.cast", to=TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    metadata = {item.key: item.value for item in proto.metadata_props}
    _save(proto, path_out, metadata | {"weights": "float16"})


def _strip(proto: onnx.ModelProto) -> None:
    """Remove what depends on where and how it was traced: stack traces hold absolute paths."""
    graph = proto.graph
    for item in (proto, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    # Inferred shapes: onnxruntime infers them anew, and they name symbols of the tracer.
    del graph.value_info[:]


def _save(proto: onnx.ModelProto, path: Path, metadata: Mapping[str, str]) -> None:
    helper.set_model_props(proto, dict(sorted(metadata.items())))
    onnx.checker.check_model(proto, full_check=True)
    with replaced_file(path) as temporary:
        temporary.write_bytes(proto.SerializeToString(deterministic=True))
