"""How much of a training step is spent on composing its scenes: `python scripts/compose_share.py`.

Times both parts of the same steps, in turn, on the prepared data and with the parameters of the
checkout; prints the medians for every size of the schedule.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from depthmask.config import Params
from depthmask.config.reading import read_params
from depthmask.data.composition.training_scenes import read_compositor
from depthmask.data.scenes.files import read_array
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer
from depthmask.errors import exit_on_error
from depthmask.models import MODELS
from depthmask.models.depth_codec import encode_depth
from depthmask.models.hardware import Hardware, choose_hardware
from depthmask.models.losses import SceneLoss
from depthmask.stages import AUGMENTED, PARAMS, PREPARED


def measure(params: Params, size: int, num_steps: int, hardware: Hardware) -> tuple[float, float]:
    """Median seconds of composing a batch, and of the step that trains on it."""
    library, train, device = Library.read(PREPARED), params.train, hardware.device
    compositor = read_compositor(library, params.compositor, AUGMENTED)
    compositor.device = torch.device(device)
    placer = Placer(
        library,
        read_array(PREPARED / "visible_shares.npy"),
        params.placement,
        nobody=train.nobody,
        num_variants=compositor.num_variants,
    )
    model = MODELS["depthmasknet8"]().to(device, memory_format=torch.channels_last)
    loss = SceneLoss({"bce": 1, "dice": 1}, {"l1": 4, "rmse": 2})
    optimizer = torch.optim.AdamW(model.parameters(), fused=device != "mps")

    def now() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    composing, training = [], []
    for step in range(num_steps + 3):
        start = now()
        numbers = range(step * train.batch_size, (step + 1) * train.batch_size)
        with torch.no_grad():
            scene = compositor(placer.draw(TRAIN_STREAM, 0, numbers), size)
        middle = now()
        with torch.autocast(device, torch.bfloat16, enabled=hardware.bfloat16):
            prediction = model(
                scene.bg.contiguous(memory_format=torch.channels_last),
                scene.bg_fg.contiguous(memory_format=torch.channels_last),
            )
        target = encode_depth(scene.depth, train.depth_range_m)
        total, _ = loss(prediction, scene.mask, target)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        if step >= 3:  # the first steps allocate
            composing.append(middle - start)
            training.append(now() - middle)
    return statistics.median(composing), statistics.median(training)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    num_steps = parser.parse_args().steps
    params = read_params(Path(PARAMS))
    hardware = choose_hardware(params.train.device, params.train.precision)
    print(f"batch {params.train.batch_size} on {hardware}")
    for size in sorted({step.size for step in params.train.schedule}):
        composing, training = measure(params, size, num_steps, hardware)
        print(
            f"{size:4d} px: composing {1e3 * composing:6.1f} ms, training {1e3 * training:6.1f} ms:"
            f" {composing / (composing + training):.1%} of a step"
        )


if __name__ == "__main__":
    with exit_on_error():
        main()
