"""`python -m depthmask.tracking`: MLflow's pages on the checkout's own store."""

import argparse
import os
import socket
import sys
from pathlib import Path

from depthmask.errors import InputError, exit_on_error
from depthmask.tracking.comparison import FILE, deliver
from depthmask.tracking.connection import attempt
from depthmask.tracking.journal import FOLDER, find_root
from depthmask.tracking.mlflow_store import is_local, tracking_uri, without_password

HOST = "127.0.0.1"

# The job runner of MLflow's language-model features costs 14 s and 1 GB at the start.
ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONWARNINGS": "ignore",
}


def server_command(root: Path, port: int) -> list[str]:
    """The command line of a server that only this machine reaches."""
    return [
        sys.executable,
        *("-m", "mlflow", "server"),
        *("--backend-store-uri", tracking_uri(root), "--registry-store-uri", tracking_uri(root)),
        *("--artifacts-destination", str(root / "mlartifacts")),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", "--log-level warning"),
    ]


def serve(root: Path, port: int) -> None:
    """Become the MLflow server of a checkout.

    Raises:
        InputError: if the port is taken, the store cannot be opened or is somebody's server.
    """
    uri = tracking_uri(root)
    if not is_local(uri):
        raise InputError(f"MLFLOW_TRACKING_URI is set: open {without_password(uri)}, or unset it")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise InputError(f"port {port} is in use: take another with --port") from None
    opened = attempt(root, lambda store: (store.reap(), deliver(store, root / FOLDER / FILE)))
    if opened is None:
        raise InputError(f"{uri} cannot be opened: see the line above")
    print(f"MLflow: http://{HOST}:{port} (Ctrl-C ends it)", flush=True)
    if link := opened[1]:
        print(f"the comparison: http://{HOST}:{port}/{link}", flush=True)
    os.environ.update(ENVIRONMENT)
    command = server_command(root, port)
    os.execv(command[0], command)


def main() -> None:
    parser = argparse.ArgumentParser(prog="depthmask.tracking", description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    with exit_on_error():
        serve(find_root(), parser.parse_args().port)


if __name__ == "__main__":
    main()
