import importlib.metadata

import onnxruntime
import pytest

from depthmask.cli import doctor


@pytest.fixture
def installed(monkeypatch):
    """Say which packages are installed, and which providers onnxruntime lists and can load."""

    def pretend(packages: dict[str, str], listed: list[str], working: list[str]) -> None:
        def version(name):
            if name not in packages:
                raise importlib.metadata.PackageNotFoundError(name)
            return packages[name]

        class Session:
            def __init__(self, model, options, providers):
                self.providers = [name for name in providers if name in working]

            def get_providers(self):
                return [*self.providers, "CPUExecutionProvider"]

        monkeypatch.setattr(importlib.metadata, "version", version)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
        monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)

    return pretend


def findings(tmp_path) -> dict[str, doctor.Finding]:
    return {found.subject: found for found in doctor.examine(tmp_path / "model.onnx")}


CUDA_AND_CPU = ["CUDAExecutionProvider", "CPUExecutionProvider"]


def test_both_runtimes_installed(installed, tmp_path):
    installed({"onnxruntime": "1.32", "onnxruntime-gpu": "1.32"}, CUDA_AND_CPU, CUDA_AND_CPU)
    found = findings(tmp_path)["onnxruntime"]
    assert found.level == "warning"
    assert "uninstall both, then install one extra" in found.text


def test_cuda_listed_but_dead(installed, tmp_path):
    installed({"onnxruntime-gpu": "1.32"}, CUDA_AND_CPU, ["CPUExecutionProvider"])
    found = findings(tmp_path)["providers"]
    assert found.level == "warning"
    assert found.text.startswith("CPU; CUDA does not load")


def test_cuda_works(installed, tmp_path):
    installed({"onnxruntime-gpu": "1.32"}, CUDA_AND_CPU, CUDA_AND_CPU)
    found = findings(tmp_path)["providers"]
    assert (found.level, found.text) == ("ok", "CUDA, CPU (tried, not only listed)")


def test_no_runtime(installed, tmp_path):
    installed({}, [], [])
    found = findings(tmp_path)
    assert found["onnxruntime"].level == "problem"
    assert found["mlflow"].text == "not installed; needed for tracking of experiments"


def test_a_missing_model_says_how_to_make_it(tmp_path):
    found = findings(tmp_path)["model"]
    assert found.level == "warning"
    assert found.text.endswith("model.onnx is missing: make it with `make repro`")


def test_the_cpu_really_runs():
    assert "CPUExecutionProvider" in doctor.usable_providers()


def test_a_provider_that_raises_is_not_usable():
    def run(provider):
        raise RuntimeError("no such library")

    assert doctor.usable_providers(run) == []
