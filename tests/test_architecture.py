"""What may import what: the pure rooms stay pure, and each library has its one place."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import consumer

PACKAGE = Path(consumer.__file__).parent
PURE_LIBRARIES = {
    "bisect",
    "collections",
    "codecs",
    "collections.abc",
    "contextlib",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "http",
    "itertools",
    "json",
    "math",
    "msgspec",
    "operator",
    "re",
    "tomllib",
    "typing",
}
DECODING_LIBRARIES = {
    *("base64", "binascii", "decimal", "io"),
    *("fastavro", "fastavro._read_py", "google.protobuf"),
    *(f"google.protobuf.{name}" for name in ("descriptor", "descriptor_pb2", "descriptor_pool")),
    *(f"google.protobuf.{name}" for name in ("message", "message_factory")),
}
"""What the decoders of `core.schemas` are made of besides; pure as far as it is used there."""
IMPURE_BUILTINS = {
    "__import__",
    "breakpoint",
    "compile",
    "eval",
    "exec",
    "exit",
    "globals",
    "input",
    "open",
    "print",
    "quit",
}
IMPURE_SYNTAX = (ast.Global, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)


def name_of(path: Path) -> str:
    """Return a module's name below ``consumer``; a package has the name of its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "__init__"


MODULES = {name_of(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
PURE_ROOMS = tuple(name for name in MODULES if name.startswith("core."))


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield module and name (empty: the module itself) of every import, however deep it hides."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                yield each.name, ""
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not looked at"
            for each in node.names:
                yield node.module or "", each.name


def users_of(*libraries: str) -> set[str]:
    """Return the modules that import any of these libraries or something below them."""
    return {
        name
        for name, tree in MODULES.items()
        for module, _ in imports(tree)
        if any(module == each or module.startswith(f"{each}.") for each in libraries)
    }


def mentions(tree: ast.Module, *names: str) -> bool:
    """Whether a name or an attribute of that name stands anywhere, imports included."""
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found |= {name for _, name in imports(tree)}
    return not found.isdisjoint(names)


def imports_of_ours(tree: ast.Module) -> set[str]:
    """Return the modules of the package that are imported, those for type checkers included."""
    found = set()
    for module, name in imports(tree):
        parts = module.split(".")
        if parts[0] == "consumer":
            inner = ".".join([*parts[1:], name])
            found.add(inner if inner in MODULES else ".".join(parts[1:]) or "__init__")
    return found


ARROWS = {name: imports_of_ours(tree) for name, tree in MODULES.items()}


def floor_of(module: str) -> str:
    """Return the folder of a module, or the module where it stands beside the folders."""
    return module.partition(".")[0]


MAY_IMPORT = {
    "__init__": set(),
    "clock": set(),
    "collector": set(),
    "core": set(),
    "engine": {"core"},
    "masking": set(),
    "kafka": {"core", "engine.ports", "clock", "masking"},
    "customerio": {"core", "engine.ports", "clock", "masking"},
    "observability": {"core", "engine.ports", "clock", "__init__", "masking"},
    "presets": set[str](),
    "readers": {
        *("__init__", "core", "customerio.network", "engine.ports", "registry", "settings"),
    },
    "registry": {
        *("core", "engine.ports", "clock"),
        *("customerio.client", "customerio.wire"),  # the one HTTP client
    },
    "settings": {"core", "masking", "presets"},
    "standard_streams": set(),
    "stacks": {"standard_streams"},
    "stopper": {"clock", "observability", "stacks"},
    "crashes": {"engine.ports", "masking", "observability", "stopper"},
    "daemon": {
        *("__init__", "clock", "core", "customerio", "engine", "kafka", "observability"),
        *("collector", "crashes", "readers", "settings", "stopper"),
    },
    "commands": {
        *("__init__", "clock", "core", "customerio", "daemon", "engine.ports", "kafka", "readers"),
        *("crashes", "masking", "observability", "presets", "registry", "settings", "stopper"),
    },
    "__main__": {
        *("__init__", "commands", "core", "crashes", "daemon", "observability", "settings"),
        *("presets", "standard_streams", "stopper"),
    },
}
"""What the modules of a folder may import of the others: a folder, or one module of it."""


@pytest.mark.parametrize("module", MODULES)
def test_arrows_go_one_way(module: str) -> None:
    floor = floor_of(module)
    for other in ARROWS[module]:
        allowed = {floor, *MAY_IMPORT[floor]}
        assert other in allowed or floor_of(other) in allowed, f"{module} imports {other}"


def test_beside_the_folders_stands_nothing_else() -> None:
    assert {floor_of(module) for module in MODULES} == MAY_IMPORT.keys()


def test_no_import_runs_in_a_circle() -> None:
    order = graphlib.TopologicalSorter(ARROWS)
    order.prepare()  # raises CycleError with the modules of the circle


def test_the_engine_knows_neither_kafka_nor_http() -> None:
    below = users_of("confluent_kafka", "httpx", "httpcore", "threading", "time", "logging")
    assert not {name for name in below if floor_of(name) == "engine"}


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_imports_only_what_is_pure(room: str) -> None:
    for module, name in imports(MODULES[room]):
        if module.split(".")[0] == "consumer":
            assert module.startswith("consumer.core."), f"{room} imports {module} {name}"
        else:
            decodes = room.startswith("core.schemas.") and module in DECODING_LIBRARIES
            assert decodes or module in PURE_LIBRARIES, f"{room} imports {module}"
            assert module != "io" or name == "BytesIO", f"{room} imports {module}.{name}"
            assert module != "http" or name == "HTTPStatus", f"{room} imports {module}.{name}"


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_does_nothing_to_the_world(room: str) -> None:
    for node in ast.walk(MODULES[room]):
        assert not isinstance(node, IMPURE_SYNTAX), f"{room}: {type(node).__name__}"
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            assert node.id not in IMPURE_BUILTINS, f"{room} uses {node.id}"


def test_what_needs_an_extra_is_imported_by_the_compiler_alone() -> None:
    """Without the extra the daemon runs all the same, see `core.schemas.compiler`."""
    decoders = {"core.schemas.avro", "core.schemas.protobuf"}
    inside = {*decoders, "core.schemas.messages", "core.schemas.proto_file"}
    assert users_of("fastavro", "google.protobuf") <= inside
    for module, others in ARROWS.items():
        assert not others & inside or module in {*inside, "core.schemas.compiler"}, module


def test_there_are_pure_rooms() -> None:
    assert {"core.lanes", "core.ledger", "core.outcomes", "core.pipeline"} <= set(PURE_ROOMS)


def test_only_the_member_and_what_asks_beside_it_have_a_kafka_consumer() -> None:
    users = {
        name
        for name in users_of("confluent_kafka")
        if mentions(MODULES[name], "Consumer", "AIOConsumer")
    }
    assert users == {"kafka.client", "kafka.member", "kafka.questions"}


def test_confluent_kafka_is_imported_by_names() -> None:
    """Else the test above would not see what is used of it."""
    for name, tree in MODULES.items():
        for module, imported in imports(tree):
            if module.split(".")[0] == "confluent_kafka":
                assert imported not in {"", "*"}, name


def test_there_is_one_http_client() -> None:
    assert users_of("httpx") == {"customerio.client"}
    below = {f"customerio.{name}" for name in ("client", "connection", "failures")}
    assert users_of("aiohttp", "h11", "httpcore", "requests", "urllib3") == below
    for name, tree in MODULES.items():
        others = mentions(tree, "HTTPConnection", "HTTPSConnection", "urlopen")
        assert not others, name


def test_only_one_module_reads_the_environment() -> None:
    readers = {
        name
        for name, tree in MODULES.items()
        if mentions(tree, "environb", "getenv", "getenvb", "putenv", "getproxies")
        or any(
            isinstance(node, ast.Attribute)
            and node.attr == "environ"
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            for node in ast.walk(tree)
        )
        or ("os", "environ") in imports(tree)
    }
    assert readers == {"settings.sources"}
