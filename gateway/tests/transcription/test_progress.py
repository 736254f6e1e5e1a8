import io
import logging

import pytest
from rapl_gateway.transcription.progress import ProgressDisplay


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_long_transcription_has_a_bar():
    terminal = Terminal()
    display = ProgressDisplay("req_0123456789", out=terminal)

    display.show(1800.0, 3600.0)
    display.close()

    assert "req_01234567" in terminal.getvalue()
    assert "50%|" in terminal.getvalue()


def test_without_a_terminal_it_has_a_line_now_and_then(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "rapl")

    ProgressDisplay("req_1", line_every_s=0.0).show(90.0, 3600.0)

    [record] = caplog.records
    assert record.getMessage().startswith("request_id=req_1 transcribed_s=90 of=3600 times_real_time=")


def test_a_dictation_shows_no_progress(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "rapl")

    ProgressDisplay("req_1", line_every_s=0.0).show(30.0, 30.0)

    assert not caplog.records
