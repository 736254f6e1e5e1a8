"""Every package keeps the rules of the house: its imports, its folders, its names and its sentences."""

import re
import tomllib

import house_rules as rules
import pytest

MAY_IMPORT = {
    "rapl_protocol": set(),
    "rapl_service": {"rapl_protocol"},
    "rapl_hub": {"rapl_protocol"},
    "rapl_gateway": {"rapl_protocol", "rapl_service"},
    "rapl_preprocess": {"rapl_protocol", "rapl_service"},
    "rapl_sensevoice": {"rapl_protocol", "rapl_service", "rapl_hub"},
    "rapl_mlx": {"rapl_protocol", "rapl_service", "rapl_hub"},
    "rapl_cli": {"rapl_service"},
    "rapl_bench": {"rapl_protocol", "rapl_service", "rapl_sensevoice"},
}
"""What each package imports of ours. The benchmark makes SenseVoice's weights, so it needs that package's graph."""
GATEWAY_LAYERS = (
    {"app", "__main__"},
    {"api", "realtime", "page"},
    {"gateway", "collector"},
    {"transcription", "admission", "word_lists"},
    {"backends", "security"},
    {"settings", "languages", "timing", "metrics"},
)
"""From top to bottom: a module imports from its own layer and from those below it."""
NOT_YET_REWORDED: set[str] = set()  # fmt: skip
"""Packages whose sentences may still have retired phrases. To be emptied."""
RETIRED = tomllib.loads((rules.ROOT / "tests" / "house" / "retired_words.toml").read_text())
PACKAGES = rules.existing_packages()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_of_ours_what_the_list_says(package: str):
    imported = rules.imported_packages(rules.package_folder(package)) & set(PACKAGES) - {package}

    assert imported == MAY_IMPORT[package] & set(PACKAGES)


def test_the_gateways_folders_import_only_from_their_layer_and_those_below():
    assert rules.upward_imports(rules.package_folder("rapl_gateway"), GATEWAY_LAYERS) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_has_a_docstring(package: str):
    assert rules.undescribed_folders(rules.package_folder(package)) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_folder_with_many_files_says_why(package: str):
    assert rules.crowded_folders(rules.package_folder(package)) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_identifier_has_a_retired_word(package: str):
    names = {*RETIRED["names"], *RETIRED.get(rules.MEMBERS[package], {}).get("names", ())}

    assert rules.retired_names(rules.package_folder(package), RETIRED["words"], names) == []


@pytest.mark.parametrize("package", sorted({*PACKAGES} - NOT_YET_REWORDED))
def test_no_sentence_has_a_retired_phrase(package: str):
    assert rules.retired_phrases(rules.package_folder(package), RETIRED["phrases"]) == []


def test_the_lists_of_retired_words_can_match_something():
    lists = {"words": r"[a-z]+", "names": r"[A-Za-z_]+", "phrases": r"[a-z]+( [a-z]+)*"}

    for name, form in lists.items():
        assert [entry for entry in RETIRED[name] if not re.fullmatch(form, entry)] == []
        assert len(set(RETIRED[name])) == len(RETIRED[name])
    assert {*RETIRED} - {*lists} <= {*rules.MEMBERS.values()}
