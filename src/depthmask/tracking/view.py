"""The comparison as a view that MLflow's page of runs offers under "Views", ready made.

MLflow keeps the views that its users save as tags of the experiment (`mlflow.sharedViewState.ID`:
a name, two times and the page's state). An MLflow that does not know the tag ignores it.
"""

import json
from collections.abc import Mapping
from typing import Any

TAG = "mlflow.sharedViewState.depthmask-comparison"
LINK = (
    "#/experiments/{id}/runs?viewStateShareKey=depthmask-comparison&compareRunsMode=CHART"
    "&workflowType=machine_learning"
)
"""Where MLflow shows it, below the server's address."""

_WIDTHS_PX = {
    "attributes.`Run Name`": 170,
    "tags.`rank`": 75,
    "tags.`verdict`": 250,
    "metrics.`headline/mask_iou`": 140,
    "metrics.`headline/depth_delta1`": 160,
    "metrics.`headline/depth_abs_rel`": 165,
    "metrics.`headline/person_distance_error`": 230,
    "metrics.`headline/leak_gap`": 140,
    "tags.`loss.mask`": 110,
    "tags.`loss.depth`": 110,
    "tags.`model`": 120,
    "tags.`seed`": 70,
    "tags.`best`": 70,
    "duration": 90,
    "runDateAndNestInfo": 150,
}
"""Columns, the most telling first: those of attributes are always there."""

_BARS = {
    "headline": (
        "mask_iou",
        "depth_delta1",
        "depth_abs_rel",
        "person_distance_error",
        "leak_gap",
    ),
}
_LINES = {"val": ("mask_iou", "depth_delta1", "depth_rmse", "loss"), "train": ("loss", "lr")}
_MOST_RUNS = 20


def comparison_view(time_ms: int) -> str:
    """The tag's value: the hardest set's figures as bars, the curves beneath, the best mask first.

    Args:
        time_ms: when the comparison was made, milliseconds since 1970.
    """
    sections: list[Mapping[str, Any]] = []
    charts: list[Mapping[str, Any]] = []
    for kind, panels in (("BAR", _BARS), ("LINE", _LINES)):
        for section, names in panels.items():
            sections.append(
                {
                    "uuid": f"depthmask-{section}",
                    "name": section,
                    "display": section != "train",
                    "isReordered": True,
                    "deleted": False,
                    "isGenerated": True,
                    "columns": 2,  # with three, a laptop's screen cuts the names
                    "cardHeight": 330,
                }
            )
            charts.extend(_chart(kind, section, name) for name in names)
    state = {
        "searchFilter": "",
        "orderByKey": "metrics.`headline/mask_iou`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [c for c in _WIDTHS_PX if c.startswith(("tags.", "metrics."))],
        "columnOrder": list(_WIDTHS_PX),
        "columnWidths": _WIDTHS_PX,
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,
        "viewMaximized": False,
        "runListHidden": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "globalLineChartConfig": {
            "xAxisKey": "step",
            "lineSmoothness": 0,
            "selectedXAxisMetricKey": "",
        },
    }
    return json.dumps(
        {
            "name": "Comparison",
            "createdAt": time_ms,
            "updatedAt": time_ms,
            "state": json.dumps(state),
        }
    )


def _chart(kind: str, section: str, name: str) -> dict[str, Any]:
    chart = {
        "uuid": f"depthmask-{section}-{name}",
        "type": kind,
        "runsCountToCompare": _MOST_RUNS,
        "metricSectionId": f"depthmask-{section}",
        "deleted": False,
        "isGenerated": True,
        "displayName": name,
        "metricKey": f"{section}/{name}",
    }
    if kind == "LINE":
        chart |= {
            "lineSmoothness": 0,
            "xAxisScaleType": "linear",
            "scaleType": "linear",
            "range": {},
            "xAxisKey": "step",
            "selectedXAxisMetricKey": "",
            "yAxisKey": "metric",
            "yAxisExpressions": [],
            "ignoreOutliers": False,
            "useGlobalXaxisKey": True,
            "useGlobalLineSmoothing": True,
        }
    return chart
