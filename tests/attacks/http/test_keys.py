"""Attack: guessing a key, or finding a path that requires none."""

import hmac

import pytest
from rapl_gateway.app import create_app
from rapl_gateway.security.startup_checks import tls_of
from rapl_gateway.settings import Settings
from raw_http import form, get, post

KEYS = ("sk-first-of-three", "sk-second", "sk-third")


@pytest.mark.parametrize(
    "guess", ["", "sk-first-of-thre", "sk-first-of-three1", "SK-FIRST-OF-THREE", "é" * 10, "sk-first-of-three,"]
)
async def test_key_guessing_an_almost_correct_key_is_refused(attack, guess):
    target = await attack(api_keys=",".join(KEYS))
    status, answer = await target.send(post(form(), f"authorization: Bearer {guess}"))

    assert status == 401
    assert not [key for key in KEYS if key.encode() in answer]


async def test_key_guessing_by_timing_a_guess_is_compared_with_every_key_in_constant_time(attack, monkeypatch):
    target = await attack(api_keys=",".join(KEYS))
    compared: list[tuple[int, int]] = []

    def compare(given: bytes, known: bytes) -> bool:
        compared.append((len(given), len(known)))
        return real(given, known)

    real = hmac.compare_digest
    monkeypatch.setattr("rapl_service.http.tokens.hmac.compare_digest", compare)
    for guess in (KEYS[0], KEYS[2], "x", "x" * 10_000):
        compared.clear()
        await target.send(get("/v1/models", f"authorization: Bearer {guess}"))
        assert compared == [(32, 32)] * 3


@pytest.mark.parametrize(
    "path", ["/health/../v1/models", "/health/%2e%2e/v1/models", "//v1/models", "/v1//models", "/health/x/v1/models"]
)
async def test_another_spelling_of_a_path_still_requires_a_key(attack, path):
    target = await attack(api_keys="sk-only")
    status, answer = await target.send(get(path))

    assert status in (401, 404)
    assert b"SenseVoice" not in answer


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "stt.example.com"])
def test_on_a_network_address_without_keys_it_does_not_start(host):
    with pytest.raises(ValueError, match="RAPL_API_KEYS"):
        create_app(Settings(host=host))


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "127.0.0.1"},
        {"host": "::1"},
        {"host": "localhost"},
        {"host": "0.0.0.0", "api_keys": "sk-a"},
        {"host": "0.0.0.0", "allow_anyone": "yes"},
        {"host": "0.0.0.0", "publish": "127.0.0.1"},
    ],
)
def test_it_starts_on_loopback_or_with_keys_or_with_allow_anyone(settings):
    assert create_app(Settings(**settings))


def test_a_container_published_on_the_network_does_not_start_without_keys():
    with pytest.raises(ValueError, match=r"0\.0\.0\.0"):
        create_app(Settings(host="0.0.0.0", publish="0.0.0.0"))


def test_a_certificate_without_its_key_ends_the_start(tmp_path):
    (tmp_path / "cert").touch()

    with pytest.raises(ValueError, match=r"^RAPL_TLS_KEY: "):
        tls_of(Settings(tls_cert=tmp_path / "cert"))
