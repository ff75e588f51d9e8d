"""A PKCS #11 token in software, made anew for a test: SoftHSM."""

from __future__ import annotations

import ctypes
import importlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bus.trust.token_keys import close_tokens
from tests.hang_limits import HANG_SECONDS_MAX
from tests.interop.judges import missing, require_module

DRIVERS = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/softhsm/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/opt/homebrew/lib/softhsm/libsofthsm2.so"),
)
PIN = "so-pin-khong-ai-biet-4711"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class SoftToken:
    """A token with its folder, and the file of its PIN."""

    folder: Path
    driver: Path
    label: str
    pin_file: Path

    def hold(self, key: Any, *, label: str, key_id: str) -> None:
        """Put a private key into the token."""
        pem = self.folder / f"{label}.pem"
        pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self._tool("--import", str(pem), "--label", label, "--id", key_id, "--pin", PIN)
        pem.unlink()

    def _tool(self, *arguments: str) -> None:
        command = ["softhsm2-util", *arguments, "--token", self.label]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS_MAX)
        assert done.returncode == 0, done.stderr

    def lose_sessions(self) -> None:
        """Close every session of this process behind the hub's back, as a device that restarts."""
        library = ctypes.CDLL(str(self.driver))
        for slot in self._slots(library):
            library.C_CloseAllSessions(ctypes.c_ulong(slot))

    @staticmethod
    def _slots(library: ctypes.CDLL) -> list[int]:
        count = ctypes.c_ulong(32)
        slots = (ctypes.c_ulong * 32)()
        library.C_GetSlotList(ctypes.c_ubyte(1), slots, ctypes.byref(count))
        return list(slots[: count.value])

    def unplug(self) -> None:
        """Take the token away."""
        (self.folder / "tokens").rename(self.folder / "unplugged")
        (self.folder / "tokens").mkdir()

    def plug_in(self) -> None:
        """Bring it back."""
        (self.folder / "tokens").rmdir()
        (self.folder / "unplugged").rename(self.folder / "tokens")


def soft_tokens(folder: Path) -> Iterator[SoftToken]:
    """A token of its own below `folder`; skips where SoftHSM is missing, and fails in CI."""
    driver = next((path for path in DRIVERS if path.is_file()), None)
    if driver is None or shutil.which("softhsm2-util") is None:
        missing("SoftHSM")
    (folder / "tokens").mkdir(parents=True)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    pin_file = folder / "pin"
    pin_file.write_text(PIN + "\n")
    pin_file.chmod(0o600)
    # The driver reads this variable when it starts; this process has one driver for all tests.
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    token = SoftToken(folder, driver, f"lienthong-{next(_numbers)}", pin_file)
    pins = ["--so-pin", "12345678", "--pin", PIN]
    command = ["softhsm2-util", "--init-token", "--free", "--label", token.label, *pins]
    subprocess.run(command, check=True, capture_output=True, timeout=HANG_SECONDS_MAX)
    _start_driver_anew(driver)
    yield token


def _start_driver_anew(driver: Path) -> None:
    """Have this process's driver read the new configuration, and forget every older token."""
    require_module("pkcs11")
    pkcs11 = importlib.import_module("pkcs11")
    close_tokens()
    pkcs11.lib(str(driver)).reinitialize()
