"""A file that arrives in pieces is the same file, in memory or on disk."""

import mmap

import pytest
from rapl_service.http.upload import Upload


async def received(upload: Upload, *pieces: bytes) -> Upload:
    for piece in pieces:
        upload.add(piece)
        await upload.spool()
    await upload.end()
    return upload


@pytest.mark.parametrize("pieces", [(), (b"",), (b"abc",), (b"abc", b"", b"def"), (bytes(50),) * 2])
async def test_a_small_file_stays_in_memory(pieces: tuple[bytes, ...]):
    with await received(Upload(100), *pieces) as upload:
        assert upload.file is None
        assert upload.size_bytes == len(b"".join(pieces))
        assert upload.content() == upload.content() == b"".join(pieces)


async def test_a_file_of_one_piece_is_that_piece():
    piece = bytes(100)

    with await received(Upload(100), piece) as upload:
        assert upload.content() is piece


@pytest.mark.parametrize("pieces", [(bytes(101),), (b"abc", bytes(98)), (b"ab" * 700_000, b"cd" * 700_000, b"e")])
async def test_a_large_file_is_on_disk_without_a_name_until_it_is_closed(pieces: tuple[bytes, ...]):
    with await received(Upload(100), *pieces) as upload:
        content = upload.content()
        assert isinstance(content, memoryview)
        assert isinstance(content.obj, mmap.mmap)
        assert content == b"".join(pieces)
        assert upload.size_bytes == len(content)
        assert upload.file is not None

    assert upload.file.closed
