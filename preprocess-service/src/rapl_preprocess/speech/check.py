"""Finds the speech in a canonical WAV."""

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import MAX_SEGMENT_S, PrepareOptions, SpeechCheck

from rapl_preprocess.media.containers import undecodable
from rapl_preprocess.speech.segmenter import SpeechSegmenter
from rapl_preprocess.speech.silero import SpeechModel


def check_speech(media: bytes | memoryview, model: SpeechModel, options: PrepareOptions) -> SpeechCheck:
    """Returns where the audio contains speech, by the rules of `prepare`.

    Args:
        media: a canonical WAV of up to MAX_SEGMENT_S.

    Raises:
        ServiceError: AUDIO_UNDECODABLE, AUDIO_TOO_LARGE, or INVALID_REQUEST if detection is off.
    """
    if options.speech_detection == "off":
        raise ServiceError(ErrorCode.INVALID_REQUEST, "speech_detection must be on.", param="speech_detection")
    audio = _canonical(media)
    return SpeechSegmenter(model, options).check(audio.pcm)


def _canonical(media: bytes | memoryview) -> WavAudio:
    try:
        audio = WavAudio.from_wav(media)
    except ValueError as error:
        raise undecodable(f"Only canonical WAV can be checked for speech: {error}.") from error
    if audio.duration_s > MAX_SEGMENT_S:
        message = f"At most {MAX_SEGMENT_S:g} s can be checked for speech at once."
        raise ServiceError(ErrorCode.AUDIO_TOO_LARGE, message, param="file")
    return audio
