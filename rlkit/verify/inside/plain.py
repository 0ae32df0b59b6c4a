"""Whether a program is plain: then its cases may run one after the other in one process (case_server.py).

A plain program holds data only: numbers, texts, and lists, tuples, dicts, sets, deques and ranges of them.
What is not data is nowhere but in its places: a function is called, gets another name, or is the key of a
sort or the first argument of map and the like; an iterator is used up where it is made; of modules and files,
functions are called. So nothing that outlives a case changes: no attribute is set, and nothing of a module is
data. And nothing of earlier cases is seen: no address or identity becomes data, not as a text (`str(print)`),
not by `is`, not by the order of a set, which for nan is that of addresses. Errors that tell of memory or
depth are not caught. What a plain program does change, the server sets back: the recursion limit.

What is not named here or in plain_calls.py makes a program not plain. That costs it time, and nothing else.
"""

import ast
import builtins
import re
from collections.abc import Iterable

from . import plain_calls as calls

_MAX_CHARACTERS = 50_000  # tables take longer to read than they save
_FITS = {"d": "d", "s": "ds", "f": "dft", "t": "t"}
_ERRORS = {"EOFError", "ValueError", "IndexError", "KeyError", "TypeError", "ZeroDivisionError"}
_NO_ATTRIBUTES = re.compile(r"(?:[^{}]|{{|}}|{\w*(?::[^{}]*)?})*")
_ANNOTATION = (ast.Name, ast.Subscript, ast.Tuple, ast.Constant, ast.Load)
_FINE_IF_PARTS_ARE = """
    Module Expr Pass Break Continue If While Return Assert Global Nonlocal Delete Assign AugAssign arguments
    boolop operator unaryop cmpop expr_context Constant BoolOp BinOp UnaryOp Compare IfExp Subscript Slice
    JoinedStr FormattedValue List Tuple Dict Set ListComp SetComp DictComp NamedExpr"""
_FINE = tuple(getattr(ast, name) for name in _FINE_IF_PARTS_ARE.split())


def is_plain(source: str) -> bool:
    """Whether a program that compiles is plain. is_plain("print(int(input()) ** 2)") is True."""
    if len(source) > _MAX_CHARACTERS:
        return False
    try:
        reader = _Reader(ast.parse(source))
        return reader.names_are_plain() and reader.sort(reader.tree) == "d" and reader.shows_no_address()
    except (RecursionError, MemoryError):  # too deep to be read
        return False


class _Reader:
    """Tells the sorts of a program's parts. A name is one of data or not, in all of the program."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self._paths = {path: path for path in calls.BUILTINS}  # of the names that are not of data
        self._data: set[str] = set()
        self._met: set[str] = set()
        nodes = list(ast.walk(tree))
        for node in nodes:
            match node:
                case ast.FunctionDef():
                    self._paths.setdefault(node.name, calls.OWN)
                case ast.Import() | ast.ImportFrom():
                    self._paths = dict(_imported(node)) | self._paths
                case ast.arg():
                    self._data.add(node.arg)
                case ast.Name(ctx=ast.Store() | ast.Del()):
                    self._data.add(node.id)
        for node in nodes:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)]) if self._path(node.value) in calls.TAKES:
                    self._paths.setdefault(name, self._path(node.value))
        self._data -= self._paths.keys()

    def names_are_plain(self) -> bool:
        """No builtin's name is one of data, or of a function unlike the builtin."""
        own = {*self._data, *(name for name, path in self._paths.items() if path != name)}
        return not any(name.startswith("__") or name in vars(builtins) for name in own)

    def shows_no_address(self) -> bool:
        """No set may hold nan."""
        return not (self._met & calls.SETS and self._met & calls.FLOATS)

    def sort(self, node: ast.AST) -> str:
        """d for data and what is else fine, s, f and t as in TAKES; nothing where it is not plain."""
        self._met.add(type(node).__name__)
        match node:
            case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()):
                return self._sort_of_name(node)
            case ast.Name():
                return "d" if node.id in self._data else ""
            case ast.Lambda():
                return "f" if self._are_data([node.args, node.body]) else ""
            case ast.GeneratorExp():
                return "s" if self._are_data([*node.generators, node.elt]) else ""
            case ast.Call():
                path = self._path(node.func)
                if path not in calls.TAKES or not self._takes(path, node):
                    return ""
                return "s" if path in calls.ITERATORS else "d"
        return "d" if self._is_fine(node) else ""

    def _is_fine(self, node: ast.AST) -> bool:
        match node:
            case ast.Constant(value=float() | complex()):
                self._met.add("float")
                return True
            case ast.BinOp(op=ast.Pow(), right=ast.Constant(value=int())):  # an integer stays one
                return self._are_data([node.left])
            case ast.Compare(ops=[ast.Is() | ast.IsNot()], comparators=[ast.Constant(value=None | bool())]):
                return self._are_data([node.left])
            case ast.Is() | ast.IsNot():
                return False
            case ast.Starred():
                return self._fits(node.value, "s")
            case ast.For():
                return self._fits(node.iter, "s") and self._are_data([node.target, *node.body, *node.orelse])
            case ast.comprehension(is_async=0):
                return self._fits(node.iter, "s") and self._are_data([node.target, *node.ifs])
            case ast.Assign(targets=[ast.Name(id=name)]) if name in self._paths:
                return self.sort(node.value) in ("f", "t") and self._is(name, self._path(node.value))
            case ast.Assign(targets=[ast.Tuple() | ast.List() as target]):
                return self._fits(node.value, "s") and self._are_data([target])
            case ast.Import() | ast.ImportFrom():
                known = calls.MODULES if isinstance(node, ast.Import) else calls.IMPORTED
                return all(path in known and self._is(name, path) for name, path in _imported(node))
            case ast.FunctionDef():
                return self._is(node.name, calls.OWN) and self._is_function(node)
            case ast.arg():
                return node.arg in self._data and self._is_annotation(node.annotation)
            case ast.AnnAssign(target=ast.Name()):
                value = [node.value] if node.value else []
                return self._is_annotation(node.annotation) and self._are_data([node.target, *value])
            case ast.Try(finalbody=[]):  # where a return would end any error
                return self._are_data([*node.body, *node.handlers, *node.orelse])
            case ast.ExceptHandler(name=None, type=ast.AST() as kinds):
                errors = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
                known = all(isinstance(error, ast.Name) and error.id in _ERRORS for error in errors)
                return known and self._are_data(node.body)
        return isinstance(node, _FINE) and self._are_data(ast.iter_child_nodes(node))

    def _path(self, node: ast.AST) -> str:
        """What is not data, by its path; nothing for data, and for what is not plain."""
        path = ""
        match node:
            case ast.Lambda():
                path = calls.OWN
            case ast.Name():
                path = self._paths.get(node.id, "")
            case ast.Attribute(value=ast.Constant(value=str(text)), attr="format"):
                path = calls.TEMPLATE if _NO_ATTRIBUTES.fullmatch(text) else ""
            case ast.Attribute(value=ast.Name() | ast.Attribute()):
                owner = self._path(node.value)
                if owner in calls.TYPES or getattr(node.value, "id", None) in self._data:
                    path = f".{node.attr}"
                elif owner:
                    path = f"{owner}.{node.attr}"
            case ast.Attribute() if self.sort(node.value) == "d":
                path = f".{node.attr}"
        self._met.add(path)
        return path

    def _sort_of_name(self, node: ast.Name | ast.Attribute) -> str:
        path = self._path(node)
        name = getattr(node, "id", None)
        if path in calls.CONSTANTS or name in self._data or name == "__name__":
            return "d"
        if path in calls.FILES:
            return "s"
        if path in calls.TYPES:
            return "t"
        return "f" if path in calls.TAKES and path not in calls.ITERATORS else ""

    def _takes(self, path: str, call: ast.Call) -> bool:
        """Whether the arguments are of the sorts that the function takes."""
        wanted = calls.TAKES[path]
        if any(isinstance(argument, ast.Starred) for argument in call.args):
            wanted = wanted[:1].replace("s", "d")  # what comes after stands who knows where
        if path in ("min", "max") and len(call.args) > 1:
            wanted = ""  # one of them is what they give
        key = "f" if path in calls.KEYED else "d"
        return all(map(self._fits, call.args, wanted.ljust(len(call.args), "d"))) and all(
            self._fits(keyword.value, key if keyword.arg == "key" else "d") for keyword in call.keywords
        )

    def _fits(self, node: ast.AST, wanted: str) -> bool:
        sort = self.sort(node)
        return sort != "" and sort in _FITS[wanted]

    def _are_data(self, nodes: Iterable[ast.AST]) -> bool:
        return all(self.sort(node) == "d" for node in nodes)

    def _is(self, name: str, path: str) -> bool:
        """Whether a name may be given to this: what else has it is alike."""
        self._met.add(path)
        return self._paths[name] == path or {self._paths[name], path} <= calls.ORDINARY

    def _is_function(self, node: ast.FunctionDef) -> bool:
        for decorator in node.decorator_list:
            made = isinstance(decorator, ast.Call)
            if self._path(decorator.func if made else decorator) not in calls.CACHES:
                return False
            if made and not self._takes(calls.OWN, decorator):
                return False
        apart = (*node.decorator_list, node.returns)
        others = [child for child in ast.iter_child_nodes(node) if child not in apart]
        return self._is_annotation(node.returns) and self._are_data(others)

    def _is_annotation(self, node: ast.AST | None) -> bool:
        parts = ast.walk(node) if node else ()
        return all(
            isinstance(part, _ANNOTATION)
            and (not isinstance(part, ast.Name) or self._path(part) in calls.TYPES)
            for part in parts
        )


def _imported(node: ast.Import | ast.ImportFrom) -> list[tuple[str, str]]:
    """The names that an import gives, each with the path of what it names."""
    module = f"{node.module if not node.level else ''}." if isinstance(node, ast.ImportFrom) else ""
    return [(alias.asname or alias.name, module + alias.name) for alias in node.names]
