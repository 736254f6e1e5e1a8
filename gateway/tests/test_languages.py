import pytest
from rapl_gateway.languages import NAMES, parse_language, parse_languages
from rapl_protocol.errors import ServiceError

ISO_639_1 = [
    "aa", "ab", "ae", "af", "ak", "am", "an", "ar", "as", "av", "ay", "az", "ba", "be", "bg", "bi", "bm", "bn",
    "bo", "br", "bs", "ca", "ce", "ch", "co", "cr", "cs", "cu", "cv", "cy", "da", "de", "dv", "dz", "ee", "el",
    "en", "eo", "es", "et", "eu", "fa", "ff", "fi", "fj", "fo", "fr", "fy", "ga", "gd", "gl", "gn", "gu", "gv",
    "ha", "he", "hi", "ho", "hr", "ht", "hu", "hy", "hz", "ia", "id", "ie", "ig", "ii", "ik", "io", "is", "it",
    "iu", "ja", "jv", "ka", "kg", "ki", "kj", "kk", "kl", "km", "kn", "ko", "kr", "ks", "ku", "kv", "kw", "ky",
    "la", "lb", "lg", "li", "ln", "lo", "lt", "lu", "lv", "mg", "mh", "mi", "mk", "ml", "mn", "mr", "ms", "mt",
    "my", "na", "nb", "nd", "ne", "ng", "nl", "nn", "no", "nr", "nv", "ny", "oc", "oj", "om", "or", "os", "pa",
    "pi", "pl", "ps", "pt", "qu", "rm", "rn", "ro", "ru", "rw", "sa", "sc", "sd", "se", "sg", "si", "sk", "sl",
    "sm", "sn", "so", "sq", "sr", "ss", "st", "su", "sv", "sw", "ta", "te", "tg", "th", "ti", "tk", "tl", "tn",
    "to", "tr", "ts", "tt", "tw", "ty", "ug", "uk", "ur", "uz", "ve", "vi", "vo", "wa", "wo", "xh", "yi", "yo",
    "za", "zh", "zu",
]  # fmt: skip
"""Source: https://www.loc.gov/standards/iso639-2/php/code_list.php."""


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", None), ("auto", None), ("und", None), ("mul", None),
        ("en", "en"), ("EN", "en"), ("en-US", "en"), ("en_GB", "en"), ("English", "en"), (" english ", "en"),
        ("pt-BR", "pt"), ("es-419", "es"), ("sr-Latn-RS", "sr"), ("en_US.UTF-8", "en"), ("de_DE@euro", "de"),
        ("zh", "zh"), ("zh-CN", "zh"), ("zh-tw", "zh"), ("zh_Hans_CN", "zh"), ("zh-HK", "yue"), ("yue", "yue"),
        ("zh-Hant-HK", "yue"), ("zh-yue", "yue"), ("zh-cmn-Hans", "zh"), ("Mandarin", "zh"), ("haitian creole", "ht"),
        ("nb", "no"), ("nb-NO", "no"), ("nn", "nn"), ("iw", "he"), ("in", "id"), ("ji", "yi"), ("mo", "ro"),
        ("jv", "jw"), ("jw", "jw"), ("jav", "jw"), ("tl", "tl"), ("tgl", "tl"), ("fil", "fil"),
        ("cmn", "zh"), ("eng", "en"), ("zho", "zh"), ("chi", "zh"), ("deu", "de"), ("ger", "de"), ("fre", "fr"),
        ("fra", "fr"), ("jpn", "ja"), ("kor", "ko"), ("dut", "nl"), ("arb", "ar"), ("pes", "fa"), ("nob", "no"),
    ],
)  # fmt: skip
def test_every_form_of_a_language_that_clients_send_is_parsed(written: str, code: str | None):
    assert parse_language(written) == code


@pytest.mark.parametrize("code", ISO_639_1)
def test_every_code_of_iso_639_1_is_a_language(code: str):
    expected = {"jv": "jw", "nb": "no", "tw": "ak"}.get(code, code)

    assert parse_language(code) == expected


@pytest.mark.parametrize("code", NAMES)
def test_every_code_of_an_answer_may_be_sent(code: str):
    assert parse_language(code) == code


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ([], None),
        (["zh-CN,en-US"], None),
        (["zh-CN,zh-TW"], "zh"),
        (["en-US, en-GB,en"], "en"),
        (["zh-CN", "yue"], None),
        (["eng+fra"], None),
        (["de;ger|deu"], "de"),
        (["ja,"], "ja"),
        (["auto,en"], None),
    ],
)
def test_a_list_that_means_one_language_is_that_one_and_any_other_is_detected(written: list[str], code: str | None):
    assert parse_languages(written) == code


@pytest.mark.parametrize("written", ["klingon", "xx", "12", "419", "en;q=1", "x-klingon", "zxx", "root", "en,xx", "-"])
def test_anything_else_is_refused_and_not_detected(written: str):
    with pytest.raises(ServiceError, match="Invalid language"):
        parse_languages([written])
