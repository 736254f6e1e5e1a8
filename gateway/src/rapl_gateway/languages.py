"""Parses the languages that clients send, and lists the names that OpenAI's responses use.

Source of the names, and of the codes where they differ from ISO 639's: https://github.com/openai/whisper,
whisper/tokenizer.py (LANGUAGES). OpenAI's `language` field in verbose_json uses these names.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import langcodes
from rapl_protocol.errors import ErrorCode, ServiceError

NAMES = {
    "af": "afrikaans", "am": "amharic", "ar": "arabic", "as": "assamese", "az": "azerbaijani", "ba": "bashkir",
    "be": "belarusian", "bg": "bulgarian", "bn": "bengali", "bo": "tibetan", "br": "breton", "bs": "bosnian",
    "ca": "catalan", "cs": "czech", "cy": "welsh", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish", "fil": "filipino",
    "fo": "faroese", "fr": "french", "gl": "galician", "gu": "gujarati", "ha": "hausa", "haw": "hawaiian",
    "he": "hebrew", "hi": "hindi", "hr": "croatian", "ht": "haitian creole", "hu": "hungarian", "hy": "armenian",
    "id": "indonesian", "is": "icelandic", "it": "italian", "ja": "japanese", "jw": "javanese", "ka": "georgian",
    "kk": "kazakh", "km": "khmer", "kn": "kannada", "ko": "korean", "la": "latin", "lb": "luxembourgish",
    "ln": "lingala", "lo": "lao", "lt": "lithuanian", "lv": "latvian", "mg": "malagasy", "mi": "maori",
    "mk": "macedonian", "ml": "malayalam", "mn": "mongolian", "mr": "marathi", "ms": "malay", "mt": "maltese",
    "my": "myanmar", "ne": "nepali", "nl": "dutch", "nn": "nynorsk", "no": "norwegian", "oc": "occitan",
    "pa": "punjabi", "pl": "polish", "ps": "pashto", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sa": "sanskrit", "sd": "sindhi", "si": "sinhala", "sk": "slovak", "sl": "slovenian", "sn": "shona",
    "so": "somali", "sq": "albanian", "sr": "serbian", "su": "sundanese", "sv": "swedish", "sw": "swahili",
    "ta": "tamil", "te": "telugu", "tg": "tajik", "th": "thai", "tk": "turkmen", "tl": "tagalog", "tr": "turkish",
    "tt": "tatar", "uk": "ukrainian", "ur": "urdu", "uz": "uzbek", "vi": "vietnamese", "yi": "yiddish",
    "yo": "yoruba", "yue": "cantonese", "zh": "chinese",
}  # fmt: skip
# Clients may also send names that responses do not use.
_CODES = {name: code for code, name in NAMES.items()} | {
    "bokmål": "no", "burmese": "my", "castilian": "es", "farsi": "fa", "flemish": "nl", "mandarin": "zh",
}  # fmt: skip
_AUTOMATIC = ("", "auto", "automatic", "detect", "multi", "mul", "mis", "und")
"""Values that ask for detection. ISO 639-2 has `mul` for several languages, `mis` for one without a code, and `und` for
an undetermined one."""
_ENGINE_CODES = {"jv": "jw", "nb": "no"}
"""Codes of languages for which the engines have Whisper's code."""
_SPACELESS = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"))
"""Thai and Lao, Burmese, Khmer."""
_MAX_LISTED = 200
_MAX_CHARACTERS = 64
"""Only so many characters of a language are read. The longest useful tags are half as long."""
_SEPARATORS = re.compile(r"[,;|+]")


def parse_languages(texts: Iterable[str], param: str = "language") -> str | None:
    """Parses the languages that may be spoken. Each text may be a list, such as `zh-CN,en-US`.

    Returns: the code if all texts mean one language. None if the language is to be detected: because there are several,
        or no text.

    Raises:
        ServiceError: INVALID_REQUEST, if a text is no language, or there are too many.
    """
    codes = language_list(texts, param)
    return codes[0] if len(codes) == 1 else None


def language_list(texts: Iterable[str], param: str = "languages") -> tuple[str, ...]:
    """Returns the codes of the languages that may be spoken, each once, as `parse_languages` reads them. Empty if any
    language may be spoken.

    Raises:
        ServiceError: INVALID_REQUEST, as in `parse_languages`.
    """
    listed = [each for text in texts for each in _SEPARATORS.split(text) if each.strip()]
    if len(listed) > _MAX_LISTED:
        raise ServiceError(ErrorCode.INVALID_REQUEST, f"there are more than {_MAX_LISTED} languages", param=param)
    codes = dict.fromkeys(parse_language(each, param) for each in listed)
    return () if None in codes else tuple(code for code in codes if code)


def parse_language(text: str, param: str = "language") -> str | None:
    """Parses a code of ISO 639, a BCP 47 tag or a POSIX locale (`en-US`, `zh_Hans_CN`, `de_DE.UTF-8`), an English name,
    or a value that asks for detection.

    Args:
        text: one language.
        param: the field's name, for the error.

    Returns: the ISO 639 code, with two letters if there is one; None if the language is to be detected.

    Raises:
        ServiceError: INVALID_REQUEST, if it is none of these.
    """
    wanted = text.strip().lower()
    try:
        return _code(wanted[:_MAX_CHARACTERS])
    except ValueError:
        message = f"Invalid language {wanted[:32]!r}. Send an ISO 639-1 code such as 'en', or no language to detect it."
        raise ServiceError(ErrorCode.INVALID_REQUEST, message, param=param) from None


@lru_cache(maxsize=512)
def _code(wanted: str) -> str | None:
    """Raises: ValueError, if it is no language."""
    if wanted in _AUTOMATIC:
        return None
    if wanted in _CODES:
        return _CODES[wanted]
    tag, *_ = re.split(r"[.@]", wanted)  # a locale may end in an encoding or a variant: `de_DE.UTF-8@euro`
    if tag in ("tl", "tgl"):
        return "tl"  # Whisper's code; CLDR writes `fil`
    standard = langcodes.get(langcodes.standardize_tag(tag, macro=True))
    code = standard.language or ""
    if not re.fullmatch("[a-z]{2,3}", code) or code == "zxx" or not standard.is_valid():
        raise ValueError(code)
    if code == "zh" and standard.territory == "HK":
        return "yue"
    return _ENGINE_CODES.get(code, code)


def is_spaceless(character: str) -> bool:
    """Returns whether a character is a letter or a digit of a script without spaces between words: Chinese, Japanese,
    Thai, Lao, Burmese or Khmer."""
    if character.isascii() or not character.isalnum():
        return False
    if any(first <= character <= last for first, last in _SPACELESS):
        return True
    is_wide = unicodedata.east_asian_width(character) == "W" or "\uff66" <= character <= "\uff9d"
    return is_wide and not "\uac00" <= character <= "\ud7a3"
