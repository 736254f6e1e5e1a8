"""Subtitles stay readable for every player, whatever text and times an engine gives."""

import re

from hypothesis import given
from hypothesis import strategies as st
from rapl_gateway.api.subtitles import to_srt, to_vtt
from rapl_protocol.transcript import Segment

SEGMENTS = st.lists(
    st.builds(
        Segment,
        start_s=st.floats(-1.0, 40_000.0),
        end_s=st.floats(-1.0, 40_000.0),
        text=st.text(st.sampled_from("ab 你->\n\r\u2028.1"), max_size=12),
    )
)
SRT_CUE = re.compile(r"(\d+)\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\n(.+)")
VTT_CUE = re.compile(r"\d\d:\d\d:\d\d\.\d{3} --> \d\d:\d\d:\d\d\.\d{3}\n(.+)")


def texts_of(segments: list[Segment]) -> list[str]:
    return [" ".join(each.text.split()).replace("-->", "->") for each in segments if each.text.strip()]


@given(SEGMENTS)
def test_each_segment_with_text_is_one_srt_cue(segments):
    cues = [SRT_CUE.fullmatch(block) for block in to_srt(segments).strip("\n").split("\n\n") if block]

    assert [cue[2] for cue in cues] == texts_of(segments)
    assert [int(cue[1]) for cue in cues] == list(range(1, len(cues) + 1))


@given(SEGMENTS)
def test_each_segment_with_text_is_one_vtt_cue(segments):
    header, *blocks = to_vtt(segments).strip("\n").split("\n\n")

    assert header == "WEBVTT"
    assert [VTT_CUE.fullmatch(block)[1] for block in blocks] == texts_of(segments)
