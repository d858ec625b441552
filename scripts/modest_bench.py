"""How fast the files of MODEST's layout become training batches: `python scripts/modest_bench.py`.

Ours against the original's way, on the same files, cores and number of workers, with the same
colour changes on both sides: Pillow opens all four JPEGs, Albumentations changes the colours of bg
and of bg_fg and normalises them, resizes, and a DataLoader collates batches of 128 float tensors.
`lean` is that way without what ours leaves to others or does in a better order: no normalising
(which the network does), and resizing first. Epochs of the three alternate within a run; each is
timed from the start of its workers to its last batch as float tensors, those of ours made by the
main process. An epoch takes every sample a few times: a real one is long, and starting workers no
matter. Beside the rate stands the processor time of all processes, which other programs on the
machine disturb less.

Without `--data` it writes a data set of its own, of noise on smooth colours, into a temporary
folder.
"""

import argparse
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import albumentations as A
import cv2
import numpy as np
import pandas as pd
import torch
from albumentations.pytorch import ToTensorV2
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler

from depthmask.config import AugmentParams
from depthmask.config.reading import read_params
from depthmask.data.composition.augmentation import build_transform
from depthmask.data.sources.modest import FOLDERS, read_layout
from depthmask.data.sources.modest.scenes import FileScenes, FileTrainingScenes, to_unit
from depthmask.data.work import progress
from depthmask.errors import exit_on_error
from depthmask.export.benchmark import processor_name
from depthmask.stages import PARAMS


def write_samples(folder: Path, num_samples: int, side: int) -> None:
    """Write a data set: 10 plates, 10 people, as many positions as needed; about 10 KB a photo."""
    rng = np.random.default_rng(0)
    for name in FOLDERS.values():
        (folder / name).mkdir()

    def smooth(cells: int, channels: int) -> np.ndarray:
        coarse = rng.integers(0, 256, (cells, cells, channels), dtype=np.uint8)
        return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)

    def grainy(image: np.ndarray) -> Image.Image:
        noisy = image + rng.normal(0, 3, image.shape)
        return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))

    plates = [smooth(14, 3) for _ in range(10)]
    for number, plate in enumerate(plates, start=1):
        grainy(plate).save(folder / f"bg/bg{number:03d}.jpeg")
    lines = []
    with progress(num_samples, "samples written") as advance:
        for number in range(num_samples):
            plate, cutout, position = number % 10, number // 10 % 10, number // 100
            stem = f"bg{plate + 1:03d}_fg{cutout + 1:03d}_{position + 1:02d}"
            x, y = rng.integers(side // 6, side - side // 6), rng.integers(side // 4, side // 2)
            mask = np.zeros((side, side), np.uint8)
            axes = (side // 12, side // 4)
            cv2.ellipse(mask, (int(x), int(y)), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
            person = np.where(mask[..., None] > 127, smooth(7, 3), plates[plate])
            grainy(person).save(folder / f"bg_fg/{stem}.jpeg")
            Image.fromarray(mask).save(folder / f"bg_fg_mask/{stem}_mask.jpeg")
            depth = Image.fromarray(np.where(mask > 127, 60, smooth(4, 1)).astype(np.uint8))
            depth.save(folder / f"bg_fg_depth_map/{stem}_depth_map.jpeg")
            lines.append(f"bg{plate + 1:03d}\t{stem}\t{stem}_mask\t{stem}_depth_map\n")
            advance(1)
    (folder / "file_map.txt").write_text("".join(lines))


class OriginalWay(Dataset[dict[str, torch.Tensor]]):
    """A sample opens four files with Pillow; what comes after is Albumentations'."""

    def __init__(
        self,
        folder: Path,
        table: pd.DataFrame,
        size: int,
        augment: AugmentParams | None,
        *,
        lean: bool,
    ) -> None:
        self.folder = folder
        self.rows = table[list(FOLDERS)].to_dict("records")
        colors = [] if augment is None else list(build_transform(augment, 0).transforms)
        resize, scale, to_tensor = A.Resize(size, size), A.ToFloat(max_value=255), ToTensorV2()
        normalize = A.Normalize(mean=(0.41, 0.47, 0.53), std=(0.26, 0.25, 0.24))
        inputs = [resize, *colors, scale] if lean else [*colors, normalize, resize]
        self.inputs = A.Compose([*inputs, to_tensor])
        self.targets = A.Compose([resize, scale, to_tensor])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        row, sample = self.rows[number], {}
        for field in FOLDERS:
            image = np.array(Image.open(self.folder / row[field]))
            transform = self.inputs if field in ("bg", "bg_fg") else self.targets
            sample[field] = transform(image=image)["image"]
        return sample


class Epoch(NamedTuple):
    samples_per_s: float
    core_ms: float
    """Processor time of a sample, of all processes, ms."""


def _core_s() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(
    folder: Path,
    table: pd.DataFrame,
    *,
    size: int,
    augment: AugmentParams | None,
    batch_size: int,
    num_workers: int,
    num_rounds: int,
    num_samples: int,
) -> dict[str, list[Epoch]]:
    """Time `num_samples` of each way in every round."""
    scenes = FileScenes(folder, table, augment)
    training = FileTrainingScenes(scenes, scenes, seed=0, num_workers=num_workers)

    def run_ours(epoch: int) -> int:
        batches = training.loader("train", num_samples, batch_size, [size], epoch)
        return sum(len(to_unit(batch, "cpu").mask) for batch in batches)

    def original(lean: bool) -> Callable[[int], int]:
        samples = OriginalWay(folder, table, size, augment, lean=lean)
        shuffled = RandomSampler(samples, num_samples=num_samples)
        loader = DataLoader(samples, batch_size, sampler=shuffled, num_workers=num_workers)
        return lambda _: sum(len(batch["bg"]) for batch in loader)

    ways = {"ours": run_ours, "original": original(False), "lean": original(True)}
    epochs: dict[str, list[Epoch]] = {name: [] for name in ways}
    for number in range(num_rounds + 1):
        for name in list(ways) if number % 2 == 0 else reversed(ways):
            start, start_core = time.perf_counter(), _core_s()
            count = ways[name](number)
            took, took_core = time.perf_counter() - start, _core_s() - start_core
            if number > 0:  # the first round brings the files into memory
                epochs[name].append(Epoch(count / took, 1e3 * took_core / count))
    return epochs


def _spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder in MODEST's layout")
    parser.add_argument("--samples", type=int, default=2000, help="how many to write or to read")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 224])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--passes", type=int, default=2, help="over the samples, an epoch")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    arguments = parser.parse_args()
    colors = read_params(PARAMS).augment
    cv2.setNumThreads(0)  # of both: the workers are the threads
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.data
        if folder is None:
            folder = Path(temporary)
            write_samples(folder, arguments.samples, side=224)
        table = read_layout(folder).iloc[: arguments.samples]
        print(
            f"{len(table)} samples, {arguments.workers} workers, batch {arguments.batch_size},"
            f" {arguments.rounds} rounds, {torch.get_num_threads()} threads,"
            f" {processor_name()}, Python {platform.python_version()}: median (range)"
        )
        for size in arguments.sizes:
            for augment in (None, colors):
                epochs = measure(
                    folder,
                    table,
                    size=size,
                    augment=augment,
                    batch_size=arguments.batch_size,
                    num_workers=arguments.workers,
                    num_rounds=arguments.rounds,
                    num_samples=arguments.passes * len(table),
                )
                print(f"{size:4d} px, colours {'as they are' if augment is None else 'changed'}")
                for name, values in epochs.items():
                    pairs = list(zip(epochs["ours"], values, strict=True))
                    faster = [our.samples_per_s / their.samples_per_s for our, their in pairs]
                    lighter = [their.core_ms / our.core_ms for our, their in pairs]
                    compared = (
                        f"; ours is {_spread(faster, '.2f')} times as fast,"
                        f" {_spread(lighter, '.2f')} by core time"
                    )
                    print(
                        f"{name:>12}: {_spread([x.samples_per_s for x in values], '5.0f')}"
                        f" samples/s, {_spread([x.core_ms for x in values], '.2f')} core ms each"
                        f"{'' if name == 'ours' else compared}",
                        flush=True,
                    )


if __name__ == "__main__":
    with exit_on_error():
        main()
