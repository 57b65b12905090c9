"""Which part of a language model's answer is its program, and when generation may stop because it stands there.

Answers are Markdown (CommonMark 0.31; fences are section 4.5), read by markdown-it. Of Python there is only a look at
single lines: text from a model is parsed as Python in a container, never here.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from markdown_it import MarkdownIt
from markdown_it.token import Token

LIMIT = 1 << 20  # characters; a longer answer is no program
WRAPPINGS = 3  # fences around fences that are opened
LANGUAGES = frozenset({"", "python", "python3", "py", "py3", "pytorch"})
WRAPPERS = frozenset({"", "markdown", "md", "text", "txt"})

NET = re.compile(r"^class[ \t]+Net[ \t]*[(:]", re.MULTILINE)
METHOD = re.compile(r"^[ \t]+def[ \t]", re.MULTILINE)
CONSTRUCTOR = re.compile(r"^[ \t]+def[ \t]+__init__\b", re.MULTILINE)
FORWARD = re.compile(r"^[ \t]+def[ \t]+forward\b", re.MULTILINE)
TRAINING = re.compile(r"^[ \t]+def[ \t]+(?:train_setup|learn)\b", re.MULTILINE)
HYPERPARAMETERS = "supported_hyperparameters"
TORCH = re.compile(r"^(?:import|from)[ \t]+torch\b", re.MULTILINE)
AFTER_CLASS = re.compile(r"^[A-Za-z_@]", re.MULTILINE)
SKETCHED = re.compile(r"^[ \t]*(?:#[ \t]*)?\.\.\.|^[ \t]*def[ \t]+\w+\([^()\n]*\.\.\.", re.MULTILINE)
NO_COLON = re.compile(r"^[ \t]*(?:class|def)[ \t]+\w+[ \t]*(?:\([^()\n]*\)[ \t]*)?(?:#.*)?$", re.MULTILINE)
DEFINED = re.compile(r"^[ \t]*(?:async[ \t]+)?(?:class|def)[ \t]+(\w+)", re.MULTILINE)
CONSTANT = re.compile(r"^([A-Z][A-Z0-9_]*)[ \t]*=", re.MULTILINE)
IMPORTED = re.compile(r"^(?:import|from)[ \t]+(.*)", re.MULTILINE)
STATEMENT = re.compile(r"^(?!(?:async[ \t]+def|class|def|import|from)\b)[A-Za-z_(\[{]", re.MULTILINE)
WORD = re.compile(r"\w+")

FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
INDENTED = re.compile(r"^[ \t]*(?=```|~~~)", re.MULTILINE)
MODULE = re.compile(
    r"^(?:import[ \t]+\w|from[ \t]+[\w.]+[ \t]+import\b|class[ \t]+\w+[(:]|def[ \t]+\w+\(|[A-Z_]+[ \t]*=|@\w|try:"
    r"""|[rR]?(?:\"{3}|'{3}))""",
    re.MULTILINE,
)
NO_CODE = re.compile(r"(?:[ \t]*(?:#.*)?\n)*")
OPENINGS = ("import ", "from ", "class ", "def ")
REASONING = r"(?:think|thinking|thoughts?|reasoning|analysis|scratchpad)"
TAG = re.compile(
    rf"^[ \t]*(?P<open><{REASONING}>|\[THINK\])|(?P<close></{REASONING}>|\[/THINK\])(?!['\"])"
    r"|<\|channel\|>(?P<channel>\w*)(?:[^\w<\n][^<\n]*)?<\|message\|>",
    re.MULTILINE | re.IGNORECASE,
)
OPEN_PROMPT = re.compile(rf"(?:<{REASONING}>|\[THINK\])\s*\Z", re.IGNORECASE)
BARE_CHANNEL = re.compile(r"analysis(?=[A-Z])")  # what is left of a channel if its marks are not written out
BARE_FINAL = "assistantfinal"

_BLOCKS = MarkdownIt("commonmark").disable(["reference", "html_block", "heading", "lheading", "hr"])
_LOOSE = MarkdownIt("zero").enable("fence")


@dataclass(frozen=True)
class Piece:
    """One block of an answer: its first word of info, its text, and whether a fence closed it."""

    language: str
    text: str
    closed: bool

    @cached_property
    def network(self) -> str | None:
        """The text of the last class `Net` at module level, or None."""
        starts = [found.start() for found in NET.finditer(self.text)]
        if not starts:
            return None
        end = AFTER_CLASS.search(self.text, starts[-1] + len("class"))
        return self.text[starts[-1] : end.start() if end else None]

    @cached_property
    def sound(self) -> bool:
        """Whether `Net` is there, with its two methods, and no line shows that it is a sketch or broken."""
        body = self.network or ""
        methods = bool(CONSTRUCTOR.search(body) and FORWARD.search(body))
        return methods and not SKETCHED.search(self.text) and not NO_COLON.search(self.text)

    @cached_property
    def whole(self) -> bool:
        """Whether nothing is missing that a later block could bring.

        Training code of its own asks for hyperparameters; without any, the standard parts are added to the program.
        """
        ready = HYPERPARAMETERS in self.defined or not TRAINING.search(self.network or "")
        return self.closed and self.sound and ready and TORCH.search(self.text) is not None

    @cached_property
    def defined(self) -> frozenset[str]:
        """Names that the text defines or imports."""
        names = {*DEFINED.findall(self.text), *CONSTANT.findall(self.text)}
        for line in IMPORTED.findall(self.text):
            names.update(WORD.findall(line))
        return frozenset(names - {"as", "import"})

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word of the text."""
        return frozenset(WORD.findall(self.text))

    @property
    def part(self) -> bool:
        """Whether the block can be part of a module: it defines no `Net` and does not show how to use it."""
        uses = "Net" in self.words and STATEMENT.search(self.text) is not None
        return self.language in LANGUAGES and self.network is None and not uses


def extract(text: str) -> bytes | None:
    """Return the program that an answer holds, in UTF-8, or None if it holds no code.

    Reasoning is left out. Of the blocks with a class `Net` the last sound one is taken, closed ones first; blocks
    that define what it lacks are joined to it. Without any `Net` the first block of Python is the program, or the
    whole text if it begins as a module. Takes time linear in the length of `text`.
    """
    if len(text) > LIMIT:
        return None
    shown = _answer(text)
    pieces = _pieces(shown)
    if all(piece.network is None for piece in pieces):
        loose = list(_loose(shown))
        pieces = loose if any(piece.network is not None for piece in loose) else pieces
    networks = [place for place, piece in enumerate(pieces) if piece.network is not None]
    if networks:
        return _encoded(_joined(pieces, max(networks, key=lambda at: (pieces[at].sound, pieces[at].closed, at))))
    for piece in pieces:
        if piece.language in LANGUAGES and piece.text.strip():
            return _encoded(piece.text)
    first = next((line for line in shown.split("\n") if line.strip() and not line.startswith("#")), "")
    return _encoded(shown) if first.startswith(OPENINGS) and not FENCE.search(shown) else None


def is_complete(text: str, *, thinking: bool = False) -> bool:
    """Say whether generation may stop: `text`, as written so far, holds a whole program in a block that was closed.

    What would follow is not wanted: prose, or another program. A sketch, one block of several, and a draft in
    reasoning are not whole. `thinking` says that the prompt has opened reasoning already. The last line counts
    although it may go on, so that generation stops at the closing fence itself.
    """
    if "class" not in text or len(text) > LIMIT or (thinking and not _closes(text)):
        return False
    return any(piece.whole for piece in _pieces(_answer(text)))


def opens_reasoning(prompt: str) -> bool:
    """Say whether the end of a prompt has opened reasoning that the answer is to close."""
    return OPEN_PROMPT.search(prompt) is not None


def _closes(text: str) -> bool:
    return any(found["close"] or (found["channel"] or "").lower() == "final" for found in TAG.finditer(text))


def _answer(text: str) -> str:
    """Return `text` without reasoning, with line endings as CommonMark reads them."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if BARE_CHANNEL.match(text):
        return text.partition(BARE_FINAL)[2]
    kept = list[str]()
    start: int | None = 0  # of what is kept, or None within reasoning
    for found in TAG.finditer(text):
        begins = found["open"] or (found["channel"] is not None and found["channel"].lower() != "final")
        if begins:
            kept += [text[start : found.start()]] if start is not None else []
            start = None
        else:  # all before a close that nothing opened is reasoning that the prompt opened
            kept = [] if start is not None else kept
            start = found.end()
    return "".join([*kept, text[start:] if start is not None else ""])


def _pieces(text: str) -> list[Piece]:
    """Return the blocks of an answer in order, ahead of them a module that stands before the first fence."""
    fence = FENCE.search(text)
    begins = MODULE.search(text)
    pieces = list(_fenced(text, depth=0))
    if begins and not INDENTED.search(text, 0, begins.start()):
        start = 0 if NO_CODE.fullmatch(text, 0, begins.start()) else begins.start()
        bare = Piece("", text[start : fence.start() if fence else None], closed=fence is not None)
        if METHOD.search(bare.network or ""):
            return [bare, *pieces]
        bare = Piece("", text[start:], closed=False)  # a fence within its docstring, perhaps
        if METHOD.search(bare.network or "") and all(piece.network is None for piece in pieces):
            return [bare]
    return pieces


def _fenced(text: str, *, depth: int) -> Iterator[Piece]:
    """Yield the fenced blocks of `text`; one that wraps blocks of its own gives those."""
    if "```" not in text and "~~~" not in text:
        return
    tokens = list[Token]()
    _BLOCKS.block.parse(text.removesuffix("\n") + "\n", _BLOCKS, {}, tokens)
    for token in tokens:
        if token.type != "fence" or token.map is None:
            continue
        lines = token.content.removesuffix("\n").count("\n") + 1 if token.content else 0
        closed = token.map[1] - token.map[0] == lines + 2
        language = _language(token)
        opened = FENCE.match(token.content.lstrip("\n")) is not None
        if depth < WRAPPINGS and (opened or language in WRAPPERS):
            inner = [
                Piece(piece.language, piece.text, closed=piece.closed or closed)
                for piece in _fenced(token.content, depth=depth + 1)
            ]
            if inner and (opened or any(piece.network is not None for piece in inner)):
                yield from inner
                continue
        yield Piece(language, token.content, closed=closed)


def _loose(text: str) -> Iterator[Piece]:
    """Yield blocks whose fence is indented, but their code is not as a list or quote asks, or all is too far."""
    tokens = list[Token]()
    _LOOSE.block.parse(INDENTED.sub("", text), _LOOSE, {}, tokens)
    lines = text.split("\n")
    for token in tokens:
        if token.type == "fence" and token.map is not None:
            inside = lines[token.map[0] + 1 : token.map[1]]
            closed = bool(inside) and not inside[-1].strip(" \t`~") and FENCE.match(inside[-1].lstrip()) is not None
            code = inside[:-1] if closed else inside
            yield Piece(_language(token), textwrap.dedent("\n".join(code) + "\n"), closed=closed)


def _language(token: Token) -> str:
    found = re.match(r"\{?\.?([\w+#]*)", token.info.strip())
    return found[1].lower() if found else ""


def _joined(pieces: Sequence[Piece], place: int) -> str:
    """Return the module whose `Net` stands in one block, with the blocks that define what it uses and lacks."""
    chosen = pieces[place]
    have, need, taken = set(chosen.defined), {HYPERPARAMETERS, *chosen.words}, {place}
    after = () if chosen.whole else range(place + 1, len(pieces))
    for at in (*range(place - 1, -1, -1), *after):
        if pieces[at].part and (pieces[at].defined - have) & need:
            taken.add(at)
            have |= pieces[at].defined
            need |= pieces[at].words
    texts = [pieces[at].text for at in sorted(taken)]
    if not any(TORCH.search(text) for text in texts):
        complete = [at for at in range(place) if pieces[at].network is not None and TORCH.search(pieces[at].text)]
        if complete:
            imports = "".join(f"{found[0]}\n" for found in IMPORTED.finditer(pieces[complete[-1]].text))
            texts.insert(0, imports)
    return "\n\n".join(text.removesuffix("\n") for text in texts) + "\n" if len(texts) > 1 else texts[0]


def _encoded(text: str) -> bytes:
    return (text.removesuffix("\n") + "\n").encode("utf-8", "replace")
