"""Names and codes of languages."""

NAME_BY_CODE = {
    "zh": "Chinese", "en": "English", "yue": "Cantonese", "ar": "Arabic", "de": "German", "fr": "French",
    "es": "Spanish", "pt": "Portuguese", "id": "Indonesian", "it": "Italian", "ko": "Korean", "ru": "Russian",
    "th": "Thai", "vi": "Vietnamese", "ja": "Japanese", "tr": "Turkish", "hi": "Hindi", "ms": "Malay",
    "nl": "Dutch", "sv": "Swedish", "da": "Danish", "fi": "Finnish", "pl": "Polish", "cs": "Czech",
    "fil": "Filipino", "fa": "Persian", "el": "Greek", "ro": "Romanian", "hu": "Hungarian", "mk": "Macedonian",
}  # fmt: skip
"""By ISO 639 code: the languages of Qwen3-ASR. Source: https://github.com/QwenLM/Qwen3-ASR, "Supported Languages"."""

_CODE_BY_NAME = {name.lower(): code for code, name in NAME_BY_CODE.items()}


def language_code(language: object) -> str | None:
    """Returns the ISO 639 code for an English name or a code; None if it is neither."""
    if not isinstance(language, str):
        return None
    word = language.strip().lower()
    if word in _CODE_BY_NAME:
        return _CODE_BY_NAME[word]
    return word if word.isascii() and word.isalpha() and len(word) in (2, 3) else None
