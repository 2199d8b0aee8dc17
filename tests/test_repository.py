"""What holds for the whole repository, read from its sources."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ("ruleforge", "tasks", "workers", "api")
MAX_LINES = 400


def sources() -> list[Path]:
    return sorted(path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


EACH_SOURCE = pytest.mark.parametrize("path", sources(), ids=name_of)


def dotted(node: ast.AST, imported: dict[str, str]) -> str:
    """`np.random.rand` as "numpy.random.rand", "" for what is no plain dotted name; "?.a.b" for `local.a.b`."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    head = imported.get(node.id, "?" if parts else node.id)
    return ".".join([head, *reversed(parts)])


def names_used(source: str) -> Iterator[tuple[int, str]]:
    """(line, full dotted name) of every name, attribute and import, with aliases of imports resolved."""
    tree = ast.parse(source)
    imported = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imported[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.lineno, f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)):
            name = dotted(node, imported)
            if name:
                yield node.lineno, name


# Of the modules with a hidden global generator, what makes or names a generator of one's own.
OWN_GENERATORS = {"random.Random"} | {
    f"numpy.random.{name}"
    for name in ("BitGenerator", "Generator", "PCG64", "Philox", "RandomState", "SeedSequence", "default_rng")
}


def global_randomness(source: str) -> list[str]:
    found = []
    for line, name in names_used(source):
        for module in ("random", "numpy.random"):
            member = name.removeprefix(f"{module}.").split(".")[0]
            if name.startswith(f"{module}.") and f"{module}.{member}" not in OWN_GENERATORS:
                found.append(f"line {line}: {name}")
    unseeded = ("default_rng", "SeedSequence", "PCG64", "Philox", "RandomState", "Random")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            name = ast.unparse(node.func).rsplit(".", 1)[-1]
            if name in unseeded:
                found.append(f"line {node.lineno}: {name}() without a seed")
    return sorted(set(found))


@EACH_SOURCE
def test_no_global_randomness(path):
    assert global_randomness(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import random\nrandom.shuffle(x)",
        "import random as r\nr.random()",
        "from random import choice\nchoice(x)",
        "import numpy as np\nnp.random.seed(1)",
        "import numpy\nnumpy.random.rand(3)",
        "from numpy import random\nrandom.normal()",
        "from numpy.random import uniform",
        "import numpy as np\nnp.random.default_rng()",
        "import random\nrandom.Random()",
    ],
)
def test_global_randomness_would_be_found(source):
    assert global_randomness(source) != []


def test_generators_of_one_s_own_are_allowed():
    source = "import random\nimport numpy as np\nrandom.Random(1).shuffle(x)\nnp.random.RandomState(2).rand()\n"
    source += "np.random.Generator(np.random.PCG64(1)).random()\ngenerator.random()\n"
    assert global_randomness(source) == []
    assert global_randomness("def f(random):\n    return random.choice(3)\n") == []


# Whatever could execute a text, and who may use it with which reason.
BUILTIN = {"eval", "exec", "compile", "__import__"}
KNOWN_TO_EXECUTE = {"builtins", "deap", "sympy", "pandas", "numexpr", "code"}
EXECUTES_TEXT = {
    *("sympify", "parse_expr", "lambdify", "from_string"),
    *("pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "yaml", "runpy", "literal_eval"),
}
ALLOWED = {
    ("ruleforge/language/symbolic.py", "lambdify"): "writes code from opaque functions, numbered symbols and floats",
}


def executing(source: str) -> set[str]:
    """Names that could execute a text: the builtins by themselves, the others as any part of a dotted name."""
    found = set()
    for _, name in names_used(source):
        module, *members = name.split(".")
        if name in BUILTIN or (module in KNOWN_TO_EXECUTE and BUILTIN.intersection(members)):
            found.add(members[-1] if members else name)
        elif name == "sympy.S":
            found.add("S")
        else:
            found |= EXECUTES_TEXT.intersection([module, *members])
    return found


@EACH_SOURCE
def test_nothing_executes_text(path):
    found = {name for name in executing(path.read_text(encoding="utf-8")) if (name_of(path), name) not in ALLOWED}
    assert found == set()


def test_every_exception_is_still_needed():
    for file, name in ALLOWED:
        assert name in executing((ROOT / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "exec(text)",
        "run = eval",
        "compile(text, '', 'eval')",
        "import pickle",
        "from pickle import loads",
        "import yaml\nyaml.load(text)",
        "import sympy\nsympy.sympify(text)",
        "from sympy import sympify as read",
        "import sympy\nsympy.S(text)",
        "from sympy.parsing.sympy_parser import parse_expr",
        "from deap import gp\ngp.compile(tree, pset)",
        "from deap import gp\ngp.PrimitiveTree.from_string(text, pset)",
        "import builtins\nbuiltins.exec(text)",
        "__import__(name)",
    ],
)
def test_execution_would_be_found(source):
    assert executing(source) != set()


def test_directions_of_imports():
    """The contracts stand in pyproject.toml."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_are_short():
    long = {name_of(path): n for path in sources() if (n := len(path.read_text("utf-8").splitlines())) > MAX_LINES}
    assert long == {}


# Traces of how something was made rather than of what it is.
OF_THE_WORKPLACE = re.compile(
    r"/work/(main|shared|\.library)|/tmp/|/root/|\.\./shared|\bacceptance/run\b"
    r"|PROTOCOLS|DESIGN\.md|INTERFACES\.md|\bissues? #?\d+\b|\bfounder\b"
    r"|\b(this|another|next|previous|helper) session\b|\bChatGPT\b|\bClaude\b|\bCopilot\b"
)
READ = {"", ".cff", ".cfg", ".css", ".html", ".ini", ".js", ".mako", ".md", ".py", ".sh", ".toml", ".txt", ".yml"}
BESIDE = ("tests", "benchmarks", "docs", ".ci", ".github")


def written_files() -> list[Path]:
    folders = [path for folder in (*PRODUCT, *BESIDE) for path in (ROOT / folder).rglob("*")]
    files = [path for path in [*ROOT.iterdir(), *folders] if path.is_file() and path.suffix in READ]
    left_out = {"__pycache__", ".git", ".installed"}
    return [path for path in files if not left_out & set(path.parts) and path != Path(__file__)]


def test_files_speak_of_the_product_alone():
    found = {}
    for path in written_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if matches := sorted({match.group() for match in OF_THE_WORKPLACE.finditer(text)}):
            found[name_of(path)] = matches
    assert found == {}
