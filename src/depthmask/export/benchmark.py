"""How long a prediction takes, on this machine, for images of given sizes."""

import contextlib
import json
import os
import platform
import re
import tempfile
import timeit
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from PIL import Image

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.images import read_rgb
from depthmask.inference.plate_check import check_plate
from depthmask.inference.prediction import (
    PICTURES,
    GivenPlate,
    encode_pictures,
    find,
    locate,
    predict_file,
)
from depthmask.inference.predictor import Predictor


class Latency(NamedTuple):
    """Times of a call with `batch` images of one size, over `num_runs` warm calls."""

    model: str
    device: str
    threads: int | str
    height: int
    width: int
    batch: int
    num_runs: int
    median_ms: float
    p99_ms: float
    images_per_s: float


def measure_latency(
    predictor: Predictor, sizes: Sequence[tuple[int, int]], *, num_runs: int = 20, batch: int = 1
) -> list[Latency]:
    """Time whole predictions of (height, width) px on noise."""
    rng = np.random.default_rng(0)
    threads = predictor.num_threads or "one a core" if predictor.device == "cpu" else ""
    about = predictor.path.as_posix(), predictor.device, threads
    latencies = []
    for height, width in sizes:
        pair = rng.integers(0, 256, (2, batch, height, width, 3), dtype=np.uint8)
        times = _time(partial(predictor.predict_batch, *pair), num_runs, batch)
        latencies.append(Latency(*about, height, width, batch, num_runs, *times))
    return latencies


def measure_eager(
    folder: Path, *, num_runs: int = 20, batch: int = 1, num_threads: int | None = None
) -> Latency:
    """The same of the trained network of a folder in eager PyTorch, float32, on the CPU, on images
    of its training size: the rival of the exported files."""
    import torch

    from depthmask.models.store import load_model

    torch.set_num_threads(threads := num_threads or torch.get_num_threads())
    stored = load_model(folder)
    network = stored.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    bg, bg_fg = torch.rand(2, batch, 3, size := stored.card["size"], size)
    with torch.inference_mode():
        times = _time(partial(network, bg, bg_fg), num_runs, batch)
    return Latency("eager PyTorch", "cpu", threads, size, size, batch, num_runs, *times)


def _time(call: Callable[[], Any], num_runs: int, batch: int) -> tuple[float, float, float]:
    # the first calls of a size pay for its buffers
    times_s = timeit.repeat(call, number=1, repeat=3 + num_runs)[3:]
    median, p99 = (round(float(ms), 3) for ms in 1000 * np.percentile(times_s, [50, 99]))
    return median, p99, round(1000 * batch / median, 2)


def latency_chart(path: Path, rows: Sequence[Latency]) -> None:
    """Write a PNG: a panel a size, a line a model over the batch, a dash the number of threads."""
    import altair as alt
    import pandas as pd

    from depthmask.visualization.theme import LIGHT, SERIES, save_png

    table = pd.DataFrame(rows)
    table["size"] = table.height.astype(str) + " × " + table.width.astype(str)
    colors = alt.Scale(range=[LIGHT[name] for name in SERIES])
    stroke = alt.Legend(title="threads", symbolType="stroke", symbolStrokeColor=LIGHT["ink"])
    base = alt.Chart(table.assign(image_ms=table.median_ms / table.batch)).encode(
        x=alt.X("batch:O", title="images in a call", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("image_ms:Q", title="ms an image"),
        color=alt.Color("model:N", scale=colors),
        strokeDash=alt.StrokeDash("threads:N", legend=stroke),
    )
    lines = base.mark_line() + base.mark_point(filled=True, size=40, opacity=1)
    sizes = alt.Facet("size:N", title=None, sort=list(dict.fromkeys(table["size"])))
    panels = lines.properties(width=260, height=170).facet(sizes, columns=2)
    save_png(panels.resolve_scale(y="independent"), path)


class Part(NamedTuple):
    """Times of a part of what `depthmask predict` does with a picture."""

    height: int
    width: int
    part: str
    median_ms: float
    p99_ms: float


def measure_parts(predictor: Predictor, size: tuple[int, int], *, num_runs: int = 20) -> list[Part]:
    """Time the parts of predicting a JPEG of (height, width) px, and the whole, `from file to
    files`: mask, depth, overlay and summary."""
    height, width = size
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "frame.jpg"), Path(folder, "out")
        # smooth as pictures are: noise would take a decoder twice as long
        dots = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(dots).resize((width, height)).save(path, quality=90)
        plate = GivenPlate("plate", image := read_rgb(path))
        found, unit = find(predictor, plate, image), predictor.depth_unit

        calls: dict[str, Callable[[], Any]] = {
            "decode": lambda: read_rgb(path),
            "run": lambda: predictor.predict(image, image),
            "find the person": lambda: locate(found.mask, found.depth),
            "check the plate": lambda: check_plate(image, image, found.mask),
            "draw and encode": lambda: encode_pictures(image, found, PICTURES, unit),
            "from file to files": lambda: predict_file(predictor, [plate], path, out),
        }
        times_s = [
            timeit.repeat(call, number=1, repeat=3 + num_runs)[3:] for call in calls.values()
        ]
    percentiles = 1000 * np.percentile(times_s, [50, 99], axis=1).T
    return [
        Part(height, width, part, *(round(float(ms), 3) for ms in both))
        for part, both in zip(calls, percentiles, strict=True)
    ]


def describe(rows: Sequence[Latency] | Sequence[Part]) -> str:
    """A table for people."""
    shown = [type(rows[0])._fields, *rows]
    widths = [max(len(str(row[n])) for row in shown) + 3 for n in range(len(shown[0]))]
    return "\n".join("".join(f"{cell:>{widths[n]}}" for n, cell in enumerate(row)) for row in shown)


def write_latency(
    path: Path, predictor: Predictor, latencies: Sequence[Latency], parts: Sequence[Part] = ()
) -> None:
    """Write the figures as JSON, with what they were measured on: they differ by machine."""
    report = {
        "model": predictor.path.as_posix(),
        "experiment": predictor.metadata["experiment"],
        "training_size": predictor.training_size,
        "device": predictor.device,
        "provider": predictor.providers[0],
        "onnxruntime": onnxruntime.__version__,
        "machine": processor_name(),
        "num_cores": os.cpu_count(),
        "sizes": [latency._asdict() for latency in latencies],
        "parts": [part._asdict() for part in parts],
    }
    with replaced_file(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def processor_name() -> str:
    """As the system calls it; `platform.processor` is empty on most Linux systems."""
    names = []
    with contextlib.suppress(OSError):
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    return names[0].strip() if names else platform.processor() or platform.machine()
