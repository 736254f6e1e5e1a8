"""A machine with an engine is lost: its network ends, and nothing closes the connections to it."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from engine_processes import EngineProcess
from rapl_protocol.testing import FakeTranscriber
from services import ServiceProcess, free_port, until
from swarm_node import NAMESPACE, OUTSIDE, SECOND_ADDRESS, network_of_two, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nsenter"), reason="needs root, for a network")
MODEL = "iic/SenseVoiceSmall"
PORT = 8020
ENGINE = f"""
import sys
import uvicorn
from rapl_protocol.testing import FakeTranscriber
from rapl_service.engine_app import transcriber_app
uvicorn.run(transcriber_app(FakeTranscriber("{MODEL}", delay_s=300)), host="{SECOND_ADDRESS}", port={PORT})
"""
"""An engine that works on its first segment for as long as the test runs."""


@contextmanager
def engine_on_the_other_machine(folder: Path) -> Iterator[str]:
    command = ["nsenter", f"--net=/run/netns/{NAMESPACE}", sys.executable, "-c", ENGINE]
    with (folder / "engine").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://{SECOND_ADDRESS}:{PORT}"
    finally:
        process.kill()
        process.wait(20)


def segments_of(gateway: ServiceProcess, url: str) -> int | None:
    """How many segments the replica has; None if it cannot be reached."""
    backends = httpx.get(f"{gateway.url}/v1/status").json()["backends"]
    [sensevoice] = [each for each in backends if each["name"] == "sensevoice"]
    [replica] = [each for each in sensevoice["replicas"] if url == f"http://{each['host']}"]
    return replica["running_segments"] if replica["state"] == "ok" else None


@pytest.mark.parametrize("is_streamed", [False, True], ids=["a whole text", "a stream"])
async def test_a_segment_that_a_lost_machine_has_is_transcribed_by_another(tmp_path, sample, is_streamed):
    with ExitStack() as stack:
        stack.enter_context(network_of_two())
        lost = stack.enter_context(engine_on_the_other_machine(tmp_path))
        other = EngineProcess(FakeTranscriber(MODEL, text="from the other one"), port=free_port())
        environ = {"RAPL_SENSEVOICE_URL": f"{lost},{other.url}", "RAPL_ROOT": str(tmp_path)}
        gateway = ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", tmp_path / "gateway", **environ)
        await asyncio.to_thread(gateway.start)
        stack.callback(gateway.stop)
        form = {"model": MODEL, "stream": str(is_streamed).lower()}
        async with httpx.AsyncClient(base_url=gateway.url, timeout=120) as http:
            await wait("the engine is ready", lambda: segments_of(gateway, lost) == 0)
            answer = asyncio.create_task(
                http.post("/v1/audio/transcriptions", data=form, files={"file": ("sample.wav", sample)})
            )
            await wait("it works", lambda: segments_of(gateway, lost) == 1)
            async with other:
                await wait("the other one is ready", lambda: segments_of(gateway, other.url) == 0)
                run("ip", "link", "set", OUTSIDE, "down")
                text = (await answer).text

    assert "from the other one" in text


async def wait(what: str, condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, what, condition)
