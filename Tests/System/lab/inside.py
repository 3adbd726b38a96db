"""Makes a thread of a running process make system calls, as whoever has taken it over would: by ptrace, on x86-64 alone."""

import contextlib
import ctypes
import os
import platform

from .waiting import wait_until

IS_POSSIBLE = platform.machine() == "x86_64"

_SEIZE, _INTERRUPT, _GETREGS, _SETREGS, _SYSCALL, _CONT, _DETACH = 0x4206, 0x4207, 12, 13, 24, 7, 17
_ALL, _STOPPED_BY_CALL = 0x40000000, 0x80
_TRACE_CALLS = 1
_CALL = b"\x0f\x05"
"""The instruction `syscall`."""
_NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs "
          "gs").split()

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


class _Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in _NAMES]


def _ptrace(request, thread, address=0, data=0):
    if _libc.ptrace(request, thread, address, data) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace: {os.strerror(number)}")


@contextlib.contextmanager
def inside(process, thread=None):
    """Stops a thread that waits in a system call, and lends it; afterwards it goes on as if nothing had been."""
    thread = thread or process
    _ptrace(_SEIZE, thread, 0, _TRACE_CALLS)
    lent = Inside(process, thread)
    try:
        # One that has work, or no processor, waits a little later.
        wait_until(lent.stop, "the thread waits in a system call", interval=0.01)
        yield lent
    finally:
        _ptrace(_DETACH, thread)


class Inside:
    def __init__(self, process, thread):
        self.process, self.thread = process, thread

    def stop(self):
        """Stops the thread if it waits in a system call; returns whether it does."""
        _ptrace(_INTERRUPT, self.thread)
        os.waitpid(self.thread, _ALL)
        if self._read(self._registers().rip - 2, 2) == _CALL:
            return True
        _ptrace(_CONT, self.thread)
        return False

    def call(self, number, *arguments):
        """Makes one call; texts and bytes are put beside the stack. What it returns, or -errno."""
        before = self._registers()
        registers = _Registers.from_buffer_copy(before)
        place = before.rsp - 16384
        values = []
        for argument in arguments:
            if isinstance(argument, (str, bytes)):
                content = (argument.encode() if isinstance(argument, str) else argument) + b"\0"
                self._write(place, content)
                values.append(place)
                place += -(-len(content) // 16) * 16
            else:
                values.append(argument)
        for name, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), values + [0] * 6):
            setattr(registers, name, value & 0xffff_ffff_ffff_ffff)
        # It stands behind the instruction that made the call in which it waits.
        registers.rip, registers.rax, registers.orig_rax = before.rip - 2, number, 0xffff_ffff_ffff_ffff
        assert self._read(registers.rip, 2) == _CALL, "the thread does not wait in a system call"
        self._set(registers)
        for _ in range(2):
            _ptrace(_SYSCALL, self.thread)
            _, status = os.waitpid(self.thread, _ALL)
            assert os.WIFSTOPPED(status), f"the thread ended: {status:#x}"
        result = ctypes.c_longlong(self._registers().rax).value
        # A call that was interrupted is made again.
        if ctypes.c_longlong(before.rax).value in (-4, -512, -513, -514, -516):
            before.rax = 0xffff_ffff_ffff_fffc
        before.orig_rax = 0xffff_ffff_ffff_ffff
        self._set(before)
        return result

    def _registers(self):
        registers = _Registers()
        _ptrace(_GETREGS, self.thread, 0, ctypes.addressof(registers))
        return registers

    def _set(self, registers):
        _ptrace(_SETREGS, self.thread, 0, ctypes.addressof(registers))

    def _read(self, address, count):
        with open(f"/proc/{self.process}/mem", "rb", 0) as memory:
            memory.seek(address)
            return memory.read(count)

    def _write(self, address, content):
        with open(f"/proc/{self.process}/mem", "r+b", 0) as memory:
            memory.seek(address)
            memory.write(content)
