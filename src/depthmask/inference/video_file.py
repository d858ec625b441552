"""Video files: frames upright and the sound's packets in, pictures of a kind out."""

import io
import os
import re
import sys
from collections.abc import Callable, Generator, Iterator, MutableSequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image

from depthmask.data.scenes.files import replaced_folder
from depthmask.errors import InputError

_MP4_SOUND = ("aac", "mp3", "ac3", "eac3", "opus", "flac", "alac")
# three times as fast as by default; with frames that wait for others MP4 tells too short a duration
_X264 = {"crf": "20", "preset": "superfast", "bf": "0"}
_VP9 = {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "8", "row-mt": "1"}
_WEBCAMS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}:none")}
CAMERA_TIME_BASE = Fraction(1, 1000)  # its frames are shown when they come
_SLACK_S = 0.25  # between a video's end and what its file says
_UNTAGGED, _HD = 2, 720  # a colour space that is not told, and the height from which it is BT.709


class Encoding(NamedTuple):
    suffix: str
    container: str
    codec: str
    pix_fmt: str
    options: dict[str, str]
    has_sound: bool = False


ENCODINGS = {  # of what `draw` draws
    "mask": Encoding(".mp4", "mp4", "libx264", "yuv420p", _X264),
    "overlay": Encoding(".mp4", "mp4", "libx264", "yuv420p", _X264, has_sound=True),
    "colors": Encoding(".mp4", "mp4", "libx264", "yuv420p", _X264),
    "depth": Encoding(".mkv", "matroska", "ffv1", "gray16le", {}),  # lossless
    "alpha": Encoding(".webm", "webm", "libvpx-vp9", "yuva420p", _VP9),
}


class Frame(NamedTuple):
    """A frame upright, uint8 H x W x 3, RGB, and when and how long it is shown, in units of
    `time_base`."""

    number: int  # from 0, of those that can be decoded
    image: np.ndarray
    pts: int
    duration: int
    time_base: Fraction

    @property
    def time_s(self) -> float:
        return round(float(self.pts * self.time_base), 3)

    @property
    def end_s(self) -> float:
        return float((self.pts + self.duration) * self.time_base)


class Source(NamedTuple):
    """An open file: its best video stream and, where it has any, its best audio stream."""

    container: av.container.InputContainer
    video: av.VideoStream
    sound: av.AudioStream | None
    time_base: Fraction  # of the frames' times
    is_live: bool = False

    @property
    def is_avi(self) -> bool:
        """Whether it tells the order of frames alone, and how many it should hold."""
        return self.container.format.name == "avi"

    def missing_s(self, end_s: float) -> float:
        """How much earlier than the file says its frames and sound are over, the last at `end_s`;
        0 if it does not tell or the two are apart by no more than they usually are."""
        video, container, slack_s = self.video, self.container, _SLACK_S
        if self.is_avi:
            end, slack_s = video.frames / rate_of(video), 1.5 / float(rate_of(video))
        elif video.duration and video.time_base:
            end = ((video.start_time or 0) + video.duration) * video.time_base
        else:
            end = Fraction(container.duration or 0, av.time_base)
        missing_s = float(end) - end_s
        return round(missing_s, 2) if missing_s > slack_s else 0.0


@contextmanager
def open_video(path: Path) -> Iterator[Source]:
    """Open a file that has a video stream; InputError if it has none or cannot be read."""
    # no playlist that fetches something, no protocol before a colon
    with _opened(path, os.path.abspath(path), options={"protocol_whitelist": "file"}) as source:
        yield source


@contextmanager
def open_camera(camera: str) -> Iterator[Source]:
    """Open a webcam by its number, or a stream by its address, such as rtsp://host/name; it ends
    where nothing comes for ten seconds. InputError if it cannot be read."""
    webcam = _WEBCAMS.get(sys.platform)
    if camera.isdecimal() and webcam:
        driver, device = webcam
        opened = _opened(f"webcam {camera}", device.format(camera), format=driver)
    elif re.match("(rtsps?|rtmps?|https?|rtp|srt|udp|tcp)://", camera):
        shown = re.sub("//.*@", "//", camera)  # without a password
        opened = _opened(shown, camera, timeout=10.0)
    else:
        raise InputError(f"--camera {camera} is no webcam's number and no stream's address")
    with opened as source:
        yield source._replace(sound=None, is_live=True)


@contextmanager
def _opened(shown: object, name: str, **options: Any) -> Iterator[Source]:
    try:
        container = av.open(name, **options)
    except av.error.ExitError:
        raise InputError(f"{shown}: nothing came for ten seconds: check the address") from None
    except av.FFmpegError as error:
        what = f"cannot be read as a video ({error.strerror})"
        raise InputError(f"{shown} {what}: check what it is, or name another") from None
    with container:
        video: Any = container.streams.best("video")
        if video is None:
            raise InputError(f"{shown} holds no video: name another")
        video.thread_type = "SLICE"  # threads over frames lose some around a damaged one
        sound: Any = container.streams.best("audio")
        if sound and sound.codec_context is None:  # FFmpeg knows nothing of it
            sound = None
        try:
            yield Source(container, video, sound, video.time_base)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise OSError(error.errno, error.strerror, error.filename) from None
            why = f"cannot be encoded again ({error.strerror})"
            raise InputError(f"{shown} {why}: try --png") from None


def read_video(path: Path) -> Iterator[np.ndarray]:
    """The frames that can be decoded, uint8 H x W x 3, RGB, upright."""
    with open_video(path) as source:
        for item in decode(source._replace(sound=None), []):
            if isinstance(item, Frame):
                yield item.image


def count_frames(path: Path) -> int:
    """How many there are, as the file says or lets expect; 0 if it does not tell."""
    with open_video(path) as source:
        length = Fraction(source.container.duration or 0, av.time_base)
        return source.video.frames or int(length * rate_of(source.video))


def decode(
    source: Source, damaged: MutableSequence[float]
) -> Generator["Frame | av.Packet | None", None, None]:
    """The frames and, between them, the packets of the sound, and None for what cannot be decoded,
    whose times in seconds are added to `damaged`."""
    video, base, number = source.video, source.time_base, 0
    last, last_sound, delay, behind = None, None, 0, 0
    step = max(1, round(1 / (rate_of(video) * base)))
    packets = source.container.demux(video, *([source.sound] if source.sound else []))
    while True:
        packet = None
        try:
            packet = next(packets)
            frames = video.decode(packet) if packet.stream is video else []
        except StopIteration:
            return
        except av.FFmpegError:
            time = last if packet is None or packet.pts is None else packet.pts
            if packet is not None or not source.is_live:
                damaged.append(round(float((time or 0) * base), 3))
            if packet is None:  # what follows cannot be read either
                return
            yield None
            continue
        if packet.stream is not video and packet.dts is not None:  # the last, empty one has none
            if last_sound is not None and packet.dts + behind <= last_sound:
                behind = last_sound + (packet.duration or 1) - packet.dts  # joined files jump back
            last_sound = packet.dts = packet.dts + behind
            packet.pts = None if packet.pts is None else packet.pts + behind
            yield packet
        for frame in frames:
            pts = frame.dts if source.is_avi else frame.pts
            if source.is_avi and pts is not None:
                if not number and not damaged:
                    delay = pts  # of frames that wait for later ones
                pts -= delay
            # an encoder takes no time twice, and a damaged file may tell none
            if pts is None or last is not None and pts <= last:
                pts = 0 if last is None else last + step
            last = pts
            if frame.colorspace == _UNTAGGED and frame.height >= _HD:
                frame.colorspace = Colorspace.ITU709
            upright = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
            image = np.ascontiguousarray(upright)
            yield Frame(number, image, pts, frame.duration or step, base)
            number += 1


@contextmanager
def png_folder(path: Path) -> Iterator[Callable[[Frame], None]]:
    """Yield a function that writes a frame, as `draw` makes it, as NUMBER.png to a new folder."""
    with replaced_folder(path) as folder:
        yield lambda frame: Image.fromarray(frame.image).save(
            folder / f"{frame.number:06}.png", compress_level=1
        )


def rate_of(stream: av.VideoStream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def encoding_of(kind: str, shape: tuple[int, ...], sound: av.AudioStream | None) -> Encoding:
    """How a kind of picture, H x W, is encoded; the sound is copied where a container holds it."""
    encoding = ENCODINGS[kind]
    if encoding.codec == "libx264" and (shape[0] % 2 or shape[1] % 2):
        encoding = encoding._replace(pix_fmt="yuv444p")  # what is halved must be even
    if kind != "overlay" or sound is None:
        return encoding
    name = sound.codec.canonical_name
    if name not in _MP4_SOUND:
        encoding = encoding._replace(suffix=".mkv", container="matroska")
    with av.open(io.BytesIO(), "w", format=encoding.container) as container:
        return encoding._replace(has_sound=name in container.supported_codecs)


@contextmanager
def encoder(
    path: Path, encoding: Encoding, shape: tuple[int, ...], source: Source
) -> Iterator[Callable[[Any], bool]]:
    """Yield a function that takes frames, as `draw` makes them, and packets of the sound, and says
    whether it could: a packet may be damaged."""
    video, sound = source.video, source.sound
    with av.open(os.path.abspath(path), "w", format=encoding.container) as container:
        stream: Any = container.add_stream(
            encoding.codec, rate=rate_of(video), options=encoding.options
        )
        stream.height, stream.width, stream.pix_fmt = *shape[:2], encoding.pix_fmt
        context = stream.codec_context
        context.time_base = source.time_base
        aspect = video.sample_aspect_ratio  # of a pixel
        if aspect:
            is_turned = (video.height, video.width) != shape[:2]
            context.sample_aspect_ratio = 1 / aspect if is_turned else aspect
        colours = {}
        if not encoding.pix_fmt.startswith("gray"):
            # as players take it; FFmpeg converts as for old television and says nothing of it
            context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
            context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
            colours = {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}
        copied = container.add_stream_from_template(sound) if sound and encoding.has_sound else None

        def write(item: Any) -> bool:
            if not isinstance(item, Frame):
                item.stream = copied
                try:
                    container.mux(item)
                except ValueError:  # as av.error.InvalidDataError is
                    return False
                return True
            channels, is_deep = item.image.shape[2:], item.image.dtype == np.uint16
            if channels or is_deep:
                name = {(): "gray16le", (3,): "rgb24", (4,): "rgba"}[channels]
                frame = av.VideoFrame.from_ndarray(item.image, format=name)
                frame = frame.reformat(format=encoding.pix_fmt, **colours)
            else:
                frame = _grey_frame(item.image, encoding.pix_fmt)
            frame.pts, frame.time_base = item.pts, item.time_base
            container.mux(stream.encode(frame))
            return True

        yield write
        container.mux(stream.encode(None))


def _grey_frame(image: np.ndarray, pix_fmt: str) -> av.VideoFrame:
    """A mask in yuv420p or yuv444p, which FFmpeg itself takes ten times as long to make."""
    height, width = image.shape
    planes = np.full(
        (height * 3 // 2 if pix_fmt == "yuv420p" else height * 3, width), 128, np.uint8
    )
    planes[:height] = cv2.convertScaleAbs(image, alpha=219 / 255, beta=16)
    if pix_fmt == "yuv444p":
        planes = planes.reshape(3, height, width)
    return av.VideoFrame.from_ndarray(planes, format=pix_fmt)
