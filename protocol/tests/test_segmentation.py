import pytest
from rapl_protocol.audio import BYTES_PER_SECOND
from rapl_protocol.segmentation import Segmenter
from rapl_protocol.testing import make_tone

SECOND_OF_TONE = bytes(make_tone(1.0).pcm)
HALF_SECOND_OF_SILENCE = bytes(BYTES_PER_SECOND // 2)


def segments_of(pcm: bytes, piece: int):
    segmenter = Segmenter()
    found = [s for at in range(0, len(pcm), piece) for s in segmenter.feed(pcm[at : at + piece])]
    return [*found, *segmenter.finish()], segmenter.duration_s


def test_audio_of_up_to_thirty_seconds_is_one_untouched_segment():
    pcm = SECOND_OF_TONE * 30

    [segment], duration_s = segments_of(pcm, 10_000)

    assert (segment.start_s, segment.end_s, duration_s) == (0.0, 30.0, 30.0)
    assert segment.audio.pcm == pcm


@pytest.mark.parametrize("piece", [999_998, 10_000, 10_000_000])
def test_long_audio_is_cut_without_losing_or_doubling_a_sample(piece: int):
    pcm = (SECOND_OF_TONE * 7 + HALF_SECOND_OF_SILENCE) * 12

    segments, duration_s = segments_of(pcm, piece)

    assert b"".join(s.audio.pcm for s in segments) == pcm
    assert duration_s == 90.0
    assert [s.end_s for s in segments[:-1]] == [s.start_s for s in segments[1:]]
    assert max(s.audio.duration_s for s in segments) <= 30.0


def test_the_cut_falls_into_the_pause():
    pcm = SECOND_OF_TONE * 27 + HALF_SECOND_OF_SILENCE + SECOND_OF_TONE * 5

    [first, _], _ = segments_of(pcm, 4096)

    assert 27.0 < first.end_s < 27.5


def test_where_there_is_no_pause_the_segment_is_nearly_as_long_as_it_may_be():
    [first, *_], _ = segments_of(SECOND_OF_TONE * 40, 4096)

    assert 25.0 <= first.end_s <= 30.0


def test_no_audio_is_no_segment():
    assert segments_of(b"", 1) == ([], 0.0)
