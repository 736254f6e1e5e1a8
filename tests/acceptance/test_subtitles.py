"""Subtitles of SenseVoice keep their rules, by a checker that knows only the rules."""

import httpx
import pytest
from rapl_protocol.audio import WavAudio
from services import SELFTEST
from subtitle_checker import Limits, broken_rules, cues_in

NARROW = Limits(max_line_chars=10, max_lines=1, max_cue_s=2.5, min_cue_s=0.8, max_chars_per_s=15.0)


@pytest.mark.parametrize("response_format", ["srt", "vtt"])
@pytest.mark.parametrize("limits", [Limits(), NARROW])
def test_subtitles_of_the_self_test_model_keep_their_rules(fleet, sample_pcm, limits, response_format):
    answer = httpx.post(
        f"{fleet.url}/v1/audio/transcriptions",
        data={"model": SELFTEST, "response_format": response_format, **vars(limits)},
        files={"file": WavAudio(sample_pcm * 12).to_wav()},
        timeout=120,
    )
    cues = cues_in(answer.text)

    assert list(broken_rules(cues, limits)) == []
    assert len(cues) >= 12
    words = [word for cue in cues for line in cue.lines for word in line.replace(".", "").split()]
    assert words == ["3", "1", "4", "1", "5", "9"] * 12
