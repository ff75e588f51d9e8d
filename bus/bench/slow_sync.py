"""Make each sync take longer, as on a disk that is not in this machine: a library before libc.

It needs a C compiler; there is none on many machines, and then it is said so.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bus.bench.programs import ProgramFailed

COMPILE_SECONDS_MAX = 60
_MICROSECONDS = "LIENTHONG_SLOW_SYNC_US"
_COMPILERS = ("cc", "gcc", "clang")
_SOURCE = f"""\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_a_while(void)
{{
    const char *text = getenv("{_MICROSECONDS}");
    long us = text ? atol(text) : 0;
    struct timespec span = {{us / 1000000, us % 1000000 * 1000}};
    if (us > 0)
        nanosleep(&span, 0);
}}

int fsync(int file)
{{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_a_while();
    return next(file);
}}

int fdatasync(int file)
{{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_a_while();
    return next(file);
}}
"""


def slow_sync_environment(folder: Path, milliseconds: float) -> dict[str, str]:
    """What a program's environment needs for each of its syncs to take so much longer.

    The library is built in `folder`; 0: nothing is needed. Raises ProgramFailed.
    """
    if not milliseconds:
        return {}
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise ProgramFailed("slower syncs need a C compiler (cc), and there is none")
    source, library = folder / "slow_sync.c", folder / "slow_sync.so"
    source.write_text(_SOURCE, "ascii")
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    built = subprocess.run(
        command, capture_output=True, text=True, timeout=COMPILE_SECONDS_MAX, check=False
    )
    if built.returncode:
        raise ProgramFailed(f"{compiler} did not build what slows syncs: {built.stderr.strip()}")
    return {"LD_PRELOAD": str(library), _MICROSECONDS: str(round(milliseconds * 1000))}
