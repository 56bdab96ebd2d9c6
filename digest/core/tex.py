r"""Titles and abstracts as a person reads them: `$\beta$` is β, `x^{n+1}` is xⁿ⁺¹, and money stays money.

Papers bring the TeX of their authors, whole or with its dollars and backslashes lost on the way.
What can be said in Unicode is; what cannot keeps its words and loses its markup.
What makes no sense as TeX is shown as it was given.

No library does this: pylatexenc takes `$5 and $10` for mathematics and `%` for a comment, flatlatex takes
all of a text for mathematics, unicodeit leaves dollars and fractions, and none says what came from where.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from html.entities import html5

from digest.core.plain import ACCENT, ACCENTS, ENTITY, KEY, LETTERS, SYMBOLS, Plain

# Left out of what is compared, too; but joiners and variation selectors make emoji and Persian words.
_HIDDEN = "\u00ad\u034f\u200b\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_SIMPLE = re.compile(rf"[^\\$&^_~{{}}`{_HIDDEN}]*\Z")
_LOST_TIMES = re.compile(r"\dtimes(?![a-z])")
_LOST_SIM = re.compile(r"sim\d")

# Unicode's own decompositions say which characters have a raised or a lowered form.
_RAISED, _LOWERED = (
    {
        chr(int(parts[1], 16)): chr(code)
        for block in ((0xB2, 0xB4), (0xB9, 0xBA), (0x2B0, 0x2B9), (0x2E1, 0x2E4), (0x1D2C, 0x1D6B),
                      (0x1D9C, 0x1DC0), (0x2070, 0x209D), (0x2C7C, 0x2C7E))
        for code in range(*block)
        if (parts := unicodedata.decomposition(chr(code)).split()) and parts[0] == way
    }
    for way in ("<super>", "<sub>")
)  # fmt: skip
_RAISED |= {"-": "⁻", "∘": "°", "⊤": "ᵀ", "⋆": "*"} | {mark: mark for mark in "*∗′″°†‡'’"}
_LOWERED |= {"-": "₋"}
_SCRIPTS = {"^": _RAISED, "_": _LOWERED}

# The names of HTML's entities are those of TeX and AMS (ISO 9573-13), but for these.
_NAMED = {
    **SYMBOLS,
    "ell": "ℓ", "infty": "∞", "to": "→", "gets": "←", "neq": "≠", "ne": "≠", "le": "≤", "ge": "≥", "ll": "≪",
    "gg": "≫", "pm": "±", "mp": "∓", "in": "∈", "ni": "∋", "wp": "℘", "Re": "ℜ", "Im": "ℑ", "lt": "<",
    "gt": ">", "land": "∧", "lor": "∨", "lnot": "¬", "neg": "¬", "exists": "∃", "partial": "∂", "cdot": "·",
    "circ": "∘", "star": "⋆", "ast": "∗", "mid": "|", "vert": "|", "lvert": "|", "rvert": "|", "lVert": "‖",
    "rVert": "‖", "dots": "…", "ldots": "…", "dotsc": "…", "textellipsis": "…", "cdots": "⋯", "dotsb": "⋯",
    "vdots": "⋮", "ddots": "⋱", "implies": "⟹", "iff": "⟺", "smallsetminus": "∖", "oslash": "⊘",
    "preceq": "≼", "succeq": "≽", "asymp": "≍", "iint": "∬", "triangle": "△", "degree": "°",
    "textdegree": "°", "pounds": "£", "euro": "€", "texteuro": "€", "copyright": "©", "texttrademark": "™",
    "textregistered": "®", "S": "§", "P": "¶", "lbrace": "{", "rbrace": "}", "textbackslash": "\\",
    "textasciitilde": "~", "textasciicircum": "^", "textunderscore": "_", "textbar": "|", "textless": "<",
    "textgreater": ">", "textendash": "–", "textemdash": "—", "textmu": "µ", "cmark": "✓", "xmark": "✗",
    "xrightarrow": "→", "xleftarrow": "←", "quad": " ", "qquad": " ", "newline": " ", "eg": "e.g.",
    "ie": "i.e.", "etal": "et al.",
}  # fmt: skip
_FUNCTIONS = frozenset({
    "arccos", "arcsin", "arctan", "arg", "argmax", "argmin", "bmod", "cos", "cosh", "cot", "csc", "deg",
    "det", "dim", "exp", "gcd", "hom", "inf", "ker", "lg", "lim", "liminf", "limsup", "ln", "log", "max",
    "min", "mod", "poly", "polylog", "Pr", "sec", "sin", "sinh", "softmax", "sup", "tan", "tanh",
})  # fmt: skip
_SILENT = frozenset({
    "left", "right", "middle", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "bigm", "Bigl", "Bigr", "Bigm",
    "biggl", "biggr", "Biggl", "Biggr", "displaystyle", "textstyle", "scriptstyle", "limits", "nolimits",
    "tiny", "scriptsize", "footnotesize", "small", "normalsize", "large", "Large", "LARGE", "huge", "Huge",
    "bfseries", "itshape", "scshape", "ttfamily", "rmfamily", "sffamily", "mdseries", "upshape", "boldmath",
    "centering", "noindent", "par", "protect", "xspace", "mathit", "mathrm", "mathbf", "mathsf", "mathtt",
    "boldsymbol", "bm", "nonumber", "notag", "item", "bf", "cal", "em", "it", "rm", "sc", "sf", "sl", "tt",
})  # fmt: skip
_NO_OPERATORS = "∞∂∇∑∏∫∬∮√∀∃∅¬…⋯⋮⋱ℓ|‖⟨⟩⌈⌉⌊⌋"  # signs of mathematics that are no operators
_KINDS = {
    "textsuperscript": "^", "textsubscript": "_", "sqrt": "√", "footnote": "(", "thanks": "(",
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac", "nicefrac", "sfrac"), "/"),
    "mathbb": "opf;", "mathcal": "scr;", "mathscr": "scr;",
    "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303", "bar": "\u0304",
    "overline": "\u0304", "vec": "\u20d7", "dot": "\u0307", "ddot": "\u0308", "check": "\u030c",
    "acute": "\u0301", "grave": "\u0300", "breve": "\u0306", "mathring": "\u030a", "not": "\u0338",
}  # fmt: skip
_ESCAPED = {
    **dict.fromkeys(",;: \n\t", " "),
    **dict.fromkeys("-!/()[]", ""),
    **{sign: sign for sign in "%&_#${}"},
    "|": "‖",
}

_TO_RAISED = str.maketrans(_RAISED)
_LONGEST = 20_000  # characters
_LONG = 400  # characters between braces that are looked at
_AS_WORD = 3  # letters from which a script is a word: `L_{max}`
_SHORT = 24  # pieces of a script or a fraction that are looked at; whatever is longer stands in parentheses
_ATOM = re.compile(r"[\w.%°′∞∂∇ℓ\u0300-\u036f]*|\([^()]*\)")
# Words stay words, but where they would be read as another script.
_WORDS = {"_": re.compile(r"[^\W\d_]+"), "^": re.compile(r"[^\W\d_][a-zα-ω]*")}
_BARE = re.compile(r"(?<![^\W_])(?:math(?:rm|bf|bb|cal|sf|it)|text(?:bf|it|tt|sc|rm)?|emph|operatorname)\Z")
_PROSE = re.compile(r"\s(?!(?:log|exp|min|max|mod|sin|cos|tan)\b)[A-Za-z]{3,}")
_COMMAND_WITH_TEXT = re.compile(r"\\[A-Za-z]+(?:\{[^{}]*\})?")
_ANOTHER = re.compile(r"\\(?!left|[bB]ig|[^A-Za-z])")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_MARKED = re.compile(r"\\[A-Za-z]|[\^_]")
_UNESCAPED = re.compile(r"\\([_%&#~$])")
_ESCAPED_TWICE = re.compile(r"\A(?:amp;)+")
_SPACE = re.compile(r"\s*")
_ROOT = re.compile(r"\s*\[([^\[\]]{1,9})\]")
_ARGUMENT = re.compile(r"\s*(?:(\{)|([^\\{}^_$&\s]))")
_SCRIPT_ARGUMENT = re.compile(r"\s*(?:(\{)|([-+]?\d+|[^\\{}^_$&\s]))")

_SCRIPT_OF_PROSE = re.compile(r"[\^_](?=[\w{\\])")

_COMMON = rf"""
    (?P<entity>&(?:amp;)*{ENTITY.removeprefix("&")})
  | (?P<key>\((?:{KEY}[\s,;]*)++\)|\[(?:{KEY}[\s,;]*)++\]|{KEY}
      | \\(?:[Cc]ref|nameref|pageref|begin|end|textcolor|color|hspace|vspace)\*?\{{[^{{}}]*\}}
      | \\href\s*\{{[^{{}}]*\}}(?=\s*\{{))
  | \\url\s*\{{(?P<address>[^{{}}]*)\}}
  | \\(?P<command>[A-Za-z]+)\*?
  | (?P<break>\\\\(?:\[[\w.]*\])?)
  | \\(?P<escaped>[^A-Za-z])
"""
# The first line is for speed alone: most places are refused by one look at one character.
_TEXT = re.compile(
    rf"""
    (?=[\\$&^_~{{}}`'\-:([{_HIDDEN}]|(?<=\d)t|\b(?:cdot|ell_|sim\d))(?:
    (?P<web>://(?:[^\s<>"{{}}\\^`$]|\\[_%&\#~])*+)
  | \$\$(?P<display>[^$\\]*+(?:\\.[^$\\]*+)*+)\$\$
  | \$(?P<inline>[^$\\]++(?:\\.[^$\\]*+)*+|(?:\\.[^$\\]*+)++)\$
  | \\\((?P<round>(?:[^\\]|\\[^()\[\]])*+)\\\)
  | \\\[(?P<square>(?:[^\\]|\\[^()\[\]])*+)\\\]
  | (?P<accent>{ACCENT})
  | \\(?P<letters>{"|".join(sorted(LETTERS, key=len, reverse=True))})(?![A-Za-z])(?:\s+|\{{\}})?
  | {_COMMON}
  | (?P<lost>(?<=\d)times(?![a-z])|\bcdot\b|\bell(?=_\d)|\bsim(?=\d[\d.]*(?:\\?%|times))
      | \{{(?:times|sim|simeq|approx|pm|mp|leq|geq|neq|cdot|rightarrow|to|infty)\}})
  | (?P<up>(?:(?<=[^\W_])|(?<=[)\]}}]))\^(?=\{{|\*|[-+]?\d|\\[A-Za-z])
      | (?:(?<=[\d)\]}}])|(?<=[\W_][^\W\d_])|(?<=\A[^\W\d_]))\^(?=[A-Za-z](?![a-z])))
  | (?P<down>(?<=[^\W_])_(?=\{{)
      | (?:(?<=[^\w/.@\\-][^\W\d_])|(?<=\A[^\W\d_])|(?<=\bell))
        _(?=\d+(?![\da-z_])|[A-Za-z](?![\w@.]\w|[\w@])))
  | (?P<open>(?<!`)``(?!`)(?=[^`]*?''))
  | (?P<close>(?<!')''(?!'))
  | (?P<dash>(?<![-!])(?:(?<=[^\s<"'(\[/`=])---?(?![->])|---?(?=\s)))
  | (?P<tie>(?:(?<=[^\W\d])|(?<=[.,;:)\]}}%’”$!?]))~(?=[^\W\d]|[(\[\\$“"`])|(?<=\d)~(?=[^\W\d]|[(\[\\$])
      |(?:(?<=[^\W\d]{{3}})|(?<=\.))~(?=\d))
  | (?P<brace>[{{}}])
  | (?P<hidden>[{_HIDDEN}]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_MATHS = re.compile(
    rf"""
    {_COMMON}
  | (?P<script>[\^_])
  | (?P<brace>[{{}}])
  | (?P<tie>[~&])
  | (?P<hidden>[{_HIDDEN}]+)
  | (?P<run>[^\\{{}}^_~&{_HIDDEN}]+ | .)
    """,
    re.VERBOSE | re.DOTALL,
)


def readable(original: str) -> Plain:
    """The text as it is shown, in Unicode and without markup; linear in its length, and never an error.

    What is longer than any abstract is shown as it was given: a million braces take five seconds.
    """
    is_plain = _SIMPLE.match(original) and "--" not in original and not _has_lost(original)
    if is_plain or len(original) > _LONGEST:
        return Plain(original)
    return _Reader(original).read()


def _has_lost(original: str) -> bool:
    """Whether a backslash is missed; what begins with plain letters is looked for at almost no cost."""
    return ("times" in original and bool(_LOST_TIMES.search(original))) or bool(_LOST_SIM.search(original))


@dataclass(slots=True)
class _Piece:
    """A stretch of what is shown; one as long as its original stands character by character."""

    text: str
    start: int
    end: int


@dataclass(slots=True)
class _Frame:
    """An argument that is being read; without a brace it is the next thing that comes."""

    kind: str  # a script, a root, a fraction and so on: see `_Reader._close`
    first: int  # its first piece
    braced: bool


class _Reader:
    """Goes through a text once; what is open is a list, not the stack of Python, so depth does no harm."""

    def __init__(self, original: str) -> None:
        self.original = original
        self.pieces: list[_Piece] = []
        self.frames: list[_Frame] = []
        self.quoted = 0
        self.braces = _pairs(original) if "{" in original else {}

    def read(self) -> Plain:
        self._text(0, len(self.original))
        starts: list[int] = []
        ends: list[int] = []
        for piece in self.pieces:
            if len(piece.text) == piece.end - piece.start:
                starts.extend(range(piece.start, piece.end))
                ends.extend(range(piece.start + 1, piece.end + 1))
            else:
                starts.extend([piece.start] * len(piece.text))
                ends.extend([piece.end] * len(piece.text))
        return Plain("".join(piece.text for piece in self.pieces), starts, ends)

    # The two languages.

    def _text(self, at: int, end: int) -> None:
        """Prose, with mathematics in it."""
        while at < end:
            if self._awaits() and (after := self._argument(at, end)):
                at = after
                continue
            found = _TEXT.search(self.original, at, end)
            self._show(at, found.start() if found else end)
            if not found:
                break
            at = self._markup(found) if found.lastgroup not in _MATHS.groupindex else self._shared(found, end)
        self._close_all(0)

    def _markup(self, found: re.Match[str]) -> int:
        """Show a piece of markup that only prose has; gives where to go on."""
        start, end = found.span()
        match found.lastgroup:
            case "web":
                return self._web(start, end)
            case "display" | "inline" | "round" | "square" as way:
                if way == "inline" and not _is_maths(found["inline"], self.original[end : end + 1]):
                    self._show(start, start + 1)
                    return start + 1
                self._done()
                self._maths(*found.span(way))
            case "accent" | "letter":
                letter = found["letter"].lstrip("\\") + ACCENTS[found["accent"][1]]
                self._put(unicodedata.normalize("NFC", letter), start, end)
            case "letters":
                self._put(LETTERS[found["letters"]], start, end)
            case "lost":
                self._put(_symbol(found["lost"].strip("{}")), start, end)
            case "up" | "down":
                self._open(found[0], start, end)
            case "open":
                self.quoted += 1
                self._put("“", start, end)
            case "close":
                self._put("”" if self.quoted else "''", start, end)
                self.quoted = max(0, self.quoted - 1)
            case _:  # a dash
                self._put("—" if end - start == 3 else "–", start, end)  # noqa: PLR2004 - as TeX has it
        return end

    def _maths(self, at: int, end: int) -> None:
        """Mathematics, in which the space at either end means nothing."""
        base, first = len(self.frames), len(self.pieces)
        end = at + len(self.original[at:end].rstrip())
        at = _after_space(self.original, at, end)
        while at < end:
            if self._awaits() and (after := self._argument(at, end)):
                at = after
                continue
            found = _MATHS.match(self.original, at, end)
            assert found  # noqa: S101 - its last line takes whatever comes
            match found.lastgroup:
                case "script":
                    self._open(found[0], at, at + 1)
                    at += 1
                case "run":
                    self._show(self._past_double_space(at, end), found.end())
                    at = found.end()
                case _:
                    at = self._shared(found, end, (base, first))
        self._close_all(base)

    def _shared(self, found: re.Match[str], limit: int, maths: tuple[int, int] | None = None) -> int:
        """Show markup that both know; gives where to go on."""
        start, end = found.span()
        match found.lastgroup:
            case "entity":
                # `&amp;lt;` was escaped twice, as pages that are made from feeds often are.
                shown = html.unescape("&" + (_ESCAPED_TWICE.sub("", found[0][1:]) or "amp;"))
                self._put(re.sub(f"[{_HIDDEN}]", "", shown), start, end)
            case "key":
                return self._drop(start, end, limit)
            case "address":
                self._put(_UNESCAPED.sub(r"\1", found["address"]), start, end)
            case "command":
                return self._command(found["command"], start, end, limit, maths)
            case "break":
                return self._space(start, end, limit)
            case "escaped":
                shown = _ESCAPED.get(found["escaped"], found[0])
                if shown == " ":
                    return self._space(start, end, limit)
                self._put(shown, start, end)
            case "tie":
                self._put("\N{NO-BREAK SPACE}", start, end)
            case "brace":
                self._brace(found[0], start, maths)
            case _:  # what is hidden
                pass
        return end

    def _command(self, name: str, start: int, end: int, limit: int, maths: tuple[int, int] | None) -> int:
        """Show what a command stands for, or its name, or open its argument; gives where to go on."""
        takes = self.original.startswith("{", end, limit)
        kind = _KINDS.get(name) if maths or takes else None
        if kind == "√" and (root := _ROOT.match(self.original, end, limit)):
            self._open(kind, start, root.end(), root[1].translate(_TO_RAISED) + kind)
            return root.end()
        if kind:
            self._open(kind, start, end, kind if kind == "√" else "")
            return end
        if takes and self.original.startswith("}", end + 1, limit):
            end += 2
        elif takes and name not in _NAMED:
            self._open("\\", start, end)
            return end
        if name in _SILENT:
            if name in {"left", "right", "middle"} and self.original.startswith(".", end, limit):
                end += 1
            return end if name == "xspace" else _after_space(self.original, end, limit)
        if _NAMED.get(name) == " ":
            return self._space(start, end, limit)
        if maths is None or self._awaits():
            shown = _symbol(name)
            self._put(shown or name, start, end)
            if maths is None and shown and (script := _SCRIPT_OF_PROSE.match(self.original, end)):
                self._open(script[0], end, end + 1)
                return end + 1
            return end
        before = self._last() if len(self.pieces) > maths[1] else ""
        shown, end = self._spaced(name, before, end, limit)
        self._put(shown, start, end)
        return end

    def _spaced(self, name: str, before: str, end: int, limit: int) -> tuple[str, int]:
        """What a command of mathematics shows, and where what it shows ends.

        TeX sets the space around it by rule, so that the one which ends its name is there or not by chance.
        """
        shown = _symbol(name)
        gap = _after_space(self.original, end, limit)
        if name in _FUNCTIONS:
            space = " " if before.isalnum() or before in {")", "]"} else ""
            return f"{space}{name}{' ' if _ANOTHER.match(self.original, end, limit) else ''}", end
        if not shown:
            return name, end
        kind = unicodedata.category(shown[0])
        if kind == "Ps" or name in {"lvert", "lVert"}:
            return shown, gap
        if (kind == "Pe" or name in {"rvert", "rVert"}) and before.isspace():
            self._trim()
        if shown == "·" or name == "mid" or (kind == "Sm" and shown not in _NO_OPERATORS):
            if not before.isspace():
                return shown, gap
            tight = gap == end < limit and self.original[end] not in "}^_"
            return (f"{shown} " if tight else shown), end
        if shown.isalpha() or shown in "∂∇∀∃":
            closes = gap < limit and (self.original[gap].isalnum() or self.original[gap] == "(")
            return shown, gap if closes else end
        return shown, end

    def _brace(self, brace: str, at: int, maths: tuple[int, int] | None) -> None:
        if brace == "{" and at not in self.braces:
            self._put("" if maths else brace, at, at + 1)
        elif brace == "{":
            kept = not maths and not self.frames and self._is_set(at, self.braces[at])
            if not maths and (name := _BARE.search(self.pieces[-1].text[-14:] if self.pieces else "")):
                self._shorten(len(name[0]))
            self._open("{" if kept else "", at, at + 1, brace if kept else "", braced=True)
        else:
            self._done()
            if len(self.frames) > (maths[0] if maths else 0):
                self._close(self.frames.pop(), at)
            elif not maths:
                self._put(brace, at, at + 1)

    def _is_set(self, at: int, close: int) -> bool:
        """Whether braces of prose are to be seen: `{True, False}` has lost its backslashes."""
        if close - at > _LONG or (at == 0 and close == len(self.original) - 1):
            return False
        inside = self.original[at + 1 : close]
        if not inside:
            return at == 0 or self.original[at - 1].isspace()
        return not inside.startswith("\\") and any(sign in inside for sign in ',"')

    def _web(self, start: int, end: int) -> int:
        r"""Show an address as it is, and beside it the words that its lost `\href` gave it."""
        shown = self.original[start:end]
        self._put(_UNESCAPED.sub(r"\1", shown), start, end)
        close = self.braces.get(end)
        if close is None or close - end > _LONG:
            return end
        if self.original.endswith(self.original[end + 1 : close], 0, end):
            return close + 1
        self._open("(", end, end + 1, braced=True)
        return end + 1

    # What is shown.

    def _show(self, start: int, end: int) -> None:
        if start < end:
            self.pieces.append(_Piece(self.original[start:end], start, end))

    def _put(self, shown: str, start: int, end: int) -> None:
        """Show one thing, which is the whole of an argument that awaits one."""
        if shown:
            self.pieces.append(_Piece(shown, start, end))
        self._done()

    def _space(self, start: int, end: int, limit: int) -> int:
        """Show one space, however many there are."""
        self._put("" if self._last().isspace() else " ", start, end)
        return _after_space(self.original, end, limit)

    def _past_double_space(self, at: int, end: int) -> int:
        return _after_space(self.original, at, end) if self._last().isspace() else at

    def _drop(self, start: int, end: int, limit: int) -> int:
        """Leave out a reference, with the space that would stand before a space or a full stop."""
        following = self.original[end] if end < limit else " "
        if following.isspace() or following in ".,;:!?)]":
            self._trim()
            if not self._last():
                end = _after_space(self.original, end, limit)
        return end

    def _trim(self) -> None:
        """Take back the space that was shown last."""
        for piece in self.pieces[-1:-4:-1]:
            kept = piece.text.rstrip()
            if len(piece.text) == piece.end - piece.start:
                piece.end = piece.start + len(kept)
            piece.text = kept
            if kept:
                break

    def _shorten(self, length: int) -> None:
        piece = self.pieces[-1]
        piece.text = piece.text[:-length]
        piece.end -= length

    def _last(self) -> str:
        """The last character shown; a few pieces are looked at, so that a million empty ones cost nothing."""
        return next((piece.text[-1] for piece in self.pieces[-1:-5:-1] if piece.text), "")

    # Arguments.

    def _awaits(self) -> bool:
        return bool(self.frames) and not self.frames[-1].braced

    def _open(self, kind: str, start: int, end: int, shown: str = "", *, braced: bool = False) -> None:
        self.frames.append(_Frame(kind, len(self.pieces), braced))
        self.pieces.append(_Piece(shown, start, end))

    def _argument(self, at: int, end: int) -> int | None:
        """Take a brace or a single character as the argument that is awaited; gives where to go on."""
        pattern = _SCRIPT_ARGUMENT if self.frames[-1].kind in _SCRIPTS else _ARGUMENT
        found = pattern.match(self.original, at, end)
        if found and found[2]:
            self._put(found[2], *found.span(2))
            return found.end()
        if found and self.braces.get(found.start(1), end) < end:
            self.frames[-1].braced = True
            return found.end()
        at = _after_space(self.original, at, end)
        if at < end and self.original[at] in "\\&":
            return None
        if found and self.frames[-1].kind == "\\":
            at += 1  # a brace that is never closed
        self._done()
        return at

    def _done(self) -> None:
        """Close every argument that was one thing long, now that it has come."""
        while self._awaits():
            if self._close(self.frames.pop()):
                break

    def _close_all(self, base: int) -> None:
        while len(self.frames) > base:
            self._close(self.frames.pop())

    def _after(self, brace: int | None) -> str | None:
        return None if brace is None else self.original[brace + 1 : brace + 2]

    def _close(self, frame: _Frame, brace: int | None = None) -> bool:
        """Give an argument its shape; whether another one follows it."""
        opening, content = self.pieces[frame.first], self.pieces[frame.first + 1 : frame.first + 2 + _SHORT]
        text = "".join(piece.text for piece in content).strip() if len(content) <= _SHORT else ""
        closing = ""
        match frame.kind:
            case "^" | "_":
                opening.text, closing = _script(frame.kind, content, text, self._after(brace))
            case "√" | "/" | "÷" if content and not (text and _ATOM.fullmatch(text)):
                opening.text, closing = f"{opening.text}(", ")"
            case "(":
                opening.text, closing = " (", ")"
            case "{":
                closing = "}"
            case kind if len(text) == 1:
                next(piece for piece in content if piece.text.strip()).text = _letter(kind, text)
        at = self.pieces[-1].end - 1 if brace is None else brace
        if closing:
            self.pieces.append(_Piece(closing, at, at + 1))
        if frame.kind == "/":
            self.frames.append(_Frame("÷", len(self.pieces), braced=False))
            self.pieces.append(_Piece("/", at, at + 1))
            return True
        if brace is not None:
            if frame.kind == "\\" and self.original.startswith("{", brace + 1):
                self.pieces.append(_Piece(" ", brace, brace + 1))
            self._done()
        return False


def _script(script: str, content: list[_Piece], text: str, after: str | None) -> tuple[str, str]:
    r"""Raise or lower what has such a form as a whole; gives what stands before and behind it.

    `after` is what follows its brace, if it had one: `k_{\rm B}T` is k_(B)T.
    """
    table, bare = _SCRIPTS[script], "".join(text.split())
    if not content:
        return (script if after is None else ""), ""
    if bare and all(char in table for char in bare) and not (len(bare) >= _AS_WORD and bare.isalpha()):
        for piece in content:
            piece.text = "".join(table.get(char, "") for char in piece.text)
        return "", ""
    if (len(text) == 1 or _WORDS[script].fullmatch(text)) and not (after or "").isalnum():
        return script, ""
    return f"{script}(", ")"


def _letter(kind: str, letter: str) -> str:
    """A letter in another alphabet or with an accent."""
    if kind in {"opf;", "scr;"}:
        named = html5.get(letter + kind, letter)
        return named if named <= "\uffff" else letter
    return unicodedata.normalize("NFC", letter + kind) if unicodedata.combining(kind[:1] or " ") else letter


def _symbol(name: str) -> str:
    """The character that a command stands for, if it does."""
    if name in _NAMED or name in _FUNCTIONS:  # HTML's `sup` and `deg` are signs
        return _NAMED.get(name, "")
    # Beyond the first plane the fonts of mail programs have gaps; of two letters are the macros of authors.
    named = html5.get(f"{name};", "") if len(name) > 2 else ""  # noqa: PLR2004
    return named if len(named) == 1 and named <= "\uffff" and named.isprintable() else ""


def _pairs(text: str) -> dict[int, int]:
    """Where the braces that are opened are closed."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for found in _BRACES.finditer(text):
        if found[0] == "{":
            opened.append(found.start())
        elif found[0] == "}" and opened:
            pairs[opened.pop()] = found.start()
    return pairs


def _after_space(text: str, at: int, end: int) -> int:
    return _SPACE.match(text, at, end).end()  # type: ignore[union-attr]  # it matches nothing, too


def _is_maths(content: str, following: str) -> bool:
    """Whether dollars around this are TeX's and not money: `$5 and $10`, `US$3 million`."""
    prose = _PROSE.search(_COMMAND_WITH_TEXT.sub("", content))
    if "\n\n" in content or (prose and (content[0].isdigit() or content[0].isspace())):
        return False
    if _MARKED.search(content) or not any(map(str.isalnum, content)):
        return True
    return not (prose or content[0].isspace() or content[-1].isspace() or following.isdigit())
