"""The check of a file against the hub's listing, and the choice of files."""

from pathlib import Path

import pytest
from rapl_hub.errors import DamagedFile
from rapl_hub.files import git_sha1_of, sha256_of
from rapl_hub.hub import HubFile, Listing, require_as_listed

CONTENT = b"hello\n"
GIT_SHA1 = "ce013625030ba8dba906f756967f9e9ca394464a"
SHA256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    path.write_bytes(CONTENT)
    return path


def test_hashes_are_those_of_sha256sum_and_of_git_hash_object(path: Path):
    assert (sha256_of(path), git_sha1_of(path)) == (SHA256, GIT_SHA1)


@pytest.mark.parametrize("hashes", [{}, {"sha256": SHA256}, {"git_sha1": GIT_SHA1}])
def test_a_file_that_is_as_listed_is_kept(path: Path, hashes: dict):
    require_as_listed(HubFile("model.pt", len(CONTENT), **hashes), path)

    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("wrong", [{"size": 1}, {"sha256": "0" * 64}, {"git_sha1": "0" * 40}])
def test_a_file_that_differs_from_the_listing_is_deleted_and_named(path: Path, wrong: dict):
    with pytest.raises(DamagedFile, match=r"model\.pt is .*damaged.* deleted"):
        require_as_listed(HubFile(**{"name": "model.pt", "size": len(CONTENT)} | wrong), path)

    assert not path.exists()


def test_only_files_that_match_are_listed_and_none_outside_the_folder():
    names = ("a.json", "sub/b.json", "model.py", "../c.json", "/etc/d.json", "sub/../../e.json")
    listing = Listing("main", tuple(HubFile(name, 1) for name in names))

    assert [file.name for file in listing.matching(["*.json"]).files] == ["a.json", "sub/b.json"]
