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

import numpy as np
import onnxruntime
import pandas as pd

from depthmask.data.scenes.files import replaced_file
from depthmask.inference.predictor import Predictor


def measure_latency(
    predictor: Predictor, sizes: Sequence[tuple[int, int]], *, num_runs: int = 20, batch: int = 1
) -> pd.DataFrame:
    """Time whole predictions of (height, width) px on noise; a row a size, times of a call."""
    rng = np.random.default_rng(0)
    rows = []
    for height, width in sizes:
        pair = rng.integers(0, 256, (2, batch, height, width, 3), dtype=np.uint8)
        call = partial(predictor.predict_batch, *pair)
        # the first calls of a size pay for its buffers
        times_s = timeit.repeat(call, number=1, repeat=3 + num_runs)[3:]
        rows.append((height, width, batch, num_runs, *1000 * np.percentile(times_s, [50, 95])))
    columns = ["height", "width", "batch", "num_runs", "median_ms", "p95_ms"]
    table = pd.DataFrame(rows, columns=columns)
    table["images_per_s"] = 1000 * batch / table.median_ms
    return table.round({"median_ms": 3, "p95_ms": 3, "images_per_s": 2})


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
    names = []
    with contextlib.suppress(OSError):
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    return names[0].strip() if names else platform.processor() or platform.machine()
