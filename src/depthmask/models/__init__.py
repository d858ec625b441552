"""Networks, losses, and a trained network on disk."""

from depthmask.models.networks import MODELS, PairModel, Prediction

__all__ = ["MODELS", "PairModel", "Prediction"]
