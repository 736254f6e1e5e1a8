"""Every setting, from environment variables with the prefix RAPL_SENSEVOICE_."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from rapl_sensevoice.cpu_quota import cpu_quota
from rapl_sensevoice.model.graph import Precision

Hub = Literal["modelscope", "huggingface"]
RuntimeName = Literal["openvino", "funasr"]
_OLD_RUNTIME_NAMES = {"onnx": "openvino"}


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="RAPL_SENSEVOICE_",
        frozen=True,
        env_ignore_empty=True,
        use_attribute_docstrings=True,
        populate_by_name=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8020
    """Port to listen on; 0 takes a free one."""
    model_dir: Path = Path("~/.cache/rapl/models")
    """Where `prepare-model` keeps weights; the server only reads it."""
    hub: Hub = "modelscope"
    """Where `prepare-model` downloads from."""
    revision: str = "master"
    """Branch, tag or commit to download; "master" is the hub's newest, until a manifest has pinned one."""
    runtime: RuntimeName = Field(
        default="openvino", validation_alias=AliasChoices("RAPL_SENSEVOICE_RUNTIME", "SENSEVOICE_RUNTIME")
    )
    """Inference runtime: "openvino" (also accepted as "onnx") runs a graph on the CPU, "funasr" runs FunASR's AutoModel
    on torch."""
    precision: Precision = "int8"
    """Of the graph's matrices; "f32" is four times as large, slower, and to the bit what was trained."""
    device: str = "cpu"
    """torch's name of the device, such as "cpu" or "cuda:0"; another than "cpu" needs the runtime "funasr"."""
    threads: Annotated[int, Field(ge=1)] = Field(default_factory=cpu_quota)
    """Threads of one computation; by default the cores that this process may use."""
    max_queue: Annotated[int, Field(ge=1)] = 32
    """Requests that one model may hold at once, the one in work included; one more is answered with 429."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged."""

    @field_validator("runtime", mode="before")
    @classmethod
    def _by_its_new_name(cls, runtime: object) -> object:
        return _OLD_RUNTIME_NAMES.get(runtime, runtime) if isinstance(runtime, str) else runtime

    @field_validator("device")
    @classmethod
    def _known_to_the_runtime(cls, device: str, others: ValidationInfo) -> str:
        if device != "cpu" and others.data.get("runtime") == "openvino":
            raise ValueError("needs RAPL_SENSEVOICE_RUNTIME=funasr, unless it is cpu")
        return device

    @property
    def graph_precision(self) -> Precision | None:
        """None where the runtime takes FunASR's checkpoint itself."""
        return self.precision if self.runtime == "openvino" else None

    @field_validator("model_dir")
    @classmethod
    def _without_tilde(cls, path: Path) -> Path:
        return path.expanduser()

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level
