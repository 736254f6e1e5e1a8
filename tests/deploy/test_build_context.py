"""What the Dockerfile copies is in the build context, which `.dockerignore` limits."""

import re

from services import ROOT

COPY = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)


def test_every_file_that_an_image_copies_is_in_the_build_context():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {path for sources in COPY.findall((ROOT / "Dockerfile").read_text()) for path in sources.split()}

    assert {"pyproject.toml", "speaker-service"} <= copied
    assert {path for path in copied if path not in allowed and path.partition("/")[0] not in allowed} == set()
