"""Which models are allowed: the entries of RAPL_MLX_MODELS.

mlx-community/Qwen3-ASR-1.7B-8bit            a Hugging Face model
mlx-community/Qwen3-ASR-1.7B-8bit@4f1c2ab    the same model at a revision
house/dictation=/models/Qwen3-ASR-house      a folder on this machine, with an id
mlx-community/*                              any Hugging Face model that matches; listed after its first request
"""

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from rapl_protocol.errors import ErrorCode, ServiceError

# Source: https://huggingface.co/docs/hub/repositories-getting-started; huggingface_hub's validate_repo_id is as strict.
_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The source of a model's files: a Hugging Face repository or a folder."""

    id: str
    """The model id in requests; also the name of the repository, if `folder` is None."""
    folder: Path | None = None
    revision: str | None = None
    """Branch, tag or commit; None: the default branch."""

    @classmethod
    def parse(cls, entry: str) -> Self:
        """Raises: ValueError, with a message about the entry."""
        model_id, is_folder, folder = entry.partition("=")
        if is_folder:
            path = Path(folder).expanduser()
            if not _ID.fullmatch(model_id) or not path.is_absolute():
                raise ValueError(f"{entry!r} must have the form id=/absolute/folder")
            return cls(model_id, folder=path)
        model_id, _, revision = entry.partition("@")
        if not _HUB_ID.fullmatch(model_id) or ".." in model_id:
            raise ValueError(f"{entry!r} is neither owner/name, owner/name@revision, id=/folder nor a pattern")
        return cls(model_id, revision=revision or None)


@dataclass(frozen=True, slots=True)
class ModelList:
    sources: tuple[ModelSource, ...] = ()
    """The entries that are no patterns, in the configured order."""
    patterns: tuple[str, ...] = ()
    by_id: dict[str, ModelSource] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {source.id: source for source in self.sources})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises: ValueError, with a message about the wrong entry."""
        entries = split_list(text)
        patterns = tuple(e for e in entries if "=" not in e and _WILDCARDS & set(e))
        models = cls(tuple(ModelSource.parse(e) for e in entries if e not in patterns), patterns)
        if not entries:
            raise ValueError("it contains no model")
        if len(models.by_id) < len(models.sources):
            raise ValueError("it contains the same id twice")
        return models

    def resolve(self, model_id: str) -> ModelSource:
        """Raises: ServiceError, MODEL_NOT_FOUND; the message says how to allow the model."""
        if source := self.by_id.get(model_id):
            return source
        is_hub_id = _HUB_ID.fullmatch(model_id) and ".." not in model_id
        if is_hub_id and any(fnmatchcase(model_id, pattern) for pattern in self.patterns):
            return ModelSource(model_id)
        message = f"no model {model_id[:200]!r}. To allow it, add it to RAPL_MLX_MODELS and restart mlx-service."
        raise ServiceError(ErrorCode.MODEL_NOT_FOUND, message, param="model")


def split_list(text: str) -> tuple[str, ...]:
    """Returns the entries of a comma-separated list, without white space."""
    return tuple(entry for part in text.split(",") if (entry := part.strip()))
