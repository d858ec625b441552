"""The exported model in MLflow's model registry, and who is called the champion there."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock

from depthmask.tracking.store import FOLDER, Store, Unreachable, attempt, copied_checkout, find_root

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

MODEL = "DepthMaskNet"
ALIAS = "champion"
_REASONS = "gate.reasons"


class Registered(NamedTuple):
    """A model's version, as in `models:/DepthMaskNet/VERSION`, and the champion's, if any."""

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
    metrics: Mapping[str, float | None],
    refusals: Sequence[str] = (),
) -> Registered | None:
    """Register an ONNX file as a version of DepthMaskNet; it is the champion unless refused.

    The same bytes of the same run are registered once; later calls change the version's tags and
    move the alias. A trial in a copy made by DVC, of which several may run at once, never moves it.

    Args:
        experiment, key: of the run that trained it, which `sync` has brought to MLflow.
        metrics: shown as the version's tags, beside `gate` (passed or refused).
        refusals: why it is not to be the champion, shown as the tag `gate.reasons`.

    Returns:
        None if MLflow could not be reached.
    """
    tags = {
        "depthmask.experiment": experiment,
        "depthmask.key": key,
        "depthmask.sha256": hashlib.sha256(onnx_path.read_bytes()).hexdigest(),
        **{name: f"{value:.6g}" for name, value in metrics.items() if value is not None},
        "gate": "refused" if refusals else "passed",
        **({_REASONS: "; ".join(refusals)} if refusals else {}),
    }
    return attempt(find_root(), lambda store: _register(store, onnx_path, tags))


def _register(store: Store, onnx_path: Path, tags: dict[str, str]) -> Registered:
    import mlflow
    from mlflow.exceptions import MlflowException

    run, client = store.find_run(tags["depthmask.key"]), store.client
    if run is None:
        raise Unreachable("it has no run of the exported model")
    is_trial = copied_checkout(Path.cwd()) is not None
    with FileLock(store.root / FOLDER / "mlflow.lock", timeout=120):
        try:
            client.create_registered_model(MODEL, description="A person's mask, a scene's depth.")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        version = _find_version(store, run.info.run_id, tags["depthmask.sha256"])
        if version is None:
            model_id = _log_model(store, run.info.run_id, onnx_path)
            mlflow.set_tracking_uri(store.uri)  # where it looks the model up, not in the client's
            version = client.create_model_version(
                MODEL, f"models:/{model_id}", run_id=run.info.run_id, tags=tags, model_id=model_id
            )
        elif not is_trial:  # which may ask for more than the checkout that made the version
            for name, value in tags.items():
                client.set_model_version_tag(MODEL, str(version.version), name, value)
            if _REASONS in version.tags and _REASONS not in tags:
                client.delete_model_version_tag(MODEL, str(version.version), _REASONS)
        number = str(version.version)
        champion = str(client.get_registered_model(MODEL).aliases.get(ALIAS, ""))
        if tags["gate"] == "passed" and not is_trial:
            client.set_registered_model_alias(MODEL, ALIAS, number)
            champion = number
        if not champion:
            return Registered(number)
        known = client.get_model_version(MODEL, champion).tags
        return Registered(number, champion, known.get("depthmask.experiment", ""))


def _find_version(store: Store, run_id: str, sha256: str) -> "ModelVersion | None":
    found = store.client.search_model_versions(f"name = '{MODEL}' and run_id = '{run_id}'")
    return next((each for each in found if each.tags.get("depthmask.sha256") == sha256), None)


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
            # named here, or MLflow finds them by loading the model in another process
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
