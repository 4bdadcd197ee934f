"""What the sandbox asks of Linux: namespaces, Landlock, privileges, and the processes below this one.

Imported by ``jail.py`` alone, as a module beside it. System calls by number are the same on every architecture
(those since 2019). Sources: unshare(2), mount_setattr(2), landlock(7), capset(2), user_namespaces(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import sys
from typing import Any, NamedTuple

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_NOSUID, _NODEV, _BIND, _REC, _PRIVATE = 2, 4, 4096, 16384, 1 << 18
_MOUNT_SETATTR, _LANDLOCK = 442, (444, 445, 446)
_READ, _FILE = 0b1101, 0b101
"""Landlock's rights to run and read files and list folders, and those of them that a file has."""

_FIRST_USER, _NOBODY = 0x70000000, 65534

SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache")
"""What Python and its libraries need of the system, to read."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")

_libc = ctypes.CDLL(None, use_errno=True)


class Inside(NamedTuple):
    """Which namespaces hold: a root folder of its own, process ids, network; and all protections in words."""

    root: bool = False
    pids: bool = False
    net: bool = False

    @property
    def held(self) -> dict[str, str]:
        """Each protection by what it rests on."""
        abi = _libc.syscall(_LANDLOCK[0], None, 0, 1)
        return {
            "files": "own root" if self.root else "Landlock" if abi > 0 else "permissions of the user alone",
            "network": "network namespace" if self.net else "Python's sockets refused",
            "processes": "process namespace" if self.pids else "watched by their ancestor",
        }


def _called(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def die_with_parent() -> None:
    """SIGKILL for this process when its parent ends."""
    _called(_libc.prctl(1, 9, 0, 0, 0))


def adopt_orphans() -> None:
    """Processes that lose their parent below this one become its children, and cannot escape its watch."""
    _called(_libc.prctl(36, 1, 0, 0, 0))


def identity() -> int:
    """The user, and group, that a submission runs as.

    Root is left for a user of this one run, which owns nothing and whose processes are counted apart; where such a
    number is not mapped, for nobody. Another user stays itself.
    """
    if os.geteuid():
        return os.geteuid()
    with open("/proc/self/uid_map") as text:
        mapped = [tuple(map(int, line.split())) for line in text]
    own = _FIRST_USER + os.getpid()
    return own if any(first <= own < first + size for first, _, size in mapped) else _NOBODY


def counted(others: int, *, apart: bool) -> int:
    """How many processes count against the limit of a submission's user before its first.

    Args:
        others: the threads that the user runs already.
        apart: whether the user is in a namespace of users of its own, which since Linux 5.14 counts apart: this
            process, and the one that watches.
    """
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    return 2 if apart and release >= (5, 14) else others


def readable_by_all(folder: str) -> bool:
    """Whether every user may enter a folder and those above it."""
    while folder != "/":
        if os.stat(folder).st_mode & 0o005 != 0o005 and os.stat(folder).st_mode & 0o001 == 0:
            return False
        folder = os.path.dirname(folder)
    return True


def enter(folder: str, disk: int) -> Inside:
    """Enter new namespaces, with a root of its own in ``folder``; none where the system does not permit it."""
    uid, gid = os.geteuid(), os.getegid()
    flags = _NEWNS | _NEWIPC | _NEWPID | _NEWNET | (_NEWUSER if uid else 0)
    if _libc.unshare(flags):
        return Inside()
    try:  # some systems give the namespaces and refuse what one may do in them
        if uid:
            for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
        _mount("none", "/", None, _REC | _PRIVATE)
        _new_root(folder, disk)
    except OSError:
        return Inside(pids=True, net=True)
    return Inside(root=True, pids=True, net=True)


def mount_proc() -> None:
    """Show the processes of the new namespace in /proc; where that is not permitted, they are not seen."""
    with contextlib.suppress(OSError):
        _mount("proc", "/proc", "proc", _NOSUID | _NODEV)


def drop(uid: int, folder: str, *, landlock: bool) -> None:
    """Give up every privilege for good, and with Landlock all files but the system's and those of the folder."""
    _called(_libc.prctl(38, 1, 0, 0, 0))  # no program that is run gains a privilege
    if os.geteuid() == 0:
        if landlock:
            os.chown(folder, uid, uid)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    _called(_libc.capset(header, none))
    die_with_parent()  # a change of user forgets it
    if landlock:
        _landlock([sys.base_prefix, *SYSTEM], folder)


def descendants() -> list[int]:
    """The ids of all processes below this one, as far as /proc shows them."""
    below: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if fields[0] != b"Z":
                below.setdefault(int(fields[1]), []).append(int(name))
    found = list(below.get(os.getpid(), []))
    for pid in found:
        found += below.get(pid, [])
    return found


def memory(pids: list[int]) -> int:
    """Bytes in memory of several processes; pages that they share count for each."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/statm") as file:
                total += int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            continue
    return total


def tasks_of(uid: int) -> int:
    """How many threads a user runs."""
    count = 0
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == uid:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    given: Any = None if kind is None else kind.encode()
    _called(_libc.mount(source.encode(), target.encode(), given, ctypes.c_ulong(flags), data.encode()))


def _new_root(folder: str, disk: int) -> None:
    """In a folder: a small file system in memory, with the system's folders to read and ``/box`` to write."""
    _mount("tmpfs", folder, "tmpfs", _NOSUID | _NODEV, f"size={disk},nr_inodes=2000,mode=755")
    bound: list[str] = []
    for source in (*SYSTEM, os.path.realpath(sys.base_prefix), *DEVICES):
        target = folder + source
        if not os.path.exists(source) or any(source.startswith(other + "/") or source == other for other in bound):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
            continue
        if os.path.isdir(source):
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
        _mount(source, target, None, _BIND | _REC)
        if source not in DEVICES:  # read-only and without set-user-id
            attributes = struct.pack("QQQQ", 0x3, 0, 0, 0)
            _called(_libc.syscall(_MOUNT_SETATTR, -100, target.encode(), 0x8000, attributes, len(attributes)))
        bound.append(source)
    if not os.path.exists(folder + sys.base_prefix):  # the way to Python leads over a link
        os.makedirs(os.path.dirname(folder + sys.base_prefix), exist_ok=True)
        os.symlink(os.path.realpath(sys.base_prefix), folder + sys.base_prefix)
    os.mkdir(folder + "/box")
    os.chmod(folder + "/box", 0o777)


def _landlock(readable: list[str], writable: str) -> None:
    version = _libc.syscall(_LANDLOCK[0], None, 0, 1)
    if version < 1:
        return
    rights = (1 << (13 + (version >= 2) + (version >= 3) + (version >= 5))) - 1
    given = struct.pack("QQQ", rights, 0b11, 0b11)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _called(_libc.syscall(_LANDLOCK[0], given, len(given), 0))
    for path in (*readable, *DEVICES, writable):
        if os.path.exists(path):
            allowed = rights if path == writable else _READ if os.path.isdir(path) else _FILE
            if path == "/dev/null":
                allowed |= 0b10
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            _called(_libc.syscall(_LANDLOCK[1], ruleset, 1, struct.pack("=Qi", allowed, place), 0))
            os.close(place)
    _called(_libc.syscall(_LANDLOCK[2], ruleset, 0))
    os.close(ruleset)
