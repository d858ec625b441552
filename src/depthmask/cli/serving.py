"""The verbs serve, prediction over HTTP, and demo, in the browser."""

import ipaddress
import signal
import socket
from typing import Annotated

import typer

from depthmask.cli.options import MODEL, DeviceOption, ModelOption, ThreadsOption
from depthmask.errors import InputError

app = typer.Typer()


@app.command()
def serve(
    model: ModelOption = MODEL,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="DEPTHMASK_TOKEN",
            help="Secret that callers send as Authorization: Bearer.",
            show_envvar=True,
        ),
    ] = None,
) -> None:
    """Answer frames over HTTP; /docs of the address lists what may be asked."""
    import uvicorn

    from depthmask.inference.predictor import Predictor
    from depthmask.inference.service import make_app

    if not token and not _is_local(host):
        raise InputError(f"--host {host} is open to others: set a secret in DEPTHMASK_TOKEN")
    try:
        listening = socket.create_server((host, port), family=_family(host))
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]
        what = f"cannot listen at {host}:{port} ({why})"
        raise InputError(f"{what}: name another --port or --host") from None
    service = make_app(Predictor(model, device=device, num_threads=threads), token=token)
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"Listening at http://{shown}:{listening.getsockname()[1]}, Ctrl-C ends it")
    if hasattr(signal, "SIGHUP"):  # uvicorn knows of two others alone
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    config = uvicorn.Config(service, log_level="warning", timeout_graceful_shutdown=30)
    uvicorn.Server(config).run(sockets=[listening])


@app.command()
def demo(
    model: ModelOption = MODEL,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8001,
) -> None:
    """Serve a page that predicts in the browser, from the webcam or pictures, to this machine."""
    from depthmask.cli.demo import make_server

    with make_server(model, port) as server:
        typer.echo(f"Open http://127.0.0.1:{server.server_port}, Ctrl-C ends it")
        server.serve_forever()


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
