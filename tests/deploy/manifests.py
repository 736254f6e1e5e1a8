"""The Kubernetes manifests, rendered as `kubectl apply --kustomize` renders them."""

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from services import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
KUBECTL = Path(sys.executable).parent / "kubectl"
OVERLAYS = tuple(sorted(folder.name for folder in (FOLDER / "overlays").iterdir()))
OPTIONAL = ("mlx-machines", "speakers", "weights-image")
"""Components that no overlay has: an operator adds them."""
RENDERED = (*OVERLAYS, *(f"one-node with {component}" for component in OPTIONAL))
"""Everything that an operator may apply."""

Manifest = dict[str, Any]


@functools.cache
def rendered(name: str) -> Sequence[Manifest]:
    """Returns the objects of one of RENDERED."""
    overlay, _, component = name.partition(" with ")
    if not component:
        return _rendered(FOLDER / "overlays" / overlay)
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "resources": [_relative(FOLDER / "overlays" / overlay, folder)],
            "components": [_relative(FOLDER / "components" / component, folder)],
            "namespace": "rapl",
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(parts))
        return _rendered(Path(folder))


def of_kind(name: str, *kinds: str) -> list[Manifest]:
    return [each for each in rendered(name) if each["kind"] in kinds]


def pod_of(workload: Manifest) -> Manifest:
    """The pod's template of a Deployment or a Job."""
    return workload["spec"]["template"]


def containers_of(workload: Manifest) -> list[Manifest]:
    pod = pod_of(workload)["spec"]
    return [*pod.get("initContainers", ()), *pod["containers"]]


def service_of(deployment: Manifest) -> Manifest:
    """The container of the service, which has the Deployment's name."""
    [found] = [each for each in containers_of(deployment) if each["name"] == deployment["metadata"]["name"]]
    return found


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a selector with `matchLabels` alone, as ours are, selects these labels."""
    assert set(selector) <= {"matchLabels"}
    return selector.get("matchLabels", {}).items() <= labels.items()


def _relative(path: Path, folder: str) -> str:
    return os.path.relpath(path, Path(folder).resolve())  # kustomize takes no absolute paths


def _rendered(folder: Path) -> list[Manifest]:
    ended = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return list(yaml.safe_load_all(ended.stdout))
