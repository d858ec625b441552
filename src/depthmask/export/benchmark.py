"""How long a prediction takes, on this machine, for images of given sizes."""

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd

from depthmask.data.scenes.files import replaced_file
from depthmask.inference.predictor import Predictor


@dataclass(frozen=True)
class Latency:
    """Of whole predictions: uint8 arrays in, mask and depth out, resizing included."""

    height: int  # px
    width: int
    batch: int  # images in one call
    num_runs: int  # timed calls, after the warm-up
    median_ms: float  # of one call
    p95_ms: float
    images_per_s: float


def measure_latency(
    predictor: Predictor,
    sizes: Sequence[tuple[int, int]],
    *,
    num_runs: int = 20,
    num_warmup: int = 3,
    batch: int = 1,
) -> list[Latency]:
    """Time predictions on noise of (height, width) px: the time does not depend on the contents.

    The warm-up's calls are not timed: the first of a size pays for its buffers.
    """
    rng = np.random.default_rng(0)
    latencies = []
    for height, width in sizes:
        bg, bg_fg = rng.integers(0, 256, (2, batch, height, width, 3), dtype=np.uint8)
        times_ms = []
        for _ in range(num_warmup + num_runs):
            start = time.perf_counter()
            predictor.predict_batch(bg, bg_fg)
            times_ms.append((time.perf_counter() - start) * 1000)
        median_ms, p95_ms = map(float, np.percentile(times_ms[num_warmup:], [50, 95]))
        images_per_s = round(1000 * batch / median_ms, 2)
        median_ms, p95_ms = round(median_ms, 3), round(p95_ms, 3)
        latencies.append(Latency(height, width, batch, num_runs, median_ms, p95_ms, images_per_s))
    return latencies


def latency_table(latencies: Sequence[Latency]) -> str:
    """The figures for people, a line a size."""
    return pd.DataFrame(latencies).to_string(index=False, float_format="{:.1f}".format)


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
        "sizes": [asdict(latency) for latency in latencies],
    }
    with replaced_file(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def processor_name() -> str:
    """As the system calls it; `platform.processor` is empty on most Linux systems."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
