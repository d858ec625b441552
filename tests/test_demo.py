"""The page of `depthmask demo` in a browser, where one is installed: it says what Python says."""

import re
import shutil
import threading
from urllib.request import urlopen

import av
import numpy as np
import onnx
import pytest
from PIL import Image

from depthmask.cli import demo
from depthmask.errors import InputError
from depthmask.inference.predictor import Predictor

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
in_a_browser = pytest.mark.skipif(
    not CHROMIUM or not list(demo.PAGE.glob("ort/*.wasm")), reason="no Chromium, or no `make page`"
)


@pytest.fixture
def open_page(difference_onnx):
    from playwright.sync_api import sync_playwright

    server = demo.make_server(difference_onnx, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with sync_playwright() as playwright:

        def open_page(*arguments):
            options = {"executable_path": CHROMIUM, "args": ["--no-sandbox", *arguments]}
            page = playwright.chromium.launch(**options).new_page()
            page.set_default_timeout(60_000)
            page.goto(f"http://127.0.0.1:{server.server_port}")
            page.wait_for_function("document.querySelector('#status').innerText.includes('plate')")
            return page

        yield open_page
    server.shutdown()
    server.server_close()
    thread.join()


def last_answer(page) -> dict:
    script = """async () => {
        const { last } = await import("/app.mjs");
        return { mask: [...last.mask], depth: [...last.depth], distance: last.distance };
    }"""
    return page.evaluate(script)


@in_a_browser
def test_both_providers_are_tried_on_bytes_and_agree(open_page):
    page = open_page(
        *("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"),
        *("--enable-features=Vulkan", "--ignore-gpu-blocklist"),
    )
    if not page.evaluate("navigator.gpu?.requestAdapter().then(Boolean)"):
        pytest.skip("this Chromium has no WebGPU")
    script = """async () => {
        const { trials, agree } = await import("/app.mjs");
        const [wasm, webgpu] = [trials.wasm.answer, trials.webgpu.answer];
        const others = wasm.map((value) => value + 0.02);
        const isFaster = trials.webgpu.ms < trials.wasm.ms;
        return { wasm, webgpu, agree: [agree(webgpu, wasm), agree(webgpu, others)], isFaster };
    }"""
    found = page.evaluate(script)
    np.testing.assert_allclose(found["wasm"], found["webgpu"], atol=1e-3)
    assert np.ptp(found["wasm"]) > 0.1 and found["agree"] == [True, False]
    taken = "webgpu" if found["isFaster"] else "wasm"
    status = page.inner_text("#status")
    assert re.search(rf"on {taken} \(wasm \d+ ms, webgpu \d+ ms\): give a plate", status)


def test_of_a_folder_cpus_get_8_bits_and_gpus_the_whole(difference_onnx, tmp_path, monkeypatch):
    page = tmp_path / "page"
    (page / "ort").mkdir(parents=True)
    (page / "ort/some.wasm").touch()
    monkeypatch.setattr(demo, "PAGE", page)
    files = {}
    for name in ("model", "model_int8", "other"):
        proto = onnx.load(difference_onnx)
        proto.metadata_props.add(key="name", value=name)
        files[name] = proto.SerializeToString()
        (tmp_path / f"{name}.onnx").write_bytes(files[name])

    def served(model) -> list[bytes]:
        with demo.make_server(model, 0) as server:
            threading.Thread(target=server.serve_forever).start()
            address = f"http://127.0.0.1:{server.server_port}"
            found = [urlopen(f"{address}/{name}.onnx").read() for name in ("wasm", "webgpu")]
            server.shutdown()
        return found

    assert served(tmp_path) == [files["model_int8"], files["model"]]
    assert served(tmp_path / "other.onnx") == [files["other"], files["other"]]


@in_a_browser
def test_pictures_get_the_answer_that_python_gives(
    open_page, difference_onnx, room_and_visitor, tmp_path
):
    bg, bg_fg = room_and_visitor
    bg_fg[10:20, 10:20] = 200  # a second, smaller region
    for name, image in (("bg", bg), ("bg_fg", bg_fg), ("small", bg[:50])):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    page = open_page()
    assert page.evaluate("crossOriginIsolated"), "WebAssembly has more than one thread"
    page.set_input_files("#frame", tmp_path / "bg_fg.png")
    page.wait_for_selector("#status.error >> text=give a plate first")
    page.set_input_files("#plate", tmp_path / "bg.png")
    page.wait_for_selector("text=now a frame")
    page.fill("#fov", "60")
    page.set_input_files("#frame", tmp_path / "bg.png")
    page.wait_for_selector("#answer >> text=nobody")
    page.set_input_files("#frame", tmp_path / "bg_fg.png")
    page.wait_for_selector("#answer >> text=a person")
    expected = Predictor(difference_onnx, "cpu").predict(bg, bg_fg, fov_degrees=60)
    answer = last_answer(page)
    np.testing.assert_allclose(answer["mask"], expected.mask.ravel(), atol=1e-3)
    np.testing.assert_allclose(answer["depth"], expected.depth.ravel(), atol=1e-2)
    visitor = expected.depth[24:84, 60:84]
    assert answer["distance"] == pytest.approx(np.median(visitor), abs=0.01)
    page.set_input_files("#frame", tmp_path / "small.png")
    page.wait_for_selector("#status.error >> text=the plate is 144×96 px and the frame 144×50")


@in_a_browser
def test_the_webcam_is_answered_live(open_page, tmp_path):
    room = np.full((480, 640, 3), 51, np.uint8)
    visited = room.copy()
    visited[120:420, 280:380] = 128
    Image.fromarray(room).save(tmp_path / "room.png")
    with av.open(str(tmp_path / "camera.y4m"), "w", format="yuv4mpegpipe") as container:
        stream = container.add_stream("rawvideo", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(visited, format="rgb24")))
        container.mux(stream.encode(None))
    fake = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
    page = open_page(*fake, f"--use-file-for-fake-video-capture={tmp_path / 'camera.y4m'}")
    page.click("#webcam")
    page.wait_for_selector("text=step out of the room")
    page.click("#take")
    page.wait_for_selector("#answer >> text=nobody")
    page.set_input_files("#plate", tmp_path / "room.png")
    page.wait_for_selector("#answer >> text=a person")


def test_without_the_library_it_says_what_to_run(difference_onnx, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "PAGE", tmp_path)
    with pytest.raises(InputError, match="lacks onnxruntime-web: run `make page`"):
        demo.make_server(difference_onnx, 0)
