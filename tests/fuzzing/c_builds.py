"""Builds C programs with planted flaws and runs many inputs in one process, for the tests here."""

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

ASAN = ("-O1", "-g", "-fsanitize=address", "-fno-omit-frame-pointer")
STRICT = (*ASAN, "-fsanitize=undefined", "-fno-sanitize-recover=all")
HANG_SECONDS = 3

# Runs the inputs of a file, each in a block of its own size, and prints the flaw each reached.
DRIVER = r"""
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static jmp_buf out;
void planted_bug(int id) { longjmp(out, id); }
int main(int argc, char **argv) {
    FILE *in = argc > 1 ? fopen(argv[1], "rb") : NULL;
    uint32_t size;
    while (in != NULL && fread(&size, 4, 1, in) == 1) {
        uint8_t *volatile data = malloc(size ? size : 1);
        if (fread(data, 1, size, in) != size) return 3;
        int id = setjmp(out);
        if (id == 0) LLVMFuzzerTestOneInput(data, size);
        printf("%d\n", id);
        free(data);
    }
    return 0;
}
"""


def compiler():
    """Return the C compiler that is here; a machine without one fails the test."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))


def build(source, program, *flags, driver=False):
    """Compile one C file; with ``driver`` the program runs a file of inputs."""
    sources = [str(source)]
    if driver:
        main = Path(program).with_name("driver.c")
        main.write_text(DRIVER)
        sources.append(str(main))
    command = [compiler(), "-w", *flags, *sources, "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return Path(program)


def run(program, *arguments, seconds=60):
    """Return (exit status, what it said), status None where it did not end."""
    env = os.environ | {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    command = [str(program), *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, env=env, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def batch(program, inputs):
    """Run inputs in one process that must end well; return the flaw that each reached, 0: none."""
    path = Path(program).with_suffix(".inputs")
    path.write_bytes(b"".join(struct.pack("<I", len(data)) + data for data in inputs))
    status, said = run(program, path)
    assert status == 0, said[:2000]
    return [int(line) for line in said.split()]


def seen_as(program, data):
    """Return how AddressSanitizer calls the end of one input, ``hang``, or ``none``."""
    path = Path(program).with_suffix(".input")
    path.write_bytes(data)
    status, said = run(program, path, seconds=HANG_SECONDS)
    if status is None:
        return "hang"
    found = re.search(r"AddressSanitizer: (?:attempting )?([\w-]+)", said)
    return found[1] if status != 0 and found else "none"


def mutations(seeds, rng, n):
    """Return n inputs near the seeds: bytes set, doubled, dropped, copied from another seed."""
    made = []
    for _ in range(n):
        data = bytearray(seeds[rng.integers(len(seeds))])
        for _ in range(1 << int(rng.integers(1, 5))):
            at = int(rng.integers(len(data) + 1))
            size = int(rng.integers(1, 9))
            match int(rng.integers(5)):
                case 0:
                    data[at : at + 1] = bytes([int(rng.integers(256))])
                case 1:
                    data[at:at] = data[max(0, at - size) : at]
                case 2:
                    del data[at : at + size]
                case 3:
                    other = seeds[rng.integers(len(seeds))]
                    data[at : at + size] = other[at : at + size]
                case _:
                    data[at : at + 1] = bytes([int(rng.choice([0, 1, 16, 32, 127, 128, 255]))])
        made.append(bytes(data[:1024]))
    return made
