"""Selects the files of a repository that SenseVoice needs, and downloads them at a pinned revision."""

from fnmatch import fnmatch
from pathlib import Path

from rapl_hub.files import sha256_of
from rapl_hub.hub import Hub, HubFile, Listing
from rapl_hub.huggingface import HuggingFaceHub
from rapl_hub.modelscope import ModelScopeHub
from rapl_hub.state import StateWriter

from rapl_sensevoice.settings import Settings
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.manifest import MANIFEST_NAME, Manifest, ManifestFile, missing_files
from rapl_sensevoice.weights.on_disk import REPO

NEEDED = ("config.yaml", "configuration.json", "am.mvn", "*.bpe.model", "model.pt")
OPTIONAL = ("tokens.json",)
"""Downloaded if the repository has it; FunASR does not need it."""


def hub_of(settings: Settings) -> Hub:
    if settings.hub == "huggingface":
        return HuggingFaceHub("FunAudioLLM/SenseVoiceSmall")
    return ModelScopeHub(REPO, settings.model_dir / ".modelscope")


def is_downloaded(folder: Path, revision: str) -> bool:
    manifest = Manifest.read(folder)
    return (
        manifest is not None
        and manifest.requested_revision == revision
        and manifest.first_wrong_size(folder) is None
        and not missing_files(folder)
    )


def download(hub: Hub, revision: str, folder: Path, state: StateWriter) -> None:
    """Downloads the files that are missing in `folder`, and writes the manifest last.

    Raises:
        HubError: see `Hub`.
        ModelUnusable: a file differs from the pinned one, or the repository lacks a file that the model needs.
    """
    if is_downloaded(folder, revision):  # by an earlier run, or by the run that held the lock
        return
    pinned = _pinned(hub, revision, folder)
    listing = hub.list_files(pinned.revision if pinned else _branch(hub, revision))
    files = files_to_download(listing, hub)
    if pinned:
        _require_same(pinned, files)
    state.downloading({folder / file.name: file.size for file in files})
    for file in files:
        hub.download(file, listing.revision, folder / file.name)
    if missing := missing_files(folder):
        raise ModelUnusable(f"configuration.json names files that are missing: {', '.join(missing)}", _OTHER_REVISION)
    Manifest(
        hub=hub.name,
        repo=hub.repo,
        revision=listing.revision,
        requested_revision=revision,
        files=tuple(
            ManifestFile(name=f.name, size=f.size, sha256=f.sha256 or sha256_of(folder / f.name)) for f in files
        ),
    ).write(folder)


def files_to_download(listing: Listing, hub: Hub) -> tuple[HubFile, ...]:
    """Returns the files that the model needs, smallest first. They do not include programs.

    Raises:
        ModelUnusable: the repository lacks one of them.
    """
    for pattern in NEEDED:
        if not any(fnmatch(file.name, pattern) for file in listing.files):
            raise ModelUnusable(f"{hub.title} has no {pattern} in {hub.repo}", OTHER_SOURCE)
    found = (file for file in listing.matching(NEEDED + OPTIONAL).files if "/" not in file.name)
    return tuple(sorted(found, key=lambda file: file.size))


def _branch(hub: Hub, revision: str) -> str:
    """Returns the hub's name of the branch. ModelScope's default `master` is `main` on Hugging Face."""
    return "main" if (hub.name, revision) == ("huggingface", "master") else revision


def _pinned(hub: Hub, revision: str, folder: Path) -> Manifest | None:
    """Returns the manifest of an earlier run for the same hub and revision, or None."""
    manifest = Manifest.read(folder)
    source = (hub.name, hub.repo, revision)
    return manifest if manifest and (manifest.hub, manifest.repo, manifest.requested_revision) == source else None


def _require_same(pinned: Manifest, files: tuple[HubFile, ...]) -> None:
    sha256 = {file.name: file.sha256 for file in pinned.files}
    for file in files:
        if file.sha256 and sha256.get(file.name, file.sha256) != file.sha256:
            remedy = f"Delete {MANIFEST_NAME} in the model's folder to download the hub's newest version."
            raise ModelUnusable(f"the hub's {file.name} has changed since it was pinned", remedy)


OTHER_HUB = "RAPL_SENSEVOICE_HUB=huggingface or =modelscope"
OTHER_SOURCE = f"Choose the other hub ({OTHER_HUB}) or another revision with RAPL_SENSEVOICE_REVISION."
_OTHER_REVISION = "Choose another revision with RAPL_SENSEVOICE_REVISION."
