"""The service, over HTTP as a caller has it."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
import uvicorn
from PIL import Image

from depthmask.inference.predictor import Predictor
from depthmask.inference.service import Limits, make_app


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


@pytest.fixture
def start(difference_onnx):
    servers = []

    def start(token=None, predictor=None, **limits) -> str:
        predictor = predictor or Predictor(difference_onnx, device="cpu")
        app = make_app(predictor, token=token, limits=Limits(**limits))
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join()


def test_a_plate_is_put_and_frames_are_answered(start, difference_onnx, room_and_visitor):
    bg, bg_fg = room_and_visitor
    url = start()
    told = requests.put(f"{url}/plates/hall?fov=60", data=png(bg)).json()
    hall = {"name": "hall", "width_px": 144, "height_px": 96, "fov_degrees": 60.0}
    assert told == hall and requests.get(f"{url}/plates").json() == [hall]
    expected = Predictor(difference_onnx, device="cpu").predict(bg, bg_fg, fov_degrees=60)
    frames = f"{url}/plates/hall/frames"
    answer = requests.post(frames, data=png(bg_fg)).json()
    assert answer["distance_m"] == pytest.approx(expected.depth[54, 72], abs=0.05)
    assert answer["box"] and answer["depth_unit"] == "metre" and answer["warning"] is None
    assert requests.post(frames, files={"frame": png(bg_fg)}).json()["box"] == answer["box"]
    for kind, mode in (("mask", "L"), ("depth", "I;16"), ("overlay", "RGB"), ("alpha", "RGBA")):
        response = requests.post(f"{frames}?answer={kind}", data=png(bg_fg))
        image = Image.open(io.BytesIO(response.content))
        assert (image.mode, image.size) == (mode, (144, 96))
        assert response.headers["X-Distance-M"] == str(answer["distance_m"])
        if kind == "depth":
            np.testing.assert_array_equal(np.asarray(image), np.rint(expected.depth * 1000))
    metrics = requests.get(f"{url}/metrics").text
    path = 'depthmask_requests_total{path="/plates/{name}/frames",status="200"}'
    assert f"{path} 6.0" in metrics and "depthmask_plates 1.0" in metrics
    assert "depthmask_prediction_seconds_count 6.0" in metrics
    assert requests.delete(f"{url}/plates/hall").status_code == 204
    assert requests.get(f"{url}/plates").json() == []
    assert requests.get(f"{url}/healthz").json() == {"status": "ok"}
    assert requests.get(f"{url}/readyz").json()["model"] == "difference"
    paths = requests.get(f"{url}/openapi.json").json()["paths"]
    assert {"/plates/{name}", "/plates/{name}/frames"} <= set(paths)


def test_what_cannot_be_answered_says_why(start, room_and_visitor):
    bg, bg_fg = room_and_visitor
    url = start(max_bytes=5000, max_pixels=144 * 96, max_plates=2)
    put = f"{url}/plates"
    for name in ("a", "b"):
        assert requests.put(f"{put}/{name}", data=png(bg)).status_code == 200
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    wide = np.zeros((96, 145, 3), np.uint8)
    for response, status, words in (
        (requests.post(f"{put}/gone/frames", data=png(bg)), 404, "no plate gone: put it"),
        (requests.delete(f"{put}/gone"), 404, "no plate gone"),
        (requests.put(f"{put}/c", data=png(bg)), 409, "2 plates are held: delete one first"),
        (requests.put(f"{put}/a", data=b"text"), 422, "the picture cannot be read as an image"),
        (requests.put(f"{put}/a", files={"x": b""}), 422, "the form has no file plate"),
        (requests.put(f"{put}/a", data=png(noise)), 413, "larger than 5000 bytes"),
        (requests.put(f"{put}/a", files={"plate": png(noise)}), 413, "larger than 5000 bytes"),
        (requests.put(f"{put}/a", data=png(wide)), 413, "more than 13824 pixels"),
        (requests.post(f"{put}/a/frames", data=png(bg[:, :99])), 422, "the frame is 99x96 px and"),
        (requests.post(f"{put}/a/frames?answer=x", data=png(bg)), 422, "'json', 'mask', 'depth'"),
        (requests.put(f"{put}/a?fov=200", data=png(bg)), 422, "less than 179"),
    ):
        assert response.status_code == status and words in response.text, response.text
    assert requests.post(f"{put}/a/frames", data=png(bg_fg)).json()["box"], "it goes on"


def test_a_token_is_asked_for(start, room_and_visitor):
    url, body = start(token="secret ä"), png(room_and_visitor[0])
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        assert requests.put(f"{url}/plates/a", data=body, headers=headers).status_code == 401
        assert requests.get(f"{url}/metrics", headers=headers).status_code == 401
    assert requests.get(f"{url}/healthz").status_code == 200
    headers = {"Authorization": "Bearer secret ä".encode()}
    assert requests.put(f"{url}/plates/a", data=body, headers=headers).status_code == 200


class Slow:
    """A predictor that takes half a second."""

    training_size, depth_unit, device, metadata = 8, "relative", "cpu", {"experiment": "slow"}

    def predict(self, bg, bg_fg, **_):
        time.sleep(0.5)
        return np.zeros((2, *bg.shape[:2]), np.float32)


def test_the_queue_and_the_time_are_limited(start, room_and_visitor):
    body = png(room_and_visitor[0])
    url = start(predictor=Slow(), max_waiting=4)
    requests.put(f"{url}/plates/a", data=body)
    with ThreadPoolExecutor(8) as pool:
        posted = [pool.submit(requests.post, f"{url}/plates/a/frames", data=body) for _ in range(8)]
        answers = [each.result() for each in posted]
    assert sorted(each.status_code for each in answers) == [200] * 4 + [503] * 4
    refused = next(each for each in answers if each.status_code == 503)
    assert refused.headers["Retry-After"] == "1" and "try again" in refused.text
    url = start(predictor=Slow(), timeout_s=0.2, max_waiting=1)
    requests.put(f"{url}/plates/a", data=body)
    response = requests.post(f"{url}/plates/a/frames", data=body)
    assert response.status_code == 504 and "not done in 0.2 s" in response.text
    assert requests.get(f"{url}/readyz").status_code == 503, "it is still at work"
    time.sleep(0.5)
    assert requests.get(f"{url}/readyz").status_code == 200


def test_serve_ends_gracefully_and_refuses_to_be_open(difference_onnx, environment, tmp_path):
    serve = [sys.executable, "-m", "depthmask.cli", "serve", "--model", str(difference_onnx)]
    options = {"env": environment, "cwd": tmp_path, "text": True}
    with subprocess.Popen([*serve, "--port", "0"], stdout=subprocess.PIPE, **options) as process:
        url = re.search(r"http://\S+(?=,)", process.stdout.readline())[0]
        while True:
            try:
                assert requests.get(f"{url}/readyz").ok
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        busy = [*serve, "--port", url.rpartition(":")[2]]
        taken = subprocess.run(busy, capture_output=True, **options)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, 143)
    assert taken.returncode == 2 and "Address already in use): name another --port" in taken.stderr
    env = {k: v for k, v in os.environ.items() if k != "DEPTHMASK_TOKEN"} | environment
    options["env"] = env
    opened = subprocess.run([*serve, "--host", "0.0.0.0"], capture_output=True, **options)
    assert opened.returncode == 2 and opened.stderr.count("\n") == 1
    assert "--host 0.0.0.0 is open to others: set a secret in DEPTHMASK_TOKEN" in opened.stderr
