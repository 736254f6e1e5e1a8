"""In the table, `[en]` stands for the tag `<|en|>`."""

import pytest
from rapl_sensevoice.model.rich_tags import RichText, parse_rich_text


@pytest.mark.parametrize(
    ("rich_text", "expected"),
    [
        ("[en][NEUTRAL][Speech][withitn]Set volume 5.", RichText("Set volume 5.", "en", "neutral")),
        ("[zh][HAPPY][BGM][withitn]你好。", RichText("你好。", "zh", "happy", ("bgm",))),
        ("[yue][SAD][Speech][woitn]係", RichText("係", "yue", "sad")),
        ("[en][EMO_UNKNOWN][Speech][withitn]The.", RichText("The.", "en")),
        ("[en][NEUTRAL][Speech][withitn] The. The end. ", RichText("The. The end.", "en", "neutral")),
        ("[nospeech][EMO_UNKNOWN][BGM][withitn]", RichText("", events=("bgm",))),
        ("[nospeech][EMO_UNKNOWN][Event_UNK][woitn].", RichText("")),
        ("[ja][ANGRY][Laughter][withitn]はい", RichText("はい", "ja", "angry", ("laughter",))),
        ("[ko][SURPRISED][Cough][withitn]네", RichText("네", "ko", "surprised", ("cough",))),
        ("[en][NEUTRAL][Speech][withitn]hello[Laughter]there", RichText("hello there", "en", "neutral", ("laughter",))),
        ("[zh][NEUTRAL][Speech][withitn]你好[Applause]世界", RichText("你好世界", "zh", "neutral", ("applause",))),
        ("[en][SAD][Cry][withitn]no [en][HAPPY][Cry][withitn]yes", RichText("no yes", "en", "sad", ("cry",))),
        ("[en][NEUTRAL][Speech][withitn]a < b | c > d", RichText("a < b | c > d", "en", "neutral")),
        ("[zh][NEUTRAL][Speech][withitn]我用 iPhone手机 3 年。", RichText("我用iPhone手机3年。", "zh", "neutral")),
        ("[ja][NEUTRAL][Speech][withitn]日本の IT 企業", RichText("日本のIT企業", "ja", "neutral")),
        ("[ko][NEUTRAL][Speech][withitn]저는 IT 회사에", RichText("저는 IT 회사에", "ko", "neutral")),
        ("no tags at all", RichText("no tags at all")),
        ("", RichText("")),
    ],
)  # fmt: skip
def test_tags_become_fields_and_never_stay_in_the_text(rich_text: str, expected: RichText):
    assert parse_rich_text(rich_text.replace("[", "<|").replace("]", "|>")) == expected
