"""A video through the model: decoded, predicted and encoded side by side, in three threads."""

import json
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import av
import numpy as np

from depthmask.data.scenes.files import replaced_file
from depthmask.errors import InputError
from depthmask.inference.prediction import GivenPlate, check_size, check_verdict, draw, find
from depthmask.inference.predictor import Predictor
from depthmask.inference.smoothing import Smoother

T = TypeVar("T")

_MP4_SOUND = ("aac", "mp3", "ac3", "eac3", "opus", "flac", "alac")
_X264 = {"crf": "18", "preset": "veryfast"}  # twice as fast as by default
_VP9 = {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "8", "row-mt": "1"}
_AHEAD = 4  # frames and packets of sound that wait between two threads


class _Encoding(NamedTuple):
    suffix: str
    container: str
    codec: str
    pix_fmt: str
    options: dict[str, str]
    has_sound: bool = False


_ENCODINGS = {  # of what `draw` draws
    "mask": _Encoding(".mp4", "mp4", "libx264", "yuv420p", _X264),
    "overlay": _Encoding(".mp4", "mp4", "libx264", "yuv420p", _X264, has_sound=True),
    "depth": _Encoding(".mkv", "matroska", "ffv1", "gray16le", {}),  # lossless
    "alpha": _Encoding(".webm", "webm", "libvpx-vp9", "yuva420p", _VP9),
}


class Frame(NamedTuple):
    """A frame upright, uint8 H x W x 3, RGB, and when it is shown, in units of `time_base`."""

    number: int  # from 0, of those that can be decoded
    image: np.ndarray
    pts: int
    time_base: Fraction

    @property
    def time_s(self) -> float:
        return round(float(self.pts * self.time_base), 3)


@contextmanager
def open_video(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a file that has a video stream; InputError if it has none or cannot be read."""
    try:
        container = av.open(str(path))
    except av.FFmpegError as error:
        raise InputError(f"{path} cannot be read as a video ({error.strerror})") from None
    with container:
        if not container.streams.video:
            raise InputError(f"{path} holds no video: name another file")
        container.streams.video[0].thread_type = "AUTO"
        yield container


def read_video(path: Path) -> Iterator[np.ndarray]:
    """The frames that can be decoded, uint8 H x W x 3, RGB, upright."""
    with open_video(path) as container:
        for item in decode(container, []):
            if isinstance(item, Frame):
                yield item.image


def count_frames(path: Path) -> int:
    """How many there are, as the file says or lets expect; 0 if it does not tell."""
    with open_video(path) as container:
        video = container.streams.video[0]
        return video.frames or int(Fraction(container.duration or 0, av.time_base) * _rate(video))


def decode(
    container: av.container.InputContainer, damaged: list[float]
) -> Generator["Frame | av.Packet", None, None]:
    """The frames of the first video stream and, between them, the packets of the first audio
    stream; the times of what cannot be decoded, in seconds, are added to `damaged`."""
    video, number = container.streams.video[0], 0
    base: Fraction = video.time_base or Fraction(1, 1000)
    last: int | None = None
    step = max(1, round(1 / (_rate(video) * base)))
    packets = container.demux(video, *container.streams.audio[:1])
    while True:
        packet = None
        try:
            packet = next(packets)
            frames = video.decode(packet) if packet.stream is video else []
        except StopIteration:
            return
        except av.FFmpegError:
            time = last if packet is None or packet.pts is None else packet.pts
            damaged.append(round(float((time or 0) * base), 3))
            if packet is None:  # what follows cannot be read either
                return
            continue
        if packet.stream is not video and packet.dts is not None:  # the last, empty one has none
            yield packet
        for frame in frames:
            pts = frame.pts
            # an encoder takes no time twice, and a damaged file may tell none
            if pts is None or last is not None and pts <= last:
                pts = 0 if last is None else last + step
            last = pts
            upright = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
            yield Frame(number, np.ascontiguousarray(upright), pts, base)
            number += 1


def _rate(stream: av.VideoStream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def predict_video(
    predictor: Predictor,
    plate: GivenPlate,
    path: Path,
    out: Path,
    kinds: Sequence[str] = ("mask", "overlay"),
    smooth: Smoother | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Predict every frame and write a video of each of `kinds`, with `_ENCODINGS`, and
    `STEM.jsonl`, a line a frame; a summary of the whole, or InputError."""
    damaged: list[float] = []
    found_m: list[float] = []
    count = 0

    def predict(items: Iterable[Any]) -> Generator[Any, None, None]:
        for item in items:
            if isinstance(item, Frame):
                check_size(path.name, item.image, plate)
                found = find(predictor, plate, item.image, smooth)
                if not item.number:  # later on it may have been moved
                    check_verdict(path.name, found.verdict, plate)
                yield item, found
            else:
                yield item

    start = time.perf_counter()
    # all files take their names once all are complete
    with open_video(path) as container, ExitStack() as files, ExitStack() as stack:
        video, sound = container.streams.video[0], next(iter(container.streams.audio), None)
        expected = video.frames  # 0: the file does not tell
        frames = stack.enter_context(ahead(decode(container, damaged)))
        answers = stack.enter_context(ahead(predict(frames)))
        encoders = {}
        for kind in kinds:
            encoding = _encoding(kind, plate.image.shape, sound)
            target = out / f"{path.stem}_{kind}{encoding.suffix}"
            temporary = files.enter_context(replaced_file(target))
            encoder = _encoder(temporary, encoding, plate.image.shape, video, sound)
            encoders[kind] = stack.enter_context(encoder)
        temporary = files.enter_context(replaced_file(out / f"{path.stem}.jsonl"))
        lines = stack.enter_context(temporary.open("w", encoding="utf-8"))
        for item in answers:
            if not isinstance(item, tuple):
                if "overlay" in encoders:
                    encoders["overlay"](item)
                continue
            frame, found = item
            for kind, encode in encoders.items():
                image = np.asarray(draw(kind, frame.image, found, predictor.depth_unit))
                encode(frame._replace(image=image))
            line = {"frame": frame.number, "time_s": frame.time_s, **found.summary}
            lines.write(json.dumps(line) + "\n")
            count += 1
            advance(1)
            if found.person:
                found_m.append(found.person.depth)
        if not count:
            raise InputError(f"{path} holds no frame that can be decoded")
    return {
        "scene": path.name,
        "num_frames": count,
        "damaged": damaged,
        "num_missing": max(0, expected - count - len(damaged)),
        "num_with_person": len(found_m),
        "nearest": min(found_m, default=None),
        "farthest": max(found_m, default=None),
        "flicker": np.mean(smooth.flicker, axis=0).tolist() if smooth and smooth.flicker else None,
        "frames_per_s": count / (time.perf_counter() - start),
    }


def _encoding(kind: str, shape: tuple[int, ...], sound: Any) -> _Encoding:
    """How a kind of picture, H x W, is encoded."""
    encoding = _ENCODINGS[kind]
    if encoding.codec == "libx264" and (shape[0] % 2 or shape[1] % 2):
        encoding = encoding._replace(pix_fmt="yuv444p")  # what is halved must be even
    if kind == "overlay" and sound is not None and sound.codec_context.name not in _MP4_SOUND:
        encoding = encoding._replace(suffix=".mkv", container="matroska")
    return encoding


@contextmanager
def _encoder(
    path: Path, encoding: _Encoding, shape: tuple[int, ...], video: Any, sound: Any
) -> Iterator[Callable[[Any], None]]:
    """Yield a function that takes frames, as `draw` makes them, and packets of the sound."""
    with av.open(str(path), "w", format=encoding.container) as container:
        stream: Any = container.add_stream(
            encoding.codec, rate=_rate(video), options=encoding.options
        )
        stream.height, stream.width, stream.pix_fmt = *shape[:2], encoding.pix_fmt
        stream.codec_context.time_base = video.time_base
        copied = container.add_stream_from_template(sound) if sound and encoding.has_sound else None

        def write(item: Any) -> None:
            if not isinstance(item, Frame):
                item.stream = copied
                container.mux(item)
                return
            channels, is_deep = item.image.shape[2:], item.image.dtype == np.uint16
            name = {(): "gray16le" if is_deep else "gray", (3,): "rgb24", (4,): "rgba"}[channels]
            frame = av.VideoFrame.from_ndarray(item.image, format=name)
            frame.pts, frame.time_base = item.pts, item.time_base
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode(None))


@contextmanager
def ahead(items: Generator[T, None, None]) -> Iterator[Iterator[T]]:
    """Yield the same items, made a few ahead in a thread; its errors come with them."""
    pool, end = ThreadPoolExecutor(1), object()
    made: deque[Future[Any]] = deque(pool.submit(next, items, end) for _ in range(_AHEAD))

    def results() -> Iterator[T]:
        while (item := made.popleft().result()) is not end:
            made.append(pool.submit(next, items, end))
            yield item

    with closing(items):
        try:
            yield results()
        finally:
            pool.shutdown(cancel_futures=True)


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
