"""The service, over HTTP as a caller has it."""

import io
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
import uvicorn
from PIL import Image

from depthmask.inference import service
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
    path = 'depthmask_requests_total{method="POST",path="/plates/{name}/frames",status="200"}'
    assert f"{path} 6.0" in metrics and "depthmask_plates 1.0" in metrics
    assert "depthmask_prediction_seconds_count 6.0" in metrics
    assert requests.delete(f"{url}/plates/hall").status_code == 204
    assert requests.get(f"{url}/plates").json() == []
    assert requests.get(f"{url}/healthz").json() == {"status": "ok"}
    assert requests.get(f"{url}/readyz").json()["model"] == "difference"
    paths = requests.get(f"{url}/openapi.json").json()["paths"]
    body = paths["/plates/{name}/frames"]["post"]["requestBody"]["content"]
    assert set(body) == {"image/*", "multipart/form-data"}


def test_the_lens_is_asked_of_the_plates_exif(start, room_and_visitor):
    bg, bg_fg = room_and_visitor
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x8769] = {0xA405: 28}  # mm, of film
    Image.fromarray(bg).save(file, format="PNG", exif=exif)
    url = start()
    told = requests.put(f"{url}/plates/hall", data=file.getvalue()).json()
    assert told["fov_degrees"] == pytest.approx(65.5, abs=0.1)
    told = requests.put(f"{url}/plates/hall?fov=50", data=file.getvalue()).json()
    assert told["fov_degrees"] == 50


def test_a_frame_of_another_room_is_refused_unless_the_plate_is_forced(start):
    url, rng = start(), np.random.default_rng(0)
    rooms = (np.kron(rng.integers(0, 255, (2, 12, 18, 1)), np.ones((1, 8, 8, 3)))).astype(np.uint8)
    bg, other = map(png, rooms)
    for force, status in (("false", 422), ("true", 200)):
        requests.put(f"{url}/plates/hall?force={force}", data=bg)
        response = requests.post(f"{url}/plates/hall/frames", data=other)
        assert response.status_code == status, response.text
        assert ("put it with force=true" in response.text) == (status == 422)


def test_what_cannot_be_answered_says_why(start, room_and_visitor):
    bg, bg_fg = room_and_visitor
    url = start(max_bytes=5000, max_pixels=144 * 96, max_plates=2)
    put = f"{url}/plates"
    for name in ("a", "b"):
        assert requests.put(f"{put}/{name}", data=png(bg)).status_code == 200
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    wide = np.zeros((96, 145, 3), np.uint8)
    # a header that tells of 400 megapixels
    bomb = png(bg)[:16] + struct.pack(">II", 20_000, 20_000) + png(bg)[24:29]
    bomb += struct.pack(">I", zlib.crc32(bomb[12:29])) + png(bg)[33:]
    Image.new("RGB", (16, 16)).save(icon := io.BytesIO(), format="ICO")
    icon = icon.getvalue()
    for response, status, words in (
        (requests.post(f"{put}/gone/frames", data=png(bg)), 404, "no plate gone: put it"),
        (requests.delete(f"{put}/gone"), 404, "no plate gone"),
        (requests.put(f"{put}/c", data=png(bg)), 409, "2 plates are held: delete one first"),
        (requests.put(f"{put}/a", data=b"text"), 422, "the picture cannot be read: give PNG, JPEG"),
        (requests.put(f"{put}/a", data=bomb), 413, "more than 13824 pixels"),
        (requests.put(f"{put}/a", data=icon), 422, "the picture cannot be read: give PNG, JPEG"),
        (requests.put(f"{put}/a", files={"x": b""}), 422, "the form has no file plate"),
        (requests.put(f"{put}/a", data=png(noise)), 413, "Content Too Large"),
        (requests.put(f"{put}/a", files={"plate": png(noise)}), 413, "Content Too Large"),
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


class Held:
    """A predictor that answers once it is let."""

    training_size, depth_unit, device, metadata = 8, "relative", "cpu", {"experiment": "held"}

    def __init__(self):
        self.num_begun, self.let = -1, threading.Event()  # the first warms up
        self.let.set()

    def predict(self, bg, bg_fg, **_):
        self.num_begun += 1
        self.let.wait()
        return np.zeros((2, *bg.shape[:2]), np.float32)


def wait_for(is_so) -> None:
    for _ in range(1000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it took more than 10 s")


def is_ready(url: str) -> bool:
    return requests.get(f"{url}/readyz").status_code == 200


@pytest.fixture
def held(room_and_visitor, start):
    predictor = Held()

    def start_held(**limits) -> str:
        url = start(predictor=predictor, **limits)
        assert requests.put(f"{url}/plates/a", data=png(room_and_visitor[0])).ok
        predictor.let.clear()
        return url

    yield predictor, start_held
    predictor.let.set()


def test_the_queue_is_limited(held, room_and_visitor):
    predictor, start_held = held
    url, body = start_held(max_waiting=4), png(room_and_visitor[0])
    with ThreadPoolExecutor(4) as pool:
        posted = [pool.submit(requests.post, f"{url}/plates/a/frames", data=body) for _ in range(4)]
        wait_for(lambda: "depthmask_waiting 4.0" in requests.get(f"{url}/metrics").text)
        refused = requests.post(f"{url}/plates/a/frames", data=body)
        assert refused.status_code == 503 and not is_ready(url)
        assert refused.headers["Retry-After"] == "1" and "try again" in refused.text
        predictor.let.set()
        assert [each.result().status_code for each in posted] == [200] * 4
    assert is_ready(url)


def test_of_many_that_wait_few_are_held_in_memory(held, room_and_visitor, monkeypatch):
    predictor, start_held = held
    url, body = start_held(max_held=3), png(room_and_visitor[0])
    read, real = [], service._read_body

    async def counted(*arguments):
        read.append(1)
        return await real(*arguments)

    monkeypatch.setattr(service, "_read_body", counted)
    with ThreadPoolExecutor(9) as pool:
        posted = [pool.submit(requests.post, f"{url}/plates/a/frames", data=body) for _ in range(9)]
        wait_for(lambda: "depthmask_waiting 9.0" in requests.get(f"{url}/metrics").text)
        assert (len(read), predictor.num_begun) == (3, 2)
        predictor.let.set()
        assert [each.result().status_code for each in posted] == [200] * 9
    assert len(read) == 9


def test_200_requests_at_once_are_answered(start, room_and_visitor):
    url, (bg, bg_fg) = start(), map(png, room_and_visitor)
    requests.put(f"{url}/plates/a", data=bg)
    with ThreadPoolExecutor(200) as pool:
        posted = [
            pool.submit(requests.post, f"{url}/plates/a/frames", data=bg_fg) for _ in range(200)
        ]
    answers = {(each.result().status_code, *each.result().json()["box"]) for each in posted}
    assert len(answers) == 1 and next(iter(answers))[0] == 200


def test_the_time_is_limited_and_what_waits_is_dropped(held, room_and_visitor):
    predictor, start_held = held
    url, body = start_held(max_waiting=4, timeout_s=1), png(room_and_visitor[0])
    with ThreadPoolExecutor(4) as pool:
        posted = [pool.submit(requests.post, f"{url}/plates/a/frames", data=body) for _ in range(4)]
        for each in posted:
            assert each.result().status_code == 504 and "not done in 1 s" in each.result().text
    assert "depthmask_waiting 2.0" in requests.get(f"{url}/metrics").text, "two are at work"
    predictor.let.set()
    wait_for(lambda: "depthmask_waiting 0.0" in requests.get(f"{url}/metrics").text)
    assert predictor.num_begun == 2


def test_an_upload_that_stops_holds_nothing_up(start, room_and_visitor, capfd):
    url = start(max_waiting=1, timeout_s=1)
    assert requests.put(f"{url}/plates/a", data=png(room_and_visitor[0])).ok
    address = url.removeprefix("http://").split(":")
    head = b"POST /plates/a/frames HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\nbegun"
    with socket.create_connection(address) as stopped:
        stopped.sendall(head)
        assert b" 504 " in stopped.recv(1000)
    url = start(max_waiting=1, timeout_s=60)
    assert requests.put(f"{url}/plates/a", data=png(room_and_visitor[0])).ok
    with socket.create_connection(url.removeprefix("http://").split(":")) as gone:
        gone.sendall(head)
        wait_for(lambda: not is_ready(url))
    wait_for(lambda: is_ready(url))
    requests.request("INVENTED", f"{url}/healthz")
    assert 'method="other"' in requests.get(f"{url}/metrics").text
    assert "Traceback" not in capfd.readouterr().err


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
