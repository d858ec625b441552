"""A trained network on disk: weights as safetensors, what it is as JSON."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError
from depthmask.models import PairModel, build_model
from depthmask.models.depth_codec import decode_depth


class StoredModel(NamedTuple):
    """A network with its weights, in evaluation mode, and its description.

    Attributes:
        model: the network.
        card: model, size (px, the side of the images it was trained on), experiment, key,
            data_hash, unit, and whatever else the training noted.
    """

    model: PairModel
    card: dict[str, Any]

    @torch.inference_mode()
    def predict(self, scene: Scene[Tensor]) -> tuple[Tensor, Tensor | None]:
        """The mask, 0..1, and the depth (None without a depth head), N x 1 x H x W.

        The depth is in metres, or in what the card's `unit` says.
        """
        prediction = self.model(
            scene.bg.contiguous(memory_format=torch.channels_last),
            scene.bg_fg.contiguous(memory_format=torch.channels_last),
        )
        depth = None
        if prediction.depth_logits is not None:
            depth = decode_depth(prediction.depth_logits.sigmoid(), self.model.depth_range_m)
        return prediction.mask_logits.sigmoid(), depth


def seed_folder(experiment: Path, seed: int) -> Path:
    """Where an experiment's network of one seed lies."""
    return experiment / f"seed_{seed}"


def trained_seeds(experiment: Path) -> list[int]:
    """The seeds whose networks an experiment's folder holds, ascending.

    Raises:
        InputError: if it holds none.
    """
    seeds = sorted(int(path.name.removeprefix("seed_")) for path in experiment.glob("seed_*"))
    if not seeds:
        raise InputError(f"{experiment} holds no trained model: run `dvc repro` first")
    return seeds


def save_model(folder: Path, model: PairModel, card: dict[str, Any]) -> None:
    """Write `model.safetensors` and `model.json`; `card` must name the `model` and its `size`."""
    weights = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    with replaced_file(folder / "model.safetensors") as path:
        path.write_bytes(save(weights))
    with replaced_file(folder / "model.json") as path:
        path.write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")


def load_model(folder: Path) -> StoredModel:
    """Read a network back; what it normalises with is among its weights.

    Raises:
        InputError: if the folder holds no such network.
    """
    try:
        card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        model = build_model(card["model"])
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except FileNotFoundError:
        raise InputError(f"{folder} holds no trained model: run `dvc repro` first") from None
    except (SafetensorError, RuntimeError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{folder} is damaged ({reason}): train it again") from None
    return StoredModel(model.eval(), card)
