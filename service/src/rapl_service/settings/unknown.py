"""Environment variables that look like settings but are none, such as misspelled ones."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from rapl_service.settings.names import NAMES

REPORTED = "RAPL_UNKNOWN_REPORTED"
"""The variable by which `rapl up` tells the services that it has reported the unknown names."""
_SIMILARITY = 0.75


def unknown_settings(environ: Mapping[str, str], own: Collection[str] = ()) -> list[str]:
    """Returns a line for each variable that begins with `RAPL_` and that no part of RAPL reads.

    Args:
        own: further names that are known.
    """
    known = {*NAMES, *own, REPORTED}
    return [_line(name, known) for name in sorted(environ) if name.startswith("RAPL_") and name not in known]


def _line(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1, cutoff=_SIMILARITY)
    return f"warning: {name} is not a setting of RAPL and has no effect" + (f". Is it {near[0]}?" if near else "")
