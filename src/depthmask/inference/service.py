"""Prediction over HTTP: a plate is put once and named, frames are posted to it."""

import asyncio
import contextlib
import hmac
import io
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import anyio.to_thread
import numpy as np
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from PIL import Image
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.requests import ClientDisconnect

import depthmask
from depthmask.data.scenes import images
from depthmask.errors import DeviceError, InputError
from depthmask.inference import prediction
from depthmask.inference.prediction import GivenPlate
from depthmask.inference.predictor import Predictor

T = TypeVar("T")

_AT_ONCE = 2  # predictions: one decodes or encodes while the other has the cores
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")  # others would be series without end
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "AVIF")  # that decode nothing on opening
_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)  # seconds


class Limits(NamedTuple):
    """What a caller may ask for; with it all asked for at once, memory peaks at 2.2 GB."""

    max_bytes: int = 20 * 2**20  # of a body
    max_pixels: int = 25_000_000  # of a picture
    max_plates: int = 8
    max_held: int = 8  # bodies and what is made of them; further requests wait unread
    max_waiting: int = 256  # requests with a body that wait or are answered
    timeout_s: float = 30.0  # of one, from its first byte to its answer


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
        self.places = asyncio.Semaphore(limits.max_held)
        self.workers = asyncio.Semaphore(_AT_ONCE)  # the pool's queue would hold what is dropped
        self.pool = ThreadPoolExecutor(_AT_ONCE)
        self.registry = CollectorRegistry()
        options: dict[str, Any] = {"namespace": "depthmask", "registry": self.registry}
        self.requests = Counter(
            "requests",
            "Answered, by method, path and status.",
            ["method", "path", "status"],
            **options,
        )
        self.seconds = Histogram(
            "prediction_seconds", "Seconds to predict one frame.", buckets=_BUCKETS, **options
        )
        Gauge("plates", "Plates held.", **options).set_function(lambda: len(self.plates))
        Gauge("waiting", "Requests in work or in the queue.", **options).set_function(
            lambda: self.num_waiting
        )

    def check_place(self) -> None:
        """503 where no further request is taken."""
        if self.num_waiting >= self.limits.max_waiting:
            raise HTTPException(503, "too many requests wait: try again", {"Retry-After": "1"})

    async def work(self, request: Request, field: str, function: Callable[[Any], T]) -> T:
        """`function` of the body, as a file, in a thread when one is free; 503 where too many wait,
        504 after the time: what waits is dropped, what was begun keeps its place until it ends."""
        self.check_place()
        self.num_waiting += 1
        loop, job = asyncio.get_running_loop(), None
        taken: list[asyncio.Semaphore] = []

        def leave() -> None:
            self.num_waiting -= 1
            for each in taken:
                each.release()

        try:
            async with asyncio.timeout(self.limits.timeout_s):
                await self.places.acquire()
                taken.append(self.places)
                body = await _read_body(request, field)
                await self.workers.acquire()
                taken.append(self.workers)
                job = self.pool.submit(function, _Upload(body))
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise HTTPException(504, f"not done in {self.limits.timeout_s:g} s") from None
        finally:
            if job:
                job.add_done_callback(lambda _: loop.call_soon_threadsafe(leave))
            else:
                leave()

    def decode(self, body: Any) -> np.ndarray:
        """A picture as uint8 H x W x 3; 413 of too many pixels, InputError if it is none."""
        try:
            with Image.open(body, formats=_FORMATS) as image:
                is_large = image.width * image.height > self.limits.max_pixels
        except Image.DecompressionBombError:
            is_large = True
        except images.UNREADABLE:
            raise InputError(f"the picture cannot be read: give {', '.join(_FORMATS)}") from None
        if is_large:
            raise HTTPException(413, f"more than {self.limits.max_pixels} pixels")
        return images.read_rgb(body)

    def read_plate(self, name: str, body: Any, fov: float | None, force: bool) -> GivenPlate:
        """A plate; without `fov` its EXIF tells the field of view."""
        image = self.decode(body)
        if fov is None and self.predictor.depth_unit == "metre":
            fov = prediction.read_lens(body, image.shape)
        return GivenPlate(name, image, None, fov, force)

    def hold(self, plate: GivenPlate) -> None:
        """Hold a plate; in the event loop, as all that reads or changes the plates."""
        if plate.name not in self.plates and len(self.plates) >= self.limits.max_plates:
            raise HTTPException(409, f"{len(self.plates)} plates are held: delete one first")
        self.plates[plate.name] = plate

    def answer(self, plate: GivenPlate, body: Any, kind: str) -> Response:
        """JSON of a frame, or a PNG as `predict` writes it, with the distance in a header."""
        frame = self.decode(body)
        prediction.check_size("the frame", frame, plate)
        with self.seconds.time():
            found = prediction.find(self.predictor, plate, frame)
        remedy = "put it with force=true"
        prediction.check_verdict("the frame", found.verdict, plate, remedy)
        unit = self.predictor.depth_unit
        if kind == "json":
            return JSONResponse({"plate": plate.name, "depth_unit": unit, **found.summary})
        (png,) = prediction.encode_pictures(frame, found, [kind], unit).values()
        distance = found.summary["distance_m"]
        headers = {} if distance is None else {"X-Distance-M": str(distance)}
        return Response(png, media_type="image/png", headers=headers)


async def _read_body(request: Request, field: str) -> bytes:
    """The body, or of a form its file `field`."""
    content_type = request.headers.get("content-type", "").lower()
    if not content_type.startswith("multipart/form-data"):
        return await request.body()
    async with request.form(max_files=1) as form:
        file = form.get(field)
        if file is None or isinstance(file, str):
            raise HTTPException(422, f"the form has no file {field}")
        return await file.read()


def _body_of(field: str) -> dict[str, Any]:
    """What OpenAPI tells of a body that `_read_body` reads."""
    binary = {"type": "string", "format": "binary"}
    form = {"type": "object", "properties": {field: binary}, "required": [field]}
    content = {"image/*": {"schema": binary}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"content": content, "required": True}}


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
        service.pool.shutdown(cancel_futures=True)

    bearer = HTTPBearer(auto_error=False)

    def check_token(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        secret = given.credentials if given else ""
        if token and not hmac.compare_digest(secret.encode("latin-1"), token.encode()):
            raise HTTPException(401, "give the token", {"WWW-Authenticate": "Bearer"})

    app = FastAPI(
        title="depthmask",
        version=depthmask.__version__,
        lifespan=warm_up,
        max_body_size=service.limits.max_bytes,
    )
    api = APIRouter(dependencies=[Depends(check_token)])

    @app.exception_handler(InputError)
    async def refuse(_: Request, error: InputError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 503 if isinstance(error, DeviceError) else 422)

    @app.exception_handler(ClientDisconnect)
    async def drop(*_: Any) -> Response:
        return Response(status_code=499)  # nobody reads it; nginx counts such under this number

    @app.middleware("http")
    async def count(request: Request, proceed: Any) -> Response:
        status = 500
        try:
            response: Response = await proceed(request)
            status = response.status_code
            return response
        finally:
            route = request.scope.get("route")
            path = getattr(route, "path", "none")
            method = request.method if request.method in _METHODS else "other"
            service.requests.labels(method, path, status).inc()

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
        service.check_place()
        model = predictor.metadata["experiment"]
        return {"status": "ready", "model": model, "device": predictor.device}

    @api.get("/metrics")
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(generate_latest(service.registry), media_type=CONTENT_TYPE_LATEST)

    @api.get("/plates")
    async def list_plates() -> list[dict[str, Any]]:
        """The plates that are held."""
        return [about(plate) for plate in service.plates.values()]

    @api.put("/plates/{name}", openapi_extra=_body_of("plate"))
    async def put_plate(
        name: str,
        request: Request,
        fov: Annotated[float | None, Query(gt=1, lt=179)] = None,
        force: bool = False,
    ) -> dict[str, Any]:
        """Hold the room with nobody in it: a picture as the body, or as the file `plate` of a form.
        `fov` is the camera's horizontal field of view in degrees, else EXIF's; with `force` frames
        of another view are answered too."""
        plate = await service.work(
            request, "plate", lambda body: service.read_plate(name, body, fov, force)
        )
        service.hold(plate)
        return about(plate)

    @api.delete("/plates/{name}", status_code=204)
    async def delete_plate(name: str) -> None:
        """Forget a plate."""
        del service.plates[plate_named(name).name]

    @api.post("/plates/{name}/frames", response_model=None, openapi_extra=_body_of("frame"))
    async def post_frame(
        name: str,
        request: Request,
        answer: Literal["json", "mask", "depth", "overlay", "alpha"] = "json",
    ) -> Response:
        """Find the person in a frame: a picture as the body, or as the file `frame` of a form. As
        JSON, or as a PNG: the mask, the depth (16 bits, mm), the overlay, the person cut out."""
        plate = plate_named(name)
        return await service.work(
            request, "frame", lambda body: service.answer(plate, body, answer)
        )

    app.include_router(api)
    return app
