"""Trains the network: next-token loss on the answer, plus a CTC loss that teaches the encoder where the digits are."""

import math
import random
import time
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from examples import Example
from network import CHUNK_FRAMES, DigitsASR, Dimensions, audio_positions
from tokenizer import DIGITS
from torch import Tensor, nn

BATCH = 24
SORTED_BATCHES = 20
"""This many batches are sorted by length together, then shuffled, so that a batch has clips of similar length."""

PEAK_LEARNING_RATE = 1.2e-3
FINAL_LEARNING_RATE_SHARE = 0.02
WARM_UP_STEPS = 150
WEIGHT_DECAY = 0.01
CTC_WEIGHT = 0.4
"""Without the CTC loss the text half first learns a language model of digits and attends to the audio very late."""
LABEL_SMOOTHING = 0.02
MAX_GRADIENT_NORM = 1.0

MASKED_SHARE = 0.5
MAX_MASKED_BINS = 16
MAX_MASKED_FRAMES = 12

IGNORED = -100
CTC_BLANK = len(DIGITS)
LOG_EVERY_STEPS = 50


def batches(examples: list[Example], rng: random.Random) -> Iterator[list[Example]]:
    """Yields batches without end, each epoch in a new order."""
    while True:
        rng.shuffle(examples)
        epoch: list[list[Example]] = []
        for start in range(0, len(examples), BATCH * SORTED_BATCHES):
            pool = sorted(examples[start : start + BATCH * SORTED_BATCHES], key=lambda item: item.features.shape[1])
            epoch += [pool[at : at + BATCH] for at in range(0, len(pool) - BATCH + 1, BATCH)]
        rng.shuffle(epoch)
        yield from epoch


def padded_features(batch: list[Example], rng: random.Random) -> Tensor:
    """Stacks features, zero-padded to whole chunks and randomly masked; float32, (batch, 128, frames)."""
    longest = max(item.features.shape[1] for item in batch)
    frames = -(-longest // CHUNK_FRAMES) * CHUNK_FRAMES
    stacked = np.zeros((len(batch), batch[0].features.shape[0], frames), dtype=np.float32)
    for row, item in zip(stacked, batch, strict=True):
        row[:, : item.features.shape[1]] = item.features
        if rng.random() < MASKED_SHARE:
            first_bin = rng.randint(0, len(row) - MAX_MASKED_BINS)
            row[first_bin : first_bin + rng.randint(0, MAX_MASKED_BINS)] = 0
            first_frame = rng.randint(0, item.features.shape[1] - MAX_MASKED_FRAMES)
            row[:, first_frame : first_frame + rng.randint(0, MAX_MASKED_FRAMES)] = 0
    return torch.from_numpy(stacked)


def answer_loss(network: DigitsASR, batch: list[Example], audio: Tensor, positions: Tensor) -> Tensor:
    """Returns the cross entropy of the answers, with `audio` (batch, positions, width) between their prompts."""
    embed = network.model.embed_tokens
    sequences, targets = [], []
    for item, encoded, length in zip(batch, audio, positions.tolist(), strict=True):
        tail = item.after_audio + item.answer
        sequences.append(
            torch.cat([embed(torch.tensor(item.before_audio)), encoded[:length], embed(torch.tensor(tail))])
        )
        unscored = len(sequences[-1]) - len(item.answer) - 1
        targets.append(torch.tensor([IGNORED] * unscored + item.answer + [IGNORED]))
    embedded = nn.utils.rnn.pad_sequence(sequences, batch_first=True)
    target = nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    scored = target != IGNORED
    hidden = network.model(embedded)
    return F.cross_entropy(network.logits(hidden[scored]), target[scored], label_smoothing=LABEL_SMOOTHING)


def alignment_loss(head: nn.Linear, batch: list[Example], audio: Tensor, positions: Tensor) -> Tensor:
    """Returns the CTC loss of the digits; `head` exists only during training."""
    log_probabilities = F.log_softmax(head(audio), dim=-1).transpose(0, 1)
    digits = torch.tensor([digit for item in batch for digit in item.digits], dtype=torch.long)
    counts = torch.tensor([len(item.digits) for item in batch])
    return F.ctc_loss(log_probabilities, digits, positions, counts, blank=CTC_BLANK, zero_infinity=True)


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to `FINAL_LEARNING_RATE_SHARE` of the peak."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    share = FINAL_LEARNING_RATE_SHARE + (1 - FINAL_LEARNING_RATE_SHARE) * cosine
    return PEAK_LEARNING_RATE * share * min(1.0, (step + 1) / WARM_UP_STEPS)


def fit(examples: list[Example], size: Dimensions, vocabulary_size: int, steps: int, seed: int) -> DigitsASR:
    """Trains a network from random weights for `steps` batches of 24."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    network = DigitsASR(size, vocabulary_size)
    head = nn.Linear(size.text_width, CTC_BLANK + 1)
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98))
    started_s = time.monotonic()
    for step, batch in zip(range(steps), batches(examples, rng), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        positions = torch.tensor([audio_positions(item.features.shape[1]) for item in batch])
        audio = network.audio_tower(padded_features(batch, rng), positions)
        answer = answer_loss(network, batch, audio, positions)
        alignment = alignment_loss(head, batch, audio, positions)
        optimizer.zero_grad()
        (answer + CTC_WEIGHT * alignment).backward()
        nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT_NORM)
        optimizer.step()
        if (step + 1) % LOG_EVERY_STEPS == 0:
            elapsed_s = time.monotonic() - started_s
            print(f"step {step + 1}/{steps}  answer {answer:.3f}  ctc {alignment:.3f}  {elapsed_s:.0f} s", flush=True)
    return network
