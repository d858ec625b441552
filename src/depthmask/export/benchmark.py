"""How long a prediction takes, on this machine, for images of given sizes."""

import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from depthmask.data.scenes.files import replaced_file
from depthmask.inference.predictor import Predictor


@dataclass(frozen=True)
class Latency:
    """Of whole predictions: uint8 arrays in, mask and depth out, resizing included.

    Attributes:
        height: px.
        width: px.
        batch: images in one call.
        num_runs: timed calls, after the warm-up.
        median_ms: of one call.
        p95_ms: 95th percentile of one call.
        images_per_s: the batch over the median.
    """

    height: int
    width: int
    batch: int
    num_runs: int
    median_ms: float
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
    """Time predictions on noise; the time does not depend on what the images show.

    Args:
        predictor: the model.
        sizes: (height, width), px.
        num_runs: timed calls a size.
        num_warmup: calls before them: the first of a size pays for its buffers.
        batch: images in one call.
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
        median_ms, p95_ms = np.percentile(times_ms[num_warmup:], [50, 95])
        latencies.append(
            Latency(
                height=height,
                width=width,
                batch=batch,
                num_runs=num_runs,
                median_ms=round(float(median_ms), 3),
                p95_ms=round(float(p95_ms), 3),
                images_per_s=round(1000 * batch / float(median_ms), 2),
            )
        )
    return latencies


def latency_report(predictor: Predictor, latencies: Sequence[Latency]) -> dict[str, Any]:
    """The figures with what they were measured on; they differ from machine to machine."""
    return {
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


def write_latency(path: Path, report: dict[str, Any]) -> None:
    """Write what `latency_report` made as JSON."""
    with replaced_file(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def latency_table(latencies: Sequence[Latency]) -> Iterator[str]:
    """The figures as lines of text, for people."""
    yield f"{'height x width':>16} {'batch':>6} {'median ms':>10} {'p95 ms':>10} {'images/s':>10}"
    for item in latencies:
        size = f"{item.height}x{item.width}"
        yield (
            f"{size:>16} {item.batch:>6} {item.median_ms:>10.1f} {item.p95_ms:>10.1f}"
            f" {item.images_per_s:>10.1f}"
        )


def processor_name() -> str:
    """As the system calls it; `platform.processor` is empty on most Linux systems."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
