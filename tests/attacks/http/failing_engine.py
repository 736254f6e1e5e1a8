"""An engine of RAPL that fails in the way that the model's name says, and quotes its options when it does.

Run it as `python -m failing_engine`.
"""

from pydantic_settings import SettingsConfigDict
from rapl_protocol.audio import WavAudio
from rapl_protocol.testing import FakeTranscriber
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.engine_app import transcriber_app
from rapl_service.run import serve
from rapl_service.telemetry.settings import TelemetrySettings

FAILURES = ("runtime", "key", "unicode", "validation", "chained", "group", "after-text", "multi-line")


class Settings(TelemetrySettings):
    model_config = SettingsConfigDict(env_prefix="RAPL_FAILING_")

    host: str = "127.0.0.1"
    port: int
    log_level: str = "DEBUG"


class FailingTranscriber(FakeTranscriber):
    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, on_text: OnText | None = None
    ) -> Transcript:
        quote = f"{options.prompt} {options.keywords}"
        match options.model:
            case "runtime":
                raise RuntimeError(quote)
            case "key":
                raise KeyError(quote)
            case "unicode":
                f"{quote}é".encode("ascii")
            case "validation":
                Transcript.model_validate({"text": quote})
            case "chained":
                try:
                    float(quote)
                except ValueError as error:
                    raise RuntimeError("a number is missing") from error
            case "group":
                raise ExceptionGroup(quote, [ValueError(quote)])
            case "after-text" if on_text:
                on_text("some words")
                raise ValueError(quote)
            case _:
                raise ValueError(f"a\n{quote}\n")
        raise AssertionError


if __name__ == "__main__":
    serve(transcriber_app(FailingTranscriber(*FAILURES)), Settings())
