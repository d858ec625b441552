"""What a reader must know of an exported model, as Markdown beside the ONNX file."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from depthmask.data.scenes.scene import REFERENCE_FOCAL, SETS
from depthmask.data.sources import source_named
from depthmask.metrics import METRICS
from depthmask.tracking.notes import network_words


def model_card(
    card: Mapping[str, Any], metrics: Mapping[str, Any], parity: Mapping[str, Any], opset: int
) -> str:
    """The card's text, of `model.json`, `metrics.json` and `parity.json`; equal inputs give equal
    bytes, so it names no time, host or commit."""
    name, source, unit = card["experiment"], card["source"], card["unit"]
    description, limit = source_named(source).description, source_named(source).limit
    figures, test_set = parity["figures"], parity["figures"]["set"]
    depth = {"metre": "metres along the optical axis"}.get(unit, "relative: it grows with distance")
    largest = pd.DataFrame(parity["differences"]).max(axis=1)
    smaller = ""
    for precision, device in (("int8", "CPU"), ("float16", "GPU")):
        found = parity.get("precisions", {}).get(precision, {})
        if found.get("is_kept"):
            both = f"mask IoU {found['mask_iou']:.3f}, person's δ1 {found['person_delta1']:.3f}"
            smaller += f"- For {device}s: `model_{precision}.onnx`; on the test below {both}\n"
    return f"""# DepthMaskNet: {name}

Finds a person and the scene's depth from two pictures of one camera that does not move: the plate
(the room with nobody in it) and the frame.

- File: `model.onnx`, ONNX opset {opset}, {card["num_parameters"]:,} parameters, self-contained
{smaller}- In: `bg` (the plate) and `bg_fg` (the frame), uint8, N x H x W x 3, RGB, any one size
- Out: `mask`, float32, N x H x W, 0 to 1; `depth`, float32, N x H x W, {depth}
- Network: {network_words(card)}; seed {card["seed"]}, run {card["key"]}
- Works at {card["size"]} x {card["size"]} px; resizing is part of the file
- Licence: MIT

## Data

{source}: {description} (hash {card["data_hash"]}). No room and no person is in two of training,
validation and test. Of {len(metrics["ranking"])} experiments it has the {metrics["rule"]}.

## Figures

On `{test_set}`, the hardest test set: {SETS[test_set].text}.
Intervals of {metrics["level"]:.0%}, two-way over rooms and people.

| figure | mean | interval |
| --- | ---: | ---: |
{_figures(metrics, name, test_set)}

The figures of the file and of the trained network differ by {figures["largest_difference"]:.1e}
at most, their masks by {largest["mask"]:.1e} and their depths by {largest["depth"]:.1e}.

## Limits

- {limit}
- Plate and frame must come from the same place; `depthmask predict` warns where the room, the light
  or the camera has changed.
- The network sees {card["size"]} px a side: thin and far people may be missed.
- Metres are of a lens of {REFERENCE_FOCAL} frame heights; `--fov` or EXIF scales them, as above.
- Of several people the mask holds all, the reported distance is the largest region's.
- Its safety was not measured: do not rely on it where an error may hurt somebody.

## Use

```
depthmask predict --bg plate.png --scene frame.png --fov 62 --out found
```

```python
from depthmask import Predictor

predictor = Predictor("models/best/model.onnx")
mask, depth = predictor.predict(bg, bg_fg, fov_degrees=62)  # uint8 H x W x 3, RGB
```
"""


def _figures(metrics: Mapping[str, Any], name: str, test_set: str) -> str:
    rows, intervals = [], metrics["intervals"][name][test_set]
    for key, value in metrics["experiments"][name][test_set].items():
        metric, row = METRICS[key], (value, *intervals.get(key, ()))
        written = ["none" if each is None else f"{each:.{metric.decimals}f}" for each in row]
        unit = metric.suffix(metrics["unit"])
        between = f"{' to '.join(written[1:])}{unit}" if written[1:] else ""
        rows.append(f"| {metric.title} {metric.arrow} | {written[0]}{unit} | {between} |")
    return "\n".join(rows)
