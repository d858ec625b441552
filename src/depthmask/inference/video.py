"""A video through the model: decoded, predicted, judged and encoded side by side, in threads."""

import json
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np

from depthmask.data.scenes.files import replaced_file
from depthmask.errors import InputError
from depthmask.inference.overlay import depth_span
from depthmask.inference.prediction import (
    GivenPlate,
    check_size,
    check_verdict,
    conclude,
    draw,
    run,
)
from depthmask.inference.predictor import Predictor
from depthmask.inference.smoothing import Smoother
from depthmask.inference.video_file import (
    CAMERA_TIME_BASE,
    Frame,
    decode,
    encoder,
    encoding_of,
    open_camera,
    open_video,
    png_folder,
)

T = TypeVar("T")

_AHEAD = 4  # frames and packets of sound that wait between two threads
_NOBODY = 0.1  # below this the mask leaves no doubt
_AT_FIRST = 5  # frames that must all be refused for the video to be; the first may be damaged


class Camera(NamedTuple):
    """A webcam's number or a stream's address, and how long to look: until Ctrl-C where 0."""

    name: str
    seconds: float = 0


def predict_video(
    predictor: Predictor,
    plate: GivenPlate,
    video: Path | Camera,
    out: Path,
    kinds: Sequence[str] = ("mask", "overlay"),
    *,
    as_png: bool = False,
    smooth: bool = False,
    follow_s: float = 0,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Predict every frame, of a camera the newest each time, and write a video of each of `kinds`,
    with `ENCODINGS` (`_depth_relative` where the model's depth has no unit), and `STEM.jsonl`, a
    line a frame, which `tell` is called with too; a summary of the whole, or InputError.

    as_png: a folder of PNGs in place of each video. smooth: see `Smoother`. follow_s: the time
    constant with which the plate follows the light where nobody is found; 0: not.
    """
    path = Path("camera") if isinstance(video, Camera) else video
    damaged: deque[float] = deque(maxlen=10_000)  # a camera may send them for ever
    count = num_with_person = num_warned = num_resized = num_lost = 0
    end_s, nearest, farthest, warning = 0.0, math.inf, -math.inf, None
    span: tuple[float, float] | None = None
    stop: BaseException | None = None
    is_over, smoother = threading.Event(), None
    if smooth:  # a camera's frames may be far apart
        smoother = Smoother(1 if isinstance(video, Camera) else 5)

    def predict(items: Iterable[Any]) -> Generator[Any, None, None]:
        nonlocal num_resized, plate
        before_s, followed, is_first = 0.0, plate.image.astype(np.float32), True
        for item in items:
            if not isinstance(item, Frame):
                if item is not None:
                    yield item
                continue
            if not is_first and item.image.shape != plate.image.shape:  # it changes on the way
                num_resized += 1
                continue
            check_size(path.name, item.image, plate)
            found = run(predictor, plate, item.image)
            yield item, plate, *found
            is_first = False
            if follow_s:
                share = 1 - math.exp((before_s - item.time_s) / follow_s)
                _follow(followed, item.image, found[0].mask, share)
                before_s, plate = item.time_s, plate._replace(image=cv2.convertScaleAbs(followed))

    def answer(items: Iterable[Any]) -> Generator[Any, None, None]:
        number = num_refused = 0
        for item in items:
            if not isinstance(item, tuple):
                yield item
                continue
            frame, compared, result, latency_ms = item
            found = conclude(predictor, compared, frame.image, result, latency_ms, smoother)
            if num_refused == number and found.verdict and found.verdict.is_refused:
                num_refused, verdict = num_refused + 1, found.verdict
            number += 1
            if num_refused == _AT_FIRST:  # later on the camera may have been moved
                check_verdict(path.name, verdict, plate)
            yield frame, found
        if number and num_refused == number:
            check_verdict(path.name, verdict, plate)

    start = time.perf_counter()
    # all files take their names once all are complete
    opened = open_camera(video.name) if isinstance(video, Camera) else open_video(video)
    with opened as source, ExitStack() as files, ExitStack() as stack:
        encodings = {kind: encoding_of(kind, plate.image.shape, source.sound) for kind in kinds}
        has_sound = "overlay" in kinds and encodings["overlay"].has_sound and not as_png
        left_out = None
        if source.sound and "overlay" in kinds and not has_sound and not as_png:
            left_out = source.sound.codec.canonical_name
        shown = source._replace(time_base=CAMERA_TIME_BASE) if source.is_live else source
        decoded: Any = decode(source, damaged)
        read = ahead(decoded)
        if isinstance(video, Camera):
            read = newest(decoded, video.seconds, is_over)
        num_ahead = 1 if source.is_live else _AHEAD
        results = stack.enter_context(ahead(predict(stack.enter_context(read)), num_ahead))
        answers = stack.enter_context(ahead(answer(results), num_ahead))
        encoders = dict[str, Callable[[Any], Any]]()
        for kind, encoding in encodings.items():
            end = "depth_relative" if kind == "depth" and predictor.depth_unit != "metre" else kind
            target = out / f"{path.stem}_{end}"
            if as_png:
                encoders[kind] = files.enter_context(png_folder(target))
                continue
            temporary = files.enter_context(
                replaced_file(target.with_name(target.name + encoding.suffix))
            )
            writer = encoder(temporary, encoding, plate.image.shape, shown)
            encoders[kind] = stack.enter_context(writer)
        temporary = files.enter_context(replaced_file(out / f"{path.stem}.jsonl"))
        lines = stack.enter_context(temporary.open("w", encoding="utf-8"))
        try:
            for item in answers:
                if not isinstance(item, tuple):
                    end_s = max(end_s, float((item.dts + (item.duration or 0)) * item.time_base))
                    if has_sound:
                        num_lost += not encoders["overlay"](item)
                    continue
                frame, found = item
                if "colors" in kinds and span is None:  # one for all frames
                    near, far = depth_span(found.depth)
                    span = near / 2, far  # somebody may come nearer than all of the room
                for kind, encode in encoders.items():
                    image = np.asarray(draw(kind, frame.image, found, predictor.depth_unit, span))
                    encode(frame._replace(image=image))
                about = {"frame": frame.number, "time_s": frame.time_s, **found.summary}
                lines.write(f"{(line := json.dumps(about))}\n")
                count, end_s = count + 1, max(end_s, frame.end_s)
                if found.person:
                    num_with_person += 1
                    nearest = min(nearest, found.person.depth)
                    farthest = max(farthest, found.person.depth)
                if found.verdict:
                    num_warned, warning = num_warned + 1, warning or found.verdict.text
                tell(line)
        except (KeyboardInterrupt, SystemExit, BrokenPipeError) as error:
            if not source.is_live:  # what it has seen comes never again
                raise
            stop = error
        if not count:
            raise InputError(f"{path} holds no frame that can be decoded")
        knows_end = not source.is_live and not num_resized
        missing_s = source.missing_s(max([end_s, *damaged])) if knows_end else 0.0
    if stop and not isinstance(stop, KeyboardInterrupt):
        raise stop
    return {
        "scene": path.name,
        "num_frames": count,
        "damaged": sorted(damaged),
        "num_resized": num_resized,
        "missing_s": missing_s,
        "num_lost": num_lost,  # packets of the sound
        "is_stopped": bool(stop) or is_over.is_set(),  # a camera, because it was asked for
        "left_out": left_out,  # the codec of a sound that no container here holds
        "num_warned": num_warned,
        "warning": warning,
        "num_with_person": num_with_person,
        "nearest": nearest,
        "farthest": farthest,
        "flicker": smoother.mean_flicker() if smoother else None,
        "frames_per_s": count / (time.perf_counter() - start),
    }


def _follow(followed: np.ndarray, image: np.ndarray, mask: np.ndarray, share: float) -> None:
    """Move a plate, float32 H x W x 3, by a share of the way to a frame where nobody is found, and
    elsewhere by the mean of that: behind somebody it darkens too."""
    room = cv2.erode((mask < _NOBODY).astype(np.uint8), np.ones((15, 15), np.uint8))
    change = image - followed
    change[room == 0] = cv2.mean(change, room)[:3]
    followed += change * np.float32(share)


@contextmanager
def ahead(items: Generator[T, None, None], count: int = _AHEAD) -> Iterator[Iterator[T]]:
    """Yield the same items, made `count` ahead in a thread; its errors come with them."""
    pool, end = ThreadPoolExecutor(1), object()
    made: deque[Future[Any]] = deque(pool.submit(next, items, end) for _ in range(count))

    def results() -> Iterator[T]:
        while (item := made.popleft().result()) is not end:
            made.append(pool.submit(next, items, end))
            yield item

    with closing(items):
        try:
            yield results()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def newest(
    items: Generator[Any, None, None], seconds: float, is_over: threading.Event
) -> Iterator[Iterator[Frame]]:
    """Yield the frame that came last each time one is asked for, by the time at which it came;
    those in between are dropped. After so many seconds, where not 0, `is_over` is set."""
    latest, start = queue.Queue[Any](1), time.monotonic()
    is_left, failed = threading.Event(), list[BaseException]()

    def replace(frame: Frame | None) -> None:
        with suppress(queue.Empty):
            latest.get_nowait()
        latest.put(frame)

    def read() -> None:
        pts = -1
        try:
            for item in items:
                now = time.monotonic() - start
                if 0 < seconds < now:
                    is_over.set()
                if is_over.is_set() or is_left.is_set():
                    break
                if item is not None:
                    pts = max(pts + 1, round(now / CAMERA_TIME_BASE))
                    replace(item._replace(pts=pts, time_base=CAMERA_TIME_BASE, duration=1))
            items.close()
        except BaseException as error:
            failed.append(error)
        finally:
            replace(None)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield iter(latest.get, None)
    finally:
        is_left.set()
        thread.join()
    if failed:
        raise failed[0]


def describe(summary: Mapping[str, Any], unit: str) -> str:
    """One line for people."""
    found = "nobody found"
    if summary["num_with_person"]:
        near, far = summary["nearest"], summary["farthest"]
        where = f"{near:.2f} to {far:.2f} m away"
        if unit != "metre":
            where = f"at relative depths of {near:.2f} to {far:.2f}"
        found = f"a person in {summary['num_with_person']} of them, {where}"
    rate = f"{summary['frames_per_s']:.1f} frames/s from file to file"
    count = summary["num_frames"]
    text = f"{summary['scene']}: {count} frame{'s' * (count != 1)}, {found}; {rate}"
    if summary["flicker"]:
        before, after = (f"{share:.3%}" for share in summary["flicker"])
        text += f"; flicker of the mask {before}, smoothed {after}"
    return text
