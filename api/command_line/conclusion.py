"""The result of a job in words: what is reported, how good it is on test instances, and what that can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.command_line.figures import digits_for, known, nearest, number, unseen
from ruleforge.family import family_class
from ruleforge.language.identity import Recogniser
from ruleforge.language.rule import Rule
from ruleforge.statistics import NO_LEARNING
from workers.scoring import nearest_known

VERDICTS = {"better": "better than", "worse": "worse than", "not_distinguishable": "not distinguishable from"}


def conclusion(result: Mapping[str, Any]) -> str:
    """The reported rule, chosen by validation, with its test fitness and verdicts; the champion; the effort."""
    champion = result["champion"]
    if champion is None:
        lines = ["No rule was tried: the time was too short." if not result["evaluations"] else _none_finite()]
    else:
        lines = _reported(result)
        reported = result.get("reported") or {}
        which = "the same rule" if reported.get("id") == champion["id"] else named(champion, result["task"])
        lines.append(f"Champion (highest training fitness): {which}.")
    lines.append(
        f"{result['evaluations']} distinct rules in {result['generations']} generations, {result['seconds']:.1f} s, "
        f"stopped by {result['stopped_by']}. History {result['history']}."
    )
    return "\n".join(lines)


def _none_finite() -> str:
    return "No rule stayed finite: there is no champion."


def _reported(result: Mapping[str, Any]) -> list[str]:
    reported = result.get("reported") or result.get("best_validated")  # the latter alone in results before verdicts
    if reported is None:
        return ["No rule of the front stayed finite on the validation instances: none is reported."]
    test, rows = reported.get("test_fitness"), result.get("verdicts", [])
    lines = [f"Reported (chosen on unseen instances): {named(reported, result['task'])}."]
    if test:
        digits = digits_for([test["aggregate"]])
        chosen = unseen(reported["validation_fitness"], digits)
        openings = result.get("test_openings", 1)
        again = "" if openings == 1 else f"; this is opening {openings}, each of a fresh stream"
        lines.append(
            f"Validation, by which it was chosen: {chosen}. Test, fresh instances opened for it alone: "
            f"{unseen(test, digits)}{again}."
        )
        if test.get("failures") is not None:
            below = family_class(result["task"]).failure_below
            lines.append(f"It fails (fitness below {below:g}) on {test['failures']} of {test['n']} test instances.")
    if test and test["aggregate"] is None:
        lines.append(
            "It left the finite numbers on a test instance, where it ranks last: it is called better than no other."
        )
    return [*lines, *verdict_lines(rows, result["task"])]


def verdict_lines(rows: Sequence[Mapping[str, Any]], task: str) -> list[str]:
    """The verdicts in words: against no learning, the known rule that is best there, and the others counted."""
    judged = [row for row in rows if row["statistic"] != "failures"]
    lines = []
    for row in judged:
        if row["against"] == NO_LEARNING:
            # Of a rule that was not finite somewhere nothing can be said.
            silent = row["verdict"] == "better" or row["difference"] is None
            learned = "" if silent else "Nothing was learned: "
            lines.append(f"{learned}{_sentence(row, learned == '')}")
    # The lower the difference, the higher the known rule.
    known = [row for row in judged if row["against"] != NO_LEARNING and row["difference"] is not None]
    closest = min(known, key=lambda row: row["difference"], default=None)
    best = None if closest is None else closest["against"]
    if closest is not None and closest["test"] != "the same rule":
        rule = family_class(task).known_rules()[closest["against"]].rule.text
        lines.append(f"{_sentence(closest, True)} That is the best known rule here: {rule}.")
    rest = [row for row in judged if row["against"] not in (NO_LEARNING, best) and row["test"] != "the same rule"]
    others = [row["verdict"] for row in rest]
    if len(others) == 1:
        lines.append(f"It is {VERDICTS[others[0]]} {rest[0]['against']}, the other known rule.")
    elif others:
        counts = [f"{text} {others.count(verdict)}" for verdict, text in VERDICTS.items() if verdict in others]
        lines.append(f"Of the {len(others)} other known rules it is {', '.join(counts)}.")
    return lines


def _sentence(row: Mapping[str, Any], capital: bool) -> str:
    verdict = row["verdict"]
    start = "It is" if capital else "it is"
    figures = [f"p = {row['p_corrected']:.2g} after Holm over all comparisons"]
    if row["difference"] is not None:
        digits = digits_for([row["difference"]])
        interval = ""
        if row["interval"] is not None:
            interval = " [{}, {}]".format(*(number(end, digits) for end in row["interval"]))
        figures.insert(0, f"difference {row['difference']:+.{digits}f}{interval}")
        if verdict == "not_distinguishable":
            seen = "no difference can be seen with so few"
            if row["detectable"] is not None:
                seen = f"{number(row['detectable'], digits)} would be seen in 80 of 100 draws"
            figures.append(f"with n = {row['n']} {seen}")
    return f"{start} {VERDICTS[verdict]} {row['against']} ({'; '.join(figures)})."


def named(item: Mapping[str, Any], task: str) -> str:
    """A rule with its name, or with the known rule that it is most like."""
    name = known(item)
    if name:
        return f"{item['rule']}, which is {name}"
    recogniser = Recogniser(family_class(task).known_rules())
    like = nearest(nearest_known(Rule.parse(item["rule"], task), recogniser))
    return f"{item['rule']}, which has no name here{f' ({like})' if like else ''}"
