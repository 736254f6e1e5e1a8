"""How long a gateway that is stopped finishes its requests: RAPL_DRAIN_S."""

import asyncio
import signal
import sys

import httpx
import pytest
from engine_processes import EngineProcess, SerialTranscriber
from services import ServiceProcess, until


@pytest.mark.parametrize(("drain_s", "status"), [("1", 503), ("100", 200)])
async def test_a_request_in_work_is_finished_if_that_takes_no_longer_than_the_setting(
    tmp_path, sample, drain_s, status
):
    transcriber = SerialTranscriber()
    transcriber.may_work.clear()
    async with EngineProcess(transcriber) as engine:
        environ = {"RAPL_SENSEVOICE_URL": engine.url, "RAPL_DRAIN_S": drain_s, "RAPL_ROOT": str(tmp_path)}
        gateway = ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", tmp_path / "log", **environ)
        await asyncio.to_thread(gateway.start)
        async with httpx.AsyncClient(base_url=gateway.url, timeout=120) as http:
            form = {"model": "iic/SenseVoiceSmall"}
            answer = asyncio.create_task(http.post("/v1/audio/transcriptions", data=form, files={"file": sample}))
            await asyncio.to_thread(until, "the engine has it", lambda: transcriber.arrived == 1)
            gateway.signal(signal.SIGTERM)
            asyncio.get_running_loop().call_later(10, transcriber.may_work.set)
            found = (await answer).status_code
        await asyncio.to_thread(gateway.stop)

    assert found == status
