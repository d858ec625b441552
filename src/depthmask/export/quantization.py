"""The exported file with a network of 8 bits, which CPUs take faster than floats."""

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from depthmask.data.composition.eval_sets import EvalSets, to_pixels
from depthmask.data.scenes.files import replaced_file
from depthmask.export.onnx_export import measure_figures
from depthmask.inference.predictor import INPUTS

_NUM_CALIBRATED = 64  # 32 and 128 scenes gave the same figures to 0.002
_HEAD_CHANNELS = 4  # a convolution to or from so few is a head or sees the picture itself
_OPERATORS = ["Conv", "Relu", "MaxPool", "Add", "Concat"]


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
    convolutions = [node for node in proto.graph.node if node.op_type == "Conv"]
    kept = [n.name for n in convolutions if min(shapes[n.input[1]][:2]) < _HEAD_CHANNELS]
    network = _reached(convolutions, proto.graph.node, forward=True)
    network &= _reached(convolutions, proto.graph.node, forward=False)
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
                nodes_to_quantize=sorted(network - set(kept)),
            )
            quantized = onnx.load(temporary)
            del quantized.metadata_props[:]  # the library adds its own
            quantized.metadata_props.extend(proto.metadata_props)
            temporary.write_bytes(quantized.SerializeToString(deterministic=True))
    finally:
        logging.disable(logging.NOTSET)


def _reached(
    start: Iterable[onnx.NodeProto], nodes: Sequence[onnx.NodeProto], *, forward: bool
) -> set[str]:
    """The names of `start` and of all nodes that values flow to, or from, it; nodes are sorted."""
    names = {node.name for node in start}
    values = {value for node in start for value in (node.output if forward else node.input)}
    for node in nodes if forward else reversed(nodes):
        near, far = (node.input, node.output) if forward else (node.output, node.input)
        if values.intersection(near):
            names.add(node.name)
            values.update(far)
    return names


def export_int8(
    path: Path, sets: EvalSets, figures: Mapping[str, Any], most_lost: float
) -> dict[str, Any] | None:
    """Write `STEM_int8.onnx` beside an exported file, its ranges from validation scenes, and return
    its figures on the headline set and what they lose of the file's `figures`; no file, and None,
    if that is more than `most_lost` of the mask IoU or of the person's δ1."""
    pairs = (
        (to_pixels(bg[None]), to_pixels(bg_fg[None]))
        for scene in sets.scenes("val")
        for bg, bg_fg in zip(scene.bg, scene.bg_fg, strict=True)
    )
    quantized = path.with_name(f"{path.stem}_int8.onnx")
    to_int8(path, quantized, itertools.islice(pairs, _NUM_CALIBRATED))
    found = measure_figures(quantized, sets)
    lost = {name: figures[name] - found[name] for name in ("mask_iou", "person_delta1")}
    if not max(lost.values()) <= most_lost:
        quantized.unlink()
        return None
    return {"lost": lost, **found}
