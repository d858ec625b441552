"""The chart of a learning-rate range test."""

import altair as alt
import pandas as pd

from depthmask.visualization.theme import Chart


def rate_range(
    table: pd.DataFrame, *, title: str, suggested: float | None, current: float
) -> Chart:
    """The loss over the learning rate, the suggested and the present rate marked.

    Args:
        table: `lr`, `loss`, `smoothed`, a row a step.
        suggested: where the loss falls steepest, or None.
    """
    smoothed = table["smoothed"]
    lowest, highest = smoothed.min(), smoothed[: int(smoothed.argmin()) + 1].max()
    # the way up at the end would flatten what is to be read
    top = highest + 0.35 * max(highest - lowest, 0.1 * abs(highest))
    domain = [max(0.0, lowest - 0.25 * (top - lowest)), top]
    marks = [(current, "var(--muted)", f"params.yaml {current:g}")]
    if suggested:
        marks.append((suggested, "var(--vermilion)", f"steepest {suggested:.2g}"))
    marked = pd.DataFrame(marks, columns=["lr", "color", "text"])
    marked = marked[marked["lr"].between(table["lr"].min(), table["lr"].max())]
    x = alt.X("lr:Q", title="learning rate", scale=alt.Scale(type="log"),
              axis=alt.Axis(format="~g", grid=True, tickCount=6))  # fmt: skip
    y = alt.Y("loss:Q", title="training loss", scale=alt.Scale(domain=domain, clamp=True))
    base = alt.Chart(table).encode(x=x)
    color = alt.Color("color:N", scale=None)
    words = alt.Chart(marked).mark_text(align="left", dx=5, dy=8, fontSize=12)
    return alt.layer(
        base.mark_circle(color="var(--blue)", size=10, opacity=0.35).encode(y=y),
        base.mark_line(color="var(--blue)").encode(y=alt.Y("smoothed:Q", title="training loss")),
        alt.Chart(marked).mark_rule(strokeDash=[3, 3]).encode(x=x, color=color),
        words.encode(x=x, y=alt.value(0), text="text:N", color=color),
    ).properties(
        width=600,
        height=270,
        title=alt.TitleParams(text=title, subtitle="choose a rate left of where the loss turns up"),
    )
