"""The letters of scripts that separate words by spaces."""

import unicodedata


def is_word_letter(character: str) -> bool:
    """Whether it is a letter or a digit of a script with spaces between words.

    Chinese and Japanese have none. Korean has, but what follows a name without a space is a particle, not another word.
    """
    return character.isalnum() and unicodedata.east_asian_width(character) not in "WF"
