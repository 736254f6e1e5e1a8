"""Loses words of real speech on purpose, and counts how many of the losses are cured or named.

    PYTHONPATH=tests RAPL_REAL_PYTHON=.rapl/real/bin/python RAPL_MLX_PYTHON=.rapl/mlx/bin/python \
        uv run python tests/real/losses.py --segments 300 --kinds 3

`./rapl test -m real` makes these environments, and runs a few of the losses. A real Whisper transcribes people's
recordings through the real services. Between the gateway and mlx-service is a fake engine that spoils the transcript of
one segment in a known way, as engines do. What the gateway returns is compared with what it returns without the loss:

* cured: at most a tenth of the words differ;
* named: a problem has the place of the loss, within 2 s at both ends;
* retried: the places that were transcribed again (`retried` in the answer) have it;
* reworded: more words differ, because another cut gave other words for the same speech, but the text is as near to what
  was said as the text without the loss is: it has at most a tenth more errors;
* missed: none of them.
"""

import argparse
import math
import os
import random
import sys
import tempfile
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from ctranslate2_engine import CTranslate2Engine
from lossy_engine import LossyEngine, digest, serving
from rapl_bench.real.error_rate import errors
from rapl_bench.real.models import BASE, TINY_EN, RealModel, real_models
from rapl_bench.real.packages import SOUNDS, RealPackages
from rapl_bench.real.recordings import RealRecording, RealRecordings, joined, to_wav
from rapl_preprocess.speech.segmenter import SpeechSegmenter
from rapl_preprocess.speech.silero import SpeechModel
from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.intervals import Interval, intersection, merged, total_s
from rapl_protocol.prepared import MAX_SEGMENT_S, PrepareOptions, SpeechSegment
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript, Word, join_texts
from rapl_protocol.wire import encode_transcribe_request
from real_fleet import CACHE, LIMIT_S, REPLICAS, running_engines, running_gateway

OUTCOMES = ("cured", "named", "retried", "reworded", "missed")
KINDS = (
    "first half",
    "middle third",
    "last half",
    "all but two words",
    "loop of a fifth",
    "loop of a half",
    "text before it",
    "stock phrase",
    "past the end",
)
STOCK = {
    "en": "Thanks for watching!",
    "es": "Subtítulos realizados por la comunidad de Amara.org",
    "fr": "Sous-titres réalisés par la communauté d'Amara.org",
    "it": "Sottotitoli creati dalla comunità Amara.org",
    "ru": "Продолжение следует...",
    "zh": "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
    "ja": "ご視聴ありがとうございました",
    "ko": "시청해주셔서 감사합니다.",
    "de": "Untertitel der Amara.org-Community",
    "pt": "Legendas pela comunidade Amara.org",
}
MIN_LOSS_S = 2.0
"""Seconds of speech. Smaller losses are not counted."""
NEAR_S = 2.0
SAME = 0.1
"""Share of the words that may differ."""
LOOP_WORDS = 12
MIN_PROMPT_S = 0.5
MIN_SINGLE_S = 4.0
JOINED_S = (60.0, 80.0)
SINGLES_EACH = 5
"""Single prompts for each joined file."""
PAUSES_S = (0.25, 1.2)


@dataclass(frozen=True)
class File:
    """A recording to transcribe, and the segments that preprocess-service makes of it."""

    name: str
    source: str
    language: str
    wav: bytes
    segments: tuple[SpeechSegment, ...]
    spoken: tuple[tuple[str, float, float], ...]
    """What is said, with its start and end in seconds; empty if it is not known."""

    @property
    def model(self) -> str:
        return TINY_EN if self.language == "en" else BASE

    def targets(self) -> "list[Target]":
        return [Target(self, number) for number in range(len(self.segments))]


@dataclass(frozen=True)
class Target:
    """The segment of a file whose words are lost."""

    file: File
    number: int

    @property
    def segment(self) -> SpeechSegment:
        return self.file.segments[self.number]

    @property
    def reference(self) -> str:
        """What is said in the segment; "" if it is not known."""
        spoken = self.file.spoken
        inside = (text for text, start_s, end_s in spoken if self._contains((start_s + end_s) / 2))
        return " ".join(inside)

    def _contains(self, at_s: float) -> bool:
        return self.segment.start_s <= at_s < self.segment.end_s

    @property
    def position(self) -> str:
        last = len(self.file.segments) - 1
        return "single" if not last else {0: "first", last: "last"}.get(self.number, "middle")


@dataclass(frozen=True)
class Loss:
    transcript: Transcript
    """What the engine returns."""
    place: Interval
    """The part of the segment whose words are lost."""


@dataclass
class Outcomes:
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind, position or source of the loss, and by outcome."""
    clean: int = 0
    """Segments without a loss."""
    flagged: list[str] = field(default_factory=list)
    retried: int = 0
    """Segments that were transcribed again without a loss."""
    """Those of them that have a problem."""
    missed: list[str] = field(default_factory=list)

    def add(self, keys: Iterable[str], outcome: str) -> None:
        for key in ("all", *keys):
            self.counts[key, outcome] += 1

    def share(self, key: str, outcomes: Sequence[str] = ("cured", "named")) -> float:
        whole = sum(count for (name, _), count in self.counts.items() if name == key)
        return sum(self.counts[key, outcome] for outcome in outcomes) / whole if whole else 1.0


class Losses:
    """Transcribes files with and without losses.

    Args:
        gateway_url: a gateway whose engine is `engine`.
        engine: the fake in front of mlx-service.
        seed: chooses the kinds of losses of each target.
    """

    def __init__(self, gateway_url: str, engine: LossyEngine, engine_url: str, seed: int) -> None:
        self._http = httpx.Client(base_url=gateway_url, timeout=LIMIT_S)
        self._engine_url = engine_url
        self._engine = engine
        self._seed = seed

    def close(self) -> None:
        self._http.close()

    def measure(self, targets: Sequence[Target], kinds: int, workers: int = 2) -> Outcomes:
        """Loses words of each target in `kinds` ways, drawn by chance."""
        outcomes = Outcomes()
        by_file: dict[str, list[Target]] = defaultdict(list)
        for target in targets:
            by_file[target.file.name].append(target)
        with ThreadPoolExecutor(workers) as pool:
            for done in pool.map(lambda group: self._measure_file(group, kinds), by_file.values()):
                for target, found in done:
                    self._count(outcomes, target, found)
                print(f"{outcomes.clean} of {len(targets)} segments", file=sys.stderr, flush=True)
        return outcomes

    def _count(self, outcomes: Outcomes, target: Target, found: "Found") -> None:
        outcomes.clean += 1
        outcomes.retried += found.was_retried
        if found.clean_problems:
            note = f"{found.clean_problems}: {found.clean_text!r} for {target.reference!r}"
            outcomes.flagged.append(f"flagged: {target.file.name} {target.position}: {note}")
        for kind, outcome, note in found.losses:
            outcomes.add((kind, target.position, target.file.source), outcome)
            if outcome in ("missed", "reworded"):
                outcomes.missed.append(f"{outcome}: {kind}, {target.file.name} {target.position}: {note}")

    def _measure_file(self, targets: list[Target], kinds: int) -> list[tuple[Target, "Found"]]:
        file = targets[0].file
        clean = self._answer(file, uuid.uuid4().hex)
        found = []
        for target in targets:
            drawn = random.Random(f"{self._seed} {file.name} {target.number}")
            chosen = drawn.sample([kind for kind in KINDS if target.number or kind != "text before it"], kinds)
            losses = [*self._losses(target, clean, chosen)]
            was_retried = bool(problems_of(clean, target, "retried"))
            clean_text = text_of(clean, target.segment)
            found.append((target, Found(problems_of(clean, target), clean_text, was_retried, losses)))
        return found

    def _losses(self, target: Target, clean: dict[str, Any], kinds: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        before = text_of(clean, target.file.segments[target.number - 1]) if target.number else ""
        timed = self._timed(target)
        if not timed.text:
            return
        for kind in kinds:
            loss = spoil(kind, timed, target, before)
            if total_s(intersection(target.segment.speech or (), (loss.place,))) <= MIN_LOSS_S:
                continue
            request_id = uuid.uuid4().hex
            self._engine.losses[request_id, digest(bytes(target.segment.audio.pcm))] = loss.transcript
            answer = self._answer(target.file, request_id)
            yield kind, *outcome_of(target, loss, clean, answer)

    def _answer(self, file: File, request_id: str) -> dict[str, Any]:
        data = {"model": file.model, "response_format": "verbose_json"}
        if file.language != "en":
            data["language"] = file.language
        answer = self._http.post(
            "/v1/audio/transcriptions",
            data=data,
            files={"file": ("speech.wav", file.wav)},
            headers={"x-request-id": request_id},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _timed(self, target: Target) -> Transcript:
        """The engine's own transcript of the segment, with words."""
        file = target.file
        options = TranscribeOptions(
            model=file.model, language=None if file.language == "en" else file.language, word_timestamps=True
        )
        body = b"".join(bytes(part) for part in encode_transcribe_request(target.segment.audio, options))
        answer = httpx.post(f"{self._engine_url}/v1/transcribe", content=body, timeout=LIMIT_S)
        assert answer.status_code == 200, answer.text
        return Transcript.model_validate_json(answer.content)


@dataclass(frozen=True)
class Found:
    clean_problems: list[dict[str, Any]]
    clean_text: str
    was_retried: bool
    losses: list[tuple[str, str, str]]
    """Kind, outcome, and a note for a person."""


def spoil(kind: str, timed: Transcript, target: Target, before: str) -> Loss:
    """Returns a transcript without some of the words, as engines lose them."""
    duration_s = target.segment.audio.duration_s
    words = [word for segment in timed.segments for word in segment.words or ()]
    count = len(words)
    whole = Interval(words[0].start_s, words[-1].end_s)

    def place(first: int, behind: int) -> Interval:
        return Interval(words[first].start_s, words[behind - 1].end_s)

    def text_over(text: str, over: Interval) -> Segment:
        return timed.segments[0].model_copy(
            update={"start_s": over.start_s, "end_s": over.end_s, "text": text, "words": None}
        )

    match kind:
        case "first half":
            return Loss(_without(timed, 0, count // 2), place(0, max(1, count // 2)))
        case "middle third":
            first, behind = count // 3, max(count // 3 + 1, 2 * count // 3)
            return Loss(_without(timed, first, behind), place(first, behind))
        case "last half":
            return Loss(_without(timed, count // 2, count), place(count // 2, count))
        case "all but two words":
            text = join_texts(word.word for word in words[:2])
            return Loss(_of([text_over(text, whole)], duration_s), whole)
        case "loop of a fifth" | "loop of a half":
            first = count - max(1, count // (5 if "fifth" in kind else 2))
            lost = place(first, count)
            phrase = [word.word for word in words[max(0, first - 2) : first]] or ["so"]
            times = max(LOOP_WORDS, count - first)
            loop = join_texts((phrase * times)[:times])
            kept = _without(timed, first, count).segments
            return Loss(_of([*kept, text_over(loop, lost)], duration_s), lost)
        case "text before it":
            return Loss(_of([text_over(before, whole)], duration_s), whole)
        case "stock phrase":
            return Loss(_of([text_over(STOCK.get(target.file.language, "Thank you."), whole)], duration_s), whole)
        case _:
            first = count // 2
            late = Segment(
                start_s=duration_s + 0.2,
                end_s=duration_s + 2.0,
                text=join_texts(word.word for word in words[first:]),
            )
            kept = _without(timed, first, count)
            transcript = kept.model_copy(update={"segments": (*kept.segments, late), "text": timed.text})
            return Loss(transcript, place(first, count))


def _without(timed: Transcript, first: int, behind: int) -> Transcript:
    """Removes words `first` to `behind`. What remains of a segment keeps the times of its words."""
    kept: list[Segment] = []
    number = 0
    for segment in timed.segments:
        words = segment.words or ()
        sides: tuple[list[Word], list[Word]] = [], []
        for word in words:
            if number < first:
                sides[0].append(word)
            elif number >= behind:
                sides[1].append(word)
            number += 1
        if sum(map(len, sides)) == len(words) and not (sides[0] and sides[1]):
            kept.append(segment.model_copy(update={"words": None}))
            continue
        for side in filter(None, sides):
            update = {
                "start_s": side[0].start_s,
                "end_s": side[-1].end_s,
                "text": join_texts(word.word for word in side),
                "words": None,
            }
            kept.append(segment.model_copy(update=update))
    return _of(kept, timed.duration_s)


def _of(segments: Sequence[Segment], duration_s: float) -> Transcript:
    spans = merged(Interval(segment.start_s, segment.end_s) for segment in segments)
    text = join_texts(segment.text for segment in segments)
    return Transcript(text=text, duration_s=duration_s, segments=tuple(segments), text_spans=spans)


def text_of(answer: dict[str, Any], segment: SpeechSegment) -> str:
    """The text of one segment of the source."""
    inside = (each for each in answer["segments"] if segment.start_s - 0.01 <= each["start"] < segment.end_s - 0.01)
    return join_texts(each["text"] for each in inside)


def problems_of(answer: dict[str, Any], target: Target, field: str = "problems") -> list[dict[str, Any]]:
    start_s, end_s = target.segment.start_s, target.segment.end_s
    return [each for each in answer.get(field, ()) if each["start"] < end_s and each["end"] > start_s]


def outcome_of(target: Target, loss: Loss, clean: dict[str, Any], answer: dict[str, Any]) -> tuple[str, str]:
    """The outcome, and a note for a person."""
    language = target.file.language
    expected, text = text_of(clean, target.segment), text_of(answer, target.segment)
    differing = errors(expected, text, language).rate
    place = loss.place.shifted(target.segment.start_s)
    problems, retried = problems_of(answer, target), problems_of(answer, target, "retried")
    note = f"{differing:.0%} differ, lost {place.start_s:.1f} to {place.end_s:.1f} s, problems {problems}"
    if differing <= SAME:
        return "cured", note
    for outcome, places in {"named": problems, "retried": retried}.items():
        if any(abs(p["start"] - place.start_s) <= NEAR_S and abs(p["end"] - place.end_s) <= NEAR_S for p in places):
            return outcome, note
    note += f": {expected!r} became {text!r} for {target.reference!r}"
    if target.reference:
        before, after = (errors(target.reference, each, language).rate for each in (expected, text))
        return ("reworded" if after <= before + SAME else "missed"), note
    return "missed", note


class Material:
    """Files of real speech: single clips, and prompts of one speaker joined with pauses."""

    def __init__(self, recordings: RealRecordings, seed: int) -> None:
        self._recordings = recordings
        self._seed = seed

    @cached_property
    def _speech_model(self) -> SpeechModel:
        return SpeechModel.load()

    def targets(self, count: int, languages: Sequence[str] = tuple(SOUNDS)) -> list[Target]:
        """Returns segments of the prompts in these languages and of clips in all or one language, `count` or as many as
        there are; every segment is other audio."""
        sources = [self._clips(languages), *(self.prompts(language) for language in languages)]
        found: list[Target] = []
        for file in _alternating(sources):
            found += file.targets()
            if len(found) >= count:
                break
        return found[:count]

    def _clips(self, languages: Sequence[str]) -> Iterator[File]:
        for clip in self._recordings.clips():
            is_wanted = len(languages) > 1 or clip.language in languages
            if clip.source == "real-speech" and clip.language and is_wanted:
                yield self._file(clip.name, "clips", clip.language, clip.pcm(), _spoken(clip))

    def prompts(self, language: str) -> Iterator[File]:
        """Joined files and single prompts in turn, until the prompts are used up."""
        prompts = [each for each in self._recordings.prompts(language) if each.duration_s >= MIN_PROMPT_S]
        random.Random(f"{self._seed} {language}").shuffle(prompts)
        source = f"asterisk-{language}"
        singles = [each for each in prompts if MIN_SINGLE_S <= each.duration_s <= MAX_SEGMENT_S]
        others = [each for each in prompts if each not in singles]
        numbers = random.Random(self._seed)
        while others or singles:
            parts: list[RealRecording] = []
            limit_s = numbers.uniform(*JOINED_S)
            while others and sum(part.duration_s for part in parts) < limit_s:
                parts.append(others.pop())
            if len(parts) > 1:
                file = joined(parts, PAUSES_S, self._seed)
                spoken = [(part.reference or "", start_s, end_s) for part, start_s, end_s in file.places]
                yield self._file(f"{source} joined with {parts[0].name}", source, language, file.pcm, spoken)
            for prompt in (singles.pop() for _ in range(min(SINGLES_EACH, len(singles)))):
                yield self._file(f"{source} {prompt.name}", source, language, prompt.pcm(), _spoken(prompt))

    def _file(
        self, name: str, source: str, language: str, pcm: np.ndarray, spoken: Sequence[tuple[str, float, float]]
    ) -> File:
        wav = to_wav(pcm)
        audio = WavAudio.from_wav(wav)
        segmenter = SpeechSegmenter(self._speech_model, PrepareOptions())
        if audio.duration_s <= MAX_SEGMENT_S:
            speech = segmenter.check(audio.pcm).speech
            segments = (SpeechSegment(0.0, audio.duration_s, audio, speech),) if speech else ()
        else:
            segments = (*segmenter.feed(audio.pcm), *segmenter.finish())
        return File(name, source, language, wav, segments, tuple(spoken))


def _spoken(clip: RealRecording) -> list[tuple[str, float, float]]:
    return [(clip.reference, 0.0, len(clip.pcm()) / SAMPLE_RATE_HZ)] if clip.reference else []


def _alternating(sources: Sequence[Iterator[File]]) -> Iterator[File]:
    waiting = list(sources)
    while waiting:
        for source in list(waiting):
            file = next(source, None)
            if file is None:
                waiting.remove(source)
            else:
                yield file


def upper_bound(hits: int, count: int, z: float = 1.96) -> float:
    """The upper end of Wilson's 95 % interval of a share."""
    if not count:
        return 1.0
    share = hits / count
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle + half) / (1 + z * z / count)


def table(outcomes: Outcomes) -> str:
    lines = [
        "| losses over 2 s of speech | cured | named | retried | reworded | missed | cured or named | or retried |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    sources = sorted({key for key, _ in outcomes.counts} - {*KINDS, "single", "first", "middle", "last", "all"})
    for key in (*KINDS, "single", "first", "middle", "last", *sources, "all"):
        counts = [outcomes.counts[key, outcome] for outcome in OUTCOMES]
        if sum(counts):
            shares = outcomes.share(key), outcomes.share(key, ("cured", "named", "retried"))
            lines.append(f"| {key} | {' | '.join(map(str, counts))} | {shares[0]:.1%} | {shares[1]:.1%} |")
    flagged = len(outcomes.flagged)
    bound = upper_bound(flagged, outcomes.clean)
    lines.append(
        f"\nWithout a loss, {flagged} of {outcomes.clean} segments were flagged (95 % bound: {bound:.1%}), and "
        f"{outcomes.retried} were transcribed again (95 % bound: {upper_bound(outcomes.retried, outcomes.clean):.1%})."
    )
    return "\n".join(lines)


@contextmanager
def losing(
    folder: Path,
    engines: Sequence[str],
    models: Mapping[str, RealModel],
    seed: int,
    cache: Path,
    faster: Sequence[CTranslate2Engine] = (),
) -> Iterator[Losses]:
    """The gateway and preprocess-service, with the fake engine in front of mlx-service."""
    engine = LossyEngine(engines, cache, LIMIT_S, faster)
    with serving(engine) as url, running_gateway(folder, [url], models) as gateway:
        losses = Losses(gateway.url, engine, url, seed)
        yield losses
        losses.close()


@contextmanager
def measuring(
    folder: Path, mlx_python: str, packages: RealPackages, seed: int, cache: Path, real_python: str | None
) -> Iterator[Losses]:
    """Every real service, with the fake engine in front of mlx-service.

    Args:
        real_python: if given, CTranslate2 transcribes in this environment instead of mlx-service.
    """
    models = real_models(packages)
    folders = {model.id: model.ctranslate2 for model in models.values()}
    faster = [CTranslate2Engine(real_python, folders) for _ in range(REPLICAS)] if real_python else []
    with ExitStack() as stack:
        for each in faster:
            stack.callback(each.close)
        engines = stack.enter_context(running_engines(folder, mlx_python, packages, models))
        yield stack.enter_context(losing(folder, engines, models, seed, cache, faster))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=300)
    parser.add_argument("--kinds", type=int, default=3, help="losses of each segment, drawn from the nine kinds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--languages", nargs="+", choices=tuple(SOUNDS), default=tuple(SOUNDS))
    parser.add_argument("--engine", choices=["mlx", "ctranslate2"], default="mlx", help="what computes Whisper")
    given = parser.parse_args()
    real_python = os.environ["RAPL_REAL_PYTHON"]
    packages = RealPackages(real_python, CACHE)
    targets = Material(RealRecordings(packages), given.seed).targets(given.segments, given.languages)
    with tempfile.TemporaryDirectory() as folder:
        services = measuring(
            Path(folder),
            os.environ["RAPL_MLX_PYTHON"],
            packages,
            given.seed,
            CACHE / f"transcripts-{given.engine}",
            real_python if given.engine == "ctranslate2" else None,
        )
        with services as losses:
            outcomes = losses.measure(targets, given.kinds)
    print("\n".join([*outcomes.flagged, *outcomes.missed]), file=sys.stderr)
    print(table(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
