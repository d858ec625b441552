"""Which device trains, and in which number format."""

from typing import NamedTuple

import torch

from depthmask.errors import InputError


class Hardware(NamedTuple):
    """What a training runs on: cpu, cuda or mps; whether convolutions run in bfloat16 (autocast).

    Weights stay float32.
    """

    device: str
    bfloat16: bool

    def __str__(self) -> str:
        name = torch.cuda.get_device_name() if self.device == "cuda" else self.device
        cores = f", {torch.get_num_threads()} threads" if self.device == "cpu" else ""
        return f"{name}{cores}, {'bfloat16' if self.bfloat16 else 'float32'}, channels last"


def choose_hardware(device: str = "auto", precision: str = "auto") -> Hardware:
    """Choose the device (auto, cpu, cuda or mps) and precision (auto, float32 or bfloat16); `auto`
    is bfloat16 only where the hardware computes in it. InputError if there is no such device."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next((name for name in there if there[name]), "cpu")
    elif not there.get(device, True):
        raise InputError(f"train.device is {device}, but torch finds none: set it to auto or cpu")
    # cuDNN's default is TF32, with 10 bits: float32 is to be float32, in evaluation above all
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    bfloat16 = precision == "bfloat16"
    if precision == "auto" and device == "cuda":
        bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    elif precision == "auto" and device == "cpu":
        features = torch.cpu.get_capabilities()
        bfloat16 = bool(features.get("amx_bf16") or features.get("avx512_bf16"))
    return Hardware(device, bfloat16)
