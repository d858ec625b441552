"""`python -m depthmask.tracking`: MLflow's pages on the checkout's own store."""

import argparse
import os
import socket
import sys
from pathlib import Path

from depthmask.errors import InputError, exit_on_error
from depthmask.tracking import SQLITE, attempt, find_root, tracking_uri, without_password
from depthmask.tracking.sync import sync

HOST = "127.0.0.1"


def serve(root: Path, port: int) -> None:
    """Bring MLflow up to the outputs, then become its server, for this machine alone."""
    uri = tracking_uri(root)
    if not uri.startswith(SQLITE):
        raise InputError(f"MLFLOW_TRACKING_URI is set: open {without_password(uri)}, or unset it")
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        raise InputError(f"port {port} is in use: take another with --port") from None
    if sync(root / "models/experiments", root / "reports") is None:
        raise InputError(f"{uri} cannot be opened: see the line above")
    experiment_id = attempt(root, lambda store: store.experiment_id)
    # not the pages for language models, which MLflow opens otherwise
    view = f"experiments/{experiment_id}/runs?workflowType=machine_learning&compareRunsMode=CHART"
    print(f"MLflow: http://{HOST}:{port}/#/{view} (Ctrl-C ends it)", flush=True)
    # the job runner of MLflow's language-model features costs 14 s and 1 GB at the start
    os.environ |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri),
        *("--artifacts-destination", str(root / "mlartifacts")),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", "--log-level warning"),
    ]
    os.execv(command[0], command)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="depthmask.tracking", description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    with exit_on_error():
        serve(find_root(), parser.parse_args().port)
