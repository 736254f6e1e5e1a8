"""Batches of clips of similar length, in the shape that SenseVoiceSmall.forward takes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from features import Frames, augmented, stacked, stacked_length
from torch.nn.utils.rnn import pad_sequence

PADDING_TOKEN = -1
# Clips are sorted by length plus up to this many frames (10 ms each), so that batches differ
# from epoch to epoch and still hold little padding.
LENGTH_JITTER_FRAMES = 60


@dataclass(frozen=True)
class Example:
    """Normalised frames, float16 (frames, 80), and four tag ids followed by the text's ids."""

    frames: Frames
    tokens: tuple[int, ...]

    def is_alignable(self) -> bool:
        """Whether CTC can align it: it needs one stacked frame per token and one more between two equal tokens."""
        text = self.tokens[4:]
        repeats = sum(left == right for left, right in itertools.pairwise(text))
        return len(text) + repeats < stacked_length(len(self.frames))


@dataclass(frozen=True)
class Batch:
    """speech float32 (clips, vectors, 560), tokens int64 (clips, tokens), and the length of each."""

    speech: torch.Tensor
    speech_lengths: torch.Tensor
    tokens: torch.Tensor
    token_lengths: torch.Tensor


def batches(examples: list[Example], batch_size: int, rng: random.Random) -> Iterator[Batch]:
    """Yields every example once, augmented, in random batches of similar lengths."""
    by_length = sorted(examples, key=lambda example: len(example.frames) + rng.uniform(0, LENGTH_JITTER_FRAMES))
    starts = list(range(0, len(by_length), batch_size))
    rng.shuffle(starts)
    for start in starts:
        yield _batch(by_length[start : start + batch_size], rng)


def _batch(examples: list[Example], rng: random.Random) -> Batch:
    speech = [torch.from_numpy(stacked(augmented(example.frames.astype("float32"), rng))) for example in examples]
    tokens = [torch.tensor(example.tokens) for example in examples]
    return Batch(
        speech=pad_sequence(speech, batch_first=True),
        speech_lengths=torch.tensor([len(vectors) for vectors in speech]),
        tokens=pad_sequence(tokens, batch_first=True, padding_value=PADDING_TOKEN),
        token_lengths=torch.tensor([len(ids) for ids in tokens]),
    )
