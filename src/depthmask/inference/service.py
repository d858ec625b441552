"""Prediction over HTTP: a plate is put once and named, frames are posted to it."""

import asyncio
import contextlib
import hmac
import io
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import anyio.to_thread
import numpy as np
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

import depthmask
from depthmask.data.scenes import images
from depthmask.errors import InputError
from depthmask.inference.prediction import GivenPlate, check_size, check_verdict, draw, find
from depthmask.inference.predictor import Predictor

T = TypeVar("T")

_AT_ONCE = 2  # predictions: one decodes or encodes while the other has the cores
_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)  # seconds


class Limits(NamedTuple):
    """What a caller may ask for; with it all asked for at once, memory peaks at 3 GB."""

    max_bytes: int = 20 * 2**20  # of a body
    max_pixels: int = 25_000_000  # of a picture
    max_plates: int = 8
    max_waiting: int = 8  # requests that are answered or wait for it
    timeout_s: float = 30.0  # of one, waiting included


class _Upload(io.BytesIO):
    """A picture that came in a body, called so in messages."""

    def __str__(self) -> str:
        return "the picture"


class Service:
    """A predictor, the plates that were put, and the figures about both."""

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self.predictor, self.limits = predictor, limits
        self.plates: dict[str, GivenPlate] = {}
        self.num_waiting = 0
        self.slots = asyncio.Semaphore(_AT_ONCE)
        self.registry = CollectorRegistry()
        options: dict[str, Any] = {"namespace": "depthmask", "registry": self.registry}
        self.requests = Counter(
            "requests", "Answered, by path and status.", ["path", "status"], **options
        )
        self.seconds = Histogram(
            "prediction_seconds", "Seconds to predict one frame.", buckets=_BUCKETS, **options
        )
        Gauge("plates", "Plates held.", **options).set_function(lambda: len(self.plates))
        Gauge("waiting", "Frames in work or in the queue.", **options).set_function(
            lambda: self.num_waiting
        )

    async def work(self, function: Callable[[], T]) -> T:
        """Run in a thread when a slot is free; 503 where too many wait, 504 after the time, and
        what was begun keeps its place until it ends."""
        if self.num_waiting >= self.limits.max_waiting:
            raise HTTPException(503, "too many requests wait: try again", {"Retry-After": "1"})
        self.num_waiting += 1

        async def run() -> T:
            try:
                async with self.slots:
                    return await anyio.to_thread.run_sync(function)
            finally:
                self.num_waiting -= 1

        task = asyncio.create_task(run())
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                return await asyncio.shield(task)
        except TimeoutError:
            task.add_done_callback(lambda task: task.exception())  # nobody waits for it any more
            raise HTTPException(504, f"not done in {self.limits.timeout_s:g} s") from None

    async def read_body(self, request: Request, field: str) -> bytes:
        """The body, or of a form its file `field`; 413 where it is too large."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.limits.max_bytes:
                raise HTTPException(413, f"larger than {self.limits.max_bytes} bytes")
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            return bytes(body)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        async with Request(request.scope, receive).form(max_files=1) as form:
            file = form.get(field)
            if file is None or isinstance(file, str):
                raise HTTPException(422, f"the form has no file {field}")
            return await file.read()

    def decode(self, body: bytes) -> np.ndarray:
        """A picture as uint8 H x W x 3; 413 of too many pixels, InputError if it is none."""
        with contextlib.suppress(*images.UNREADABLE), Image.open(io.BytesIO(body)) as image:
            if image.width * image.height > self.limits.max_pixels:
                raise HTTPException(413, f"more than {self.limits.max_pixels} pixels")
        return images.read_rgb(_Upload(body))  # type: ignore[arg-type]

    def put(self, name: str, body: bytes, fov_degrees: float | None) -> GivenPlate:
        """Hold a plate."""
        plate = GivenPlate(name, self.decode(body), None, fov_degrees)
        if name not in self.plates and len(self.plates) >= self.limits.max_plates:
            raise HTTPException(409, f"{len(self.plates)} plates are held: delete one first")
        self.plates[name] = plate
        return plate

    def answer(self, plate: GivenPlate, body: bytes, kind: str) -> Response:
        """JSON of a frame, or a PNG that `draw` draws with the JSON's distance in its header."""
        frame = self.decode(body)
        check_size("the frame", frame, plate)
        start = time.perf_counter()
        found = find(self.predictor, plate, frame)
        self.seconds.observe(time.perf_counter() - start)
        check_verdict("the frame", found.verdict, plate)
        if kind == "json":
            unit = {"depth_unit": self.predictor.depth_unit}
            return JSONResponse({"plate": plate.name, **unit, **found.summary})
        png = io.BytesIO()
        drawn = draw(kind, frame, found, self.predictor.depth_unit)
        drawn.save(png, format="PNG", compress_level=1)
        headers = {"X-Distance-M": str(found.summary["distance_m"])}
        return Response(png.getvalue(), media_type="image/png", headers=headers)


def make_app(
    predictor: Predictor, *, token: str | None = None, limits: Limits | None = None
) -> FastAPI:
    """The service as an ASGI application; with a `token` it asks each caller for it."""
    service = Service(predictor, limits or Limits())

    @contextlib.asynccontextmanager
    async def warm_up(_: FastAPI) -> AsyncIterator[None]:
        blank = np.zeros((predictor.training_size,) * 2 + (3,), np.uint8)
        await anyio.to_thread.run_sync(predictor.predict, blank, blank)
        yield

    def check_token(request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and not hmac.compare_digest(given.encode("latin-1"), token.encode()):
            raise HTTPException(401, "give the token", {"WWW-Authenticate": "Bearer"})

    app = FastAPI(title="depthmask", version=depthmask.__version__, lifespan=warm_up)
    api = APIRouter(dependencies=[Depends(check_token)])

    @app.exception_handler(InputError)
    async def refuse(_: Request, error: InputError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.middleware("http")
    async def count(request: Request, proceed: Any) -> Response:
        status = 500
        try:
            response: Response = await proceed(request)
            status = response.status_code
            return response
        finally:
            route = request.scope.get("route")
            service.requests.labels(getattr(route, "path", "none"), status).inc()

    def plate_named(name: str) -> GivenPlate:
        if name not in service.plates:
            raise HTTPException(404, f"no plate {name}: put it to /plates/{name}")
        return service.plates[name]

    def about(plate: GivenPlate) -> dict[str, Any]:
        height, width, _ = plate.image.shape
        fov = plate.fov_degrees
        return {"name": plate.name, "width_px": width, "height_px": height, "fov_degrees": fov}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> dict[str, str]:
        """Whether a frame would be taken now; 503 where too many wait."""
        await service.work(lambda: None)
        model = predictor.metadata["experiment"]
        return {"status": "ready", "model": model, "device": predictor.device}

    @api.get("/metrics")
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(generate_latest(service.registry), media_type="text/plain; version=0.0.4")

    @api.get("/plates")
    async def list_plates() -> list[dict[str, Any]]:
        """The plates that are held."""
        return [about(plate) for plate in service.plates.values()]

    @api.put("/plates/{name}")
    async def put_plate(
        name: str, request: Request, fov: Annotated[float | None, Query(gt=1, lt=179)] = None
    ) -> dict[str, Any]:
        """Hold the room with nobody in it: a picture as the body, or as the file `plate` of a form.
        `fov` is the camera's horizontal field of view in degrees."""
        body = await service.read_body(request, "plate")
        return about(await service.work(lambda: service.put(name, body, fov)))

    @api.delete("/plates/{name}", status_code=204)
    async def delete_plate(name: str) -> None:
        """Forget a plate."""
        del service.plates[plate_named(name).name]

    @api.post("/plates/{name}/frames", response_model=None)
    async def post_frame(
        name: str,
        request: Request,
        answer: Literal["json", "mask", "depth", "overlay", "alpha"] = "json",
    ) -> Response:
        """Find the person in a frame: a picture as the body, or as the file `frame` of a form. As
        JSON, or as a PNG: the mask, the depth (16 bits, mm), the overlay, the person cut out."""
        plate = plate_named(name)
        body = await service.read_body(request, "frame")
        return await service.work(lambda: service.answer(plate, body, answer))

    app.include_router(api)
    return app
