"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import calibration, record, targets
from benchmarks.tables import duration, number, table


def _contender(row: Mapping[str, Any]) -> list[str]:
    if row["absent"]:
        return [row["name"], "–", "–", "–", f"absent: {row['absent']}"]
    extra = row["extra"]
    notes = [row["note"]]
    if "compile_seconds" in extra:
        notes.append(f"{number(extra['compile_seconds'])} s to build each new rule, not counted")
    name, _, rest = row["name"].partition(",")
    version = f" {extra['version']}" if "version" in extra else ""
    title = f"{name}{version}{',' if rest else ''}{rest}"
    return [title, duration(row["cpu"]), duration(row["wall"]), number(row["ratio"]), "; ".join(n for n in notes if n)]


def _sides(sections: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for section in sections:
        rows = [_contender(row) for row in section["rows"]]
        head = [f"per {section['unit']} and rule", "CPU", "clock", "× ruleforge", "what it is"]
        parts.append(f"### {section['family']}, {section['setting']}\n\n{table(head, rows)}")
    return "\n".join(parts)


def _savings(families: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    rows = [
        [
            name,
            "on" if row["racing"] else "off",
            "on" if row["fingerprints"] else "off",
            str(row["distinct"]),
            number(row["per_second"]),
            number(row["gain"]),
            f"{'yes' if row['same_ranking'] else 'no'} ({row['n_ranked']})",
            number(row["champion"], 4),
        ]
        for name, found in families.items()
        for row in found
    ]
    head = ("family", "racing", "fingerprints", "distinct rules", "per second", "gain", "same ranking (n)", "champion")
    return table(head, rows)


def markdown(results: Mapping[str, Any]) -> str:
    """The page of results; only what was measured is in it."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    parts = ["# Benchmarks\n"]
    head: list[str]
    if results["quick"]:
        parts.append("**Quick mode: small problems and two rounds. These figures mean little.**\n")
    parts.append(
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; Python {machine['python']}, "
        f"{versions}; {machine['gcc'] or 'no gcc'}; commit {machine['commit']}; {machine['date']}. "
        f"Load averages at the start: {', '.join(map(str, machine['load']))}.\n\n"
        "Each figure is for one core. The contenders of a table were measured in turn, round after round; given are "
        "the medians, and the median of the ratio of processor times within each round. What is not the same work is "
        "said beside the figure.\n"
    )
    if found := targets.reached(results):
        rows = [[t.claim, t.wanted, number(t.value), "yes" if t.holds else "no"] for t in found]
        parts.append(f"## What was to be reached\n\n{table(('figure', 'wanted', 'measured', 'holds'), rows)}")
    if "sides" in results:
        parts.append(f"## Side by side\n\n{_loaded(results['sides'])}{_sides(results['sides']['measured'])}")
    if "elementary" in results:
        section = results["elementary"]
        parts.append(
            f"## Rules with powers, exponentials, logarithms\n\n{_loaded(section)}{_sides(section['measured'])}"
        )
    if "savings" in results:
        section = results["savings"]
        parts.append(
            "## Simulations saved\n\nRules of different behaviour judged per second of one core, search and record "
            "included; the known rules are in the first generation, and the ranking is over those that were scored in "
            f"full in both.\n\n{_loaded(section)}{_savings(section['measured'])}"
        )
    if "success" in results:
        rows = [
            [name, str(found["seeds"]), number(found["found"]), str(found["with"]), str(found["without"])]
            for name, found in results["success"].items()
        ]
        head = ["family", "seeds", "training fitness of a success", "with racing and fingerprints", "without"]
        parts.append(f"## Success rates\n\n{table(head, rows)}")
    if "overhead" in results:
        section = results["overhead"]
        measured = section["measured"]
        rows = [
            [
                row["name"],
                str(row["candidates"]),
                str(row["distinct"]),
                duration(row["overhead"]),
                duration(row["scoring"]),
                duration(row["per_distinct"]),
            ]
            for row in measured["rows"]
        ]
        head = [
            "search",
            "scored",
            "of them distinct",
            "beside scoring, each",
            "scoring, each",
            "all, per distinct rule",
        ]
        note = f"hal-cgp: {measured.get('note') or 'absent: ' + measured.get('absent', '')}.\n\n"
        parts.append(f"## What a search costs beside its simulations\n\n{_loaded(section)}{note}{table(head, rows)}")
    if "threads" in results:
        section = results["threads"]
        rows = [
            [row["family"], "–", "–", row["absent"], "–"]
            if "absent" in row
            else [
                row["family"],
                duration(row["one"]),
                duration(row["two"]),
                number(row["speed_up"]),
                number(row["ceiling"]) if "ceiling" in row else "–",
            ]
            for row in section["measured"]
        ]
        head = ["family", "one thread", "two threads", "speed-up", "two processes beside one"]
        parts.append(
            "## Two threads (clock)\n\nThe shortest of many rounds. The last column is what the machine allows: how "
            "much more two processes that share nothing get done than one alone.\n\n"
            f"{_loaded(section)}{table(head, rows)}"
        )
    if "cluster" in results:
        section = results["cluster"]
        rows = [
            [row["family"], "–", "–", "–", row["absent"]]
            if "absent" in row
            else [
                row["family"],
                f"{row['instances']}, no racing" if "instances" in row else "default, racing",
                duration(row["threads"]),
                duration(row["dask"]),
                f"{100 * row['overhead']:+.1f} %",
            ]
            for row in section["measured"]
        ]
        head = ["family", "training instances", "a generation, two threads", "two Dask workers", "added"]
        parts.append(
            "## Two Dask workers beside two threads (clock)\n\nThe same search with the same history: of each "
            "generation the shortest of its rounds. Scheduler and client share the two cores with the workers. At "
            "default sizes each of the few calls of a generation ends sooner than one task of a cluster should (0.5 "
            "s), so that what it costs to begin and to end it shows.\n\n"
            f"{_loaded(section)}{table(head, rows)}"
        )
    if "start" in results:
        section = results["start"]
        rows = [[row["family"], duration(row["seconds"])] for row in section["measured"]]
        head = ["family", "from nothing to the first scores"]
        parts.append(f"## Start of a worker, kernels cached (clock)\n\n{_loaded(section)}{table(head, rows)}")
    if "calibration" in results:
        section = results["calibration"]
        rates = "\n".join(calibration.markdown(section["measured"]))
        parts.append(f"## Calibration of the verdicts\n\n{_loaded(section)}{rates}\n")
    if "record" in results:
        section = results["record"]
        parts.append(f"## A large record\n\n{_loaded(section)}{record.markdown(section['measured'])}")
    return "\n".join(parts)


def _loaded(section: Mapping[str, Any]) -> str:
    return f"Load averages when this began: {', '.join(map(str, section['load']))}.\n\n"
