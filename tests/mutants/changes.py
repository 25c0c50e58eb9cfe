"""Small changes of a module: an operator, a number, an argument, a condition, a statement that is left out.

Only what a function does is changed, and nothing that no test should look at: types, texts, `repr`, what an error or a
line of the log says, assertions.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

__all__ = ["Change", "changes"]

_Put = Callable[[ast.AST], object]
_TEXTS = frozenset({"__repr__", "__str__"})
_LOGGERS = frozenset({"_log", "_LOGGER"})
_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a module that was parsed.

    Attributes:
        lines: where the source is changed; then the statements around it, the nearest first.
        words: what is changed to what.
        make: makes it, in the tree that it was found in.
    """

    lines: tuple[range, ...]
    words: str
    make: Callable[[], object]


def changes(tree: ast.Module) -> Iterator[Change]:
    """Yield all changes of a module, in the order of the source."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from _inside(each, ())


def _inside(node: ast.AST, around: tuple[range, ...]) -> Iterator[Change]:
    """Yield the changes of all that a node is made of."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if node.name not in _TEXTS:
            yield from _each(node, "body", around)
    elif isinstance(node, ast.AnnAssign):
        yield from _each(node, "value", around)
    elif not isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.arguments):
        for field in node._fields:
            yield from _each(node, field, around)


def _each(node: ast.AST, field: str, around: tuple[range, ...]) -> Iterator[Change]:
    found = getattr(node, field)
    places: list[tuple[Any, _Put]] = [(found, partial(setattr, node, field))]
    if isinstance(found, list):
        places = [(one, partial(found.__setitem__, at)) for at, one in enumerate(found)]
    for one, put in places:
        if not isinstance(one, ast.AST) or _is_text_only(one):
            continue
        here = around
        if isinstance(one, ast.stmt):
            here = (range(one.lineno, one.lineno + 1), *around)
        if isinstance(one, ast.stmt | ast.expr):
            here = (range(one.lineno, (one.end_lineno or one.lineno) + 1), *here)
        condition = field in ("test", "ifs") and not isinstance(node, ast.IfExp)
        for other in (*_others(one), *(_negated(one) if condition else ())):
            yield Change(here, f"{_short(one)}  ->  {_short(other)}", partial(put, other))
        yield from _inside(one, here[1:] if isinstance(one, ast.stmt) else around)


def _is_text_only(node: ast.AST) -> bool:
    """Return whether a statement only makes a line of the log, or a note of an error."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method))):
            return name in _LOGGERS or method == "add_note"
    return False


def _negated(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the opposite of a condition, unless the change of its own operator is that."""
    match node:
        case ast.UnaryOp(op=ast.Not()) | ast.Constant():
            return
        case ast.Compare(ops=[ast.Is() | ast.IsNot() | ast.In() | ast.NotIn() | ast.Eq() | ast.NotEq()]):
            return
    yield ast.UnaryOp(ast.Not(), node)


def _others(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of a node."""
    nothing = ast.Constant(None)
    match node:
        case ast.Compare(left, [op], right):
            yield ast.Compare(left, [_OPERATORS[type(op)]()], right)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(_OPERATORS[type(op)](), values)
        case ast.BinOp(left, op, right) if type(op) in _OPERATORS and not _is_text(left) and not _is_text(right):
            yield ast.BinOp(left, _OPERATORS[type(op)](), right)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Return(value=ast.expr() as value) if not _is_constant(value):
            yield ast.Return(nothing)
        case ast.Assign(targets, value) if not _is_constant(value):
            yield ast.Assign(targets, nothing)
        case ast.AnnAssign(target=target, annotation=annotation, value=ast.expr() as value, simple=simple):
            if not _is_constant(value):
                yield ast.AnnAssign(target, annotation, nothing, simple)
        case ast.AugAssign(target, op, value):
            yield _left_out(node)
            if type(op) in _OPERATORS:
                yield ast.AugAssign(target, _OPERATORS[type(op)](), value)
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Delete() | ast.Raise():
            yield _left_out(node)
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case ast.Call(func, args, keywords):
            yield from _other_calls(func, args, keywords)


def _left_out(node: ast.stmt) -> ast.If:
    """Return a statement that is never reached, so that the names of its function stay what they are (`super()`)."""
    return ast.If(ast.Constant(False), [node], [])


def _other_calls(func: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]) -> Iterator[ast.Call]:
    """Yield a call with another function, and with None in the place of each argument."""
    name = func.id if isinstance(func, ast.Name) else ""
    if name in _FUNCTIONS:
        yield ast.Call(ast.Name(_FUNCTIONS[name], ast.Load()), args, keywords)
    if name in ("cast", "isinstance", "TypeVar"):
        return
    for at, arg in enumerate(args):
        if not isinstance(arg, ast.Starred) and not _is_constant(arg) and not _is_text(arg):
            yield ast.Call(func, [*args[:at], ast.Constant(None), *args[at + 1 :]], keywords)
    for at, each in enumerate(keywords):
        if each.arg is not None and not _is_constant(each.value) and not _is_text(each.value):
            none = ast.keyword(each.arg, ast.Constant(None))
            yield ast.Call(func, args, [*keywords[:at], none, *keywords[at + 1 :]])


def _is_constant(node: ast.expr) -> bool:
    """Return whether None in its place is no change, or one of a text, or like another change of a flag or number."""
    return isinstance(node, ast.Constant)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _short(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(node)).partition("\n")[0][:90]
