"""The result of one check, and what the checks have to know about this environment."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rapl_cli.fleet.ports import Ports
from rapl_cli.gateway_address import GatewayAddress


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """The default model can be used, but something else does not work or soon will not."""
    FAILED = "failed"
    """The default model cannot be used."""
    SKIPPED = "skipped"
    """It is not needed here, or it cannot be checked."""


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    status: Status
    message: str
    remedy: str | None = None
    """What a person can do; None where nothing has to be done."""

    @classmethod
    def ok(cls, name: str, message: str) -> "Check":
        return cls(name, Status.OK, message)

    @classmethod
    def warning(cls, name: str, message: str, remedy: str) -> "Check":
        return cls(name, Status.WARNING, message, remedy)

    @classmethod
    def failed(cls, name: str, message: str, remedy: str) -> "Check":
        return cls(name, Status.FAILED, message, remedy)

    @classmethod
    def skipped(cls, name: str, message: str) -> "Check":
        return cls(name, Status.SKIPPED, message)


@dataclass(frozen=True)
class Scene:
    """Which gateway is checked, and on which machine."""

    address: GatewayAddress
    ports: Ports
    supervisor: int | None = None
    """The process of `rapl up`; None if it does not run."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    system: str = field(default_factory=platform.system)
    """The operating system, in the form of `platform.system()`."""
