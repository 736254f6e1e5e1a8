"""Train the self-test model from scratch: python sensevoice-service/training/train.py --out DIR"""

from __future__ import annotations

import argparse
import logging
import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from batches import Batch, Example, batches
from corpus import Clip, build_corpus
from features import Normalisation
from funasr.models.sense_voice.model import SenseVoiceSmall
from model_directory import CONFIG, INPUT_SIZE, write_model_directory
from tqdm import tqdm
from vocabulary import train_tokenizer

DEFAULT_CLIPS = 9000
DEFAULT_EPOCHS = 22
BATCH_SIZE = 32
PEAK_LEARNING_RATE = 2e-3
WARM_UP_STEPS = 250
MAX_GRADIENT_NORM = 5.0
MAX_CLIP_FRAMES = 640
# Share of batches whose language query is always "auto"; in the others FunASR passes the true language for
# four of five clips. Most requests to the service use "auto".
AUTO_LANGUAGE_SHARE = 0.5

# Rows of SenseVoice's query embedding. Source: SenseVoiceSmall.__init__ in
# https://github.com/modelscope/FunASR/blob/main/funasr/models/sense_voice/model.py
LANGUAGE_QUERIES = {"<|zh|>": 3, "<|en|>": 4, "<|nospeech|>": 13}
TEXT_NORM_QUERIES = {"<|withitn|>": 14, "<|woitn|>": 15}


def main() -> None:
    arguments = _arguments()
    # FunASR configures logging when it is imported; `force` overrides that.
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    torch.set_num_threads(arguments.threads)
    clips = build_corpus(arguments.clips, arguments.seed, arguments.workers)
    tokenizer = train_tokenizer()
    normalisation = Normalisation.of([clip.frames for clip in clips if clip.text])
    pieces = sentencepiece.SentencePieceProcessor(model_proto=tokenizer)
    examples = _examples(clips, pieces, normalisation)
    del clips
    model = new_model(pieces, arguments.seed)
    logging.info("%d clips, %d parameters", len(examples), sum(p.numel() for p in model.parameters()))
    for _ in train(model, pieces, examples, arguments.epochs, arguments.seed):
        write_model_directory(arguments.out, tokenizer, normalisation, model)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the model directory to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, default=DEFAULT_CLIPS)
    parser.add_argument("--epochs", type=int, default=DEFAULT_EPOCHS)
    parser.add_argument("--workers", type=int, default=2, help="processes that synthesise speech")
    # With matrices this small, one thread is no slower than two (0.17 s and 0.20 s per step).
    parser.add_argument("--threads", type=int, default=1, help="torch threads that train")
    return parser.parse_args()


def new_model(pieces: sentencepiece.SentencePieceProcessor, seed: int) -> SenseVoiceSmall:
    """FunASR's class with random weights and the tag ids of this vocabulary."""
    torch.manual_seed(seed)
    model = SenseVoiceSmall(
        encoder=CONFIG["encoder"],
        encoder_conf=CONFIG["encoder_conf"],
        input_size=INPUT_SIZE,
        vocab_size=pieces.get_piece_size(),
        **CONFIG["model_conf"],
    )
    model.textnorm_int_dict = {pieces.piece_to_id(tag): row for tag, row in TEXT_NORM_QUERIES.items()}
    return model


def _examples(
    clips: list[Clip], pieces: sentencepiece.SentencePieceProcessor, normalisation: Normalisation
) -> list[Example]:
    """Labelled examples, without the few clips that are too long for a fast step or too fast for CTC."""
    examples = [
        Example(
            frames=normalisation(clip.frames).astype(np.float16),
            tokens=(*(pieces.piece_to_id(tag) for tag in clip.tags), *pieces.encode(clip.text)),
        )
        for clip in clips
        if len(clip.frames) <= MAX_CLIP_FRAMES
    ]
    return [example for example in examples if example.is_alignable()]


def train(
    model: SenseVoiceSmall,
    pieces: sentencepiece.SentencePieceProcessor,
    examples: list[Example],
    epochs: int,
    seed: int,
) -> Iterator[int]:
    """Train `model` in place and yield after each epoch.

    AdamW with a warm-up and a cosine schedule over all steps; the loss is the model's own.
    """
    steps = epochs * math.ceil(len(examples) / BATCH_SIZE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps))
    languages = {pieces.piece_to_id(tag): row for tag, row in LANGUAGE_QUERIES.items()}
    rng = random.Random(seed)
    model.train()
    with tqdm(total=steps, desc="training", unit="step", mininterval=5) as progress:
        for epoch in range(epochs):
            losses = []
            for batch in batches(examples, BATCH_SIZE, rng):
                model.lid_int_dict = {} if rng.random() < AUTO_LANGUAGE_SHARE else languages
                losses.append(_step(model, optimizer, batch))
                schedule.step()
                progress.update()
            logging.info("epoch %d of %d: loss %.4f", epoch + 1, epochs, sum(losses) / len(losses))
            yield epoch


def learning_rate_factor(step: int, steps: int) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * min(step / steps, 1)))
    return min((step + 1) / WARM_UP_STEPS, cosine + 1e-3)


def _step(model: SenseVoiceSmall, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
    loss, _, _ = model(batch.speech, batch.speech_lengths, batch.tokens, batch.token_lengths)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
    optimizer.step()
    return float(loss.detach())


if __name__ == "__main__":
    main()
