"""From a trained network to one self-contained ONNX file, and the proof that they agree."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

import depthmask
from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.scene import Scene
from depthmask.export.wrapper import Deployable
from depthmask.inference.predictor import FORMAT, INPUTS, METADATA, OUTPUTS, Predictor

IR_VERSION = 10  # what onnxruntime 1.18 and later read

_CHANGES = (
    "swapping the inputs",
    "giving the plate for the frame",
    "giving the frame for the plate",
)
_SCENES_AT_ONCE = 4  # keeps large sizes within memory


class ParityError(RuntimeError):
    """The exported file and the network disagree, or an input does not matter."""


def export_onnx(
    model: nn.Module,
    path: Path,
    *,
    input_size: int,
    metadata: Mapping[str, str],
    opset: int = 18,
) -> Deployable:
    """Write the model as one ONNX file whose bytes depend on nothing but the arguments.

    Args:
        model: a `depthmask.models` network with a depth head.
        path: of the file to write.
        input_size: px, the side that the model was trained at.
        metadata: `experiment`, `git_commit`, `data_hash` and `depth_unit`, and whatever else
            should travel along; `training_size` and the format are added here.
        opset: of ONNX, 18 or later.

    Returns:
        What was exported, for `check_parity`.

    Raises:
        ValueError: the model has no depth head, or metadata is missing.
    """
    deployable = Deployable(model, input_size)
    metadata = {
        "depthmask_format": FORMAT,
        "training_size": str(input_size),
        **metadata,
    }
    missing = [key for key in METADATA if key not in metadata]
    if missing:
        raise ValueError(f"metadata lacks {', '.join(missing)}")
    # Two tensors of their own: one for both inputs would wire one input to both, silently.
    generator = torch.Generator().manual_seed(0)
    shape = (2, input_size + 18, input_size + 35, 3)
    bg, bg_fg = (torch.randint(256, shape, dtype=torch.uint8, generator=generator) for _ in INPUTS)
    sizes = {axis: torch.export.Dim(name) for axis, name in enumerate(("n", "h", "w"))}
    with _quiet_exporter():
        program = torch.onnx.export(
            deployable,
            (bg, bg_fg),
            dynamo=True,
            opset_version=opset,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=(sizes, sizes),
            external_data=False,
            verbose=False,
        )
    proto = program.model_proto
    _strip(proto)
    proto.ir_version = IR_VERSION
    proto.producer_name, proto.producer_version = "depthmask", depthmask.__version__
    helper.set_model_props(proto, dict(sorted(metadata.items())))
    _save(proto, path)
    return deployable


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
        if values.ndim == 0 or values.size == 1:
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
    properties = {item.key: item.value for item in proto.metadata_props}
    helper.set_model_props(proto, dict(sorted({**properties, "weights": "float16"}.items())))
    _save(proto, path_out)


def check_parity(
    path: Path,
    deployable: Deployable,
    scenes: Sequence[Scene[np.ndarray]],
    sizes: Sequence[tuple[int, int]],
    *,
    tolerance: float = 1e-3,
) -> dict[str, Any]:
    """Compare the file, through onnxruntime on the CPU, with the network.

    Also that both inputs matter and are told apart: an empty room in place of the frame, the
    frame in place of the room, and both swapped must each change the answer.

    Args:
        path: of the ONNX file.
        deployable: what was exported.
        scenes: held out; bg and bg_fg are uint8 H x W x 3, one size.
        sizes: (height, width) to resize the scenes to.
        tolerance: largest absolute difference, in the mask and, in metres, in the depth.

    Returns:
        `tolerance`, `num_scenes`, and under `differences` the largest difference for each size
        ("96x160", height first) and output.

    Raises:
        ValueError: there is no scene to compare on.
        ParityError: naming the output, the size and the largest difference.
    """
    if not scenes:
        raise ValueError("parity needs at least one held-out scene")
    predictor = Predictor(path, device="cpu")
    differences = {}
    for height, width in sizes:
        size = f"{height}x{width}"
        largest = dict.fromkeys(OUTPUTS, 0.0)
        effects = dict.fromkeys(_CHANGES, 0.0)
        for start in range(0, len(scenes), _SCENES_AT_ONCE):
            batch = scenes[start : start + _SCENES_AT_ONCE]
            bg = np.stack([_resized(scene.bg, height, width) for scene in batch])
            bg_fg = np.stack([_resized(scene.bg_fg, height, width) for scene in batch])
            result = predictor.predict_batch(bg, bg_fg)
            with torch.inference_mode():
                expected = deployable(torch.from_numpy(bg), torch.from_numpy(bg_fg))
            for name, found, true in zip(OUTPUTS, result, expected, strict=True):
                # np.maximum, unlike max, keeps a NaN.
                largest[name] = float(np.maximum(largest[name], _distance(found, true.numpy())))
            for change, pair in zip(_CHANGES, ((bg_fg, bg), (bg, bg), (bg_fg, bg_fg)), strict=True):
                changed = predictor.predict_batch(*pair)
                # Either output: the mask of a hardly trained network may be flat.
                for one, other in zip(changed, result, strict=True):
                    effects[change] = max(effects[change], _distance(one, other))
        for name, difference in largest.items():
            if not difference <= tolerance:  # so that a NaN is refused as well
                raise ParityError(
                    f"{path.name}: {name} at {size} px differs from torch by {difference:.3g},"
                    f" more than {tolerance:g}"
                )
        for change, effect in effects.items():
            if effect <= tolerance:
                raise ParityError(
                    f"{path.name}: {change} at {size} px changes the answer by only {effect:.3g}:"
                    " an input is not wired up, or the network ignores it"
                )
        differences[size] = largest
    return {"tolerance": tolerance, "num_scenes": len(scenes), "differences": differences}


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max())


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _strip(proto: onnx.ModelProto) -> None:
    """Remove what depends on where and how it was traced: stack traces hold absolute paths."""
    proto.doc_string = ""
    graph = proto.graph
    graph.doc_string = ""
    for item in (proto, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        item.ClearField("metadata_props")
    for node in graph.node:
        node.doc_string = ""
    # Inferred shapes: onnxruntime infers them anew, and they name symbols of the tracer.
    del graph.value_info[:]


def _save(proto: onnx.ModelProto, path: Path) -> None:
    onnx.checker.check_model(proto, full_check=True)
    with replaced_file(path) as temporary:
        temporary.write_bytes(proto.SerializeToString(deterministic=True))


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter warns of a library that we do not use and of names that we chose."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
