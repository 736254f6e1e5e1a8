"""What is in doubt is cut at the detector's pauses; what is not in doubt is kept."""

import pytest
from rapl_gateway.transcription.checks.transcript_checks import TranscriptChecks
from rapl_gateway.transcription.recut import recut
from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.intervals import Interval, merged
from rapl_protocol.prepared import SpeechSegment
from rapl_protocol.transcript import Segment, Transcript

SENTENCES = (
    "the quick brown fox jumps over the lazy dog and then it goes home to sleep until the sun is up",
    "while nobody says a word about what has become of all the others there or of their old houses",
    "every morning somebody opens the window and looks at the river that carries leaves and branches",
    "in winter the same people sit round a fire and tell each other where they would rather be now",
)
"""Five seconds of speech each."""
SPEECH = ((0.5, 5.5), (6.5, 11.5), (12.5, 17.5), (18.5, 23.5))


def segment_of(*speech: tuple[float, float], duration_s: float = 24.0) -> SpeechSegment:
    numbered = b"".join(second.to_bytes(2, "little") * (BYTES_PER_SECOND // 2) for second in range(int(duration_s)))
    spans = tuple(Interval(*each) for each in speech)
    return SpeechSegment(0.0, duration_s, WavAudio(numbered), spans)


def transcript(*times: tuple[float, float], duration_s: float = 24.0) -> Transcript:
    """A transcript with a sentence at each of the times."""
    texts = zip(SENTENCES, times, strict=False)
    segments = tuple(Segment(start_s=start, end_s=end, text=text) for text, (start, end) in texts)
    text = " ".join(segment.text for segment in segments)
    spans = merged(Interval(*each) for each in times)
    return Transcript(text=text, duration_s=duration_s, segments=segments, text_spans=spans)


def cut(segment: SpeechSegment, heard: Transcript, *, is_first: bool = True):
    return recut(segment, TranscriptChecks().judge(heard, segment), is_first=is_first)


@pytest.mark.parametrize(
    ("heard", "piece", "before", "after"),
    [
        (SPEECH[:3], (18.0, 24.0), 3, 0),
        (SPEECH[1:], (0.0, 6.0), 0, 3),
        ((SPEECH[0], *SPEECH[2:]), (6.0, 12.0), 1, 2),
        ((SPEECH[0], SPEECH[3]), (6.0, 18.0), 1, 1),
    ],
)
def test_only_the_audio_between_the_pauses_around_a_loss_is_transcribed_again(heard, piece, before, after):
    again = cut(segment_of(*SPEECH), transcript(*heard))

    assert [(each.start_s, each.end_s) for each in again.pieces] == [piece]
    assert (len(again.before), len(again.after)) == (before, after)
    [audio] = (each.audio for each in again.pieces)
    assert audio.duration_s == piece[1] - piece[0]
    assert audio.pcm[0] == int(piece[0])
    assert again.pieces[0].speech == tuple(
        Interval(start - piece[0], end - piece[0]) for start, end in SPEECH if piece[0] < start < piece[1]
    )


def test_a_text_that_does_not_end_at_a_pause_is_transcribed_again_too():
    spoken = segment_of((0.5, 8.0), (9.0, 28.0), duration_s=30.0)
    again = cut(spoken, transcript((0.5, 8.0), (9.0, 14.0), duration_s=30.0))

    assert len(again.before) == 1
    assert [(each.start_s, each.end_s) for each in again.pieces] == [(8.5, 30.0)]


def test_the_texts_are_joined_in_order_with_their_places():
    again = cut(segment_of(*SPEECH), transcript(SPEECH[0], SPEECH[3]))
    found = Segment(start_s=0.5, end_s=11.5, text="what was lost")
    piece = Transcript(text="what was lost", duration_s=12.0, segments=(found,), text_spans=(Interval(0.5, 11.5),))

    joined = again.joined([piece], 24.0)

    assert joined.text == f"{SENTENCES[0]} what was lost {SENTENCES[1]}"
    assert [(each.start_s, each.end_s) for each in joined.segments] == [(0.5, 5.5), (6.5, 17.5), (18.5, 23.5)]
    assert joined.text_spans == (Interval(0.5, 5.5), Interval(6.5, 17.5), Interval(18.5, 23.5))


def test_if_all_is_in_doubt_the_whole_gets_silence_around_it_at_first():
    [whole] = cut(segment_of(*SPEECH), transcript()).pieces

    assert (whole.start_s, whole.end_s) == (-0.25, 24.25)
    assert whole.audio.duration_s == 24.5
    assert whole.speech == tuple(Interval(start + 0.25, end + 0.25) for start, end in SPEECH)


def test_a_whole_that_fills_an_engines_window_loses_the_silence_at_its_ends():
    [whole] = cut(segment_of((2.0, 27.0), duration_s=30.0), transcript(duration_s=30.0)).pieces

    assert (whole.start_s, whole.end_s) == (1.75, 27.25)


def test_later_attempts_get_halves_cut_at_the_longest_pause_near_the_middle():
    spoken = segment_of((0.5, 8.0), (8.3, 15.0), (16.0, 23.5))

    halves = cut(spoken, transcript(), is_first=False).pieces

    assert [(each.start_s, each.end_s) for each in halves] == [(0.0, 15.5), (15.5, 24.0)]
    assert sum(each.audio.duration_s for each in halves) == 24.0


def test_without_a_pause_the_halves_are_cut_at_the_quietest_point_of_the_middle_third():
    halves = cut(segment_of((0.0, 24.0)), transcript(), is_first=False).pieces

    assert len(halves) == 2
    assert 8.0 <= halves[0].end_s <= 16.0
    assert halves[0].end_s == halves[1].start_s
