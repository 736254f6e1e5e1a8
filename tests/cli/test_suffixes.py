"""`rapl transcribe FOLDER` takes every file whose suffix says that it has audio."""

from pathlib import Path

import av
import pytest
from av.format import ContainerFormat
from rapl_cli.transcription.recordings import MEDIA, find

ONLY_VIDEO_OR_IMAGES = """
264 265 266 apv av1 avc avif avs avs2 avs3 bitpacked cavs cdg cdxl xl cgi cif evc flm gif h261 h264 h265 h266 h26l heic
heif hevc ifv imx ipu j2k jxl mjpeg mjpg mpo mxg obu pdv qcif rcv rgb ser v v210 vc1 vvc y4m yuv yuv10
"""
SUBTITLES_AND_TEXTS = """
adf ans aqt art asc diz ice idf idx mcc mks mpl2 nfo pjs rt sami sbg scc smi stl sub sup txt vt vtt webvtt
"""
OF_GAMES = """
302 acm adp ads aix afc apc ast avr bcstm bfstm binka bit bmv brstm cdata daud dtk fap fsb fwse genh lvf mca mods
moflex msf mtaf musx mvi redspark rsd rso sdns sdr2 sds sdx sf sga son ss2 str svag svs usm vag vb vpk way xmd xmv xvag
yop
"""
WITHOUT_A_HEADER = "722 rco sb sln sw tco ub uw vqe vql"
OF_OTHER_PROGRAMS = "dat ty+"
SUFFIXES = ["qta", "QTA", "awb", "3ga", "weba", "spx", "w64", "m4r", "mts", "aifc", "qt", "ogx", "rm", "vob", "mxf"]


def known_to_libav() -> set[str]:
    found: set[str] = set()
    for name in av.formats_available:
        try:
            found |= set(ContainerFormat(name, "r").extensions)
        except ValueError:
            continue  # it can only be written
    return found


def test_every_suffix_that_libav_knows_is_taken_or_left_out_for_a_reason():
    left_out = f"{ONLY_VIDEO_OR_IMAGES} {SUBTITLES_AND_TEXTS} {OF_GAMES} {WITHOUT_A_HEADER} {OF_OTHER_PROGRAMS}".split()
    taken = {suffix.removeprefix(".") for suffix in MEDIA}

    assert known_to_libav() - taken == known_to_libav() & set(left_out)
    assert taken & set(left_out) == set()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_recording_in_a_folder_is_found_by_its_suffix(tmp_path: Path, suffix: str):
    recording = tmp_path / f"memo.{suffix}"
    recording.write_bytes(b"audio")

    assert find([str(tmp_path)]).files == [recording]


def test_a_transport_stream_is_found_and_a_source_file_with_the_same_suffix_is_not(tmp_path: Path):
    (tmp_path / "tv.ts").write_bytes(b"G@\x00\x10")
    (tmp_path / "main.ts").write_text("import { a } from './a';")
    (tmp_path / "empty.ts").touch()

    assert find([str(tmp_path)]).files == [tmp_path / "tv.ts"]


@pytest.mark.parametrize("name", ["notes.txt", "photo.heic", "memo.srt", "data.dat", "._memo.qta", ".memo.qta"])
def test_another_file_in_a_folder_is_left_out(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"no audio")

    assert find([str(tmp_path)]).files == []
