"""A video through the model: decoded, predicted and encoded side by side, in three threads."""

import json
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from depthmask.data.scenes.files import replaced_file
from depthmask.errors import InputError
from depthmask.inference.prediction import GivenPlate, check_size, check_verdict, draw, find
from depthmask.inference.predictor import Predictor
from depthmask.inference.smoothing import Smoother
from depthmask.inference.video_file import Frame, decode, encoder, encoding_of, open_video

T = TypeVar("T")

_AHEAD = 4  # frames and packets of sound that wait between two threads
_AT_FIRST = 5  # frames that must all be refused for the video to be; the first may be damaged


def predict_video(
    predictor: Predictor,
    plate: GivenPlate,
    path: Path,
    out: Path,
    kinds: Sequence[str] = ("mask", "overlay"),
    smooth: Smoother | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Predict every frame and write a video of each of `kinds`, with `ENCODINGS`
    (`_depth_relative` where the model's depth has no unit), and `STEM.jsonl`, a line a frame; a
    summary of the whole, or InputError."""
    damaged: list[float] = []
    found_m: list[float] = []
    warnings: list[str] = []
    count, last_s = 0, 0.0

    def predict(items: Iterable[Any]) -> Generator[Any, None, None]:
        number = num_refused = 0
        for item in items:
            if not isinstance(item, Frame):
                yield item
                continue
            if number and item.image.shape != plate.image.shape:  # it changes on the way
                damaged.append(item.time_s)
                continue
            check_size(path.name, item.image, plate)
            found = find(predictor, plate, item.image, smooth)
            if num_refused == number and found.verdict and found.verdict.is_refused:
                num_refused, verdict = num_refused + 1, found.verdict
            number += 1
            if num_refused == _AT_FIRST:  # later on the camera may have been moved
                check_verdict(path.name, verdict, plate)
            yield item, found
        if number and num_refused == number:
            check_verdict(path.name, verdict, plate)

    start = time.perf_counter()
    # all files take their names once all are complete
    with open_video(path) as source, ExitStack() as files, ExitStack() as stack:
        encodings = {kind: encoding_of(kind, plate.image.shape, source.sound) for kind in kinds}
        has_sound = any(each.has_sound for each in encodings.values())
        left_out = "" if has_sound or not source.sound else source.sound.codec.canonical_name
        copied = source if has_sound else source._replace(sound=None)
        frames = stack.enter_context(ahead(decode(copied, damaged)))
        answers = stack.enter_context(ahead(predict(frames)))
        encoders = {}
        for kind, encoding in encodings.items():
            end = "depth_relative" if kind == "depth" and predictor.depth_unit != "metre" else kind
            target = out / f"{path.stem}_{end}{encoding.suffix}"
            temporary = files.enter_context(replaced_file(target))
            writer = encoder(temporary, encoding, plate.image.shape, source)
            encoders[kind] = stack.enter_context(writer)
        temporary = files.enter_context(replaced_file(out / f"{path.stem}.jsonl"))
        lines = stack.enter_context(temporary.open("w", encoding="utf-8"))
        for item in answers:
            if not isinstance(item, tuple):
                encoders["overlay"](item)
                continue
            frame, found = item
            for kind, encode in encoders.items():
                image = np.asarray(draw(kind, frame.image, found, predictor.depth_unit))
                encode(frame._replace(image=image))
            line = {"frame": frame.number, "time_s": frame.time_s, **found.summary}
            lines.write(json.dumps(line) + "\n")
            count, last_s = count + 1, frame.time_s
            advance(1)
            if found.person:
                found_m.append(found.person.depth)
            if found.verdict:
                warnings.append(found.verdict.text)
        if not count:
            raise InputError(f"{path} holds no frame that can be decoded")
        missing_s = source.missing_s(max([last_s, *damaged]))
    return {
        "scene": path.name,
        "num_frames": count,
        "damaged": sorted(damaged),
        "missing_s": missing_s,
        "left_out": left_out,  # the codec of a sound that no container here holds
        "num_warned": len(warnings),
        "warning": warnings[0] if warnings else None,
        "num_with_person": len(found_m),
        "nearest": min(found_m, default=None),
        "farthest": max(found_m, default=None),
        "flicker": np.mean(smooth.flicker, axis=0).tolist() if smooth and smooth.flicker else None,
        "frames_per_s": count / (time.perf_counter() - start),
    }


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
