"""What is streamed, concatenated, is the transcript, whatever the segments are."""

from hypothesis import given
from hypothesis import strategies as st
from rapl_gateway.transcription.checks.transcript_checks import TranscriptChecks
from rapl_gateway.transcription.result import TranscriptBuilder
from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.intervals import Interval
from rapl_protocol.prepared import PrepareEnd, SpeechSegment
from rapl_protocol.transcript import Transcript

WORDS = st.lists(st.text(st.sampled_from("ab 你好。.,안"), max_size=5), max_size=4)
SILENCE = WavAudio(bytes(30 * BYTES_PER_SECOND))
RECORDING = st.lists(st.tuples(WORDS, st.booleans(), st.floats(0.0, 30.0)), max_size=6)


@given(RECORDING)
def test_the_streamed_texts_concatenated_are_the_transcript(recording):
    result, sent = TranscriptBuilder(), ""
    for number, (words, is_streamed, speech_s) in enumerate(recording):
        text = "".join(words).strip()
        if is_streamed:
            sent += result.add_text(text)
        segment = SpeechSegment(30.0 * number, 30.0 * number + 30.0, SILENCE, (Interval(0.0, speech_s),))
        sent += result.add(TranscriptChecks().judge(Transcript(text=text, duration_s=30.0), segment), segment)
    result.end(PrepareEnd(duration_s=30.0 * len(recording), speech_s=0.0))

    assert sent == result.transcript().text
    assert 0.0 <= result.coverage <= 1.0 + 1e-9
