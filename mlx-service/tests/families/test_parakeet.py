"""Parakeet: its arguments, and its tokens as words."""

from types import SimpleNamespace

from rapl_mlx.families.parakeet import Parakeet
from rapl_protocol.transcript import TranscribeOptions, Word

DURATION_S = 3.0


def token(text: str, start: float, end: float) -> SimpleNamespace:
    return SimpleNamespace(text=text, start=start, end=end)


def test_it_takes_audio_alone():
    options = TranscribeOptions(model="a/b", language="en", prompt="x", temperature=0.3)

    assert Parakeet().arguments(options, DURATION_S) == {"verbose": False}
    assert Parakeet().capabilities.languages is None
    assert not Parakeet().capabilities.temperature


def test_its_tokens_become_words():
    tokens = [token(" for", 0.2, 0.3), token("ty", 0.3, 0.5), token(" two", 0.6, 0.8), token(".", 0.8, 0.8)]
    sentence = SimpleNamespace(text=" forty two.", start=0.2, end=0.8, tokens=tokens)
    result = SimpleNamespace(text="forty two.", sentences=[sentence])
    transcript = Parakeet().transcript(result, TranscribeOptions(model="a/b", word_timestamps=True), DURATION_S)

    [segment] = transcript.segments
    assert segment.words == (Word(word="forty", start_s=0.2, end_s=0.5), Word(word="two.", start_s=0.6, end_s=0.8))
    assert (transcript.language, segment.start_s, segment.end_s) == (None, 0.2, 0.8)
