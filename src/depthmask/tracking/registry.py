"""The winner in MLflow's model registry."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from depthmask.tracking.backfill import ensure_journal
from depthmask.tracking.connection import attempt
from depthmask.tracking.journal import Journal, copied_checkout, find_root, metric_values
from depthmask.tracking.mlflow_store import Store
from depthmask.tracking.run_copy import clean_name

MODEL = "DepthMaskNet"
ALIAS = "champion"


def register_champion(
    *,
    experiment: str,
    key: str,
    onnx_path: Path,
    metrics: Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    data_digest: str = "",
    data_source: str = "",
    curves: Path | None = None,
    root: Path | None = None,
) -> str | None:
    """Register an ONNX model as a version of DepthMaskNet and call it the champion.

    A model of the same run and the same bytes is registered once; only the alias moves to it.
    The champion is what the checkout itself holds: a trial in a copy made by DVC, of which several
    may run at once, becomes a version and leaves the alias where it is.

    Args:
        metrics: shown as the version's tags.
        experiment, key, params, tags, data_digest, data_source, curves, root: as in
            `log_evaluation`, in case MLflow does not have the run.

    Returns:
        The version, as in `models:/DepthMaskNet/VERSION`; None if MLflow could not be reached.
    """
    root = root.resolve() if root else find_root()
    journal, _ = ensure_journal(
        root,
        experiment,
        key,
        params=params,
        tags=tags,
        data_digest=data_digest,
        data_source=data_source,
        curves=curves,
    )
    figures, is_champion = metric_values(metrics), copied_checkout(Path.cwd()) is None
    return attempt(
        root, lambda store: _register(store, journal, onnx_path, figures, is_champion=is_champion)
    )


def _register(
    store: Store,
    journal: Journal,
    onnx_path: Path,
    metrics: Mapping[str, float],
    *,
    is_champion: bool,
) -> str:
    from mlflow.exceptions import MlflowException

    record = journal.record()
    assert record is not None
    run_id, _ = store.copy(journal, record, same_key=True)
    digest = hashlib.sha256(onnx_path.read_bytes()).hexdigest()
    client = store.client
    with store.lock:
        try:
            client.create_registered_model(MODEL, description="A person's mask, a scene's depth.")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = client.search_model_versions(f"name = '{MODEL}' and run_id = '{run_id}'")
        same = [version for version in found if version.tags.get("depthmask.sha256") == digest]
        if same:
            version = same[0].version
        else:
            tags = {
                "depthmask.experiment": record.experiment,
                "depthmask.key": record.key,
                "depthmask.sha256": digest,
            } | {clean_name(name): f"{value:.6g}" for name, value in metrics.items()}
            model_id = _log_model(store, run_id, onnx_path)
            with _default_uri(store.uri):
                version = client.create_model_version(
                    MODEL, f"models:/{model_id}", run_id=run_id, tags=tags, model_id=model_id
                ).version
        current = str(client.get_registered_model(MODEL).aliases.get(ALIAS))
        if is_champion and current != str(version):
            client.set_registered_model_alias(MODEL, ALIAS, version)
    return str(version)


@contextmanager
def _default_uri(uri: str) -> Iterator[None]:
    """MLflow looks `models:/ID` up in the process's default store, not in the client's own."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = uri
    try:
        yield
    finally:
        if before is None:
            del os.environ["MLFLOW_TRACKING_URI"]
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before


def _log_model(store: Store, run_id: str, onnx_path: Path) -> str:
    """Log the file as a model of MLflow's onnx flavour; returns the model's id."""
    import mlflow.onnx
    import onnx
    import onnxruntime
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    client = store.client
    logged = client.create_logged_model(
        store.experiment_id, name="onnx", source_run_id=run_id, model_type="onnx"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        mlflow.onnx.save_model(
            onnx.load(onnx_path),
            path,
            mlflow_model=Model(
                artifact_path=logged.artifact_location, run_id=run_id, model_id=logged.model_id
            ),
            # Named here, or MLflow finds them by loading the model in another process.
            pip_requirements=[
                f"mlflow=={mlflow.__version__}",
                f"onnx=={onnx.__version__}",
                f"onnxruntime=={onnxruntime.__version__}",
            ],
            onnx_execution_providers=["CPUExecutionProvider"],  # the others warn where they lack
            save_as_external_data=False,
        )
        shutil.copyfile(onnx_path, path / "model.onnx")  # the very bytes that were checked
        client.log_model_artifacts(logged.model_id, str(path))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return logged.model_id
