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
    ("toml", "part"),
    [
        ("default_model = ", "rapl.toml"),
        ("colour = 1", "colour"),
        ('default_model = "no/such"', "no/such"),
        ('[models.a]\nbackend = "nobody"', "nobody"),
        ('[aliases]\na = "no/such"', "no/such"),
        ('unknown_model = "maybe"', "unknown_model"),
    ],
)
def test_an_invalid_file_is_refused_with_the_faulty_key(catalog, toml, part):
    with pytest.raises(ValueError, match=part):
        catalog(toml)
