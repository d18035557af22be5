"""A small parser in C with planted bugs, built as a user would; and one in Python."""

import shutil
import subprocess

import pytest

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *volatile kept;

static int name(const unsigned char *b, size_t n) {
  char *copy = malloc(8);
  if (n > 3 && b[2] == '!') memcpy(copy, b, n);
  int first = copy[0];
  free(copy);
  return first;
}

static int ratio(const unsigned char *b, size_t n) {
  return n > 3 ? 100 / (b[3] - 'x') : 0;
}

int main(int argc, char **argv) {
  unsigned char b[4096];
  FILE *f = argc > 1 ? fopen(argv[1], "rb") : stdin;
  if (!f) return 1;
  size_t n = fread(b, 1, sizeof b, f);
#ifdef GREEDY
  if (n && b[0] == 'G')
    for (;;) kept = memset(malloc(1 << 20), 1, 1 << 20);
#endif
  if (n < 2) return 0;
  if (b[0] == 'N') return name(b, n) & 1;
  if (b[0] == 'R') return ratio(b, n) & 1;
#ifdef SLEEPY
  if (b[0] == 'Z') for (;;) sleep(1);
#endif
  return 0;
}
"""
ADDRESS = {"AFL_USE_ASAN": "1"}


def build(folder, name, *flags, compiler="afl-clang-fast", env=None, source=SOURCE):
    """Build a program and return its path; skip where the compiler is missing."""
    found = shutil.which(compiler)
    if found is None:
        pytest.skip(f"{compiler} is not installed; .ci/run installs it from Debian's afl++")
    file = folder / "parser.c"
    file.write_text(source)
    subprocess.run(
        [found, *flags, "-g", "-O1", "-w", "-o", str(folder / name), str(file)],
        check=True, capture_output=True, timeout=120,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "AFL_QUIET": "1", **(env or {})},
    )  # fmt: skip
    return folder / name


PACKAGE = '''
class NoteError(Exception):
    """What this package raises on purpose."""


def loads(text: str) -> dict[str, str]:
    """Read notes of the form ``key: value``."""
    found = {}
    for line in text.splitlines():
        if not line:
            continue
        if ":" not in line:
            raise NoteError("no colon")
        key, rest = line.split(":", 1)
        if key == "n":
            found[key] = int(rest)
        elif key == "a":
            found[key] = rest.split(",")[1]
        elif key == "w":
            while rest.startswith("w"):
                pass
        else:
            found[key] = rest
    return found
'''


def package(folder):
    """Write a package of notes, and return the folder it can be imported from."""
    (folder / "notes").mkdir(parents=True)
    (folder / "notes" / "__init__.py").write_text(PACKAGE)
    return folder
