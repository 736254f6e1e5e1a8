"""The README's picture and sentence about speed are those of the published run."""

import json
import re
from pathlib import Path

from rapl_bench.reporting.readme_picture import CASE, COLUMN, TABLE, draw

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "bench" / "results" / "latest" / "results.json"


def test_the_picture_is_that_of_the_published_run(tmp_path):
    draw(RESULTS, tmp_path / "speed.svg")

    assert shapes(tmp_path / "speed.svg") == shapes(ROOT / "docs" / "pictures" / "speed.svg")


def shapes(picture: Path) -> list[str]:
    """The outlines of all bars and letters."""
    return re.findall(r' d="([^"]*)"', picture.read_text())


def test_the_readme_says_how_many_times_as_fast_as_funasr_the_published_run_was():
    [table] = [table for table in json.loads(RESULTS.read_text())["tables"] if table["name"] == TABLE]
    [row] = [row for row in table["rows"] if (row["case"], row["contestant"]) == (CASE, "RAPL")]
    factor = row["measures"][COLUMN]["value"]

    assert f"{factor:.1f} times as fast as FunASR's" in (ROOT / "README.md").read_text().replace("\n", " ")
