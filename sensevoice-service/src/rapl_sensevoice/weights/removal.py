"""Removes the weights that `prepare-model` downloaded."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rapl_hub.prepare import locked
from rapl_protocol.errors import ErrorCode, ServiceError


def require_removable(folder: Path) -> None:
    """Checks that the weights can be removed now. Reads little and changes nothing.

    Raises:
        ServiceError: UNSUPPORTED_PARAMETER if the folder is read-only; MODEL_IN_USE while `prepare-model` runs.
    """
    if not folder.exists():
        return
    if not (os.access(folder, os.W_OK) and os.access(folder.parent, os.W_OK)):
        remedy = (
            f"In Compose, remove it with `docker compose exec prepare-model rm -r {folder}`; then unload the model."
        )
        message = f"sensevoice-service may only read {folder}. {remedy}"
        raise ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param="model")
    with _not_in_use(), locked(folder, wait=False):
        pass


def remove_weights(folder: Path) -> None:
    """Removes the folder with everything in it. Raises: ServiceError, as `require_removable`."""
    if folder.exists():
        with _not_in_use(), locked(folder, wait=False):
            shutil.rmtree(folder)


@contextmanager
def _not_in_use() -> Generator[None]:
    try:
        yield
    except BlockingIOError as error:
        message = "`prepare-model` is downloading or converting this model. Wait until it ends, or stop it."
        raise ServiceError(ErrorCode.MODEL_IN_USE, message, param="model") from error
