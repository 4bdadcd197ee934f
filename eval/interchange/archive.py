"""Zip archives whose members may be packed with Zstandard, which Python's zipfile reads from 3.14 on only."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...runtime.errors import BadInput

ZSTANDARD = 93
"""The method's number (PKWARE's APPNOTE 6.3.8, section 4.4.5)."""
_HEADER = struct.Struct("<26xHH")
"""Of a member's local header, the lengths of its name and its extra field."""


class Archive:
    """Members by name; of several of one name the last one counts, which replaces the others."""

    def __init__(self, file: zipfile.ZipFile, path: Path) -> None:
        self._file, self._path = file, path
        self._members = {member.filename: member for member in file.infolist()}

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def names(self, start: str) -> Iterator[str]:
        """The names that begin so, in the archive's order."""
        return (name for name in self._members if name.startswith(start))

    def read(self, name: str) -> bytes:
        """A member's bytes.

        Raises:
            BadInput: for a damaged member, or one packed by another method.
        """
        member = self._members[name]
        try:
            if member.compress_type != ZSTANDARD:
                return self._file.read(member)
            return self._unpack(member)
        except Exception as error:  # zlib, zipfile and zstandard have errors of their own
            raise BadInput(f"{self._path}, {name}: cannot be unpacked ({error})") from None

    def _unpack(self, member: zipfile.ZipInfo) -> bytes:
        import zstandard

        file = self._file.fp
        assert file is not None
        file.seek(member.header_offset)
        name, extra = _HEADER.unpack(file.read(_HEADER.size))
        file.seek(member.header_offset + _HEADER.size + name + extra)
        packed = file.read(member.compress_size)
        # inspect begins a new frame every 200 MiB
        with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as stream:
            data = stream.read()
        if zlib.crc32(data) != member.CRC:
            raise zipfile.BadZipFile("its checksum is wrong")
        return data


@contextmanager
def archive(path: Path) -> Iterator[Archive]:
    """The archive at a path.

    Raises:
        BadInput: where it is missing, or no archive.
    """
    try:
        with zipfile.ZipFile(path) as file:
            yield Archive(file, path)
    except zipfile.BadZipFile as error:
        raise BadInput(f"{path}: no zip archive, or a damaged one ({error})") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from None
