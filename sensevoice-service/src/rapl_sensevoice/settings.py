"""The settings, read from environment variables with the prefix RAPL_SENSEVOICE_."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict
from rapl_service.cpu_quota import cpu_quota
from rapl_service.telemetry.settings import TelemetrySettings

from rapl_sensevoice.model.graph import Precision

Hub = Literal["modelscope", "huggingface"]
RuntimeName = Literal["openvino", "funasr"]
_OLD_RUNTIME_NAMES = {"onnx": "openvino"}


class Settings(TelemetrySettings):
    model_config = SettingsConfigDict(env_prefix="RAPL_SENSEVOICE_", populate_by_name=True)

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8020
    """Port to listen on; 0 selects a free port."""
    model_dir: Path = Path("~/.cache/rapl/models")
    """Directory of the weights. `prepare-model` writes it; the server only reads it."""
    hub: Hub = "modelscope"
    """Hub from which `prepare-model` downloads."""
    revision: str = "master"
    """Branch, tag or commit to download. "master" is the newest version; the first download pins it."""
    runtime: RuntimeName = Field(
        default="openvino", validation_alias=AliasChoices("RAPL_SENSEVOICE_RUNTIME", "SENSEVOICE_RUNTIME")
    )
    """Inference runtime: "openvino" (also accepted as "onnx") runs a graph on the CPU, "funasr" runs FunASR's AutoModel
    on torch."""
    precision: Precision = "int8"
    """Precision of the graph's matrices. "f32" is exact, but slower and four times as large."""
    device: str = "cpu"
    """PyTorch device, such as "cpu" or "cuda:0". Devices other than "cpu" need the runtime "funasr"."""
    threads: Annotated[int, Field(ge=1)] = Field(
        default_factory=cpu_quota,
        examples=[4],
        json_schema_extra={"default_in_words": "the cores that it may use"},
    )
    """Threads per computation. The default is the number of cores that the process may use."""
    max_queue: Annotated[int, Field(ge=1)] = 32
    """Most requests of one model at once, waiting or running. Further requests get 429."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Lowest severity that is logged."""

    @field_validator("runtime", mode="before")
    @classmethod
    def _by_its_new_name(cls, runtime: object) -> object:
        return _OLD_RUNTIME_NAMES.get(runtime.strip().lower(), runtime) if isinstance(runtime, str) else runtime

    @field_validator("device")
    @classmethod
    def _known_to_the_runtime(cls, device: str, others: ValidationInfo) -> str:
        if device != "cpu" and others.data.get("runtime") == "openvino":
            raise ValueError(f"{device!r} is not the CPU, so it needs RAPL_SENSEVOICE_RUNTIME=funasr")
        return device

    @property
    def graph_precision(self) -> Precision | None:
        """Precision of the graph; None if the runtime loads FunASR's checkpoint instead of a graph."""
        return self.precision if self.runtime == "openvino" else None

    @field_validator("model_dir")
    @classmethod
    def _without_tilde(cls, path: Path) -> Path:
        return path.expanduser()
