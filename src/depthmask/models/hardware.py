"""Which device trains, and in which number format."""

from dataclasses import dataclass
from typing import Literal

import torch

from depthmask.errors import InputError


@dataclass(frozen=True)
class Hardware:
    """What a training runs on.

    Attributes:
        device: cpu, cuda or mps.
        bfloat16: whether convolutions run in bfloat16 (autocast); weights stay float32.
    """

    device: str
    bfloat16: bool

    @property
    def precision(self) -> Literal["bf16-mixed", "32-true"]:
        """Lightning's name of the precision."""
        return "bf16-mixed" if self.bfloat16 else "32-true"

    def __str__(self) -> str:
        name = torch.cuda.get_device_name() if self.device == "cuda" else self.device
        cores = f", {torch.get_num_threads()} threads" if self.device == "cpu" else ""
        return f"{name}{cores}, {'bfloat16' if self.bfloat16 else 'float32'}, channels last"


def choose_hardware(device: str = "auto", precision: str = "auto") -> Hardware:
    """Choose the device and precision; bfloat16 only where the hardware computes in it.

    Args:
        device: auto, cpu, cuda or mps.
        precision: auto, float32 or bfloat16.

    Raises:
        InputError: if the named device is not there.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next((name for name, there in available.items() if there), "cpu")
    elif not available.get(device, True):
        raise InputError(f"train.device is {device}, but torch finds none: set it to auto or cpu")
    # cuDNN's default is TF32, with 10 bits: float32 is to be float32, in evaluation above all
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if precision == "auto":
        return Hardware(device, _computes_bfloat16(device))
    return Hardware(device, precision == "bfloat16")


def _computes_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "cpu":
        features = torch.cpu.get_capabilities()
        return bool(features.get("amx_bf16") or features.get("avx512_bf16"))
    return False
