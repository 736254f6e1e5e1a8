"""SenseVoice computed by OpenVINO from a graph, without torch: the default runtime, for CPUs."""

from collections.abc import Hashable, Sequence
from pathlib import Path

from rapl_protocol.audio import WavAudio
from rapl_service.memory import give_memory_back, release_file_pages

from rapl_sensevoice.keywords.context_graph import ContextGraph
from rapl_sensevoice.keywords.phrases import Keywords
from rapl_sensevoice.model.acoustic_model import AcousticModel, padded_length
from rapl_sensevoice.model.decoding import FrameTokens
from rapl_sensevoice.model.features import features, frames_of
from rapl_sensevoice.model.filter_bank import Floats
from rapl_sensevoice.model.graph import QUERIES, Precision
from rapl_sensevoice.model.vocabulary import PieceList, SentencepieceVocabulary, Vocabulary
from rapl_sensevoice.runtimes.frames_to_text import decoded, forced_language, tokens_per_frame
from rapl_sensevoice.runtimes.runtime import Decoded, DecodeRequest
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.graph_files import converted, ready_made
from rapl_sensevoice.weights.on_disk import PREPARE

MAX_BATCH_FRAMES = 512
"""Most frames in a batch, queries included: five clips of 5 s, or 21 clips of 1 s. A batch takes about the time and
memory of one clip of 30 s."""
_WARM_UP = tuple(WavAudio(bytes(2 * 16_000 * duration_s)) for duration_s in (1, 5, 30))


class OpenVinoRuntime:
    """`Runtime` that computes SenseVoice with OpenVINO.

    Args:
        precision: precision of the graph to load. If this graph is missing, a ready-made export or the int8 graph is
            loaded.
        threads: threads per computation.
        scales_frames: see `AcousticModel`.
    """

    def __init__(self, precision: Precision, threads: int, scales_frames: bool | None = None) -> None:
        self._precision: Precision = precision
        self._threads = threads
        self._scales_frames = scales_frames
        self._model: AcousticModel | None = None
        self._vocabulary: Vocabulary | None = None
        self._keywords: Keywords | None = None

    def load(self, folder: Path) -> None:
        """Loads the model and transcribes silence of several lengths, so that the first request is as fast as others.

        Raises:
            ModelUnusable: the folder does not contain a complete SenseVoiceSmall.
        """
        files = converted(folder, self._precision) or ready_made(folder) or converted(folder, "int8")
        if files is None:
            raise ModelUnusable(f"there is no graph in {folder}", f"{PREPARE}.")
        self._vocabulary = _vocabulary(files.tokens)
        self._keywords = Keywords(self._vocabulary)
        self._model = AcousticModel(files, self._precision, self._threads, self._scales_frames)
        for silence in _WARM_UP:
            self._transcribe(silence)
        release_file_pages()
        give_memory_back()
        self._transcribe(_WARM_UP[0])  # maps again the pages that a request needs

    def _transcribe(self, audio: WavAudio) -> None:
        self.decode_batch([DecodeRequest(self.features(audio), None, with_times=False)])

    def unload(self) -> None:
        self._model = self._vocabulary = self._keywords = None
        give_memory_back()

    def features(self, audio: WavAudio) -> Floats:
        assert self._model
        return features(audio, self._model.cmvn)

    def batch_key(self, audio: WavAudio) -> tuple[Hashable, int]:
        """Clips with the same padded length share a batch. More padding would cost more than a batch saves."""
        assert self._model
        frames = padded_length(frames_of(audio) + QUERIES)
        return frames, max(1, MAX_BATCH_FRAMES // frames) if self._model.batches_well else 1

    def graph(self, keywords: tuple[str, ...]) -> ContextGraph | None:
        assert self._keywords
        return self._keywords.graph(keywords)

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> Sequence[Decoded]:
        assert self._vocabulary
        languages = [each.language for each in requests]
        found = self._frames(requests, languages)
        forced = [forced_language(frames, each, self._vocabulary) for frames, each in zip(found, requests, strict=True)]
        if again := [number for number, language in enumerate(forced) if language]:
            frames = self._frames([requests[number] for number in again], [forced[number] for number in again])
            for number, each in zip(again, frames, strict=True):
                found[number] = each
        return [
            decoded(frames, each, language, self._vocabulary)
            for frames, each, language in zip(found, requests, forced, strict=True)
        ]

    def _frames(self, requests: Sequence[DecodeRequest], languages: Sequence[str | None]) -> list[FrameTokens]:
        assert self._model
        features = [each.features for each in requests]
        count = max(map(tokens_per_frame, requests))
        return self._model.frame_tokens(features, languages, count, [each.itn for each in requests])


def _vocabulary(path: Path) -> Vocabulary:
    match path.name:
        case "tokens.txt":
            return PieceList.from_tokens_txt(path)
        case "tokens.json":
            return PieceList.from_tokens_json(path)
        case _:
            return SentencepieceVocabulary(path)
