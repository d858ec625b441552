"""One run in MLflow, brought up to its journal without saying anything twice."""

import json
import re
from typing import Any

from depthmask.tracking.journal import Event, Journal, Record

MAX_PARAM_LENGTH = 6000
MAX_TAG_LENGTH = 8000
MAX_NAME_LENGTH = 250
MAX_DIGEST_LENGTH = 36
BATCH = 100  # parameters and tags in one call; metrics may be 1,000


def clean_name(name: str) -> str:
    """A name that MLflow takes: letters, digits and `_ - . / :` and spaces, 250 of them."""
    name = re.sub(r"[^\w\-./: ]", "_", name)
    return "/".join(part for part in name.split("/") if part not in ("", ".", ".."))[
        :MAX_NAME_LENGTH
    ]


def cut(value: Any, limit: int) -> str:
    """A value's text, with a note in place of what exceeds MLflow's limit."""
    text = str(value)
    if len(text) <= limit:
        return text
    note = f" … (cut; {len(text)} characters, whole in the journal)"
    return text[: limit - len(note)] + note


def finite(value: Any) -> float:
    """Infinity as NaN: MLflow would store 1.8e308, which flattens every chart."""
    number = float(value)
    return number if abs(number) != float("inf") else float("nan")


def _same(first: float, second: float) -> bool:
    return first == second or (first != first and second != second)


class RunCopy:
    """One run in MLflow, and what it already holds of its journal."""

    def __init__(self, client: Any, run: Any, journal: Journal) -> None:
        self.run_id: str = run.info.run_id
        self._client = client
        self._journal = journal
        self._params = set(run.data.params)
        self._status: str = run.info.status
        self._digests = {item.dataset.digest for item in run.inputs.dataset_inputs}
        self._latest: dict[str, float] = dict(run.data.metrics)
        self._steps: set[tuple[str, int]] = set()
        self._num_sent = 0
        for name in run.data.metrics:
            history = client.get_metric_history(self.run_id, name)
            self._steps |= {(name, metric.step) for metric in history}
        self._files = self._list_files()

    def _list_files(self, folder: str | None = None) -> dict[str, int | None]:
        files = {}
        for info in self._client.list_artifacts(self.run_id, folder):
            files |= self._list_files(info.path) if info.is_dir else {info.path: info.file_size}
        return files

    def describe(self, record: Record) -> None:
        """Send parameters, tags and the data set's digest, as far as they are missing."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

        named = {clean_name(name): value for name, value in record.params.items()}
        params = [
            Param(name, cut(value, MAX_PARAM_LENGTH))
            for name, value in named.items()
            if name not in self._params
        ]
        tags = [
            RunTag(clean_name(name), cut(value, MAX_TAG_LENGTH))
            for name, value in record.tags.items()
        ]
        for start in range(0, max(len(params), len(tags)), BATCH):
            chunk = slice(start, start + BATCH)
            self._client.log_batch(self.run_id, params=params[chunk], tags=tags[chunk])
        self._num_sent += len(params)
        digest = record.data.get("digest", "")[:MAX_DIGEST_LENGTH]
        if digest and digest not in self._digests:
            data = Dataset(
                name="prepared",
                digest=digest,
                source_type="local",
                source=json.dumps({"uri": record.data.get("source", "")}),
            )
            context = [InputTag("mlflow.data.context", "training")]
            self._client.log_inputs(self.run_id, [DatasetInput(data, context)])

    def send(self, events: list[Event], *, again: bool = False) -> int:
        """Send what MLflow does not hold of these events.

        Args:
            again: send files that MLflow holds in the same size too.

        Returns:
            How many parameters, metrics and files were sent since the last call.
        """
        from mlflow.entities import Metric

        metrics: list[Metric] = []
        files: dict[str, str] = {}
        for event in events:
            if event["type"] in ("metrics", "evaluation"):
                step = int(event.get("step", 0))
                for name, value in event["metrics"].items():
                    name, value = clean_name(name), finite(value)
                    if (name, step) in self._steps and (
                        event["type"] == "metrics" or _same(self._latest[name], value)
                    ):
                        continue
                    metrics.append(Metric(name, value, event["time"], step))
                    self._steps.add((name, step))
                    self._latest[name] = value
            elif event["type"] == "file":
                files[event["name"]] = event["path"]
        for start in range(0, len(metrics), 10 * BATCH):
            self._client.log_batch(self.run_id, metrics[start : start + 10 * BATCH])
        for name, path in files.items():
            local = self._journal.folder / path
            if not local.is_file():
                continue
            size = local.stat().st_size
            if again or self._files.get(name) != size:
                folder = name.rpartition("/")[0] or None
                self._client.log_artifact(self.run_id, str(local), folder)
                self._files[name] = size
                self._num_sent += 1
        num_sent, self._num_sent = self._num_sent + len(metrics), 0
        return num_sent

    def set_status(self, status: str, ended_ms: int | None = None) -> None:
        if status == self._status:
            return
        if status == "RUNNING":
            self._client.update_run(self.run_id, status=status)
        else:
            self._client.set_terminated(self.run_id, status, ended_ms)
        self._status = status
