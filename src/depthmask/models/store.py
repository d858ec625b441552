"""A trained network on disk: weights as safetensors, what it is as JSON."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError
from depthmask.models import MODELS, PairModel, Prediction

CARD = ("model", "size", "experiment", "seed", "key", "unit", "source", "data_hash", "test")
"""What a card must tell."""
CHUNK = 4
"""Scenes predicted at once: of so few a network's maps stay in a processor's cache."""


class StoredModel(NamedTuple):
    """A network in evaluation mode, and its card: `CARD`, figures and more; the size is in px."""

    model: PairModel
    card: dict[str, Any]

    @torch.inference_mode()
    def predict(self, scene: Scene[Tensor]) -> tuple[Tensor, Tensor | None]:
        """The mask, 0..1, and the depth in the card's unit (or None), N x 1 x H x W."""
        parts = zip(scene.bg.split(CHUNK), scene.bg_fg.split(CHUNK), strict=True)
        masks, depths = zip(*(self.model(*part) for part in parts), strict=True)
        depth = None if depths[0] is None else torch.cat(depths)
        return Prediction(torch.cat(masks), depth).decode(self.model.depth_range_m, scene.focal)


def seed_folder(experiment: Path, seed: int) -> Path:
    """Where an experiment's network of one seed lies."""
    return experiment / f"seed_{seed}"


def trained_seeds(experiment: Path) -> list[int]:
    """The seeds whose networks an experiment's folder holds, ascending; InputError if none."""
    names = [path.name.removeprefix("seed_") for path in experiment.glob("seed_*")]
    for name in names:
        if not name.isdecimal():
            raise InputError(f"{experiment}/seed_{name} is no seed's folder: move it away")
    if not names:
        raise InputError(f"{experiment} holds no trained model: run `dvc repro` first")
    return sorted(map(int, names))


def save_model(folder: Path, model: PairModel, card: dict[str, Any]) -> None:
    """Write `model.safetensors` and `model.json`; `card` must tell `CARD`.

    Figures that are no finite number, which JSON does not know, become null.
    """
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    with replaced_file(folder / "model.safetensors") as path:
        save_file(weights, path)
    card = json.loads(json.dumps(card), parse_constant=lambda _: None)
    with replaced_file(folder / "model.json") as path:
        path.write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")


def load_model(folder: Path) -> StoredModel:
    """Read a network back; InputError if the folder holds none or a damaged one."""
    try:
        card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if missing := [key for key in CARD if key not in card]:
            raise ValueError(f"model.json lacks {missing[0]}")
        model = MODELS[card["model"]]()
        # the bytes first: the library's own reading calls a file without rights missing
        model.load_state_dict(load((folder / "model.safetensors").read_bytes()))
    except FileNotFoundError:
        raise InputError(f"{folder} holds no trained model: run `dvc repro` first") from None
    except (SafetensorError, RuntimeError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{folder} is damaged ({reason}): train it again") from None
    return StoredModel(model.eval(), card)
