"""Leaves out of a game server what it never uses. To be called before anything else is imported.

A game server pays for its memory and its start once per match. It speaks no TLS (Redis is next to it, players come
through the edge), yet asyncio and uvloop load OpenSSL: 5 MB and 15 ms. asyncio does without where `ssl` cannot be
imported; uvloop wants the names below to be there, and uses them only when it is asked for TLS.
"""

from __future__ import annotations

import sys
from types import ModuleType

_CLASSES = ("SSLContext", "MemoryBIO", "create_default_context")
_ERRORS = ("SSLError", "SSLWantReadError", "SSLSyscallError", "SSLZeroReturnError", "CertificateError")
# What msgspec knows the types of, and ZeroMQ sends objects with: neither is used here, and they take a megabyte.
_UNUSED = {"decimal": ("Decimal",), "pickle": ()}
_PICKLE = {"DEFAULT_PROTOCOL": 4}
_NUMBERS = {"SSL_ERROR_WANT_READ": 2, "SSL_ERROR_WANT_WRITE": 3, "SSL_ERROR_SYSCALL": 5}


def leave_out() -> None:
    """Keep OpenSSL and typing_extensions from being imported by this process; `import ssl` fails from now on.

    ZeroMQ and msgspec are loaded with stand-ins for `pickle` and `decimal`: no socket sends objects, and no model has
    decimals.
    """
    if "ssl" in sys.modules or "asyncio" in sys.modules:
        raise RuntimeError("too late: asyncio has been imported")
    # msgspec imports it where it is installed, and works without: 5 MB.
    _block("typing_extensions")
    # OpenSSL's hashes; hashlib and hmac have their own.
    _block("_hashlib")
    _block("ssl")
    import asyncio  # noqa: F401 - it must meet the blocked ssl, and uvloop imports it

    sys.modules["ssl"] = _absent_ssl()
    import uvloop  # noqa: F401

    _block("ssl")
    _load_without()


def _load_without() -> None:
    """Load the libraries that ask for a module only to know its types, or for what a game server never does."""
    for name, names in _UNUSED.items():
        stub = ModuleType(name, "not loaded: see gamepod.slim")
        vars(stub).update({one: type(one, (), {}) for one in names})
        vars(stub).update(_PICKLE if name == "pickle" else {})
        sys.modules[name] = stub
    import msgspec  # noqa: F401

    import core.doorbell  # noqa: F401 - it loads ZeroMQ

    for name in _UNUSED:
        del sys.modules[name]  # whoever imports it from now on gets the real one


def _block(name: str) -> None:
    sys.modules[name] = None  # type: ignore[assignment]  # documented: import raises ModuleNotFoundError


def _absent_ssl() -> ModuleType:
    """A module with the names that uvloop looks up when it is imported, none of which does anything."""
    stub = ModuleType("ssl", "not loaded: a game server speaks no TLS")
    vars(stub).update({name: type(name, (), {}) for name in _CLASSES})
    vars(stub).update({name: type(name, (OSError,), {}) for name in _ERRORS})
    vars(stub).update(_NUMBERS)
    return stub
