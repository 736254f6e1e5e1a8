"""The rules of the house notice what breaks them, in a small tree that breaks each."""

from pathlib import Path

import house_rules as rules
import pytest

MEMBERS = {"rapl_shop": "shop"}
LAYERS = ({"app"}, {"api"}, {"settings"})


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A package that keeps every rule."""
    folder = tmp_path / "shop" / "src" / "rapl_shop"
    write(folder / "__init__.py", '"""A shop."""')
    write(folder / "app.py", "from rapl_shop.api import till\n\n\nclass Shop:\n    till = till.Till()")
    write(folder / "api" / "__init__.py", '"""What customers call."""')
    write(folder / "api" / "till.py", "from rapl_shop import settings\n\nTAX = settings.TAX\n\n\nclass Till: ...")
    write(folder / "api" / "receipt.py", "def printed(): ...")
    write(folder / "settings.py", "TAX = 0.19")
    return folder


def write(file: Path, source: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source + "\n")


def test_a_package_that_keeps_the_rules_breaks_none(shop: Path):
    assert rules.imported_packages(shop) == {"rapl_shop"}
    assert rules.upward_imports(shop, LAYERS) == []
    assert rules.undescribed_folders(shop) == []
    assert rules.crowded_folders(shop) == []
    assert rules.retired_names(shop, ["told"], ["Load"]) == []
    assert rules.retired_phrases(shop, ["is told"]) == []


@pytest.mark.parametrize(
    "source", ["import rapl_bank", "from rapl_bank.vault import gold", "def late():\n    import rapl_bank.vault"]
)
def test_an_import_of_another_package_is_noticed(shop: Path, source: str):
    write(shop / "api" / "till.py", source)

    assert "rapl_bank" in rules.imported_packages(shop)


@pytest.mark.parametrize(
    ("file", "source", "module"),
    [
        ("settings.py", "import rapl_shop.api.till", "rapl_shop.api.till"),
        ("settings.py", "from rapl_shop import app", "rapl_shop.app"),
        ("api/till.py", "from rapl_shop.app import Shop", "rapl_shop.app.Shop"),
        ("api/till.py", "from ..app import Shop", "rapl_shop.app.Shop"),
        ("settings.py", "from .api import till", "rapl_shop.api.till"),
    ],
)
def test_an_import_from_a_higher_layer_is_noticed(shop: Path, file: str, source: str, module: str):
    write(shop / file, source)

    assert rules.upward_imports(shop, LAYERS) == [f"{file} imports {module}"]


def test_a_module_that_is_in_no_layer_is_noticed(shop: Path):
    write(shop / "extra.py", "")

    assert rules.upward_imports(shop, LAYERS) == ["extra is in no layer"]


@pytest.mark.parametrize("source", ["", "NAME = 1", None])
def test_a_folder_without_a_docstring_is_noticed(shop: Path, source: str | None):
    write(shop / "stock" / "shelf.py", "")
    if source is not None:
        write(shop / "stock" / "__init__.py", source)

    assert rules.undescribed_folders(shop) == ["rapl_shop/stock"]


def test_a_folder_of_thirteen_files_is_noticed_unless_its_docstring_says_why(shop: Path):
    for number in range(13):
        write(shop / "stock" / f"shelf_{number}.py", "")
    write(shop / "stock" / "__init__.py", '"""Shelves."""')
    unexplained = rules.crowded_folders(shop)
    write(shop / "stock" / "__init__.py", '"""Shelves. So many files because each holds one kind of goods."""')

    assert unexplained == ["rapl_shop/stock has 13 files"]
    assert rules.crowded_folders(shop) == []


@pytest.mark.parametrize(
    "source",
    [
        "told = 1",
        "TOLD_AT_S = 1",
        "class LastTold: ...",
        "def _told_twice(): ...",
        "def sell(told): ...",
        "async def told(): ...",
        "sell(told=1)",
        "shop.told",
        "import told",
        "import rapl_shop.told.twice",
        "from rapl_shop.told import twice",
        "from rapl_shop import told",
        "import math as told",
        "[told for told in ()]",
        "(told := 1)",
        "with open('x') as told: ...",
        "try: ...\nexcept ValueError as told: ...",
        "def sell():\n    global told",
        "def sell():\n    def twice():\n        nonlocal told\n    told = 1",
        "match 1:\n    case told: ...",
        "match []:\n    case [*told]: ...",
        "match {}:\n    case {**told}: ...",
        "match 1:\n    case int() as told: ...",
        "match 1:\n    case Shop(told=1): ...",
    ],
)
def test_a_retired_word_in_any_kind_of_name_is_noticed(shop: Path, source: str):
    write(shop / "app.py", source)

    assert rules.retired_names(shop, ["told"], [])


@pytest.mark.parametrize("path", ["told.py", "told/app.py", "api/was_told.py"])
def test_a_retired_word_in_a_file_or_folder_name_is_noticed(shop: Path, path: str):
    write(shop / path, "")

    assert rules.retired_names(shop, ["told"], [])


@pytest.mark.parametrize(("name", "is_retired"), [("Load", True), ("LoadResult", False), ("load", False)])
def test_a_retired_name_is_noticed_as_a_whole_only(shop: Path, name: str, is_retired: bool):
    write(shop / "app.py", f"{name} = 1")

    assert bool(rules.retired_names(shop, [], ["Load"])) == is_retired


@pytest.mark.parametrize(
    "source",
    [
        '"""The shop is told."""',
        '"""The shop is\ntold."""',
        "# The shop is told.",
        "# The shop is\n# told.",
        "x = 1  # Is told.",
        'x = "is told"',
        'x = "the shop is " "told"',
        'x = f"{x} is told"',
        'class Shop:\n    size: int\n    """What it is told."""',
    ],
)
def test_a_retired_phrase_in_a_docstring_a_comment_or_a_string_is_noticed(shop: Path, source: str):
    write(shop / "app.py", source)

    [found] = rules.retired_phrases(shop, ["is told", "nobody"])
    assert found.lower().endswith("is told")


def test_words_that_only_look_like_a_retired_phrase_are_left_alone(shop: Path):
    write(shop / "app.py", '"""This told us, and is toldable."""')

    assert rules.retired_phrases(shop, ["is told"]) == []


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        ("| a till | `Till` | `shop/…/api/till.py` |", []),
        ("| tills | `Till`, `printed` | `shop/…/api/till.py`, `receipt.py` |", []),
        ("| taxes | `TAX` | `shop/…/settings.py` |", []),
        ("| all of it | `Shop`, `Till` | `shop/…/` |", []),
        ("| a till | `Till` | `shop/…/till.py` |", ["shop/src/rapl_shop/till.py", "Till in shop/…/till.py"]),
        ("| a till | `Till` | `shop/…/api/receipt.py` |", ["Till in shop/…/api/receipt.py"]),
        ("| tills | `Till` | `shop/…/api/till.py`, `bill.py` |", ["shop/src/rapl_shop/api/bill.py"]),
        ("| a till | `Till` | `api/till.py` |", ["cannot be read: | a till | `Till` | `api/till.py` |"]),
        ("| a bank | `Bank` | `bank/…/bank.py` |", ["cannot be read: | a bank | `Bank` | `bank/…/bank.py` |"]),
    ],
)
def test_a_table_that_names_what_does_not_exist_is_noticed(shop: Path, row: str, missing: list[str]):
    document = f"# Files\n\n| Concern | Type | File |\n|---|---|---|\n{row}\n\nMore text.\n"

    assert rules.missing_from_table(document, shop.parents[2], MEMBERS) == missing
