"""The verb predict: pictures and videos through a model."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from depthmask.cli.options import MODEL, DeviceOption, FovOption, ModelOption, ThreadsOption
from depthmask.errors import InputError

app = typer.Typer()


@app.command()
def predict(
    bg: Annotated[
        list[str],
        typer.Option(
            help="The plate: the room with nobody in it; of several each frame takes the one most "
            "like it. auto: the frames' median."
        ),
    ],
    scene: Annotated[
        list[str] | None,
        typer.Option(help="A picture, a video, a folder or a pattern; may be given again."),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="FRAME", help="More of them: --scene *.png gives them all."),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(help="In place of --scene a webcam's number or a stream's rtsp:// address."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0, help="How long to look through the camera. 0: until Ctrl-C.")
    ] = 0,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("predictions"),
    model: ModelOption = MODEL,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    plate_depth: Annotated[
        Path | None,
        typer.Option(help="Depth of the plate, 16 bits in mm or floats in m; people stand on it."),
    ] = None,
    fov: FovOption = None,
    alpha: Annotated[bool, typer.Option("--alpha", help="Also the person cut out.")] = False,
    depth: Annotated[bool, typer.Option("--depth", help="Also the depth of videos.")] = False,
    colors: Annotated[
        bool, typer.Option("--colors", help="Also the depth in colours with a scale, to look at.")
    ] = False,
    png: Annotated[
        bool, typer.Option("--png", help="Folders of PNGs, without loss, in place of videos.")
    ] = False,
    ply: Annotated[
        bool, typer.Option("--ply", help="Also a cloud of points, of pictures.")
    ] = False,
    smooth: Annotated[
        bool,
        typer.Option(help="Average over a video's frames what does not move, and the distance."),
    ] = True,
    update_plate: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Let the plate of a video follow the light in about this time. 0: not.",
        ),
    ] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Answer also where the plate is of another view.")
    ] = False,
) -> None:
    """Find the person in pictures and videos.

    A picture gives STEM_mask.png, _depth.png (mm), _overlay.png and STEM.json; a video
    STEM_mask.mp4, _overlay.mp4 (with its sound) and STEM.jsonl, a line a frame, which a camera's
    frames print too.
    """
    from depthmask.data.scenes.images import read_rgb
    from depthmask.inference import frames, prediction
    from depthmask.inference.predictor import Predictor

    home = next(path for path in (out, *out.parents) if path.exists())
    if not home.is_dir():
        raise InputError(f"{home} is a file: name a folder with --out")
    named = [*(scene or ()), *(more or ())]
    if bool(named) == bool(camera):
        raise InputError("give frames with --scene, or a camera with --camera")
    is_auto = bg == ["auto"]
    if "auto" in bg and not is_auto:
        raise InputError("--bg auto makes the only plate: give no other")
    if camera and (is_auto or len(bg) > 1):
        raise InputError("a camera needs one plate: give it with --bg")
    if plate_depth is not None and len(bg) > 1:
        raise InputError("--plate-depth belongs to one plate: give one --bg")
    scenes, notes = frames.list_frames(named, out)
    pictures = [each for each in scenes if not frames.is_video(each)]
    predictor = Predictor(model, device=device, num_threads=threads)

    def plates_of(video: Path | None) -> list[prediction.GivenPlate]:
        """Those that were given, or the median of a video or of all pictures."""
        if is_auto:
            made = [_made_plate(video, pictures, out)]
        else:
            paths = [frames.parse_path(each, "--bg") for each in bg]
            made = [(path, read_rgb(path)) for path in paths]
        room = None
        if plate_depth is not None:
            checked = frames.parse_path(str(plate_depth), "--plate-depth")
            room = prediction.read_plate_depth(checked, made[0][1].shape)
        return [prediction.GivenPlate(path.name, image, room, fov, force) for path, image in made]

    more_kinds = ["alpha"] * alpha + ["colors"] * colors
    of_picture = ["mask", "depth", "overlay", *more_kinds] + ["ply"] * ply
    of_video = ["mask", "overlay", *more_kinds] + ["depth"] * depth
    settings = {"kinds": of_video, "as_png": png, "smooth": smooth, "follow_s": update_plate}
    if camera:
        _predict_camera(predictor, plates_of(None)[0], camera, seconds, out, settings)
        return
    # what is wrong with it is said before anything is answered
    shared = plates_of(None) if pictures or not is_auto else []
    for note in notes:
        typer.echo(note, err=True)
    num_files = num_failed = 0
    for frame in scenes:
        is_video = frames.is_video(frame)
        try:
            plates = plates_of(frame) if is_video and is_auto else shared
            if is_video:
                num_failed += not _predict_video(predictor, plates, frame, out, settings)
                num_files += len(of_video) + 1
                continue
            summary = prediction.predict_file(predictor, plates, frame, out, of_picture)
        except InputError as error:
            if len(scenes) == 1:
                raise
            num_failed += 1
            typer.echo(f"depthmask: {error}", err=True)
            continue
        num_files += len(of_picture) + 1
        typer.echo(prediction.describe(summary))
        if summary["warning"]:
            typer.echo(f"{summary['scene']}: warning: {summary['warning']}", err=True)
    if num_files:
        look_at = out / f"{scenes[0].stem if len(scenes) == 1 else '*'}_overlay*"
        typer.echo(f"Wrote {num_files} files to {out} ({predictor.device}); look at {look_at}")
    if num_failed:
        raise InputError(f"{num_failed} of {len(scenes)} failed, wholly or in part: see above")


def _made_plate(video: Path | None, pictures: list[Path], out: Path) -> tuple:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from depthmask.data.scenes.files import replaced_file
    from depthmask.data.scenes.scene import spread
    from depthmask.inference.frames import PLATE_FRAMES, is_made_plate, median_plate

    path = out / f"{video.stem if video else 'median'}_plate.png"
    if path.exists() and not is_made_plate(path):
        raise InputError(f"{path} is no earlier result: name another --out, or move it")
    if video:
        from depthmask.inference.video_file import read_video

        images = read_video(video)
    else:
        images = _readable([pictures[n] for n in spread(len(pictures), PLATE_FRAMES - 1)])
    try:
        image, warning = median_plate(images)
    except InputError as error:
        named = video and video.name in str(error)
        raise InputError(str(error) if named else f"{video or 'the pictures'}: {error}") from None
    ours = PngInfo()
    ours.add_text("Software", "depthmask")
    with replaced_file(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG", pnginfo=ours)
    typer.echo(f"Wrote the plate, the median of the frames, to {path}")
    if warning:
        typer.echo(f"{path}: warning: {warning}", err=True)
    return path, image


def _readable(pictures: list[Path]) -> Iterator[Any]:
    """Those that can be read; what is wrong with the others is said when they are predicted."""
    from depthmask.data.scenes.images import read_rgb

    for path in pictures:
        with suppress(InputError):
            yield read_rgb(path)


def _predict_video(
    predictor, plates: list, path: Path, out: Path, settings: dict[str, Any]
) -> bool:
    """Whether nothing of it was left out."""
    from depthmask.data.work import progress
    from depthmask.inference import video, video_file
    from depthmask.inference.prediction import choose_plate

    plate = plates[0]
    if len(plates) > 1:
        plate = choose_plate(plates, next(video_file.read_video(path), plate.image))
    with progress(video_file.count_frames(path), path.name) as advance:
        summary = video.predict_video(
            predictor, plate, path, out, tell=lambda _: advance(1), **settings
        )
    typer.echo(video.describe(summary, predictor.depth_unit))
    _tell_notes(path.name, summary)
    return not any(summary[key] for key in ("damaged", "num_resized", "num_lost", "missing_s"))


def _tell_notes(name: str, summary: dict[str, Any]) -> None:
    """What went wrong on the way."""
    notes = [f"the frame at {each} s is damaged and left out" for each in summary["damaged"]]
    if num_resized := summary["num_resized"]:
        notes.append(f"{num_resized} of its frames are of another size and left out")
    if missing_s := summary["missing_s"]:
        notes.append(f"it is cut short: it ends {missing_s} s before its file says")
    if codec := summary["left_out"]:
        notes.append(f"its sound, {codec}, cannot be copied into MP4 or MKV and is left out")
    if num_lost := summary["num_lost"]:
        notes.append(f"{num_lost} packets of its sound are damaged and left out")
    if summary["warning"]:
        where = f"{summary['num_warned']} of {summary['num_frames']} frames, see the JSON lines"
        notes.append(f"warning: {summary['warning']} ({where})")
    for note in notes:
        typer.echo(f"{name}: {note}", err=True)


def _predict_camera(
    predictor, plate, name: str, seconds: float, out: Path, settings: dict[str, Any]
) -> None:
    from depthmask.inference import frames, video

    for end in frames.RESULTS[".jsonl"]:
        if (path := out / f"camera{end}").exists():  # what it shows comes never again
            raise InputError(f"{path} is there already: name another --out, or move it")
    typer.echo("Looking through the camera, Ctrl-C ends it", err=True)
    camera = video.Camera(name, seconds)
    summary = video.predict_video(predictor, plate, camera, out, tell=typer.echo, **settings)
    typer.echo(video.describe(summary, predictor.depth_unit), err=True)
    _tell_notes("camera", summary)
    typer.echo(f"Wrote {out / 'camera_overlay*'} and others beside it", err=True)
    if not summary["is_stopped"]:
        raise InputError("the camera's stream has ended: what came is written")
