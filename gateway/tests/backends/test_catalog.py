from pathlib import Path

import pytest
from rapl_gateway.backends.catalog import ModelCatalog, Route
from rapl_gateway.settings import Settings
from rapl_protocol.errors import ErrorCode, ServiceError


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def load(toml: str = "", **environ: str) -> ModelCatalog:
        Path("rapl.toml").write_text(toml)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return ModelCatalog.load(Settings())

    return load


@pytest.mark.parametrize(
    ("model", "engine_model", "backend"),
    [
        ("iic/SenseVoiceSmall", "iic/SenseVoiceSmall", "sensevoice"),
        ("rapl/selftest", "rapl/selftest", "sensevoice"),
        ("mlx-community/Qwen3-ASR-1.7B-8bit", "mlx-community/Qwen3-ASR-1.7B-8bit", "mlx"),
        ("mlx-community/parakeet-tdt-0.6b-v3", "mlx-community/parakeet-tdt-0.6b-v3", "mlx"),
        ("whisper-1", "iic/SenseVoiceSmall", "sensevoice"),
        (None, "iic/SenseVoiceSmall", "sensevoice"),
        ("", "iic/SenseVoiceSmall", "sensevoice"),
    ],
)
def test_without_any_configuration_each_model_goes_to_its_engine(catalog, model, engine_model, backend):
    route = catalog().resolve(model)

    assert (route.engine_model, route.backend) == (engine_model, backend)


@pytest.mark.parametrize(
    ("environ", "default"),
    [
        ({"BACKEND": "mlx"}, "mlx-community/Qwen3-ASR-1.7B-8bit"),
        ({"BACKEND": "sensevoice"}, "iic/SenseVoiceSmall"),
        ({"BACKEND": "mlx", "LOCAL_MODEL": "somebody/new-model"}, "somebody/new-model"),
        ({"BACKEND": "mlx", "RAPL_DEFAULT_MODEL": "rapl/selftest"}, "rapl/selftest"),
        ({"BACKEND": "", "LOCAL_MODEL": ""}, "iic/SenseVoiceSmall"),
    ],
)
def test_the_variables_of_the_original_server_set_the_default_model(catalog, environ, default):
    assert catalog(**environ).resolve(None).engine_model == default


def test_local_model_goes_to_the_engine_that_backend_names(catalog):
    route = catalog(BACKEND="mlx", LOCAL_MODEL="somebody/new-model").resolve("somebody/new-model")

    assert route.backend == "mlx"


def test_an_unknown_model_is_not_found_and_named(catalog):
    with pytest.raises(ServiceError, match="gpt-5") as caught:
        catalog().resolve("gpt-5")

    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND


@pytest.mark.parametrize("how", [{"toml": 'unknown_model = "default"'}, {"RAPL_UNKNOWN_MODEL": "default"}])
def test_an_option_sends_unknown_models_to_the_default(catalog, how):
    assert catalog(**how).resolve("gpt-5").engine_model == "iic/SenseVoiceSmall"


def test_a_model_that_an_engine_discovered_is_found(catalog):
    found = Route("local/model", "local/model", "mlx")

    assert catalog().resolve("local/model", [found]) == found


def test_the_file_adds_backends_models_and_aliases(catalog):
    loaded = catalog(
        """
        default_model = "office"
        [backends.office]
        url = "http://127.0.0.1:9000/"
        remedy = "Ask Ada."
        [models.office]
        backend = "office"
        id = "iic/SenseVoiceSmall"
        [aliases]
        dictation = "rapl/selftest"
        """
    )

    assert loaded.resolve(None) == Route("office", "iic/SenseVoiceSmall", "office")
    assert loaded.resolve("dictation").engine_model == "rapl/selftest"
    assert loaded.resolve("whisper-1").model == "office"
    assert (loaded.backends["office"].url, loaded.backends["office"].remedy) == ("http://127.0.0.1:9000", "Ask Ada.")


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("default_model = ", '1: Invalid value. A text needs quotes: key = "value"'),
        (
            "# a comment\ndefault_model = no-quotes",
            '2:17: Invalid value. A text needs quotes: key = "value"',
        ),
        (
            "\ncolour = 1",
            "2: unknown key 'colour'. The keys here are default_model, unknown_model, backends, models, aliases,"
            " replacements, keywords, clients.",
        ),
        ('[alias]\na = "b"', "1: unknown key 'alias'. Is it 'aliases'?"),
        (
            '[backends.a]\nurl = "http://a"\n\n[backends.b]\nurl = [\n  "http://b",\n]\nparalel = 2',
            "8: unknown key 'paralel'. Is it 'parallel'?",
        ),
        ('[models.a]\nback_end = "mlx"\nbackend = "mlx"', "2: unknown key 'back_end'. Is it 'backend'?"),
        ("default_model = 3", '1: default_model: must be a text in quotes, such as default_model = "..."'),
        ('unknown_model = "maybe"', "1: unknown_model: must be one of 'error' or 'default'"),
        ('aliases = "a"', "1: aliases: must be a table: write a line [aliases] and its keys below it"),
        (
            'backends.a = {kind = "open", url = "http://a"}',
            "1: backends.a.kind: must be one of 'rapl' or 'openai'",
        ),
        ('[backends.a]\nkind = "openai"', "1: backends.a.url: is missing"),
        (
            '[backends.a]\nurl = [\n  "http://a",\n  "b:8020",\n]',
            "2: backends.a.url.1: 'b:8020' is not a URL. A URL begins with http:// or https://",
        ),
        (
            '[backends.a]\nurl = "http://a"\nparallel = "two"',
            "3: backends.a.parallel: must be a whole number, such as parallel = 4",
        ),
        (
            '[backends.a]\nurl = "http://a"\nparallel = 0',
            "3: backends.a.parallel: must be at least 1",
        ),
        (
            '[models.a]\nid = "x"\nbackend = "sensvoice"',
            "3: no backend is called 'sensvoice'. There are sensevoice, mlx; or define [backends.sensvoice]",
        ),
        (
            '[models.a]\nbackend = "mlx"\nfallback = ["iic/SenseVoiceSmal"]',
            "3: fallback: no model is called 'iic/SenseVoiceSmal'. Is it 'iic/SenseVoiceSmall'?",
        ),
        (
            '[models.a]\nbackend = "mlx"\nfallback = "b"',
            '3: models.a.fallback: must be a list, such as fallback = ["iic/SenseVoiceSmall"]',
        ),
        ('[aliases]\na = "no/such"', "2: no model is called 'no/such'. Define it below a line [models.\"no/such\"]"),
        (
            '[aliases]\nx = "rapl/selftest"\na = "x"',
            "3: 'x' is an alias too. Write the model's own name: a = 'rapl/selftest'",
        ),
        ('[aliases]\na = "a"', "2: the aliases a -> a are a circle. An alias must name a model"),
        (
            'default_model = "no/such"',
            "1: no model is called 'no/such'. Define it below a line [models.\"no/such\"]",
        ),
        (
            'default_model = "whisper-1"',
            "1: 'whisper-1' is another name for the default model."
            " Write a model's own name, such as 'iic/SenseVoiceSmall'",
        ),
        (
            '[backends.a]\nurl = "http://a"\nkey_env = "NO_SUCH_KEY"',
            "3: backend 'a' needs a key in the environment variable NO_SUCH_KEY, which is not set",
        ),
    ],
)
def test_an_invalid_file_is_refused_with_the_line_and_the_remedy(catalog, toml, line):
    with pytest.raises(ValueError, match=r"rapl\.toml") as caught:
        catalog(toml)

    assert str(caught.value) == f"rapl.toml:{line}"


def test_all_mistakes_of_a_file_are_named_at_once(catalog):
    with pytest.raises(ValueError, match=r"rapl\.toml") as caught:
        catalog('colour = 1\nunknown_model = "maybe"\n\n[aliases]\na = 1\n')

    assert sorted(line.split(": ")[0] for line in str(caught.value).splitlines()) == [
        "rapl.toml:1",
        "rapl.toml:2",
        "rapl.toml:5",
    ]


def test_each_alias_of_a_circle_is_named(catalog):
    with pytest.raises(ValueError, match="circle") as caught:
        catalog('[aliases]\na = "b"\nb = "a"\n')

    assert str(caught.value).splitlines() == [
        "rapl.toml:2: the aliases a -> b -> a are a circle. An alias must name a model",
        "rapl.toml:3: the aliases b -> a -> b are a circle. An alias must name a model",
    ]


def test_a_default_model_of_the_environment_is_named_by_its_variable(catalog):
    with pytest.raises(ValueError, match=r"^RAPL_DEFAULT_MODEL: no model is called 'no/such'\."):
        catalog(RAPL_DEFAULT_MODEL="no/such")


def test_a_file_in_the_folder_of_the_checkout_is_found_from_any_folder(catalog, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    catalog('[aliases]\ndictation = "rapl/selftest"')
    monkeypatch.chdir(tmp_path / "elsewhere")

    found = ModelCatalog.load(Settings(root=tmp_path))

    assert found.resolve("dictation").engine_model == "rapl/selftest"


def test_a_file_that_rapl_config_names_must_exist(monkeypatch):
    monkeypatch.setenv("RAPL_CONFIG", "no-such.toml")

    with pytest.raises(ValueError, match=r"'no-such\.toml' cannot be read: No such file or directory"):
        Settings()


def test_a_folder_with_the_files_name_is_ignored_because_docker_makes_one_for_a_mount_without_a_file(tmp_path):
    (tmp_path / "rapl.toml").mkdir()

    assert ModelCatalog.load(Settings(root=tmp_path)).resolve(None).engine_model == "iic/SenseVoiceSmall"
