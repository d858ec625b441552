"""depthmask: a person's mask and the scene's depth from a clean plate and a frame."""

__version__ = "0.1.0"
__all__ = ["Predictor", "__version__"]


def __getattr__(name: str):
    # Imported on first use, so that the stages that never predict need no onnxruntime.
    if name == "Predictor":
        from depthmask.inference.predictor import Predictor

        return Predictor
    raise AttributeError(f"module 'depthmask' has no attribute {name!r}")
