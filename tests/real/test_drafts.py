"""With a draft from a shorter beginning of its audio, Whisper writes the text that it writes without one."""

from collections.abc import Sequence

import pytest
from rapl_bench.real.models import TINY_EN
from rapl_bench.real.recordings import RealRecordings
from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import TranscriberClient
from real_fleet import LIMIT_S

pytestmark = pytest.mark.real

CLIPS = 6
MISSING_S = 0.6
"""A pass over an open turn is usually as far behind its end."""


async def test_a_draft_changes_no_text(engines: Sequence[str], recordings: RealRecordings):
    english = [recording.pcm().tobytes() for recording in recordings.clips() if recording.language == "en"]
    longest = sorted(english, key=len)[-CLIPS:]
    options = TranscribeOptions(model=TINY_EN)
    differing = list[tuple[str, str]]()
    async with open_http() as http:
        client = TranscriberClient(http, Service("mlx-service", engines[0], "Look at its log."))
        for pcm in longest:
            beginning = WavAudio(pcm[: len(pcm) - int(MISSING_S * BYTES_PER_SECOND)])
            draft = await client.transcribe(beginning, options, deadline_s=LIMIT_S)
            plain = await client.transcribe(WavAudio(pcm), options, deadline_s=LIMIT_S)
            drafted_options = options.model_copy(update={"draft": draft})
            drafted = await client.transcribe(WavAudio(pcm), drafted_options, deadline_s=LIMIT_S)
            assert draft.segments[0].decoding
            assert draft.segments[0].decoding.tokens
            if drafted.text != plain.text:
                differing.append((plain.text, drafted.text))

    assert len(longest) == CLIPS
    assert differing == []
