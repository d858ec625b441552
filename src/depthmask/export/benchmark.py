"""How long a prediction takes, on this machine, for images of given sizes."""

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd

from depthmask.data.scenes.files import replaced_file
from depthmask.inference.predictor import Predictor

_NUM_WARMUP = 3  # calls that are not timed: the first of a size pays for its buffers


def measure_latency(
    predictor: Predictor,
    sizes: Sequence[tuple[int, int]],
    *,
    num_runs: int = 20,
    batch: int = 1,
) -> pd.DataFrame:
    """Time whole predictions of (height, width) px on noise: what images show costs no time.

    Returns:
        A row a size: height, width (px), batch, num_runs, median_ms and p95_ms of a call,
        images_per_s.
    """
    rng = np.random.default_rng(0)
    rows = []
    for height, width in sizes:
        bg, bg_fg = rng.integers(0, 256, (2, batch, height, width, 3), dtype=np.uint8)
        times_ms = []
        for _ in range(_NUM_WARMUP + num_runs):
            start = time.perf_counter()
            predictor.predict_batch(bg, bg_fg)
            times_ms.append((time.perf_counter() - start) * 1000)
        median_ms, p95_ms = map(float, np.percentile(times_ms[_NUM_WARMUP:], [50, 95]))
        rows.append(
            {
                "height": height,
                "width": width,
                "batch": batch,
                "num_runs": num_runs,
                "median_ms": round(median_ms, 3),
                "p95_ms": round(p95_ms, 3),
                "images_per_s": round(1000 * batch / median_ms, 2),
            }
        )
    return pd.DataFrame(rows)


def write_latency(path: Path, predictor: Predictor, latencies: pd.DataFrame) -> None:
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
        "sizes": latencies.to_dict("records"),
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
