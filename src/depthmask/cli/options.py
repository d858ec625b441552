"""Options that several verbs have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

MODEL = Path("models/best")
Device = Literal["auto", "cpu", "cuda"]
ModelOption = Annotated[
    Path,
    typer.Option(
        "--model",
        help="An ONNX file that depthmask made, or export's folder: on a CPU its file of 8 bits.",
    ),
]
DeviceOption = Annotated[Device, typer.Option("--device", help="auto takes CUDA where it works.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, max=256, help="Of the CPU; by default one a core.")
]
FovOption = Annotated[
    float | None,
    typer.Option(
        help="Horizontal field of view, degrees; else EXIF's, or as the plate's depth says."
    ),
]
