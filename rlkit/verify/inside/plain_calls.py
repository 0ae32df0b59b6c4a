"""What a plain program may call (plain.py), by path: a builtin, a function of a module, or a method, which
begins with a dot, whatever it is of."""

OWN = "(own)"  # a function of the program
TEMPLATE = "(template)"  # the format of a text that reads no attribute

_BY_SORTS = {
    "": f"""
        {OWN} {TEMPLATE} print input int float str bool len abs round divmod pow chr ord bin hex oct range
        repr format exit quit reversed .append .appendleft .pop .popleft .popitem .insert .remove .clear
        .copy .count .index .sort .reverse .rotate .add .discard .get .setdefault .most_common .total .items
        .keys .values .split .rsplit .splitlines .strip .lstrip .rstrip .upper .lower .title .capitalize
        .swapcase .startswith .endswith .find .rfind .rindex .replace .isdigit .isalpha .isalnum .isupper
        .islower .isspace .isnumeric .isdecimal .zfill .ljust .rjust .center .partition .rpartition
        .removeprefix .removesuffix .translate .maketrans .encode .decode .bit_length .bit_count .is_integer
        .isdisjoint sys.exit sys.setrecursionlimit sys.stdin.read sys.stdin.readline sys.stdin.readlines
        sys.stdin.buffer.read sys.stdin.buffer.readline sys.stdin.buffer.readlines sys.stdout.write
        sys.stdout.flush math.gcd math.lcm math.isqrt math.comb math.perm math.factorial math.floor
        math.ceil math.sqrt math.log math.log2 math.log10 math.exp math.pow math.sin math.cos math.tan
        math.asin math.acos math.atan math.atan2 math.hypot math.fabs math.radians math.degrees math.isclose
        heapq.heapify heapq.heappush heapq.heappop heapq.heappushpop heapq.heapreplace bisect.bisect
        bisect.bisect_left bisect.bisect_right bisect.insort bisect.insort_left bisect.insort_right
        itertools.count itertools.repeat""",
    "s": """
        list tuple set frozenset dict sorted sum min max any all enumerate .join .extend .extendleft .update
        .fromkeys .union .intersection .difference .symmetric_difference .issubset .issuperset .subtract
        sys.stdout.writelines math.prod math.fsum collections.deque collections.Counter
        itertools.combinations itertools.combinations_with_replacement itertools.permutations
        itertools.cycle itertools.islice itertools.pairwise""",
    "ssss": "zip itertools.chain itertools.product itertools.zip_longest",
    "fsss": "map itertools.starmap",
    "fs": "filter functools.reduce itertools.takewhile itertools.dropwhile",
    "sf": "itertools.accumulate",
    "ds": "heapq.nlargest heapq.nsmallest",
    "dt": "isinstance",
    "t": "collections.defaultdict",
}
TAKES = {path: sorts for sorts, paths in _BY_SORTS.items() for path in paths.split()}
"""The sorts of arguments: d data, s also what is iterated over, f a function, t a type; then data."""


def _beginning(word: str) -> set[str]:
    return {path for path in TAKES if path.startswith(word)}


KEYED = {"sorted", "min", "max", ".sort", "heapq.nlargest", "heapq.nsmallest"}  # their `key` is a function
ITERATORS = _beginning("itertools.") | {"map", "filter", "zip", "enumerate", "reversed"}
ITERATORS |= {".items", ".keys", ".values"}
TYPES = _beginning("collections.") | {
    "int",
    "float",
    "str",
    "bool",
    "list",
    "tuple",
    "set",
    "frozenset",
    "dict",
}
ORDINARY = {path for path, sorts in TAKES.items() if not sorts} - ITERATORS - TYPES - KEYED
"""Functions of data that return data, one like the other."""
BUILTINS = {path for path in TAKES if path.isidentifier()}

CONSTANTS = {"math.pi", "math.e", "math.inf", "sys.maxsize"}
FILES = {"sys.stdin", "sys.stdin.buffer"}
CACHES = {"functools.lru_cache", "functools.cache"}
MODULES = {"sys", "math", "heapq", "bisect", "itertools", "collections", "functools"}
IMPORTED = {*CONSTANTS, *FILES, *CACHES, "sys.stdout"}
IMPORTED |= {path for path in TAKES if path.partition(".")[0] in MODULES}

SETS = {"set", "frozenset", "Set", "SetComp"}
_INTEGERS = ("gcd", "lcm", "isqrt", "comb", "perm", "factorial", "floor", "ceil", "prod")
FLOATS = _beginning("math.") - {f"math.{name}" for name in _INTEGERS}
FLOATS |= {"float", "pow", "math.pi", "math.e", "math.inf", "Div", "Pow"}
