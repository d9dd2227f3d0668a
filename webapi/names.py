"""What a user name and a password may be. PURE.

A name is stored as shown (Unicode NFKC) and claimed by its folded form, so that two names which look the same to
most eyes cannot both exist: `Ａlice`, `ALICE` and `alice` are one.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from core.errors import Invalid

NAME_LEAST: Final = 3
GUEST_LEAST: Final = 1  # claims nothing, so initials do
NAME_MOST: Final = 32
NAME_BYTES_MOST: Final = 96  # of the folded name, which is part of a key; casefolding may lengthen
PASSWORD_LEAST: Final = 8  # NIST SP 800-63B
PASSWORD_MOST: Final = 128  # argon2 takes any length; the line has to end somewhere

_MEANING: Final = ("L", "N")  # letters and digits of any script


def shown(name: str, least: int = NAME_LEAST) -> str:
    """The name as it is stored and shown. Raises Invalid with the rule that it breaks."""
    text = unicodedata.normalize("NFKC", name)
    if not least <= len(text) <= NAME_MOST:
        raise Invalid(f"a name has {least} to {NAME_MOST} characters; this has {len(text)}", pointer="/name")
    if text != " ".join(text.split()):
        raise Invalid("a name has no spaces at its ends and no two in a row", pointer="/name")
    for char in text:
        # str.isprintable refuses control, format (zero width, direction), private and unassigned characters.
        if not char.isprintable():
            raise Invalid(f"a name has printable characters only, not U+{ord(char):04X}", pointer="/name")
    if not any(unicodedata.category(char)[0] in _MEANING for char in text):
        raise Invalid("a name has at least one letter or digit", pointer="/name")
    if len(fold(text).encode()) > NAME_BYTES_MOST:
        raise Invalid(f"a name has at most {NAME_BYTES_MOST} bytes of UTF-8", pointer="/name")
    return text


def fold(name: str) -> str:
    """What makes two names the same: NFKC, casefold, NFKC again (Unicode 3.13, toNFKC_Casefold without ignorables)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def check_password(password: str, name: str, pointer: str = "/password") -> None:
    """Raise Invalid with the rule that a new password breaks; `pointer` says where it stands."""
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise Invalid(
            f"a password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters; this has {len(password)}",
            pointer=pointer,
        )
    if fold(password) == fold(name):
        raise Invalid("the password is the name", pointer=pointer)
