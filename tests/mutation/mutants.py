"""Make every mutant of a module: its source text with one small change in it.

A change is what a slip or a bad merge would do: a border moved by one, a clause or a whole check
left out, a word of a list lost, an exception no longer caught. Words of errors, docstrings,
annotations, asserts and decorators are left alone: nothing is decided by them.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]

_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "//",
    ast.FloorDiv: "*",
    ast.BitOr: "&",
    ast.BitAnd: "|",
}
_BACK = {
    "<=": "<",
    "<": "<=",
    ">=": ">",
    ">": ">=",
    "!=": "==",
    "==": "!=",
    "is not": "is",
    "is": "is not",
    "not in": "in",
    "in": "not in",
}
_BACK_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.BitOr: "|",
    ast.BitAnd: "&",
}
_WORDS = {"any": "all", "all": "any", "min": "max", "max": "min"}
_METHODS = {"startswith": "endswith", "endswith": "startswith"}
_EMPTY = {
    "bytes": "b''",
    "str": "''",
    "int": "0",
    "list": "[]",
    "tuple": "()",
    "dict": "{}",
    "set": "set()",
    "frozenset": "frozenset()",
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module."""

    module: str
    """Dotted name."""
    path: str
    """Of its source, below the root."""
    line: int
    end_line: int
    """Where it begins, and where its statement ends: tests that run none of it say nothing."""
    text: str
    """The first line of what is changed, as it stands."""
    change: str
    """What becomes what."""
    start: int
    end: int
    new: str
    """The bytes that are replaced, and by what."""
    function: str
    """Qualified name of the outermost function around it; empty: it runs when imported."""
    place: int = 0
    """Which one it is of those that are told in the same words."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What it is known by while lines move."""
        return self.path, self.text, self.change, self.place

    def source(self) -> str:
        """The module with the change in it."""
        raw = (ROOT / self.path).read_bytes()
        return (raw[: self.start] + self.new.encode() + raw[self.end :]).decode()

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.change}\n    {self.text}"


def mutants_of(path: str) -> list[Mutant]:
    """Every mutant of the module at a path below the root, in order of its text."""
    source = (ROOT / path).read_bytes()
    maker = _Maker(path, source)
    maker.visit(ast.parse(source))
    unique = {(one.start, one.end, one.new): one for one in maker.made}
    seen: Counter[tuple[str, str]] = Counter()
    numbered = []
    for one in sorted(unique.values(), key=lambda one: (one.line, one.start, one.end, one.new)):
        numbered.append(replace(one, place=seen[one.text, one.change]))
        seen[one.text, one.change] += 1
    return numbered


class _Maker(ast.NodeVisitor):
    """Walks a module once. Owned by one call of `mutants_of`."""

    def __init__(self, path: str, source: bytes) -> None:
        self.made: list[Mutant] = []
        self._path = path
        self._module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self._source = source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._scopes: list[str] = []
        self._function = ""
        self._statement: tuple[int, int] = (1, 1)
        self._returns = ""

    # --- where a node stands ---

    def _span(self, node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, ast.expr | ast.stmt | ast.keyword | ast.excepthandler)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._lines[node.lineno - 1] + node.col_offset,
            self._lines[node.end_lineno - 1] + node.end_col_offset,
        )

    def _text(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self._source[start:end].decode()

    def _add(self, span: tuple[int, int], new: str, told: str = "") -> None:
        start, end = span
        old = self._source[start:end].decode()
        if old == new:
            return
        line = self._source.count(b"\n", 0, start) + 1
        begin, after = self._lines[line - 1], self._lines[line]
        self.made.append(
            Mutant(
                module=self._module,
                path=self._path,
                line=line,
                end_line=max(line, self._statement[1]),
                text=self._source[begin:after].decode().strip(),
                change=told or f"{' '.join(old.split())} -> {new or 'nothing'}",
                start=start,
                end=end,
                new=new,
                function=self._function,
            )
        )

    def _exchanged(self, gap: tuple[int, int], old: str, new: str) -> str:
        """What stands between two operands with another operator, and the comments as they are."""
        pieces = re.split(r"(#[^\n]*)", self._source[slice(*gap)].decode())
        place = next(i for i, piece in enumerate(pieces) if i % 2 == 0 and old in piece)
        pieces[place] = pieces[place].replace(old, new, 1)
        return "".join(pieces)

    # --- what is walked, and what is not ---

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            self._statement = (node.lineno, _head_end(node))
        super().visit(node)

    def _visit_body(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        for child in node.body:
            self.visit(child)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scopes.append(node.name)
        self._visit_body(node)
        self._scopes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        outer, returns = self._function, self._returns
        self._scopes.append(node.name)
        self._function = outer or ".".join(self._scopes)
        self._returns = ast.unparse(node.returns) if node.returns else ""
        self._visit_body(node)
        self._scopes.pop()
        self._function, self._returns = outer, returns

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.body)

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._leave_out_assignment(node, [node.target])
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [ast.unparse(one) for one in node.targets]
        if names in (["__slots__"], ["_fields"]) or _is_type(node.value):
            return
        self._leave_out_assignment(node, node.targets)
        self.visit(node.value)

    def _leave_out_assignment(self, node: ast.stmt, targets: list[ast.expr]) -> None:
        if all(isinstance(one, ast.Attribute | ast.Subscript) for one in targets):
            self._leave_out(node)

    def _leave_out(self, node: ast.stmt) -> None:
        self._add(self._span(node), "pass", f"{_first_line(self._text(node))} -> left out")

    # --- statements ---

    def visit_Raise(self, node: ast.Raise) -> None:
        if self._function:
            self._leave_out(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return
        if isinstance(node.value, ast.Call):
            self._leave_out(node)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._leave_out(node)
        self.visit(node.value)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._leave_out(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._leave_out(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self._leave_out(node)
            return
        base = self._returns.partition("[")[0]
        if base == "bool":
            for word in ("True", "False"):
                self._add(self._span(node.value), word)
        elif ast.unparse(node.value) == "None":
            self._leave_out(node)
        elif ast.unparse(node.value) != (empty := _EMPTY.get(base, "None")):
            self._add(self._span(node.value), empty)
        self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        self._decide(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._decide(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._decide(test)
        self.generic_visit(node)

    def _decide(self, test: ast.expr) -> None:
        for word in ("True", "False"):
            self._add(self._span(test), word)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self._add(self._span(node.type), "()")
            self.visit(node.type)
        for child in node.body:
            self.visit(child)

    # --- expressions ---

    def visit_Compare(self, node: ast.Compare) -> None:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            gap = (self._span(left)[1], self._span(right)[0])
            new = _OPERATORS[type(operator)]
            old = _BACK[new]
            told = f"{old} -> {new} before {_first_line(self._text(right))}"
            self._add(gap, self._exchanged(gap, old, new), told)
            left = right
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            gap = (self._span(left)[1], self._span(right)[0])
            told = f"{old} -> {new} before {_first_line(self._text(right))}"
            self._add(gap, self._exchanged(gap, old, new), told)
        identity = str(isinstance(node.op, ast.And))
        for value in node.values:
            told = f"{_first_line(self._text(value))} -> left out of the {old}"
            self._add(self._span(value), identity, told)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._add(self._span(node), f"({self._text(node.operand)})", "not -> left out")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        new = _ARITHMETIC.get(type(node.op))
        if new is not None:
            gap = (self._span(node.left)[1], self._span(node.right)[0])
            old = _BACK_ARITHMETIC[type(node.op)]
            self._add(gap, self._exchanged(gap, old, new), f"{old} -> {new}")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._add(self._span(node), str(not value))
        elif isinstance(value, int):
            for other in (value + 1, value - 1):
                told = f"{self._text(node)} -> {other}"
                self._add(self._span(node), f"({other})" if other < 0 else str(other), told)
        elif isinstance(value, bytes):
            self._add(self._span(node), repr(value + b"~"))

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.slice, ast.Slice):
            for bound in (node.slice.lower, node.slice.upper):
                if bound is not None:
                    self._add(self._span(bound), "", f"{self._text(bound)} -> no bound")
            self.generic_visit(node)
            return
        self.visit(node.value)
        if isinstance(node.slice, ast.Constant) and node.slice.value == 0:
            # The one before the first is the last, which the first often is.
            self._add(self._span(node.slice), "1")
        else:
            self.visit(node.slice)

    def _visit_elements(self, node: ast.Tuple | ast.List | ast.Set) -> None:
        for index, element in enumerate(node.elts):
            if len(node.elts) == 1 and isinstance(node, ast.Set):
                continue
            rest = [self._text(one) for i, one in enumerate(node.elts) if i != index]
            told = f"{_first_line(self._text(element))} -> lost"
            self._add(self._span(node), _written(node, rest), told)
        self.generic_visit(node)

    def visit_Tuple(self, node: ast.Tuple) -> None:
        if isinstance(node.ctx, ast.Load):
            self._visit_elements(node)

    def visit_List(self, node: ast.List) -> None:
        self._visit_elements(node)

    def visit_Set(self, node: ast.Set) -> None:
        self._visit_elements(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        entries = [
            f"{self._text(key)}: {self._text(value)}" if key else f"**{self._text(value)}"
            for key, value in zip(node.keys, node.values, strict=True)
        ]
        for index, entry in enumerate(entries):
            rest = ", ".join(entries[:index] + entries[index + 1 :])
            self._add(self._span(node), f"{{{rest}}}", f"{_first_line(entry)} -> lost")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Name) and function.id in _WORDS:
            self._add(self._span(function), _WORDS[function.id])
        if isinstance(function, ast.Attribute) and function.attr in _METHODS:
            end = self._span(function)[1]
            self._add((end - len(function.attr), end), _METHODS[function.attr])
        if _name(function) in ("cast", "TypeVar", "NamedTuple"):
            return
        self.generic_visit(node)


def _head_end(node: ast.stmt) -> int:
    """The last line of a statement, or of its head where it has a body."""
    body: list[ast.stmt] = getattr(node, "body", [])
    if body:
        return max(node.lineno, body[0].lineno - 1)
    return node.end_lineno or node.lineno


def _written(node: ast.Tuple | ast.List | ast.Set, elements: list[str]) -> str:
    inside = ", ".join(elements)
    if isinstance(node, ast.Tuple):
        return f"({inside}{',' if len(elements) == 1 else ''})"
    return f"[{inside}]" if isinstance(node, ast.List) else f"{{{inside}}}"


def _first_line(text: str) -> str:
    return " ".join(text.split())[:80]


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_type(node: ast.expr) -> bool:
    """A type under another name: `Name = tuple[Naming, bytes]`, `Key = A | B`."""
    if isinstance(node, ast.Subscript):
        return _name(node.value) in ("tuple", "Callable", "dict", "list")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _is_class(node.left) and _is_class(node.right)
    return False


def _is_class(node: ast.expr) -> bool:
    return _name(node)[:1].isupper() or _is_type(node)


def modules() -> Iterator[str]:
    """The paths of all modules that the pass is over."""
    for path in sorted((ROOT / "signing").rglob("*.py")):
        if path.name != "__init__.py":
            yield str(path.relative_to(ROOT))
    yield "bus/core/verification.py"
