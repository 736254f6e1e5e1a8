"""Attack: uploads that fill the disk."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from raw_http import BOUNDARY, Target, answer_of, form, get, post
from services import ServiceProcess
from small_disk import free_bytes, small_disk

MIB = 1 << 20
DISK_BYTES = 4 * MIB
NOWHERE = "http://127.0.0.1:9"
LIMIT_S = 60


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, DISK_BYTES) as mounted:
        yield mounted


@pytest.fixture
def gateway(tmp_path: Path, disk: Path) -> Iterator[ServiceProcess]:
    urls = dict.fromkeys(("RAPL_PREPROCESS_URL", "RAPL_SENSEVOICE_URL", "RAPL_MLX_URL"), NOWHERE)
    settings = {**urls, "RAPL_ROOT": str(tmp_path), "TMPDIR": str(disk)}
    with ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", tmp_path / "gateway", **settings) as process:
        yield process


@pytest.fixture
def preprocess(tmp_path: Path, disk: Path) -> Iterator[ServiceProcess]:
    name, port = "rapl_preprocess", "RAPL_PREPROCESS_PORT"
    with ServiceProcess(sys.executable, name, port, tmp_path / "preprocess", TMPDIR=str(disk)) as process:
        yield process


def sent(gateway: ServiceProcess, size_bytes: int, *, sized: bool = True) -> httpx.Response:
    body = form(bytes(size_bytes), model="rapl/selftest")
    content = body if sized else (body[at : at + MIB] for at in range(0, len(body), MIB))
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return httpx.post(f"{gateway.url}/v1/audio/transcriptions", content=content, headers=headers, timeout=60)


async def stored_bytes(target: Target) -> float:
    """Bytes of uploads in temporary files."""
    _, metrics = await target.send(get("/metrics"))
    [value] = re.findall(rb"^rapl_stored_upload_bytes (\S+)$", metrics, re.MULTILINE)
    return float(value)


def require_507(answer: httpx.Response, reason: str) -> None:
    error = answer.json()["error"]
    assert (answer.status_code, answer.headers["x-should-retry"]) == (507, "false")
    assert (error["type"], error["code"]) == ("server_error", "storage_failed")
    assert reason in error["message"]
    assert "TMPDIR" in error["message"]


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("mebibytes", [5, 40])
def test_an_upload_that_fills_the_disk_is_a_507_and_its_space_is_given_back(gateway, disk, mebibytes, sized):
    before = free_bytes(disk)

    require_507(sent(gateway, mebibytes * MIB, sized=sized), "No space left on device")
    assert free_bytes(disk) == before
    assert str(disk) in gateway.log.read_text()


def test_on_a_full_disk_small_uploads_are_served_and_large_ones_again_when_there_is_room(gateway, disk):
    filler = disk / "filler"
    filler.write_bytes(bytes(DISK_BYTES - 64_000))

    require_507(sent(gateway, 2 * MIB), "No space left on device")
    assert sent(gateway, 100_000).status_code == 503  # no engine runs: the upload itself was accepted
    filler.unlink()
    assert sent(gateway, 2 * MIB).status_code == 503


def test_a_folder_that_does_not_exist_is_a_507_and_no_other_folder_is_taken(tmp_path):
    settings = {"RAPL_ROOT": str(tmp_path), "TMPDIR": str(tmp_path / "missing")}
    with ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", tmp_path / "gateway", **settings) as gateway:
        require_507(sent(gateway, 2 * MIB), "No such file or directory")


@pytest.mark.parametrize("route", ["prepare", "clip"])
def test_preprocess_service_on_a_full_disk_answers_507_and_gives_the_space_back(preprocess, disk, route):
    before = free_bytes(disk)
    answer = httpx.post(f"{preprocess.url}/v1/{route}", content=bytes(8 * MIB), timeout=60)

    require_507(answer, "No space left on device")
    assert free_bytes(disk) == before


async def test_what_is_uploaded_at_once_is_bounded(attack):
    target = await attack(max_stored_upload_bytes=4 * MIB)
    large = post(form(bytes(3 * MIB)))
    reader, writer = await target.connect()
    writer.write(large[: -MIB // 2])
    await writer.drain()
    async with asyncio.timeout(LIMIT_S):
        while await stored_bytes(target) < 1.5 * MIB:  # up to 1 MiB of the 2.5 MiB stays in memory
            pass

    status, answer = await target.send(large)
    assert status == 429
    assert b'"overloaded"' in answer
    assert b"retry-after: 30" in answer
    assert (await target.send(post(form())))[0] == 200  # a dictation needs no file
    writer.write(large[-MIB // 2 :])
    assert (await answer_of(reader))[0] in (400, 503)  # zeros are no audio
    writer.close()
    assert (await target.send(large))[0] in (400, 503)


async def test_one_upload_may_be_larger_than_the_bound_if_it_is_alone(attack):
    target = await attack(max_stored_upload_bytes=MIB)

    assert (await target.send(post(form(bytes(3 * MIB)))))[0] in (400, 503)


async def test_space_of_a_client_that_leaves_is_given_back(attack):
    target = await attack(max_stored_upload_bytes=4 * MIB)
    large = post(form(bytes(3 * MIB)))
    for _ in range(5):
        _, writer = await target.connect()
        writer.write(large[: -MIB // 2])
        await writer.drain()
        writer.transport.abort()

    async with asyncio.timeout(LIMIT_S):
        while (status := (await target.send(large))[0]) == 429:
            pass
    assert status in (400, 503)
