"""A file that arrives in pieces is the same file, in memory or on disk."""

import errno
import mmap
import os

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.upload import Upload, UploadStorage


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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG, errno.EMFILE])
async def test_a_disk_that_fails_is_an_error_with_the_reason_and_the_upload_is_closed(monkeypatch, number):
    def fail(**_: object) -> None:
        raise OSError(number, os.strerror(number), "/secret/folder")

    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    storage = UploadStorage(1000)
    with pytest.raises(ServiceError, match=os.strerror(number)) as caught:
        await received(Upload(100, storage), bytes(200))

    assert caught.value.code is ErrorCode.STORAGE_FAILED
    assert "/secret" not in caught.value.message
    assert storage.used_bytes == 0


async def test_what_is_stored_at_once_is_limited_and_given_back(tmp_path):
    storage = UploadStorage(1000)
    first, second = await received(Upload(100, storage), bytes(600)), Upload(100, storage)
    with pytest.raises(ServiceError) as caught:
        await received(second, bytes(600))

    assert caught.value.code is ErrorCode.OVERLOADED
    assert storage.used_bytes == 600
    first.close()
    first.close()
    assert storage.used_bytes == 0
    with await received(Upload(100, storage), bytes(2000)):
        assert storage.used_bytes == 2000
    with await received(Upload(100, storage), bytes(100)):
        assert storage.used_bytes == 0
