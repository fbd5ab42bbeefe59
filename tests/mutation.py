"""Change the package in small ways, one at a time, and count the changes that the tests notice.

    python tests/mutation.py --seed 1 --mutants 100 --jobs 2
    python tests/mutation.py --seed 1 --module recovery/_pipeline.py

The seed draws among all changes that `changes` knows. Each is written into a copy of the package,
where the quick tests that execute the changed line run, those of its module first, until one fails,
hangs or ends its process: then the change is killed. Changes that survive are printed, and the
command fails if less than LEAST were killed. One draw in CONTROL is left unchanged, and has to
survive. Which test executes which line is found out once, and kept in a temporary folder for as
long as the package and the file of tests stay the same.

Left out, since no test can or should notice: docstrings, words of messages, annotations and names
of types, imports, `__all__`, decorators (caches), progress bars, the help of commands, how pictures
look, how much memory a block or a cache takes, how many threads torch has, and the difference
between < and <= where real numbers are compared. Functions that numba compiles count. The course,
the app and the web pages are tested in other ways, in the browser too.

Numbers that were found by trial, which are those of constants in capitals, do as well when they are
twice as large, and ten or more iterations as well as twice as many. So the real ones change by
three orders of magnitude, tiny ones by six, and ten or more of anything become one.
"""

import argparse
import ast
import collections
import copy
import functools
import gc
import hashlib
import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = ("app", "course", "tools/site")
NO_COPY = shutil.ignore_patterns(".git", ".venv", ".*_cache", "screens")
# What is not ours and takes long to import: it is imported once, before the processes part.
HEAVY = ("torch", "scipy.signal", "ssqueezepy", "matplotlib.pyplot", "ipywidgets", "nbformat")
LEAST = 0.9
CONTROL = 20
MOST_CPU = 20.0  # seconds that all tests of one change may take together, when they pass
MOST_WAITING = 1200  # seconds for one change, if it waits and computes nothing
MOST_BYTES = 16 * 2**30
OPTIONS = ["-q", "-n0", "-pno:cacheprovider", "-pno:faulthandler"]
OPTIONS += ["-Wignore::pytest.PytestAssertRewriteWarning"]  # the imports of HEAVY

# --- Changes --------------------------------------------------------------------------------------

BOTH_WAYS = [(ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot)]
BOTH_WAYS += [(ast.In, ast.NotIn), (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.Div)]
BOTH_WAYS += [(ast.BitAnd, ast.BitOr)]
OTHER = {a: b for pair in BOTH_WAYS for a, b in (pair, pair[::-1])}
OTHER |= dict.fromkeys((ast.FloorDiv, ast.Mod, ast.Pow), ast.Mult)
# Between real numbers < and <= are the same: their equality has no measure.
OPPOSITE = {ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt}
WORDS = ("help", "description", "metavar", "desc", "stacklevel", "prog", "epilog", "flush")
LOOKS = ("figsize", "layout", "alpha", "color", "linestyle", "marker", "fmt", "mfc", "capsize")
LOOKS += ("fontsize", "loc", "bbox_to_anchor", "markevery", "xlim", "ylim", "dpi")
MEMORY = re.compile("BYTES|PER_BLOCK|AT_ONCE|CACHED|COPIES|MOST_KEPT|KEPT_BUFFER")
SPEED = ("overwrite_a", "overwrite_b", "overwrite_x", "check_finite", "workers")  # of scipy's
Change = collections.namedtuple("Change", "path start end new place says")
# Where a test has to pass for a change to show: at a line, or at a user of a name of a module.
Place = collections.namedtuple("Place", "path line names")


def changes(source, path="module.py", reals=frozenset()):
    """List every change of one module; `reals` are names of constants that are no integers."""
    lines = source.encode().splitlines(keepends=True)
    starts = [sum(map(len, lines[:n])) for n in range(len(lines))]
    found = []
    for node, field, place in _visible(ast.parse(source), Place(path, None, ())):
        for new in _variants(node, field, reals, _is_by_trial(place)):
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            says = f"{path}:{node.lineno}  {_difference(ast.unparse(node), new)}"
            found.append(Change(path, start, end, new, place, says))
    return found


def changed(source, change):
    """Make one change in the source of its module."""
    held = source.encode()
    return (held[: change.start] + change.new.encode() + held[change.end :]).decode()


def _visible(node, place):
    """Go through all nodes that may be changed: (node, its field, its place)."""
    for field, below in ast.iter_fields(node):
        for each in below if isinstance(below, list) else [below]:
            if isinstance(each, ast.AST) and not _unseen(node, field, each):
                inner = _place(node, field, each, place)
                if hasattr(each, "lineno") and not isinstance(each, ast.keyword | ast.arg):
                    yield each, field, inner
                yield from _visible(each, inner)


def _unseen(node, field, each):
    """Tell whether a node only serves readers, type checkers or speed."""
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    return (
        field in ("annotation", "returns", "decorator_list", "bases", "exc")
        or (isinstance(each, ast.keyword) and each.arg in WORDS + SPEED + LOOKS)
        or isinstance(each, ast.JoinedStr | ast.Import | ast.ImportFrom)
        or (isinstance(each, ast.Expr) and "set_num_threads" in ast.unparse(each.value))
        or (isinstance(each, ast.If) and "TYPE_CHECKING" in ast.unparse(each.test))
        or (isinstance(each, ast.If) and "__name__ ==" in ast.unparse(each.test))
        or (isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__all__")
        or (isinstance(node, ast.Module) and _names_type_or_memory(each))
        or (called == "Stage" and each in node.args[2:])  # the length of a progress bar
        or called.endswith(("warn", "tqdm", "trange", "cast", "TypeVar"))
    )


def _names_type_or_memory(statement):
    """Tell whether a statement of a module gives a name to a type or a size to a block."""
    name = ast.unparse(statement.targets[0]) if isinstance(statement, ast.Assign) else ""
    is_type = name.isidentifier() and name[0].isupper() and not name.isupper()
    return is_type or (name.isidentifier() and bool(MEMORY.search(name)))


def _is_by_trial(place):
    """Tell whether a place is in a constant in capitals, outside all functions and classes."""
    return not place.line and bool(place.names) and all(map(str.isupper, place.names))


def _place(node, field, each, place):
    """Say where a test has to pass for a change of `each` to show."""
    if isinstance(node, ast.FunctionDef):
        if any("njit" in ast.unparse(decorator) for decorator in node.decorator_list):
            return Place(place.path, None, (node.name,))
        first = node.body[1 if ast.get_docstring(node) and len(node.body) > 1 else 0]
        return Place(place.path, _line(each if field == "body" else first), ())
    if place.line:
        return Place(place.path, _line(each), ()) if isinstance(each, ast.stmt) else place
    if isinstance(node, ast.ClassDef):
        return Place(place.path, None, (node.name,))
    targets = getattr(each, "targets", []) or [getattr(each, "target", each)]
    names = {
        n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and n is not each
    }
    assigned = isinstance(each, ast.Assign | ast.AnnAssign) and not place.names
    return Place(place.path, None, tuple(sorted(names))) if assigned else place


def _line(statement):
    """Return the line where a statement is executed: `if (` alone is none."""
    return getattr(statement, "test", statement).lineno


def real_constants(sources):
    """List the names in capitals that stand for real numbers, such as tolerances."""
    found = set()
    for assigned in (n for s in sources for n in ast.parse(s).body if isinstance(n, ast.Assign)):
        pairs = [(assigned.targets[0], assigned.value)]
        if isinstance(pairs[0][0], ast.Tuple) and isinstance(pairs[0][1], ast.Tuple):
            pairs = zip(pairs[0][0].elts, pairs[0][1].elts)
        found |= {ast.unparse(name) for name, value in pairs if _is_real(value)}
    return frozenset(name for name in found if name.isupper())


def _is_real(node, reals=frozenset()):
    """Tell whether an expression has a float, a quotient, a level in dB or a real constant."""
    return any(
        (isinstance(n, ast.Constant) and isinstance(n.value, float))
        or isinstance(n, ast.Div)
        or (name := getattr(n, "id", getattr(n, "attr", ""))) in reals
        or name.endswith("_db")
        for n in ast.walk(node)
    )


def _variants(node, field, reals, by_trial=False):
    """Write a node in other ways; a number found `by_trial` changes more."""
    if isinstance(node, ast.Break | ast.Continue):
        return ["continue" if isinstance(node, ast.Break) else "break"]
    if isinstance(node, ast.Return):
        words = node.value is None or isinstance(node.value, ast.JoinedStr)
        return [] if words or ast.unparse(node.value) == "None" else ["return None"]
    if isinstance(node, ast.Raise):
        return ["pass"]
    if isinstance(node, ast.Expr):
        return ["pass"] if isinstance(node.value, ast.Call) else []
    if isinstance(node, ast.Constant):
        numbers = isinstance(node.value, bool | int | float)
        return [repr(_other_number(node.value, by_trial))] if numbers else []
    if isinstance(node, ast.AugAssign):
        return [ast.unparse(_with(node, op=OTHER[type(node.op)]()))]
    if isinstance(node, ast.Slice):
        return [ast.unparse(each) for each in _shifted(node)]
    return [f"({ast.unparse(each)})" for each in _other_expressions(node, field, reals)]


def _other_expressions(node, field, reals):
    if isinstance(node, ast.Compare):
        for k, op in enumerate(node.ops):
            sides = [node.left, *node.comparators][k : k + 2]
            real = type(op) in OPPOSITE and any(_is_real(side, reals) for side in sides)
            other = (OPPOSITE if real else OTHER)[type(op)]
            yield _with(node, ops=[*node.ops[:k], other(), *node.ops[k + 1 :]])
    elif isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in OTHER:
        if not any(isinstance(n, ast.JoinedStr) or _is_text(n) for n in ast.iter_child_nodes(node)):
            yield _with(node, op=OTHER[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif field == "test" and isinstance(node, ast.Name | ast.Call | ast.Attribute):
        yield ast.UnaryOp(ast.Not(), node)
    if isinstance(node, ast.Call):
        for k, keyword in enumerate(node.keywords):
            if keyword.arg and not _unseen(node, "keywords", keyword):
                yield _with(node, keywords=node.keywords[:k] + node.keywords[k + 1 :])


def _with(node, **fields):
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _other_number(value, by_trial=False):
    """Turn a truth value around, go on to the next integer, or change the size of a number."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1 if value < 10 else 1
    tiny = 0 < value <= 1e-3
    factor = (1e6 if tiny else 1e3) if by_trial else (1e3 if tiny else 2)
    return factor * value or 1.0


def _shifted(node):
    """Move one end of a slice on by one; ends that are plain numbers change as numbers."""
    for end in ("lower", "upper"):
        bound = getattr(node, end)
        if bound and not isinstance(bound, ast.Constant):
            yield _with(node, **{end: ast.BinOp(bound, ast.Add(), ast.Constant(1))})


def _difference(old, new):
    """Show what differs, with a few characters around it."""
    both = [" ".join(text.split()) for text in (old, new[1:-1] if new.startswith("(") else new)]
    first = len(os.path.commonprefix(both))
    last = len(os.path.commonprefix([text[first:][::-1] for text in both]))
    return " -> ".join(text[max(first - 30, 0) : len(text) - max(last - 30, 0)] for text in both)


# --- Which test executes which line ---------------------------------------------------------------


class Survey:
    """Trace the tests of one file, and write which executed which lines, and the time they took."""

    def __init__(self, folder):
        self.folder = folder
        self.tracer = coverage.Coverage(
            None, config_file=False, include=[f"{folder}/scalinv_utils/*"]
        )
        self.passed, self.caches = {}, []
        self.tracer.start()

    def pytest_collection_finish(self):
        for held in gc.get_objects():
            if type(held) is functools._lru_cache_wrapper:
                file = getattr(sys.modules.get(held.__module__), "__file__", None)
                self.caches += [held] if str(file).startswith(self.folder) else []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        # What an earlier test has left in a cache would hide lines that this one needs.
        for cached in self.caches:
            cached.cache_clear()
        self.tracer.switch_context(item.nodeid)
        began = time.process_time()
        result = yield
        if self.passed.get(item.nodeid):
            self.passed[item.nodeid] = time.process_time() - began
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        """Count what is made once for a file for all tests in it."""
        test = request._pyfuncitem.nodeid
        if fixturedef.scope != "function":
            self.tracer.switch_context(test.split("::")[0])
        result = yield
        self.tracer.switch_context(test)
        return result

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.passed[report.nodeid] = float(report.passed)

    def result(self):
        self.tracer.stop()
        data = self.tracer.get_data()
        lines = {
            os.path.relpath(file, self.folder): data.contexts_by_lineno(file)
            for file in data.measured_files()
        }
        return {"seconds": {test: s for test, s in self.passed.items() if s}, "lines": lines}


def survey(file, kept, folder):
    """Run the tests of one file, and keep what they executed."""
    plugin = Survey(folder)
    pytest.main([*OPTIONS, "-m", "not (long or slow or browser)", file], plugins=[plugin])
    kept.write_text(json.dumps(plugin.result()))
    return 0


def surveyed(whole, jobs):
    """Return the seconds of each test, and the tests of each line, asking the cache first."""
    store = Path(tempfile.gettempdir()) / f"scalinv-mutation-{os.getuid()}"
    store.mkdir(mode=0o700, exist_ok=True)
    shared = [*_modules(whole), whole / "tests/conftest.py", whole / "tests/small.py"]
    package = b"".join(path.read_bytes() for path in shared)
    kept = {}
    for file in _files_of_tests(whole):
        known = hashlib.sha256(package + file.encode() + (whole / file).read_bytes()).hexdigest()
        kept[file] = store / f"{known}.json"
    missing = [file for file in kept if not kept[file].exists()]
    tasks = [(functools.partial(survey, file, kept[file]), 10 * MOST_WAITING) for file in missing]
    for number, _, _ in parallel(tasks, whole, jobs):
        print(f"surveyed {missing[number]}", flush=True)
    seconds, lines = {}, collections.defaultdict(set)
    for file in kept:
        said = json.loads(kept[file].read_text())
        seconds.update(said["seconds"])
        for path, by_line in said["lines"].items():
            for line, contexts in by_line.items():
                lines[path, int(line)].update(
                    test
                    for context in contexts
                    for test in ([context] if context in said["seconds"] else said["seconds"])
                    if context
                )
    return seconds, lines


def _modules(whole):
    return sorted((whole / "scalinv_utils").rglob("*.py"))


def _inside(path):
    """Tell whether a module of the package is one that is changed."""
    return not path.startswith(tuple(f"scalinv_utils/{folder}/" for folder in OUTSIDE))


def _files_of_tests(whole):
    """List the files of tests, and the modules whose docstrings have examples."""
    outside = tuple(f"tests/{folder}/" for folder in (*OUTSIDE, "browser", "notebooks"))
    tests = sorted(str(p.relative_to(whole)) for p in (whole / "tests").rglob("test_*.py"))
    modules = [str(p.relative_to(whole)) for p in _modules(whole) if ">>>" in p.read_text()]
    return [t for t in tests if not t.startswith(outside)] + [m for m in modules if _inside(m)]


class Users:
    """Find the lines that stand for a place where no line is executed when a test runs."""

    def __init__(self, sources):
        self.places = collections.defaultdict(set)
        for path, source in sources.items():
            for node, _, place in _visible(ast.parse(source), Place(path, None, ())):
                name = getattr(node, "id", getattr(node, "attr", None))
                if name:
                    self.places[name].add(place)

    def lines(self, place, seen=()):
        if place.line or place in seen:
            return {place[:2]} if place.line else set()
        found = set()
        for name in place.names:
            near = {p for p in self.places[name] if p.path == place.path and name not in p.names}
            found |= near or self.places[name]
        return set().union(*(self.lines(each, (*seen, place)) for each in found))


def chosen(change, users, seconds, lines):
    """List the tests that execute a change, those of its module first, for MOST_CPU seconds.

    No line tells who calls a compiled function or reads a constant: the tests of its module may.
    """
    reached = users.lines(change.place)
    tests = set().union(*(lines[line] for line in reached))
    module = Path(change.path).stem.strip("_")
    if not change.place.line:
        tests |= {t for t in seconds if Path(t.split("::")[0]).name == f"test_{module}.py"}
    tests = sorted(tests, key=lambda t: (module not in t.split("::")[0], seconds[t]))
    left, taken = MOST_CPU, []
    for test in tests:
        left -= seconds[test]
        taken += [test] if left > 0 or not taken else []
    return taken


# --- One process for each change ------------------------------------------------------------------


class Watch:
    """Run chosen tests in their order, and end the process if one of them hangs."""

    def __init__(self, seconds):
        self.seconds = seconds

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        order = {test: number for number, test in enumerate(self.seconds)}
        items[:] = sorted((i for i in items if i.nodeid in order), key=lambda i: order[i.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        # Seconds of computing, since the machine may be busy. The signal ends the process.
        signal.setitimer(signal.ITIMER_PROF, 20 + 10 * self.seconds[item.nodeid])
        result = yield
        signal.setitimer(signal.ITIMER_PROF, 0)
        return result


def trial(change, tests, folder):
    """Make a change in a copy and run tests with it; return 0 if it survived."""
    if not tests:
        return 0
    if change:
        path = Path(folder) / change.path
        path.write_text(changed(path.read_text(), change))
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    code = pytest.main([*OPTIONS, "-x", *files], plugins=[Watch(tests)])
    return 0 if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else 1


def parallel(tasks, whole, jobs):
    """Run (work, most seconds) in processes with a copy each: yield (number, survived, output)."""
    with tempfile.TemporaryDirectory() as folder:
        free, running = [Path(folder) / f"copy{k}" for k in range(jobs)], {}
        waiting = list(enumerate(tasks))[::-1]
        while waiting or running:
            while waiting and free:
                number, (work, most) = waiting.pop()
                place = free.pop()
                if not place.exists():
                    shutil.copytree(whole, place)
                running[_process(work, str(place))] = number, place, time.time() + most
            time.sleep(0.05)
            for pid, (number, place, ends) in list(running.items()):
                if (
                    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                    or time.time() > ends
                ):
                    os.killpg(pid, signal.SIGKILL)  # also what it has started
                    survived = os.waitpid(pid, 0)[1] == 0
                    del running[pid]
                    free.append(place)
                    yield number, survived, place


def _process(work, folder):
    """Start work in a process that has the copy as its working folder; return its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setpgid(0, 0)  # and no session: it would get a smaller share of a busy machine
        output = os.open(f"{folder}/output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        sys.addaudithook(_installs_nothing)
        sys.dont_write_bytecode = True
        os.chdir(folder)
        os.environ["PYTHONPATH"] = folder
        sys.path[:] = [folder] + [
            entry for entry in sys.path if Path(entry or ".").resolve() != ROOT
        ]
        code = work(folder)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _installs_nothing(event, arguments):
    """Keep a changed set-up from the environment that all of this runs in."""
    if event == "subprocess.Popen" and {"pip", "conda"} & set(map(str, arguments[1])):
        raise PermissionError(f"not in a trial: {arguments[1]}")


# --- The whole run --------------------------------------------------------------------------------


def run(seed, count, module="", whole=ROOT, jobs=1):
    """Try changes drawn by the seed: yield (its words, None for a control; survived; tests)."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "whole"
        shutil.copytree(whole, kept, ignore=NO_COPY)
        sources = {
            str(path.relative_to(kept)): path.read_text()
            for path in _modules(kept)
            if _inside(str(path.relative_to(kept)))
        }
        reals = real_constants(sources.values())
        every = [
            change
            for path, source in sources.items()
            if module in path
            for change in changes(source, path, reals)
        ]
        drawn = random.Random(seed).sample(every, min(count, len(every)))
        seconds, lines = surveyed(kept, jobs)
        users = Users(sources)
        tests = [{t: seconds[t] for t in chosen(c, users, seconds, lines)} for c in drawn]
        made = list(zip(drawn, tests))
        made += [(None, which) for _, which in made[::CONTROL]]
        tasks = [(functools.partial(trial, change, which), MOST_WAITING) for change, which in made]
        for number, survived, place in parallel(tasks, kept, jobs):
            change = made[number][0]
            if change:
                _restore(kept, place, change.path)
            yield change.says if change else None, survived, len(made[number][1])


def _restore(kept, place, path):
    """Put the module back, and what numba has compiled of it."""
    shutil.copy2(kept / path, place / path)
    compiled = (kept / path).parent / "__pycache__"
    if compiled.exists():
        shutil.copytree(compiled, place / compiled.relative_to(kept), dirs_exist_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--module", default="", help="only files with this in their path")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in HEAVY:
        importlib.import_module(name)
    counts = collections.Counter()
    for says, survived, tests in run(given.seed, given.mutants, given.module, jobs=given.jobs):
        if says is None and not survived:
            sys.exit("The tests of an unchanged package fail: nothing can be said.")
        if says:
            counts[survived] += 1
            print("SURVIVED" if survived else "killed  ", says, f"({tests} tests)", flush=True)
    share = counts[False] / max(sum(counts.values()), 1)
    print(f"seed {given.seed}: {counts[False]} of {sum(counts.values())} killed, {share:.0%}")
    sys.exit(share < LEAST)


if __name__ == "__main__":
    main()
