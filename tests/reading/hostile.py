"""What a worker runs in the tests: everything that a parser may do of hostile bytes."""

import os
import sys
import time

ECHO, CRASH, HANG, SPIN, HOARD, FLOOD, OPEN, PRINT, RAISE, LIE = range(10)


def hostile(mode, data):
    """Answer with the data, or misbehave."""
    yield from DEEDS.get(mode, lambda: ())() or ()
    yield bytes(data)
    yield b""


def spin():
    while True:
        pass


def flood():
    while True:
        yield bytes(1 << 20)


def open_a_file():
    try:
        os.close(os.open("/etc/passwd", os.O_RDONLY))
        yield b"opened"
    except OSError as err:
        yield err.strerror.encode()


def print_noise():
    sys.stdout.write("noise")
    sys.stdout.flush()
    yield b"quiet"


DEEDS = {
    CRASH: lambda: os.kill(os.getpid(), 11),
    HANG: lambda: time.sleep(60),
    SPIN: spin,
    HOARD: lambda: [str(len([bytearray(1 << 28) for _ in range(100)])).encode()],
    FLOOD: flood,
    OPEN: open_a_file,
    PRINT: print_noise,
    RAISE: lambda: 1 / 0,
    # a length beyond all bounds, from a worker that was taken over
    LIE: lambda: [b"", b""][: os.write(3, b"\xfe" * 8) - 8],
}
