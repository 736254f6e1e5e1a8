"""Tries the audio tracks of a file until one has speech."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from rapl_protocol.errors import ErrorCode, ServiceError

from rapl_preprocess.media.streams import TrackChoice

T = TypeVar("T")


def first_track_with_speech(
    parts_of_track: Callable[[], Iterator[T]],
    tracks: TrackChoice,
    *,
    shows_speech: Callable[[T], bool],
    is_progress: Callable[[T], bool] = lambda part: False,
) -> Iterator[T]:
    """Yields the parts of the first track that has speech.

    If none has speech, yields the parts of the first one that can be decoded. If there is only one track, its parts are
    yielded as they come. Otherwise they are kept until the first one that shows speech: without speech there are few.

    Args:
        parts_of_track: decodes the current track of `tracks`.
        tracks: the tracks of the file.
        shows_speech: whether a part shows that the track has speech.
        is_progress: whether a part is yielded at once, of every track that is tried.

    Raises:
        ServiceError: the error of the first track if no track can be decoded; an error after the first part that was
            yielded; any error other than AUDIO_UNDECODABLE.
    """
    without_speech: list[T] = []
    first_error: ServiceError | None = None
    while True:
        kept: list[T] = []
        is_chosen = False
        try:
            for part in parts_of_track():
                is_chosen = is_chosen or not tracks.is_between_several or shows_speech(part)
                if is_chosen:
                    yield from kept
                    kept = []
                    yield part
                elif is_progress(part):
                    yield part
                else:
                    kept.append(part)
        except ServiceError as error:
            if is_chosen or error.code is not ErrorCode.AUDIO_UNDECODABLE:
                raise
            first_error, kept = first_error or error, []
        if is_chosen:
            return
        without_speech = without_speech or kept
        if not tracks.go_on():
            break
    if first_error and not without_speech:
        raise first_error
    yield from without_speech
