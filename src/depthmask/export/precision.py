"""The exported file with a network of fewer bits: 8 for CPUs, float16 for GPUs."""

import itertools
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from depthmask.data.composition.eval_sets import EvalSets, to_pixels
from depthmask.data.scenes.files import replaced_file
from depthmask.export.onnx_export import measure_figures, save
from depthmask.inference.predictor import INPUTS
from depthmask.metrics import SceneMetrics
from depthmask.models.store import StoredModel

_NUM_CALIBRATED = 64  # 32 and 128 scenes gave the same figures to 0.002
_HEAD_CHANNELS = 4  # a convolution to or from so few is a head or sees the picture itself
_OPERATORS = ["Conv", "Relu", "MaxPool", "Add", "Concat"]  # that have 8 bits


class _Pairs(CalibrationDataReader):
    def __init__(self, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        self.pairs = iter(pairs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        pair = next(self.pairs, None)
        return None if pair is None else dict(zip(INPUTS, pair, strict=True))


def to_int8(path_in: Path, path_out: Path, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
    """Write an exported file's network with 8 bits (QDQ, weights by channel, activations by their
    range on pairs of bg and bg_fg, uint8 N x H x W x 3); its heads and the rest stay float32."""
    proto = onnx.load(path_in)
    shapes = {weights.name: weights.dims for weights in proto.graph.initializer}
    network = {
        node.name
        for node in _network(proto)
        if node.op_type != "Conv" or min(shapes[node.input[1]][:2]) >= _HEAD_CHANNELS
    }
    logging.disable(logging.WARNING)  # it asks for a preparation that gains nothing here
    try:
        with replaced_file(path_out) as temporary:
            quantize_static(
                path_in,
                temporary,
                _Pairs(pairs),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                # 7 bits of the weights: of 8, processors without VNNI cut large sums off
                reduce_range=True,
                op_types_to_quantize=_OPERATORS,
                nodes_to_quantize=sorted(network),
            )
            quantized = onnx.load(temporary)
            del quantized.metadata_props[:]  # the library adds its own
            quantized.metadata_props.extend(proto.metadata_props)
            quantized.metadata_props.add(key="precision", value="int8")
            temporary.write_bytes(quantized.SerializeToString(deterministic=True))
    finally:
        logging.disable(logging.NOTSET)


def to_float16(path_in: Path, path_out: Path) -> None:
    """Write an exported file's network in float16; what comes before and after it, inputs and
    outputs stay as they are. ValueError if a weight is too large."""
    # onnxruntime's own function puts casts between all nodes that are to stay as they are: 1313
    proto = onnx.load(path_in)
    values = onnx.shape_inference.infer_shapes(proto).graph.value_info
    floats = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    weights = {each.name: each for each in proto.graph.initializer}
    network = _network(proto)
    inside = {node.name for node in network}
    others = (node for node in proto.graph.node if node.name not in inside)
    needed = {value for node in others for value in node.input}
    nodes, known = [], set[str]()
    for node in proto.graph.node:
        nodes.append(node)
        if node.name not in inside:
            continue
        for place, value in enumerate(node.input):
            half = f"{value}.float16"
            if value in floats:
                if half not in known:
                    cast = helper.make_node("Cast", [value], [half], half, to=TensorProto.FLOAT16)
                    nodes.insert(-1, cast)
            elif node.op_type == "Conv":
                array = numpy_helper.to_array(weights[value])
                if not np.abs(array).max() <= np.finfo(np.float16).max:
                    raise ValueError(f"{value} does not fit float16")
                if half not in known:
                    weights[value].CopyFrom(numpy_helper.from_array(array.astype(np.float16), half))
            else:  # sizes
                continue
            known.add(half)
            node.input[place] = half
        for place, value in enumerate(node.output):
            if value in floats:
                node.output[place] = half = f"{value}.float16"
                known.add(half)
                if value in needed:
                    cast = helper.make_node("Cast", [half], [value], value, to=TensorProto.FLOAT)
                    nodes.append(cast)
    proto.graph.ClearField("node")
    proto.graph.node.extend(nodes)
    metadata = {item.key: item.value for item in proto.metadata_props}
    save(proto, path_out, metadata | {"precision": "float16"})


def _network(proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The convolutions and all between them; the nodes of a file are sorted."""
    nodes = proto.graph.node
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    after = {value for node in convolutions for value in node.output}
    before = {value for node in convolutions for value in node.input}
    for node in nodes:
        if after.intersection(node.input):
            after.update(node.output)
    for node in reversed(nodes):
        if before.intersection(node.output):
            before.update(node.input)
    return [
        node
        for node in nodes
        if node.op_type == "Conv" or after.intersection(node.input) and before & {*node.output}
    ]


def export_precisions(
    path: Path,
    stored: StoredModel,
    sets: EvalSets,
    figures: Mapping[str, Any],
    most_lost: float,
) -> dict[str, dict[str, Any]]:
    """Write `STEM_int8.onnx`, its ranges from validation scenes, and `STEM_float16.onnx` beside the
    exported file of a network. By `int8` and `float16`: the figures on the headline set, what they
    `lost` of the file's `figures`, and whether the file `is_kept`: not one that loses more than
    `most_lost` of the mask IoU or of the person's δ1."""
    pairs = (
        (to_pixels(bg[None]), to_pixels(bg_fg[None]))
        for scene in sets.scenes("val")
        for bg, bg_fg in zip(scene.bg, scene.bg_fg, strict=True)
    )
    smaller = {name: path.with_name(f"{path.stem}_{name}.onnx") for name in ("int8", "float16")}
    to_int8(path, smaller["int8"], itertools.islice(pairs, _NUM_CALIBRATED))
    to_float16(path, smaller["float16"])
    report = {}
    for name, file in smaller.items():
        found = measure_figures(file, sets) if name == "int8" else _measure_float16(stored, sets)
        lost = {key: figures[key] - found[key] for key in ("mask_iou", "person_delta1")}
        report[name] = {"is_kept": max(lost.values()) <= most_lost, "lost": lost, **found}
        if not report[name]["is_kept"]:
            file.unlink()
    return report


def _measure_float16(stored: StoredModel, sets: EvalSets) -> dict[str, float]:
    """The network's mean figures on the headline set in float16, by PyTorch: onnxruntime has such
    convolutions on GPUs alone, and on a CPU would compute them in float32."""
    metrics = SceneMetrics(sets.alignment)
    for scene in sets.scenes(sets.headline):
        with torch.autocast("cpu", torch.float16):
            answer = stored.predict(scene)
        metrics.update(*answer, scene.mask, scene.depth)
    return metrics.compute()
