// Two pictures through the exported network, in the browser: what the Predictor does in Python.
const LONGEST_PX = 1280; // of a picture's side; larger ones are shrunk
const ACCENT = [0, 214, 178];
const $ = (id) => document.getElementById(id);

let ort, session, provider, focal, plate;
export let last; // the newest answer
export const trials = {}; // by provider: the time of one pair and its answer

function say(text, isError = false) {
  $("status").textContent = text;
  $("status").className = isError ? "error" : "";
}

// A model on a provider, timed on two pictures of noise.
async function open(name, file, model, side) {
  const runtime = await import(file);
  runtime.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  runtime.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const opened = await runtime.InferenceSession.create(model, { executionProviders: [name] });
  const noise = (step) => Uint8Array.from({ length: 3 * side * side }, (_, i) => (i * step) % 251);
  const [bg, bg_fg] = [97, 61].map((step) => new runtime.Tensor("uint8", noise(step), [1, side, side, 3]));
  for (let run = 0; run < 3; run++) { // the first compiles and allocates
    const start = performance.now();
    const { mask, depth } = await opened.run({ bg, bg_fg });
    trials[name] = { ms: performance.now() - start, answer: [...mask.data, ...depth.data] };
    if (trials[name].ms > 5000) break; // WebGPU without a GPU
  }
  return [runtime, opened];
}

export const agree = (some, others) => some.every((value, i) => Math.abs(value - others[i]) < 0.01);

async function load() {
  const about = await (await fetch("model.json")).json();
  focal = about.reference_focal;
  const side = Number(about.training_size);
  const runtimes = { wasm: "./ort/ort.wasm.min.mjs", webgpu: "./ort/ort.webgpu.min.mjs" };
  [ort, session] = await open(provider = "wasm", runtimes.wasm, "wasm.onnx", side);
  const { wasm } = trials;
  if (await navigator.gpu?.requestAdapter()) {
    try {
      const opened = await open("webgpu", runtimes.webgpu, "webgpu.onnx", side);
      if (trials.webgpu.ms < wasm.ms) { // a driver may compute wrongly: ask wasm for the same
        await open("wasm", runtimes.wasm, "webgpu.onnx", side);
        if (!agree(trials.webgpu.answer, trials.wasm.answer)) throw new Error("a wrong answer");
        [ort, session] = opened;
        provider = "webgpu";
      }
    } catch (error) {
      console.warn("WebGPU:", error);
    }
    trials.wasm = wasm;
  }
  const times = Object.entries(trials).map(([name, { ms }]) => `${name} ${ms.toFixed(0)} ms`);
  say(`${about.experiment} on ${provider} (${times.join(", ")}): give a plate`);
}

// The pixels of an image or a video as { width, height, rgb }.
function pixelsOf(source, width, height) {
  const share = Math.min(1, LONGEST_PX / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.round(width * share), Math.round(height * share));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const rgb = new Uint8Array(canvas.width * canvas.height * 3);
  for (let i = 0, j = 0; i < data.length; i += 4) {
    rgb[j++] = data[i]; rgb[j++] = data[i + 1]; rgb[j++] = data[i + 2];
  }
  return { width: canvas.width, height: canvas.height, rgb };
}

async function pixelsOfFile(file) {
  const bitmap = await createImageBitmap(file); // upright by its EXIF
  return pixelsOf(bitmap, bitmap.width, bitmap.height);
}

function show(id, { width, height }, color) {
  const canvas = $(id);
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    image.data.set(color(i), 4 * i);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// The pixels of the largest 8-connected region of a mask above one half.
function largestRegion(mask, width, height) {
  const seen = new Uint8Array(mask.length);
  let largest = [];
  for (let start = 0; start < mask.length; start++) {
    if (seen[start] || mask[start] <= 0.5) continue;
    const region = [start];
    seen[start] = 1;
    for (let k = 0; k < region.length; k++) {
      const x = region[k] % width, y = (region[k] - x) / width;
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const next = v * width + u;
          if (!seen[next] && mask[next] > 0.5) { seen[next] = 1; region.push(next); }
        }
      }
    }
    if (region.length > largest.length) largest = region;
  }
  return largest;
}

function median(values) {
  values.sort();
  const half = values.length >> 1;
  return values.length % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

async function predict(frame) {
  const { width, height } = frame;
  if (width !== plate.width || height !== plate.height) {
    throw new Error(`the plate is ${plate.width}×${plate.height} px and the frame ${width}×${height}: take both with the same camera`);
  }
  const start = performance.now();
  const [bg, bg_fg] = [plate, frame].map(({ rgb }) => new ort.Tensor("uint8", rgb, [1, height, width, 3]));
  const answer = await session.run({ bg, bg_fg });
  const latency = performance.now() - start;
  const fov = Number($("fov").value);
  const scale = fov ? width / height / (2 * Math.tan(fov * Math.PI / 360)) / focal : 1;
  const mask = answer.mask.data, depth = answer.depth.data.map((metres) => metres * scale);
  const region = largestRegion(mask, width, height);
  const distance = region.length ? median(Float32Array.from(region, (i) => depth[i])) : null;
  return { mask, depth, latency, distance };
}

function draw(frame, { mask, depth, latency, distance }) {
  const { rgb } = frame;
  show("overlay", frame, (i) => {
    const [r, g, b] = rgb.subarray(3 * i, 3 * i + 3), grey = (r + g + b) / 3;
    return [r, g, b].map((c, k) => mask[i] * (0.6 * c + 0.4 * ACCENT[k]) + (1 - mask[i]) * (0.315 * c + 0.385 * grey));
  });
  let near = Infinity, far = 0;
  for (const metres of depth) { near = Math.min(near, metres); far = Math.max(far, metres); }
  const span = Math.log(far / near) || 1;
  show("depth", frame, (i) => {
    const share = Math.log(depth[i] / near) / span; // near is light
    return [255 * (1 - share) ** 1.5, 255 * (1 - share) ** 0.8, 110 + 120 * (1 - share)];
  });
  $("scale").textContent = `depth: light is ${near.toFixed(1)} m, dark ${far.toFixed(1)} m`;
  $("answer").textContent = distance === null ? "nobody" : `a person ${distance.toFixed(2)} m away`;
  say(`${latency.toFixed(0)} ms on ${provider}`);
}

async function answer(frame) {
  if (!plate) throw new Error("give a plate first");
  last = await predict(frame);
  draw(frame, last);
}

function setPlate(pixels) {
  plate = pixels;
  const { rgb } = plate;
  show("room", plate, (i) => rgb.subarray(3 * i, 3 * i + 3));
  say("now a frame with somebody in it");
}

function guarded(work) {
  return async (event) => {
    try { await work(event); } catch (error) { say(error.message, true); }
  };
}

const now = () => pixelsOf($("video"), $("video").videoWidth, $("video").videoHeight);

async function live() {
  for (;;) {
    if (plate) await guarded(() => answer(now()))();
    await new Promise(requestAnimationFrame);
  }
}

$("plate").onchange = guarded(async ({ target }) => setPlate(await pixelsOfFile(target.files[0])));
$("frame").onchange = guarded(async ({ target }) => answer(await pixelsOfFile(target.files[0])));
$("take").onclick = guarded(() => setPlate(now()));
$("webcam").onclick = guarded(async () => {
  const video = $("video");
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  await video.play();
  $("webcam").disabled = true;
  $("take").disabled = false;
  say("step out of the room and take the plate");
  live();
});

load().catch((error) => say(`the model cannot be loaded: ${error.message}`, true));
