"""The words of the self-test model, SenseVoice's tags, and the tokenizer made from both."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import sentencepiece

Language = Literal["en", "zh"]

LANGUAGE_TAGS = ("<|zh|>", "<|en|>", "<|yue|>", "<|ja|>", "<|ko|>", "<|nospeech|>")
EMOTION_TAGS = ("<|HAPPY|>", "<|SAD|>", "<|ANGRY|>", "<|NEUTRAL|>", "<|EMO_UNKNOWN|>")
EVENT_TAGS = ("<|Speech|>", "<|BGM|>", "<|Applause|>", "<|Laughter|>", "<|Event_UNK|>")
TEXT_NORM_TAGS = ("<|withitn|>", "<|woitn|>")
TAGS = LANGUAGE_TAGS + EMOTION_TAGS + EVENT_TAGS + TEXT_NORM_TAGS

# Enough for every word and numeral to be one piece: 210 is enough, with 205 two words are split.
VOCABULARY_SIZE = 232


@dataclass(frozen=True)
class Lexicon:
    """The words of one language and the way its sentences are written."""

    digits: tuple[str, ...]
    commands: tuple[str, ...]
    word_prefix: str
    full_stop: str
    comma: str

    def transcript(self, words: Sequence[str], *, inverse_normalised: bool) -> str:
        """The text that the model should write for `words`.

        English words each begin with a space, because SentencePiece marks a word's start that way.
        Inverse text normalisation writes digits as numerals and ends the sentence with a full stop.
        """
        if not inverse_normalised:
            return "".join(self.word_prefix + word for word in words)
        return "".join(self.word_prefix + self._numeral(word) for word in words) + self.full_stop

    def spoken(self, words: Sequence[str], pause_after: Sequence[bool]) -> str:
        """The text for the synthesiser, with a comma at every pause."""
        return "".join(
            self.word_prefix + word + (self.comma if pause else "")
            for word, pause in zip(words, pause_after, strict=True)
        )

    def _numeral(self, word: str) -> str:
        return str(self.digits.index(word)) if word in self.digits else word


# fmt: off
ENGLISH_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ENGLISH_COMMANDS = (
    "start", "stop", "open", "close", "play", "pause", "next", "back", "up", "down", "left", "right",
    "yes", "no", "on", "off", "light", "door", "music", "volume", "hello", "please", "turn", "set",
)
# fmt: on
LEXICONS: dict[Language, Lexicon] = {
    "en": Lexicon(
        digits=ENGLISH_DIGITS,
        commands=ENGLISH_COMMANDS,
        word_prefix=" ",
        full_stop=".",
        comma=",",
    ),
    "zh": Lexicon(
        digits=tuple("零一二三四五六七八九"),
        commands=("开始", "停止", "打开", "关闭", "播放", "音乐", "你好", "谢谢"),
        word_prefix="",
        full_stop="。",
        comma="，",
    ),
}


def train_tokenizer() -> bytes:
    """A serialised SentencePiece model in which every word and every numeral is one piece.

    Piece 0 is both `<unk>` and CTC's blank. No dummy prefix and no normalisation: FunASR aligns
    timestamps to `encode(decode(pieces))`, which therefore must give the same pieces back. Byte-pair
    training draws no random numbers, so the same words always give the same pieces.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_tokenizer_lines()),
        model_writer=model,
        model_type="bpe",
        vocab_size=VOCABULARY_SIZE,
        hard_vocab_limit=False,
        character_coverage=1.0,
        user_defined_symbols=list(TAGS),
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        split_digits=False,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        minloglevel=2,
    )
    return model.getvalue()


def _tokenizer_lines() -> list[str]:
    """One word per line, so that no piece spans two words; repeated, so that words are the most frequent pieces."""
    repetitions = 20
    words: list[str] = []
    for lexicon in LEXICONS.values():
        numerals = [str(digit) for digit in range(10)]
        for word in (*lexicon.digits, *lexicon.commands, *numerals):
            words.extend([lexicon.word_prefix + word] * repetitions)
        words.append(lexicon.full_stop)
    return words
