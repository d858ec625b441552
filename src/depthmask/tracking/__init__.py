"""Experiment tracking with MLflow, which never stops or slows a stage; see `store.attempt`."""
