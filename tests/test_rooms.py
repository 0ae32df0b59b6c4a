"""The rooms of rlkit/: imports go down the list, never up, and modules make no circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = (
    ("rlkit.cli",),
    ("rlkit.arena",),
    ("rlkit.pipeline",),
    ("rlkit.hosts.async_trl",),
    ("rlkit.hosts.trl", "rlkit.hosts.simulated", "rlkit.hosts.verl"),
    ("rlkit.live",),
    ("rlkit.harvest", "rlkit.merge", "rlkit.synthesize"),
    ("rlkit.report",),
    ("rlkit.record",),
    ("rlkit.collect",),
    ("rlkit.objectives",),
    ("rlkit.curriculum",),
    ("rlkit.evaluate",),
    ("rlkit.prompts",),
    ("rlkit.verify",),
    ("rlkit.settings",),
    ("rlkit.types",),
)
"""From what people start down to what imports nothing of ours."""

PACKAGES = ("rlkit", "rlkit.hosts")
"""What only says what is in it."""


def imports() -> dict[str, set[str]]:
    """Each module of rlkit with the modules of rlkit that it imports, wherever in the file."""
    files = {_name(path): path for path in (ROOT / "rlkit").rglob("*.py")}
    found = {}
    for name, path in files.items():
        if name in PACKAGES or name.startswith("rlkit.verify.inside"):  # runs in the sandbox, without rlkit
            continue
        targets: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                modules = {f"{node.module}.{alias.name}" for alias in node.names} & files.keys()
                targets |= modules or {node.module} & files.keys()
            elif isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names} & files.keys()
        found[name] = targets - set(PACKAGES)
    return found


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def level(module: str) -> int:
    inside = (
        number
        for number, rooms in enumerate(ROOMS)
        if any(module == room or module.startswith(f"{room}.") for room in rooms)
    )
    found = next(inside, None)
    assert found is not None, f"{module} is in none of the rooms"
    return found


def test_imports_go_down_only():
    up = {
        f"{module} -> {target}"
        for module, targets in imports().items()
        for target in targets
        if level(target) < level(module)
    }
    assert up == set()


def test_no_module_needs_itself():
    list(TopologicalSorter(imports()).static_order())  # raises CycleError, which names the circle


def test_no_objective_knows_a_curriculum_and_no_curriculum_an_objective():
    rooms = ("rlkit.objectives", "rlkit.curriculum")
    for room, other in (rooms, rooms[::-1]):
        needed = {
            target for module, targets in imports().items() if module.startswith(room) for target in targets
        }
        assert not {target for target in needed if target.startswith(other)}
