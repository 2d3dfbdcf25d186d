"""Codes of languages: ISO 639-1, and which of them are written without spaces between words."""

from __future__ import annotations

import re

# "jw" is what Whisper calls Javanese, "sh" and "bh" are withdrawn codes that corpora still carry.
_TWO_LETTERS = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de
dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id
ie ig ii ik io is it iu ja jv jw ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt
lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt
qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn
to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
ISO_639_1 = frozenset(_TWO_LETTERS.split())

SPLIT_INTO_LETTERS = frozenset({"zh", "yue", "ja", "th", "lo", "my"})
"""Written without spaces; appendix C of Radford et al. 2022 counts their letters as words."""

_THREE_LETTERS = re.compile(r"[a-z]{3}")


def check_language(code: str) -> None:
    """A code of two letters must be one of ISO 639-1; any three letters pass, as ISO 639-3.

    Raises:
        ValueError: neither; names the codes that begin likewise.
    """
    if code not in ISO_639_1 and not _THREE_LETTERS.fullmatch(code):
        near = [one for one in sorted(ISO_639_1) if one[0] == code[:1].lower()]
        of = f" Those in {code[0].lower()} are {', '.join(near)}." if near else ""
        raise ValueError(
            f"There is no language {code!r}. A language is named by its ISO 639 code, in small "
            f"letters: two, such as en or it, or three where it has no such code.{of}"
        )
