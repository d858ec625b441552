"""What several test modules share: one tiny exported model whose answers are known by hand."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import depthmask

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell's background job ignores Ctrl-C, and its children with it: some tests send it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first: a worker that begins with them last would be waited for."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


DIFFERENCE_SIZE = 48
METADATA = {"experiment": "difference", "seed": "0", "data_hash": "feed", "depth_unit": "metre"}


def difference_model():
    """A network that needs no training.

    Mask: sigmoid(80 * |mean RGB of bg_fg - of bg| - 8), so person where they differ by over 0.1.
    Depth: code sigmoid(4 * (mean RGB of bg_fg) - 2) of 1 to 16 m, so 4 m where it is mid grey.
    """
    import torch
    from torch import nn

    from depthmask.models import Prediction

    class DifferenceModel(nn.Module):
        has_depth = True

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("depth_range_m", torch.tensor((1.0, 16.0)))

        def forward(self, bg, bg_fg):
            room, frame = bg.mean(dim=1, keepdim=True), bg_fg.mean(dim=1, keepdim=True)
            return Prediction(80 * (frame - room).abs() - 8, 4 * frame - 2)

    return DifferenceModel()


def export_difference(path: str | Path) -> None:
    from depthmask.export.onnx_export import export_onnx

    export_onnx(difference_model(), Path(path), input_size=DIFFERENCE_SIZE, metadata=METADATA)


@pytest.fixture(scope="session")
def difference_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported `difference_model`, trained, so to say, at `DIFFERENCE_SIZE` px."""
    path = tmp_path_factory.mktemp("models") / "difference.onnx"
    export_difference(path)
    return path


@pytest.fixture
def relative_onnx(difference_onnx: Path, tmp_path: Path) -> Path:
    """The same network, its depth called relative."""
    import onnx

    model = onnx.load(difference_onnx)
    (unit,) = (each for each in model.metadata_props if each.key == "depth_unit")
    unit.value = "relative"
    onnx.save(model, tmp_path / "relative.onnx")
    return tmp_path / "relative.onnx"


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """For a subprocess: it finds this checkout's depthmask whatever its working folder."""
    return {**os.environ, "PYTHONPATH": str(Path(depthmask.__file__).parents[1])}


@pytest.fixture(scope="session")
def synthetic_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `data` of `write_synthetic`: read it, change a copy."""
    from synthetic import write_synthetic

    root = tmp_path_factory.mktemp("synthetic")
    write_synthetic(root)
    return root / "data"


@pytest.fixture
def room_and_visitor() -> tuple[np.ndarray, np.ndarray]:
    """A dark wall, 96 high and 144 wide, and on it a mid grey visitor at x 60, y 24, 24 x 60."""
    bg = np.full((96, 144, 3), 51, dtype=np.uint8)
    bg_fg = bg.copy()
    bg_fg[24:84, 60:84] = (127, 128, 128)
    return bg, bg_fg


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow sets this for its process: a test does not write to another's store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose tables are made; making them takes seconds."""
    from depthmask.tracking import open_store

    root = tmp_path_factory.mktemp("store")
    open_store(root, f"sqlite:///{root / 'mlflow.db'}")
    return root / "mlflow.db"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, where nothing has spoken to MLflow yet."""
    from depthmask import tracking as store

    monkeypatch.setattr(store, "_offline", set())
    store.open_store.cache_clear()
    root = tmp_path / "checkout"
    (root / ".git").mkdir(parents=True)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def root(checkout: Path, empty_store: Path) -> Path:
    """The working folder, with a store that holds nothing."""
    shutil.copyfile(empty_store, checkout / "mlflow.db")
    return checkout


@pytest.fixture
def trial(root: Path) -> Path:
    """A copy of that checkout, as `dvc exp run --temp` makes it."""
    copy = root / ".dvc/tmp/exps/standalone/tmp1"
    (copy / ".git").mkdir(parents=True)
    return copy


@pytest.fixture(params=["refused", "silent"])
def dead_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of what refuses, or accepts and never answers; MLflow is said to be there."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "silent":
            listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{address}")
        yield f"http://{address}"
