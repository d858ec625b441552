import importlib.metadata

import onnxruntime
import pytest

from depthmask.cli import doctor

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
BOTH = {"onnxruntime": "1.32", "onnxruntime-gpu": "1.32"}
GPU = {"onnxruntime-gpu": "1.32"}


@pytest.mark.parametrize(
    ("packages", "working", "subject", "level", "text"),
    [
        (BOTH, [CUDA], "onnxruntime", "warning", "uninstall both, then install one"),
        (GPU, [], "providers", "warning", "CPU; CUDA does not load: onnxruntime-gpu needs"),
        (GPU, [CUDA], "providers", "ok", "CUDA, CPU (tried, not only listed)"),
        ({}, [], "onnxruntime", "problem", "not installed: `pip install onnxruntime`"),
        ({}, [], "mlflow", "ok", "not installed; only the pipeline needs it"),
        ({}, [], "model", "warning", "model.onnx is missing: make it with `make repro`"),
    ],
)
def test_findings(monkeypatch, tmp_path, packages, working, subject, level, text):
    def version(name):
        if name not in packages:
            raise importlib.metadata.PackageNotFoundError(name)
        return packages[name]

    class Session:
        """Of an onnxruntime that lists CUDA, whether it works or not."""

        def __init__(self, path, options, providers):
            asked = [each if isinstance(each, str) else each[0] for each in providers]
            self.providers = [name for name in asked if name in (*working, CPU)]

        def get_providers(self):
            return self.providers

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    found = {each.subject: each for each in doctor.examine(tmp_path / "model.onnx")}[subject]
    assert found.level == level and text in found.text
