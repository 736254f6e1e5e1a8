"""Parses the languages that clients send, and lists the names that OpenAI's responses use.

Source of the codes and names: https://github.com/openai/whisper, whisper/tokenizer.py (LANGUAGES). OpenAI's `language`
field in verbose_json uses these names.
"""

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
_CODES = {name: code for code, name in NAMES.items()} | {"mandarin": "zh", "burmese": "my", "flemish": "nl"}
_AUTOMATIC = ("", "auto", "automatic", "detect", "none", "null")


def parse_language(text: str | None, param: str = "language") -> str | None:
    """Parses a code, a code with a region (`en-US`, `zh_CN`), an English name, `auto`, or an empty value.

    Args:
        text: the field's value.
        param: the field's name, for the error.

    Returns: the ISO 639 code, or None if the language is to be detected.

    Raises:
        ServiceError: INVALID_REQUEST, if it is none of these.
    """
    wanted = (text or "").strip().lower()
    if wanted in _AUTOMATIC:
        return None
    if wanted in _CODES:
        return _CODES[wanted]
    code, *region = wanted.replace("_", "-").split("-")
    if code == "zh" and "hk" in region:
        return "yue"
    if code in NAMES:
        return code
    message = f"Invalid language {wanted[:32]!r}. Send an ISO 639-1 code such as 'en', or no language to detect it."
    raise ServiceError(ErrorCode.INVALID_REQUEST, message, param=param)
