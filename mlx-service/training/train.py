"""Trains the tiny Qwen3-ASR for the tests from scratch: `python mlx-service/training/train.py --out DIR`."""

import argparse
import time
from pathlib import Path

import torch
from examples import make_examples
from export import write_feature_extractor, write_weights
from fit import fit
from measure import measure
from network import Dimensions
from tokenizer import write_tokenizer


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2000, help="batches of 24 clips; below 1500 it transcribes badly")
    parser.add_argument("--bits", type=int, choices=(4, 8, 16), default=8, help="16 leaves the text half unquantized")
    parser.add_argument("--clips", type=int, default=5000, help="clips to synthesize")
    # On two cores shared with other programs, two threads waited for each other: 4 s a step; one thread: 0.5 s.
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    return parser.parse_args()


def main() -> int:
    """Returns 0 if the clips that the tests rely on are transcribed exactly."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    size = Dimensions()
    arguments.out.mkdir(parents=True, exist_ok=True)
    vocabulary = write_tokenizer(arguments.out)
    write_feature_extractor(arguments.out)
    started_s = time.monotonic()
    examples = list(make_examples(arguments.out, arguments.clips, arguments.seed))
    print(f"{len(examples)} clips in {time.monotonic() - started_s:.0f} s", flush=True)
    network = fit(examples, size, vocabulary.size, arguments.steps, arguments.seed)
    write_weights(network, size, vocabulary, arguments.bits, arguments.out)
    return 0 if measure(arguments.out) else 1


if __name__ == "__main__":
    raise SystemExit(main())
