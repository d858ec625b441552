"""A video in, its results out: rate, size, rotation and sound are kept."""

import json
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from PIL import Image

from depthmask.data.scenes.person import Person
from depthmask.errors import InputError
from depthmask.inference import video, video_file
from depthmask.inference.overlay import depth_span, draw_depth
from depthmask.inference.prediction import GivenPlate, draw, find
from depthmask.inference.predictor import Predictor
from depthmask.inference.smoothing import Smoother

RATE = Fraction(30000, 1001)


def write_video(
    path: Path, frames: list[np.ndarray], *, codec="libx264", sound="", pts=None, rate=RATE
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        is_odd = stream.height % 2 or stream.width % 2
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv444p" if is_odd else "yuv420p"
        tone = container.add_stream(sound, rate=48000, layout="mono") if sound else None
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = (pts or range(len(frames)))[number], 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone:
            for start in range(0, int(48000 * len(frames) / rate), 1024):
                beep = (8000 * np.sin(0.05 * np.arange(start, start + 1024))).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(beep[None], format="s16", layout="mono")
                frame.sample_rate, frame.pts = 48000, start
                container.mux(tone.encode(frame))
            container.mux(tone.encode(None))
    return path


def decoded(path: Path) -> tuple[list[np.ndarray], list[float]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.to_ndarray(format="rgb24") for frame in frames], [frame.time for frame in frames]


@pytest.fixture
def predictor(difference_onnx) -> Predictor:
    return Predictor(difference_onnx, device="cpu")


@pytest.fixture
def visit(room_and_visitor) -> list[np.ndarray]:
    """The empty room twice, then three frames of the visitor."""
    bg, bg_fg = room_and_visitor
    return [bg, bg, bg_fg, bg_fg, bg_fg]


def plate_of(image: np.ndarray) -> GivenPlate:
    return GivenPlate("plate.png", image)


@pytest.mark.parametrize(
    ("name", "sound", "overlay"),
    [
        ("a.mp4", "aac", "a_overlay.mp4"),
        ("a.mkv", "pcm_s16le", "a_overlay.mkv"),
        ("a.avi", "libmp3lame", "a_overlay.mp4"),
        ("a:b.mp4", "", ""),
    ],
)
def test_rate_size_sound_and_a_line_a_frame(predictor, visit, tmp_path, name, sound, overlay):
    path = write_video(tmp_path / name, visit, sound=sound)
    told = []
    summary = video.predict_video(
        predictor, plate_of(visit[0]), path, tmp_path / "out", smooth=True, tell=told.append
    )
    assert (summary["num_frames"], summary["damaged"], len(told)) == (5, [], 5)
    assert summary["num_with_person"] == 3 and summary["nearest"] == pytest.approx(4, abs=0.1)
    assert summary["missing_s"] == summary["num_warned"] == 0 and not summary["left_out"]
    stem = path.stem
    made = tmp_path / "out" / (overlay or f"{stem}_overlay.mp4")
    expected = sorted([f"{stem}.jsonl", f"{stem}_mask.mp4", made.name])
    assert sorted(p.name for p in made.parent.iterdir()) == expected
    with av.open(str(made)) as container:
        names = [s.codec.canonical_name for s in container.streams.audio]
        assert names == [av.Codec(sound, "w").canonical_name for _ in range(bool(sound))]
        if sound:
            samples = sum(frame.samples for frame in container.decode(audio=0))
            assert samples / 48000 == pytest.approx(5 / RATE, abs=0.05)
    pictures, times = decoded(made)
    assert times == pytest.approx([float(n / RATE) for n in range(5)], abs=2e-3)
    assert {picture.shape for picture in pictures} == {(96, 144, 3)}
    assert int(pictures[3][54, 72, 1]) - pictures[3][54, 72, 0] > 40, "tinted"
    masks, _ = decoded(tmp_path / f"out/{stem}_mask.mp4")
    assert masks[3][54, 72].min() > 245 and masks[3][54, 10].max() < 10 > masks[0].max()
    lines = [json.loads(line) for line in (tmp_path / f"out/{stem}.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(5))
    assert [json.loads(line) for line in told] == lines
    assert [line["distance_m"] is None for line in lines] == [True, True, False, False, False]
    assert lines[4]["time_s"] == pytest.approx(4 / RATE, abs=2e-3) and lines[4]["box"]
    assert "; flicker of the mask 0." in video.describe(summary, "metre")
    assert video.describe(summary, "metre").startswith(
        f"{name}: 5 frames, a person in 3 of them, 3.9"
    )


def test_depth_without_loss_and_the_person_cut_out(predictor, visit, tmp_path):
    path = write_video(tmp_path / "a.mp4", visit)
    frames = list(video_file.read_video(path))
    video.predict_video(predictor, plate_of(frames[0]), path, tmp_path, ["depth", "alpha"])
    with av.open(str(tmp_path / "a_depth.mkv")) as container:
        found = [each.to_ndarray(format="gray16le") for each in container.decode(video=0)]
    expected = np.rint(predictor.predict(frames[0], frames[4]).depth * 1000)
    np.testing.assert_array_equal(found[4], expected)
    decoder = av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own drops the alpha
    with av.open(str(tmp_path / "a_alpha.webm")) as container:
        found = [each for packet in container.demux() for each in decoder.decode(packet)]
    alpha = found[4].to_ndarray(format="rgba")[..., 3]
    assert alpha[54, 72] > 240 and alpha[54, 10] < 10 and len(found) == 5


def test_folders_of_pngs_in_place_of_videos(predictor, visit, tmp_path):
    path, plate = write_video(tmp_path / "a.mp4", visit, sound="aac"), plate_of(visit[0])
    kinds = ["mask", "depth", "colors", "overlay"]
    for _ in range(2):  # the second takes the place of the first
        summary = video.predict_video(predictor, plate, path, tmp_path, kinds, as_png=True)
    assert summary["num_frames"] == 5 and summary["left_out"] is None
    names = [f"{number:06}.png" for number in range(5)]
    for kind in kinds:
        assert sorted(each.name for each in (tmp_path / f"a_{kind}").iterdir()) == names
    frame = list(video_file.read_video(path))[4]
    mask, depth = predictor.predict(plate.image, frame)
    found = np.asarray(Image.open(tmp_path / "a_mask/000004.png"))
    np.testing.assert_array_equal(found, np.rint(255 * mask))
    found = np.asarray(Image.open(tmp_path / "a_depth/000004.png"))
    np.testing.assert_array_equal(found, np.rint(1000 * depth))
    assert {each.name for each in tmp_path.iterdir() if each.is_file()} == {"a.mp4", "a.jsonl"}


def test_near_is_light_and_the_scale_tells_the_span():
    depth = np.geomspace(1, 8, 200, dtype=np.float32)[:, None].repeat(300, axis=1)
    assert depth_span(depth) == pytest.approx((1, 8), rel=0.1)
    assert depth_span(0 * depth) == pytest.approx((0.001, 0.0011))
    image = np.asarray(draw_depth(depth, (1.0, 8.0), "metre")).astype(int).sum(axis=2)
    column = image[:, 20]
    assert column[0] > 650 and column[-1] < 20 and (np.diff(column) <= 15).all()
    assert (image[150:, 250:] != image[150:, :50]).any(), "the scale"
    small = np.asarray(draw_depth(depth[::8, ::8], (1.0, 8.0), "metre"))
    assert (small == small[:, :1]).all(), "it would hide too much"
    farther = np.asarray(draw_depth(depth, (1.0, 64.0), "metre")).astype(int).sum(axis=2)
    assert farther[-1, 20] == pytest.approx(column[100], abs=10), "half of the logarithm"


def test_a_distance_that_jumps_for_two_frames_is_held():
    smooth, person = Smoother(), Person(4.0, (0, 0, 9, 9), 0.1)
    depths = [4.0, 4.1, 4.0, 9.0, 9.0, 4.1]
    held = [smooth.steady(person._replace(depth=depth)).depth for depth in depths]
    assert max(held) <= 4.1
    assert smooth.steady(None) is None
    assert smooth.steady(person._replace(depth=9.0)).depth == 9.0, "somebody else"


def test_what_stands_still_is_averaged_and_what_moves_is_not():
    rng = np.random.default_rng(0)
    room = rng.integers(0, 200, (40, 60, 3), dtype=np.uint8)
    smooth, given, smoothed = Smoother(), [], []
    for number in range(30):
        picture = np.clip(room + rng.normal(0, 2, room.shape), 0, 255).astype(np.uint8)
        mask = rng.uniform(0, 0.2, (40, 60)).astype(np.float32)
        depth = 4 + rng.normal(0, 0.1, (40, 60)).astype(np.float32)
        picture[:, number : number + 10] = 255 * (number % 2)  # somebody walks by
        mask[:, number : number + 10] = number % 2
        given.append((mask, depth))
        smoothed.append(smooth(picture, mask, depth))
    now, before = smoothed[-1], given[-1]
    np.testing.assert_allclose(now[0][:, 30:38], before[0][:, 30:38], atol=1e-6)
    np.testing.assert_allclose(now[1][:, 30:38], before[1][:, 30:38], atol=1e-6)
    assert np.abs(now[1][:, 45:] - 4).mean() < 0.6 * np.abs(before[1][:, 45:] - 4).mean()
    flicker = smooth.mean_flicker()
    assert flicker[1] < 0.5 * flicker[0]
    assert flicker[0] == pytest.approx(0.2 / 3, rel=0.1), "two uniform numbers' mean difference"


def test_other_codecs_odd_sizes_and_times_that_are_not_even(predictor, visit, tmp_path):
    odd = [np.ascontiguousarray(frame[:95, :143]) for frame in visit]
    path = write_video(tmp_path / "odd.avi", odd, codec="ffv1", rate=Fraction(25))
    video.predict_video(predictor, plate_of(odd[0]), path, tmp_path)
    pictures, times = decoded(tmp_path / "odd_overlay.mp4")
    assert pictures[0].shape == (95, 143, 3) and times == pytest.approx(np.arange(5) / 25)
    late = [0, 1, 5, 6, 30]
    path = write_video(tmp_path / "late.mp4", visit, pts=late)
    video.predict_video(predictor, plate_of(visit[0]), path, tmp_path)
    times = decoded(tmp_path / "late_overlay.mp4")[1]
    assert times == pytest.approx([float(n / RATE) for n in late], abs=2e-3)


def rotate(path: Path, degrees: int) -> None:
    """Write a display matrix into the track header of an MP4 file."""
    content = path.read_bytes()
    a, b = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    track = content.index(b"tkhd")
    place = content.index(plain, track)
    path.write_bytes(content[:place] + turned + content[place + len(plain) :])


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_video_is_turned_as_its_matrix_says(tmp_path, visit, degrees):
    frame = visit[0].copy()
    frame[:40, :40] = (200, 0, 0)  # the upper left corner
    path = write_video(tmp_path / "turned.mp4", [frame] * 3)
    rotate(path, degrees)
    upright = next(video_file.read_video(path))
    # a matrix of 90 degrees turns clockwise
    expected = np.rot90(frame, -degrees // 90)
    assert upright.shape == expected.shape
    assert np.abs(upright.astype(int) - expected)[..., 0].mean() < 12


def test_damaged_frames_are_counted_and_the_others_kept(predictor, visit, tmp_path):
    frames = [np.roll(visit[4], 3 * n, axis=1) for n in range(40)]
    path = write_video(tmp_path / "cut.avi", frames, codec="mjpeg", rate=Fraction(25))
    content = bytearray(path.read_bytes())
    first = content.index(b"movi")
    starts = [n for n in range(first, len(content)) if content[n : n + 4] == b"00dc"]
    for number in (7, 20):  # the whole of the frame, its head too
        content[starts[number] + 8 : starts[number + 1]] = bytes(
            starts[number + 1] - starts[number] - 8
        )
    path.write_bytes(content)
    summary = video.predict_video(predictor, plate_of(visit[0]), path, tmp_path)
    assert summary["missing_s"] == 0
    assert summary["damaged"] == [7 / 25, 20 / 25] and summary["num_frames"] == 38
    lines = (tmp_path / "cut.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert [(line["frame"], line["time_s"]) for line in told[6:8]] == [(6, 6 / 25), (7, 8 / 25)]


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mjpeg"), ("a.webm", "libvpx")])
def test_a_file_that_is_cut_short_is_told(predictor, visit, tmp_path, name, codec):
    frames = [np.roll(visit[4], 3 * n, axis=1) for n in range(50)]
    path = write_video(tmp_path / name, frames, codec=codec, rate=Fraction(25))
    assert video.predict_video(predictor, plate_of(visit[0]), path, tmp_path)["missing_s"] == 0
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    summary = video.predict_video(predictor, plate_of(visit[0]), path, tmp_path)
    count = summary["num_frames"] + len(summary["damaged"])
    assert summary["missing_s"] == pytest.approx(2 - count / 25, abs=0.06) and 10 < count < 45


def test_sound_that_no_container_holds_is_left_out_and_joined_files_go_on(
    predictor, visit, tmp_path
):
    path = write_video(tmp_path / "old.avi", visit, sound="adpcm_ms")
    summary = video.predict_video(predictor, plate_of(visit[0]), path, tmp_path)
    assert summary["left_out"] == "adpcm_ms" and summary["num_frames"] == 5
    with av.open(str(tmp_path / "old_overlay.mkv")) as container:
        assert not container.streams.audio
    part = write_video(tmp_path / "part.ts", visit * 4, sound="aac").read_bytes()
    (tmp_path / "joined.ts").write_bytes(part + part)
    summary = video.predict_video(
        predictor, plate_of(visit[0]), tmp_path / "joined.ts", tmp_path, ["overlay"]
    )
    assert summary["num_frames"] == 40
    times = decoded(tmp_path / "joined_overlay.mp4")[1]
    assert all(np.diff(times) > 0)
    with av.open(str(tmp_path / "joined_overlay.mp4")) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples / 48000 == pytest.approx(40 / RATE, abs=0.2), "of both parts"


def test_a_lost_packet_of_the_sound_is_told_and_the_rest_kept(predictor, visit, tmp_path):
    path = write_video(tmp_path / "air.ts", visit * 6, sound="aac")
    content = path.read_bytes()
    packets = [content[n : n + 188] for n in range(0, len(content), 188)]
    with av.open(str(path)) as container:
        sound = container.streams.audio[0].id
    # those of the sound in which no new part begins
    of_sound = [n for n, p in enumerate(packets) if (p[1] & 95) << 8 | p[2] == sound]
    del packets[of_sound[0]]
    path.write_bytes(b"".join(packets))
    summary = video.predict_video(predictor, plate_of(visit[0]), path, tmp_path / "out")
    assert summary["num_frames"] == 30 and summary["num_lost"] == 1


def test_frames_that_are_held_long_are_not_missed(predictor, visit, tmp_path):
    for name, codec in (("late.mp4", "libx264"), ("late.webm", "libvpx"), ("late.mkv", "libx264")):
        # from five seconds on; the last one is held as long as the four before together
        path = write_video(tmp_path / name, visit, codec=codec, pts=[150, 151, 152, 153, 180])
        summary = video.predict_video(predictor, plate_of(visit[0]), path, tmp_path)
        assert summary["missing_s"] == 0 and summary["num_frames"] == 5, name
    images = [Image.fromarray(frame) for frame in visit]
    images[0].save(
        tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[40] * 4 + [3000]
    )
    summary = video.predict_video(predictor, plate_of(visit[0]), tmp_path / "a.gif", tmp_path)
    assert summary["missing_s"] == 0


def test_the_shape_of_pixels_and_the_colours_are_kept(predictor, visit, tmp_path):
    colour = visit[0].copy()
    colour[:, :72] = (200, 40, 60)
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = 96, 144, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(colour, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    read = next(video_file.read_video(path))
    video.predict_video(predictor, plate_of(read), path, tmp_path)
    with av.open(str(tmp_path / "a_overlay.mp4")) as container:
        frame = next(container.decode(video=0))
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    assert (frame.colorspace, frame.color_range) == (1, 1), "BT.709, which players expect"
    expected = draw("overlay", read, find(predictor, plate_of(read), read), "metre")
    shown = frame.to_ndarray(format="rgb24")[20:80, 20:60].mean((0, 1))
    np.testing.assert_allclose(shown, np.asarray(expected)[20:80, 20:60].mean((0, 1)), atol=3)


@pytest.mark.parametrize("height", [480, 720])
def test_colours_that_are_not_told_are_taken_as_players_do(tmp_path, height):
    path, spaces = tmp_path / "a.mp4", {480: Colorspace.ITU601, 720: Colorspace.ITU709}
    colour = np.full((height, 64, 3), (200, 40, 60), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = height, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(colour, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=spaces[height])
        frame.pts, frame.colorspace = 0, 2
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    read = next(video_file.read_video(path))
    np.testing.assert_allclose(read[100, 30], (200, 40, 60), atol=4)


def test_frames_of_another_size_on_the_way_are_left_out(predictor, visit, tmp_path):
    small = [np.ascontiguousarray(frame[::2, ::2]) for frame in visit]
    parts = [
        write_video(tmp_path / f"{n}.ts", part, codec="mpeg2video", rate=Fraction(25)).read_bytes()
        for n, part in enumerate((visit * 3, small * 3))
    ]
    (tmp_path / "both.ts").write_bytes(b"".join(parts))
    summary = video.predict_video(
        predictor, plate_of(visit[0]), tmp_path / "both.ts", tmp_path / "out"
    )
    assert summary["num_frames"] >= 14 and summary["num_resized"] >= 14
    assert summary["damaged"] == [] and summary["missing_s"] == 0
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_the_plate_follows_the_light_where_nobody_is(predictor, visit, tmp_path):
    # by so much, in the end, that the network takes the whole room for somebody
    darker = np.linspace(0, 60, 50)
    frames = [np.clip(visit[4].astype(int) - d, 0, 255).astype(np.uint8) for d in darker]
    path = write_video(tmp_path / "dusk.mp4", frames, rate=Fraction(25))
    shares = []
    for follow_s in (0, 0.2):
        video.predict_video(
            predictor, plate_of(visit[0]), path, tmp_path, ["mask"], follow_s=follow_s
        )
        told = (tmp_path / "dusk.jsonl").read_text().splitlines()
        shares.append([json.loads(line)["area_share"] for line in told])
    alone, followed = shares
    assert alone[0] == followed[0] and alone[-1] > 0.8
    assert np.abs(np.array(followed) - followed[0]).max() < 0.02, "the visitor stays out of it"


def test_a_wrong_plate_is_refused_by_more_than_one_frame(predictor, tmp_path):
    rng = np.random.default_rng(0)
    room, other = (
        np.kron(rng.integers(0, 255, (12, 18, 1)), np.ones((1, 8, 8, 3)).reshape(8, 8, 3)).astype(
            np.uint8
        )
        for _ in range(2)
    )
    damaged_first = write_video(tmp_path / "a.mp4", [other, *[room] * 9])
    summary = video.predict_video(predictor, plate_of(room), damaged_first, tmp_path / "out")
    assert summary["num_frames"] == 10 and summary["num_warned"] == 1
    assert "is this the plate of the same room?" in summary["warning"]
    for count in (3, 9):
        path = write_video(tmp_path / "b.mp4", [other] * count)
        with pytest.raises(InputError, match="not the plate's: is this .* or give --force"):
            video.predict_video(predictor, plate_of(room), path, tmp_path / "none")
        assert not list((tmp_path / "none").iterdir())
    forced = plate_of(room)._replace(is_forced=True)
    summary = video.predict_video(predictor, forced, path, tmp_path / "out")
    assert summary["num_frames"] == summary["num_warned"] == 9


def test_a_full_disk_leaves_nothing(predictor, visit, tmp_path, monkeypatch):
    real, path = video.draw, write_video(tmp_path / "a.mp4", visit)

    def fail(kind, *rest):
        if kind == "overlay":
            raise OSError(28, "No space left on device")
        return real(kind, *rest)

    monkeypatch.setattr(video, "draw", fail)
    with pytest.raises(OSError, match="No space"):
        video.predict_video(predictor, plate_of(visit[0]), path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_video_leaves_nothing(predictor, visit, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), "s16", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    write_video(tmp_path / "small.mp4", [frame[:48, :48].copy() for frame in visit])
    for name, message in (
        ("text.mp4", "cannot be read as a video"),
        ("sound.mp4", "sound.mp4 holds no video"),
        ("small.mp4", "small.mp4 is 48x48 px and the plate plate.png 144x96"),
        ("gone.mp4", "gone.mp4 cannot be read as a video"),
    ):
        with pytest.raises(InputError, match=message):
            video.predict_video(predictor, plate_of(visit[0]), tmp_path / name, tmp_path / "out")
    assert list((tmp_path / "out").glob("*")) == []


def test_items_made_ahead_come_in_order_with_their_errors():
    def failing():
        yield from range(9)
        raise ValueError("at nine")

    got = []
    with pytest.raises(ValueError, match="at nine"), video.ahead(failing()) as items:
        for item in items:
            got.append(item)
    assert got == list(range(9))
    ended = []

    def endless():
        try:
            while True:
                yield 0
        finally:
            ended.append(True)

    with video.ahead(endless()) as items:
        assert next(items) == 0
    assert ended, "whoever stops reading stops the making"
