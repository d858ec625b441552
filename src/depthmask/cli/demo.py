"""The page that predicts in the browser, and a server of it for this machine."""

import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from depthmask.errors import InputError
from depthmask.inference.predictor import Predictor

PAGE = Path(__file__).parent / "page"


class _Handler(SimpleHTTPRequestHandler):
    """Files of the page, and of a model under its name in the page."""

    def __init__(self, *args, predictor: Predictor, for_gpu: Path, **options) -> None:
        self.predictor, self.for_gpu = predictor, for_gpu
        super().__init__(*args, directory=str(PAGE), **options)

    def do_GET(self) -> None:
        content = {
            "/wasm.onnx": self.predictor.path.read_bytes,
            "/webgpu.onnx": self.for_gpu.read_bytes,
            "/model.json": lambda: json.dumps(self.predictor.metadata).encode(),
        }.get(self.path)
        if content is None:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        self.wfile.write(content())

    def end_headers(self) -> None:
        # without these two a browser gives WebAssembly one thread
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


def make_server(model: Path, port: int) -> ThreadingHTTPServer:
    """A server of the page at 127.0.0.1, to be run; InputError if it cannot be."""
    if not list(PAGE.glob("ort/*.wasm")):
        raise InputError("the page lacks onnxruntime-web: run `make page`, which needs npm")
    predictor = Predictor(model, device="cpu")
    for_gpu = model / "model.onnx" if model.is_dir() else predictor.path  # 8 bits are for CPUs
    handler = partial(_Handler, predictor=predictor, for_gpu=for_gpu)
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise InputError(f"cannot listen at port {port} ({error.strerror}): name another") from None
