"""The exported model in MLflow's model registry, and who is called the champion there."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depthmask.tracking.backfill import ensure_journal
from depthmask.tracking.connection import attempt
from depthmask.tracking.journal import Journal, copied_checkout, find_root, metric_values
from depthmask.tracking.mlflow_store import Store
from depthmask.tracking.run_copy import clean_name

MODEL = "DepthMaskNet"
ALIAS = "champion"
_REASONS = "gate.reasons"


@dataclass(frozen=True)
class Registered:
    """What MLflow's registry holds after a model came to it.

    Attributes:
        version: of the model, as in `models:/DepthMaskNet/VERSION`.
        champion: the version called so; empty if there is none.
        champion_experiment: what that one was trained in.
    """

    version: str
    champion: str = ""
    champion_experiment: str = ""

    @property
    def is_champion(self) -> bool:
        return self.version == self.champion


def register_model(
    *,
    experiment: str,
    key: str,
    onnx_path: Path,
    metrics: Mapping[str, Any],
    refusals: Sequence[str] = (),
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    data_digest: str = "",
    data_source: str = "",
    curves: Path | None = None,
    root: Path | None = None,
) -> Registered | None:
    """Register an ONNX model as a version of DepthMaskNet; it is the champion unless refused.

    A model of the same run and the same bytes is registered once; later calls change its tags
    and, where it passes now, move the alias to it. A refused one never moves the alias.
    The champion is what the checkout itself holds: a trial in a copy made by DVC, of which several
    may run at once, becomes a version and leaves the alias and the tags of others as they are.

    Args:
        metrics: shown as the version's tags.
        refusals: why it is not to be the champion, shown as the tag `gate.reasons`; the tag
            `gate` says `passed` where there are none, else `refused`.
        experiment, key, params, tags, data_digest, data_source, curves, root: as in
            `log_evaluation`, in case MLflow does not have the run.

    Returns:
        The version and the champion; None if MLflow could not be reached.
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
    shown = {clean_name(name): f"{value:.6g}" for name, value in metric_values(metrics).items()}
    shown["gate"] = "refused" if refusals else "passed"
    if refusals:
        shown[_REASONS] = "; ".join(refusals)
    is_trial = copied_checkout(Path.cwd()) is not None
    return attempt(
        root, lambda store: _register(store, journal, onnx_path, shown, is_trial=is_trial)
    )


def _register(
    store: Store, journal: Journal, onnx_path: Path, shown: dict[str, str], *, is_trial: bool
) -> Registered:
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
            version = str(same[0].version)
            if not is_trial:  # which may ask for more than the checkout that made the version
                _change_tags(client, version, same[0].tags, shown)
        else:
            tags = {
                "depthmask.experiment": record.experiment,
                "depthmask.key": record.key,
                "depthmask.sha256": digest,
            } | shown
            model_id = _log_model(store, run_id, onnx_path)
            with _default_uri(store.uri):
                version = str(
                    client.create_model_version(
                        MODEL, f"models:/{model_id}", run_id=run_id, tags=tags, model_id=model_id
                    ).version
                )
        champion = str(client.get_registered_model(MODEL).aliases.get(ALIAS, ""))
        if shown["gate"] == "passed" and not is_trial and champion != version:
            client.set_registered_model_alias(MODEL, ALIAS, version)
            champion = version
        if not champion:
            return Registered(version)
        tags = client.get_model_version(MODEL, champion).tags
        return Registered(version, champion, tags.get("depthmask.experiment", ""))


def _change_tags(client: Any, version: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    for name, value in new.items():
        if old.get(name) != value:
            client.set_model_version_tag(MODEL, version, name, value)
    if _REASONS in old and _REASONS not in new:
        client.delete_model_version_tag(MODEL, version, _REASONS)


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
