"""Draws the README's picture about speed from a published run.

python -m rapl_bench.reporting.readme_picture bench/results/latest/results.json docs/pictures/speed.svg
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

TABLE, CASE, COLUMN = "sensevoice", "5 s", "AutoModel's time by this"
_RAPL_COLOUR, _OTHER_COLOUR, _TEXT_COLOUR = "#2f6fd0", "#a9b4c2", "#333333"


def draw(results: Path, file: Path) -> None:
    """Draws how many times as fast as FunASR's AutoModel each contestant transcribes 5 s.

    Args:
        results: the `results.json` of a run.
        file: the SVG to write.
    """
    run = json.loads(results.read_text(encoding="utf-8"))
    [table] = [table for table in run["tables"] if table["name"] == TABLE]
    factors = {row["contestant"]: _factor(row) for row in table["rows"] if row["case"] == CASE}
    figure = Figure(figsize=(8.0, 0.5 + 0.42 * len(factors)), layout="constrained", facecolor="white")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    colours = [_RAPL_COLOUR if name == "RAPL" else _OTHER_COLOUR for name in factors]
    bars = axes.barh(list(factors), list(factors.values()), color=colours, height=0.7)
    axes.bar_label(bars, labels=[f"{factor:.1f} x" for factor in factors.values()], padding=6, color=_TEXT_COLOUR)
    axes.invert_yaxis()
    cores = run["machine"]["cores"]
    axes.set_title(f"SenseVoiceSmall, {CASE} of speech, {cores} cores: speed beside FunASR's AutoModel", fontsize=11)
    axes.margins(x=0.12)
    axes.xaxis.set_visible(False)
    axes.tick_params(left=False, labelcolor=_TEXT_COLOUR)
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set_visible(False)
    with mpl.rc_context({"svg.hashsalt": TABLE}):  # the same run gives the same file
        figure.savefig(file, metadata={"Date": None})


def _factor(row: dict[str, Any]) -> float:
    return row["measures"][COLUMN]["value"]


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
