"""A seccomp filter leaves a program the system calls for computing, and no others.

It denies new processes and threads, so that the limits of one process bound the whole sample, and
the parts of the kernel that a pure function has no use for.
"""

from __future__ import annotations

import errno
import platform
import struct

from ..errors import SandboxError

__all__ = ["filter_program"]

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_X32 = 0x40000000

# Numbers from the kernel's syscall tables (arch/x86/entry/syscalls/syscall_64.tbl and
# include/uapi/asm-generic/unistd.h).
_COMMON = {
    "io_uring": (425, 426, 427),
    "mount api": (428, 429, 430, 431, 432, 433, 442),
    "memfd_secret": (447,),
}
_X86_64 = {
    "processes": (56, 57, 58),
    "system v": (29, 30, 31, 64, 65, 66, 67, 68, 69, 70, 71),
    "sockets": (41,),
    "namespaces": (272, 308, 155, 161, 165, 166),
    "other processes": (101, 310, 311, 312, 434, 438),
    "keys": (248, 249, 250),
    "kernel": (135, 163, 167, 168, 169, 175, 176, 179, 246, 313, 320),
    "tracing": (298, 300, 303, 304, 321, 323),
    "memory files": (319, 240),
}
_AARCH64 = {
    "processes": (220,),
    "system v": (186, 187, 188, 189, 190, 191, 192, 193, 194, 195, 196),
    "sockets": (198,),
    "namespaces": (97, 268, 41, 51, 40, 39),
    "other processes": (117, 270, 271, 272, 434, 438),
    "keys": (217, 218, 219),
    "kernel": (92, 89, 224, 225, 142, 105, 106, 60, 104, 273, 294),
    "tracing": (241, 262, 264, 265, 280, 282),
    "memory files": (279, 180),
}
_CLONE3 = 435
_ARCHITECTURES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}


def filter_program(machine: str | None = None) -> bytes:
    """Return the filter as classic BPF, for the given machine or this one.

    Raises
    ------
    SandboxError
        There is no table of system calls for the machine.

    """
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURES:
        raise SandboxError(
            f"no system call filter for {machine} (only {', '.join(_ARCHITECTURES)}): "
            "benchmarks that run code cannot be measured here"
        )
    architecture, groups = _ARCHITECTURES[machine]
    denied = sorted({number for group in (groups, _COMMON) for n in group.values() for number in n})
    program = [
        _instruction(_LOAD, 4),
        _instruction(_JUMP_EQUAL, architecture, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, 0),
        _instruction(_JUMP_AT_LEAST, _X32, 0, 1),
        _instruction(_RETURN, _ERRNO | errno.EPERM),
        _instruction(_JUMP_EQUAL, _CLONE3, 0, 1),
        _instruction(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    for number in denied:
        program.append(_instruction(_JUMP_EQUAL, number, 0, 1))
        program.append(_instruction(_RETURN, _ERRNO | errno.EPERM))
    return b"".join([*program, _instruction(_RETURN, _ALLOW)])


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)
