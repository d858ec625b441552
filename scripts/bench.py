"""Training's input, step and both against the original's way, in one run: `make bench`.

The original's way: four JPEGs of 224 px a scene, opened with Pillow, resized and changed in colour
by Albumentations in a worker a core; DepthMaskNet8 in float32, NCHW, with plain SGD. Ours: scenes
composed from arrays as training composes them, without the share that is rendered or the variants
of colour (`pasted`: with no more in them than those files, no shadow, light, noise or lens); the
same network in what the hardware computes fastest, with AdamW and the moving average. Both take
the prepared rooms and people of the checkout, enlarged to 224 px where they are smaller, and the
same loss. The parts alternate within each round, so that whatever else the machine does meets them
all; medians, and the range over the rounds.

Writes FILE.json and FILE.png, and prints a table.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import albumentations as A
import altair as alt
import cv2
import numpy as np
import pandas as pd
import torch
from albumentations.pytorch import ToTensorV2
from materialise_bench import enlarge
from PIL import Image
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from depthmask.config import Params
from depthmask.config.reading import read_params
from depthmask.data.composition.augmentation import build_transform
from depthmask.data.composition.compositor import Compositor
from depthmask.data.materialise import materialise, plain_shots
from depthmask.data.materialise.writing import Encoding
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer
from depthmask.data.scenes.scene import Scene
from depthmask.data.sources.modest.layout import FOLDERS, read_layout
from depthmask.data.work import num_cores
from depthmask.errors import exit_on_error
from depthmask.export.benchmark import processor_name
from depthmask.models import MODELS
from depthmask.models.depth_codec import encode_depth
from depthmask.models.hardware import Hardware, choose_hardware
from depthmask.models.losses import SceneLoss
from depthmask.stages import AUGMENTED, PARAMS, PREPARED
from depthmask.training.optimization import build_optimizer
from depthmask.visualization.theme import LIGHT, SERIES, save_png

CASES = ((64, 8), (64, 64), (96, 8), (128, 8), (224, 8))  # px, scenes in a batch
NUM_FILES = 600  # scenes of the original's way
NUM_PLATES = (10, 100, 1000, 10_000)


class Way(NamedTuple):
    """A way to train at a size: an endless supply of batches, and a step on one."""

    batches: Iterator[Scene[Tensor]]
    step: Callable[[Scene[Tensor]], None] | None


class FileDataset(Dataset[Scene[Tensor]]):
    """A scene opens four files."""

    def __init__(self, folder: Path, params: Params, size: int) -> None:
        self.folder, self.rows = folder, read_layout(folder)[list(FOLDERS)].to_dict("records")
        resize, to_tensor = A.Resize(size, size), ToTensorV2()
        colours = build_transform(params.augment, 0).transforms
        self.photo = A.Compose([resize, *colours, A.Normalize(), to_tensor])
        self.target = A.Compose([resize, A.ToFloat(max_value=255), to_tensor])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Scene[Tensor]:
        images = {
            name: np.array(Image.open(self.folder / path))
            for name, path in self.rows[number].items()
        }
        bg, bg_fg = (self.photo(image=images[name])["image"] for name in ("bg", "bg_fg"))
        mask, depth = (self.target(image=images[name])["image"] for name in ("mask", "depth"))
        return Scene(bg, bg_fg, mask, depth, depth)  # the lens is not known


def original(folder: Path, params: Params, size: int, batch: int, device: str) -> Way:
    model = MODELS["depthmasknet8"]().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-8)
    loss = SceneLoss({"bce": 1}, {"rmse": 2})
    data = FileDataset(folder, params, size)
    endless = RandomSampler(data, replacement=True, num_samples=10**9)
    loader = DataLoader(data, batch, sampler=endless, num_workers=num_cores())

    def step(scene: Scene[Tensor]) -> None:
        bg, bg_fg, mask, depth = (each.to(device) for each in scene[:4])
        total, _ = loss(model(bg, bg_fg), mask, depth)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()

    return Way(iter(loader), step)


def composed(compositor: Compositor, params: Params, size: int, batch: int) -> Iterator[Scene]:
    library = compositor.library
    visible = np.ones(library.stands.shape[:2], np.float32)  # time is all that counts
    nobody, others = params.train.nobody, params.train.others
    placer = Placer(library, visible, params.placement, nobody=nobody, others=others)
    for start in itertools.count(step=batch):
        numbers = range(start, start + batch)
        recipes = placer.draw(TRAIN_STREAM, 0, numbers)
        with torch.no_grad():
            scene = compositor(recipes, size, placer.draw_others(recipes, 0, numbers))
        yield scene


def ours(library: Library, params: Params, size: int, batch: int, hardware: Hardware) -> Way:
    device, train = hardware.device, params.train
    model = MODELS["depthmasknet8"]().to(device, memory_format=torch.channels_last)
    optimizer = build_optimizer(train.optimizer, model, device)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(train.average))
    loss = SceneLoss({"bce": 1}, {"rmse": 2})

    def step(scene: Scene[Tensor]) -> None:
        pair = (x.contiguous(memory_format=torch.channels_last) for x in scene[:2])
        with torch.autocast(device, torch.bfloat16, enabled=hardware.bfloat16):
            prediction = model(*pair)
        target = encode_depth(scene.depth, train.depth_range_m)
        total, _ = loss(prediction, scene.mask, target)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        average.update_parameters(model)

    compositor = Compositor(library, params.compositor, device=device)
    return Way(composed(compositor, params, size, batch), step)


def pasted(library: Library, params: Params, size: int, batch: int, device: str) -> Way:
    """As the original's scenes are: people pasted onto plates, and nothing else. Input alone."""
    compositor = Compositor(library, plain_shots(params.compositor), device=device)
    return Way(composed(compositor, params, size, batch), None)


def images_per_s(way: Way, batch: int, seconds: float, device: str) -> dict[str, float]:
    """Of the input, the step and both; each for so many seconds, and eight times, at least."""
    scene, step = next(way.batches), way.step
    parts: dict[str, Callable[[], Any]] = {"input": lambda: next(way.batches)}
    if step:
        parts |= {"step": lambda: step(scene), "both": lambda: step(next(way.batches))}
    found = {}
    for name, part in parts.items():
        time.sleep(1)  # until the workers have ready what they may
        for _ in range(1 if name == "step" else 2 * num_cores() + 1):
            part()  # and then until they have no more than they make
        start, count = time.perf_counter(), 0
        while (took := time.perf_counter() - start) < seconds or count < 8:
            part()
            count += 1
            if device != "cpu":
                torch.accelerator.synchronize()
        found[name] = batch * count / took
    time.sleep(1)
    return found


def grown(library: Library, params: Params) -> Iterator[dict[str, Any]]:
    """How composing grows with the rooms: ms a batch of 8 of 96 px, and MB."""
    images, depths = (
        np.stack([cv2.resize(each, (96, 96)) for each in planes])
        for planes in (library.images, library.depths)
    )
    for count in NUM_PLATES:
        rows = np.arange(count) % len(library.plates)
        many = replace(
            library,
            plates=library.plates.iloc[rows].reset_index(drop=True),
            images=images[rows],
            depths=depths[rows],
            stands=library.stands[rows],
        )
        batches = composed(Compositor(many, params.compositor), params, 96, 8)
        next(batches)
        times = []
        for _ in range(20):
            start = time.perf_counter()
            next(batches)
            times.append(time.perf_counter() - start)
        num_bytes = many.images.nbytes + many.depths.nbytes
        yield {"plates": count, "ms": 1e3 * statistics.median(times), "mb": num_bytes / 1e6}


def placed(library: Library, params: Params) -> Iterator[dict[str, Any]]:
    """Where scenes far apart in an epoch come from: ms to place 8 of them, of none before."""
    placer = Placer(library, np.ones(library.stands.shape[:2]), params.placement)
    for count in (1000, 100_000, 10_000_000):
        start = time.perf_counter()
        for _ in range(20):
            placer.draw(TRAIN_STREAM, 0, range(count - 8, count))
        yield {"placements": count, "ms": 1e3 * (time.perf_counter() - start) / 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/performance"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of a part, at least")
    arguments = parser.parse_args()
    params = read_params(PARAMS)
    hardware = choose_hardware(params.train.device, params.train.precision)
    device, rows = hardware.device, []
    with tempfile.TemporaryDirectory() as temporary:
        prepared, files = Path(temporary, "prepared"), Path(temporary, "files")
        enlarge(PREPARED, prepared)
        library = Library.read(prepared)
        materialise(
            files,
            prepared=prepared,
            augmented=None,
            set_name="train",
            count=NUM_FILES,
            size=224,
            placement=params.placement,
            compositor_params=plain_shots(params.compositor),
            nobody=params.train.nobody,
            encoding=Encoding(params.train.depth_range_m),
        )
        disk = {
            "bytes_a_scene": sum(f.stat().st_size for f in files.rglob("*.jpeg")) / NUM_FILES,
            "prepared_bytes": sum(f.stat().st_size for f in PREPARED.rglob("*") if f.is_file()),
            "augmented_bytes": sum(f.stat().st_size for f in AUGMENTED.rglob("*")),
            "prepared_files": sum(f.is_file() for f in PREPARED.rglob("*")),
        }
        cv2.setNumThreads(0)  # the workers are the threads
        for size, batch in CASES:
            ways = {
                "original": original(files, params, size, batch, device),
                "ours": ours(library, params, size, batch, hardware),
                "pasted": pasted(library, params, size, batch, device),
            }
            for number in range(arguments.rounds):
                for name, way in ways.items():
                    found = images_per_s(way, batch, arguments.seconds, device)
                    for part, rate in found.items():
                        row = {"size": size, "batch": batch, "round": number, "way": name}
                        rows.append(row | {"part": part, "images_per_s": rate})
        growth = list(grown(library, params)), list(placed(library, params))
    table = pd.DataFrame(rows)
    wide = table.pivot(columns="way", index=["size", "batch", "part", "round"])["images_per_s"]
    for way in ("ours", "pasted"):
        wide[f"{way}_over_original"] = wide[way] / wide["original"]
    summary = wide.groupby(["size", "batch", "part"], sort=False).agg(["median", "min", "max"])
    print(f"{hardware}; {processor_name()}; torch {torch.__version__}; images/s, median of rounds")
    print(summary.round(1).to_string())
    report = {
        "machine": f"{processor_name()}, {os.cpu_count()} cores",
        "hardware": str(hardware),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "rates": [
            {"size": size, "batch": batch, "part": part}
            | {f"{way}_{what}": round(value, 3) for (way, what), value in line.dropna().items()}
            for (size, batch, part), line in summary.iterrows()
        ],
        "plates": growth[0],
        "placements": growth[1],
        "disk": disk,
    }
    print(pd.DataFrame(growth[0]).round(1).to_string(index=False))
    print(pd.DataFrame(growth[1]).round(2).to_string(index=False))
    arguments.out.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
    draw(table[table["batch"] == CASES[0][1]], arguments.out.with_suffix(".png"))


def draw(table: pd.DataFrame, path: Path) -> None:
    colors = alt.Scale(
        domain=["ours", "pasted", "original"], range=[LIGHT[name] for name in SERIES[:3]]
    )
    base = alt.Chart(table).encode(
        x=alt.X("size:O", title="px", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("images_per_s:Q", title="images/s", scale=alt.Scale(type="log")),
        color=alt.Color("way:N", scale=colors, title=None),
    )
    lines = base.mark_line().encode(y="median(images_per_s)") + base.mark_point(size=18)
    panels = lines.properties(width=200, height=200).facet(
        alt.Facet("part:N", title=None, sort=["input", "step", "both"])
    )
    save_png(panels, path)


if __name__ == "__main__":
    with exit_on_error():
        main()
