"""How long a prediction takes, on this machine, for images of given sizes."""

import contextlib
import json
import os
import platform
import re
import timeit
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime

from depthmask.data.scenes.files import replaced_file
from depthmask.inference.predictor import Predictor


class Latency(NamedTuple):
    """Times of a call with `batch` images of one size, over `num_runs` warm calls."""

    height: int
    width: int
    batch: int
    num_runs: int
    median_ms: float
    p95_ms: float
    images_per_s: float


def measure_latency(
    predictor: Predictor, sizes: Sequence[tuple[int, int]], *, num_runs: int = 20, batch: int = 1
) -> list[Latency]:
    """Time whole predictions of (height, width) px on noise."""
    rng = np.random.default_rng(0)
    latencies = []
    for height, width in sizes:
        pair = rng.integers(0, 256, (2, batch, height, width, 3), dtype=np.uint8)
        call = partial(predictor.predict_batch, *pair)
        # the first calls of a size pay for its buffers
        times_s = timeit.repeat(call, number=1, repeat=3 + num_runs)[3:]
        median, p95 = (round(float(ms), 3) for ms in 1000 * np.percentile(times_s, [50, 95]))
        per_s = round(1000 * batch / median, 2)
        latencies.append(Latency(height, width, batch, num_runs, median, p95, per_s))
    return latencies


def describe(latencies: Sequence[Latency]) -> str:
    """A table for people."""
    rows = [Latency._fields, *latencies]
    return "\n".join("".join(f"{value:>14}" for value in row) for row in rows)


def write_latency(path: Path, predictor: Predictor, latencies: Sequence[Latency]) -> None:
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
    }
    with replaced_file(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def processor_name() -> str:
    """As the system calls it; `platform.processor` is empty on most Linux systems."""
    names = []
    with contextlib.suppress(OSError):
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    return names[0].strip() if names else platform.processor() or platform.machine()
