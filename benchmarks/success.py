"""How often does a search find a known rule? `python benchmarks/success.py reward --seeds 10`.

One job per seed at default settings, each in a record of its own. A seed counts as a success if some rule that the job
scored equals the named rule, or a positive multiple of it, on the probe inputs.
"""

from __future__ import annotations

import argparse
import statistics

from ruleforge.family import family_class
from ruleforge.spec import job_spec
from ruleforge.store import open_store
from workers.evaluators.choose import make_evaluator
from workers.evolve import run_job, submit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("--known", help="name of a known rule [default: the family's first]")
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    known = arguments.known or next(iter(family_class(arguments.task).known_rules()))
    evaluator = make_evaluator()
    places = []
    print(f"{known}, {arguments.task}, default settings")
    for seed in range(arguments.seeds):
        with open_store("sqlite://") as store:
            spec = job_spec({"task": arguments.task, "seed": seed})
            result = run_job(store, submit(store, spec), evaluator)
            names = [record.rule.known_as for record in store.archive(result["job"])]
        place = names.index(known) + 1 if known in names else None
        places += [place] if place else []
        champion, compared = result["champion"], result["compared_with"]
        gap = f"{compared['champion_minus_known']:+.1f} ± {compared['standard_error']:.1f}" if compared else "–"
        print(
            f"seed {seed}: {f'found as rule {place}' if place else 'not found'} of {result['evaluations']}, "
            f"{result['seconds']:.0f} s; champion {champion['rule']} ({champion['fitness']:.1f}); "
            f"minus best known rule, validation: {gap}",
            flush=True,
        )
    print(f"found in {len(places)} of {arguments.seeds}; median place {statistics.median(places) if places else '–'}")


if __name__ == "__main__":
    main()
