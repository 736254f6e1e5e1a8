import pytest
from rapl_protocol.transcript import Segment, Word, join_texts


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (["one two.", "three"], "one two. three"),
        (["你好。", "谢谢"], "你好。谢谢"),
        (["hello", "你好"], "hello你好"),
        (["안녕하세요", "감사합니다"], "안녕하세요 감사합니다"),
        (["", " one ", ""], "one"),
        ([], ""),
    ],
)
def test_texts_are_joined_as_their_script_writes_them(texts: list[str], joined: str):
    assert join_texts(texts) == joined


def test_a_shifted_segment_moves_its_words_too():
    segment = Segment(start_s=0, end_s=2, text="hi", words=(Word(word="hi", start_s=0.5, end_s=1),))

    moved = segment.shifted(30)

    assert (moved.start_s, moved.end_s) == (30, 32)
    assert moved.words == (Word(word="hi", start_s=30.5, end_s=31),)


def test_a_segment_without_word_times_gets_none_by_being_shifted():
    assert Segment(start_s=0, end_s=2, text="hi").shifted(1).words is None
