r"""What a text may be, in the same way everywhere: names, ids of sensors, references, scenarios, actors, search terms.

Two texts that look the same must be the same, and a text must look like what it is. So every text has one form
(``normal``), and is validated in that form (``fault_of``):

1. It is in Unicode's composed form (NFC), without those invisible characters that change nothing that one sees (zero
   width space, soft hyphen, byte order mark and the like): a copy from a web page brings them along unseen. Joiners,
   variation selectors and direction marks stay, because emoji and the scripts of several languages need them.
2. It holds no character of ``Fault``: none that controls a device, breaks a line, changes the direction of what
   follows, or is no character at all. A text of several lines also has line ends (``\n``) and tabs.
3. It shows something, where it is more than nothing: invisible characters alone are no text.

Most texts are plain ASCII, which is quickly said.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum


class Fault(StrEnum):
    """Why a text cannot be taken."""

    CONTROL = "a control character"
    LINE_SEPARATOR = "a line or paragraph separator"
    DIRECTION = "a character that changes the direction of the text"
    NONCHARACTER = "a code point that is no character"
    SURROGATE = "half of a surrogate pair"
    FORMAT = "a format character that is not shown"
    INVISIBLE = "nothing that can be seen"


# Left out of every text, because they change nothing that one sees: soft hyphen, Mongolian vowel separator, zero width
# space, word joiner, invisible operators, byte order mark.
_LEFT_OUT = "\u00ad\u180e\u200b\u2060-\u2064\ufeff"
_NO_CHARACTERS = "\ufdd0-\ufdef" + "".join(f"{chr(n * 0x10000 + 0xFFFE)}{chr(n * 0x10000 + 0xFFFF)}" for n in range(17))
_CLASSES: dict[Fault, str] = {
    Fault.CONTROL: "\x00-\x1f\x7f-\x9f",
    Fault.LINE_SEPARATOR: "\u2028\u2029",
    Fault.DIRECTION: "\u202a-\u202e\u2066-\u2069",
    Fault.NONCHARACTER: _NO_CHARACTERS,
    Fault.SURROGATE: "\ud800-\udfff",
    # Deprecated formats, annotations, tags. Tags hide a second text in the first; only the flags of regions need them.
    Fault.FORMAT: "\u206a-\u206f\ufff9-\ufffb\U000e0000-\U000e007f",
}
# What shows nothing by itself: white space, what Unicode calls ignorable by default, and the blanks among the letters
# (fillers of Hangul) and symbols (a Braille pattern without a dot, an empty note head).
_UNSEEN = re.compile(
    r"[\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]*"
)
_LONGEST = 8_192
"""Characters of the longest text that is put into its form: composing takes the square of a run of accents. No text of
the product may be as long, but for whole files."""
_OUT = re.compile(f"[{_LEFT_OUT}]")
_FAULTY = re.compile("|".join(f"(?P<{fault.name}>[{characters}])" for fault, characters in _CLASSES.items()))
_REGION_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")
_LINE_ENDS = re.compile("\r\n?")


def is_plain(text: str) -> bool:
    """Say quickly whether a text of one line is surely good and in its one form; most texts are."""
    return text.isascii() and text.isprintable()


def normal(text: str, *, lines: bool = False) -> str:
    r"""Return ``text`` normalized, whether it is valid or not. With ``lines`` it has lines, which end in ``\n``."""
    if lines and "\r" in text:
        text = _LINE_ENDS.sub("\n", text)
    if text.isascii() or len(text) > _LONGEST:
        return text
    return unicodedata.normalize("NFC", _OUT.sub("", text))


def fault_of(text: str, *, lines: bool = False) -> Fault | None:
    """Say why a text in its one form cannot be taken; None where it can. An empty text has no fault."""
    if is_plain(text):
        return None
    seen = text if text.isascii() else _REGION_FLAG.sub("\U0001f3f4", text)
    if lines:
        seen = seen.replace("\n", " ").replace("\t", " ")
    found = _FAULTY.search(seen)
    if found is not None:
        return Fault[str(found.lastgroup)]
    # White space alone is blank, which some texts may be; it is not what somebody takes for a text.
    return Fault.INVISIBLE if not seen.isspace() and _shows_nothing(seen) else None


def why_not(fault: Fault) -> str:
    """Say in words what a text must be, which ``fault`` says that it is not."""
    return "Must show something." if fault is Fault.INVISIBLE else f"Must not hold {fault}."


def is_blank(text: str) -> bool:
    """Say whether a text shows nothing: it is empty, or white space, or invisible."""
    return _shows_nothing(text)


def _shows_nothing(text: str) -> bool:
    # Accents alone have nothing to stand on: they lie over what comes before them, whatever that is. Most texts show
    # something at once, and long ones are read no further.
    return all(_UNSEEN.fullmatch(each) or unicodedata.category(each).startswith("M") for each in text)
