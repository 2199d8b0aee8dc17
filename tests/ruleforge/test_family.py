"""The seam between rules and learning problems: keys, parameters, registry."""

from __future__ import annotations

import importlib.metadata
import itertools

import numpy as np
import pytest
from toy_families import Toy, ToyParameters, Twin

from ruleforge import family as families
from ruleforge.errors import InputError, RuleforgeError, RuleSyntaxError, SpecificationError, unknown_name
from ruleforge.family import SPLITS, FamilyParameters, InstanceKey, Outcome, family, family_class, family_names
from ruleforge.language.signals import probe_inputs


def test_streams_of_splits_seeds_and_indices_never_meet():
    keys = [key for split in SPLITS for seed in (0, 1, 2**40) for key in Toy().keys(split, 5, seed)]
    states = {tuple(key.seed_sequence().generate_state(4)) for key in keys}
    assert len(states) == len(keys) == 60
    assert len({str(key) for key in keys}) == 60


def test_a_longer_list_of_keys_begins_with_the_shorter_one():
    assert Toy().keys("training", 9, 4)[:3] == Toy().keys("training", 3, 4)
    assert Toy().keys("training", 0, 4) == []


def test_keys_say_where_instances_come_from():
    assert Toy().keys("test", 1, 7) == [InstanceKey("sampled", "test", 7, 0)]
    assert str(InstanceKey("sampled", "test", 7, 0)) == "sampled/test/7/0"
    with pytest.raises(InputError, match="from 'published': expected 'sampled'"):
        Toy().keys("test", 1, 7, "published")


def test_the_digest_of_parameters_sees_values_names_and_versions():
    digests = [Toy().parameters_digest, Toy({"gain": 3.0}).parameters_digest, Twin().parameters_digest]

    class Newer(Toy):
        version = 2

    digests.append(Newer().parameters_digest)
    assert len(set(digests)) == 4
    assert Toy({"gain": 2}).parameters_digest == digests[0] == Toy(ToyParameters()).parameters_digest


def test_parameters_are_validated_and_immutable():
    assert Toy().parameters == ToyParameters(gain=2.0, n_steps=10)
    with pytest.raises(SpecificationError, match="unknown parameter 'gian'") as caught:
        Toy({"gian": 1.0, "n_steps": 0})
    assert dict(caught.value.errors).keys() == {"/parameters/gian", "/parameters/n_steps"}
    with pytest.raises(ValueError, match="frozen"):
        Toy().parameters.gain = 3.0

    class Foreign(FamilyParameters):
        gain: float = 1.0

    with pytest.raises(InputError, match="toy takes ToyParameters, and Foreign came"):
        Toy(Foreign())


@pytest.mark.parametrize("name", family_names())
def test_every_parameter_of_every_family_has_unit_meaning_and_source(name):
    for parameter, field in family_class(name).Parameters.model_fields.items():
        extra = field.json_schema_extra
        assert field.description, parameter
        assert extra["unit"], parameter
        assert extra["source"], parameter


@pytest.mark.parametrize("name", family_names())
def test_every_family_declares_itself_completely(name):
    declared = family_class(name)
    assert declared.name == name
    assert declared.version >= 1
    assert declared.title
    assert declared.citation
    assert declared.fitness_meaning
    assert len({slot.name for slot in declared.slots}) == len(declared.slots) > 0
    for slot in declared.slots:
        assert len(set(slot.symbols)) == len(slot.symbols)
        assert slot.default_symbols
        for signal in slot.signals:
            assert signal.symbol.isidentifier()
            assert signal.meaning
            assert signal.unit
            assert signal.range[0] < signal.range[1]


def test_families_are_found_by_name(toy_tasks):
    assert family_names() == sorted(family_names())
    assert {"toy", "twin"} <= set(family_names())
    assert family_class("toy") is Toy
    assert family("toy", {"gain": 5.0}).parameters.gain == 5.0
    with pytest.raises(InputError, match=r"unknown task 'tvin': .*Did you mean 'twin'") as caught:
        family("tvin")
    assert caught.value.pointer == "/task"


def test_an_entry_point_that_is_no_family_is_named(monkeypatch):
    entry = importlib.metadata.EntryPoint("wrong", "json:dumps", families.ENTRY_POINTS)
    monkeypatch.setattr(families, "_entry_points", lambda: {"wrong": entry})
    family_class.cache_clear()
    with pytest.raises(InputError, match=r"'wrong' of ruleforge\.tasks names json:dumps, which is not a TaskFamily"):
        family_class("wrong")
    family_class.cache_clear()


def test_known_rules_carry_citation_and_published_fitness():
    known = Toy.known_rules()
    assert list(known) == ["gated", "plain"]
    assert known["gated"].rule.text == "(R - 1)*E"
    assert (known["gated"].citation, known["gated"].published) == ("nobody", 1.0)
    assert known["plain"].published is None
    assert Toy.known_rules() is known


def test_a_family_averages_and_has_no_picture_unless_it_says_otherwise():
    assert Toy().aggregate(np.array([1.0, 2.0, 6.0])) == 3.0
    with pytest.raises(InputError, match="toy has no picture"):
        Toy().draw(None, [], None)
    scores = Toy().evaluate_many([None, None], [1, 2, 3])
    assert [len(score.fitness) for score in scores] == [2, 2, 2]


def test_outcomes_explain_themselves():
    assert [outcome.value for outcome in Outcome] == ["ok", "non_finite", "rejected_at_hurdle", "timed_out", "failed"]
    assert len({outcome.meaning for outcome in Outcome}) == len(Outcome)


def test_probe_inputs_cover_ranges_discrete_values_and_the_crossing_of_special_ones():
    probes = probe_inputs(Toy.slots[0])
    assert set(probes["R"]) == {-1.0, 1.0}
    assert probes["E"].min() < -15
    assert probes["E"].max() > 15
    assert {(R, E) for R, E in zip(probes["R"], probes["E"], strict=True)} >= {(-1.0, 0.0), (1.0, 0.0)}
    pairs = probe_inputs(Twin.slots[0])
    crossed = set(zip(pairs["w"], pairs["x"], strict=True))
    assert set(itertools.product((0.0, 0.5, 1.0), (0.0, 1.0))) <= crossed
    again = probe_inputs(Twin.slots[0])
    assert all((pairs[name] == again[name]).all() for name in pairs)


def test_one_tree_of_errors():
    assert issubclass(RuleSyntaxError, InputError)
    assert issubclass(SpecificationError, InputError)
    assert issubclass(InputError, RuleforgeError)
    error = SpecificationError([("/search/population", "too few"), ("", "no sense")])
    assert str(error) == "search.population: too few\nno sense"
    assert error.pointer == "/search/population"


def test_unknown_names_are_told_with_the_nearest_known_one():
    assert unknown_name("task", "rewad", ["reward", "other"]) == (
        "unknown task 'rewad': expected one of reward, other. Did you mean 'reward'?"
    )
    assert unknown_name("task", "zzz", ["reward"]) == "unknown task 'zzz': expected one of reward."
    assert unknown_name("task", "zzz", []) == "unknown task 'zzz': expected one of none."


def test_the_library_is_a_split_of_its_own_and_leaves_the_streams_of_the_others_as_they_were():
    assert SPLITS[:3] == ("training", "validation", "test")
    first = [int(Toy().keys(split, 1, 7)[0].seed_sequence().generate_state(1)[0]) for split in SPLITS[:3]]
    assert first == [int(np.random.SeedSequence(7, spawn_key=(place, 0)).generate_state(1)[0]) for place in range(3)]
    keys = Toy().library_keys()
    assert keys == Toy().keys("library", Toy.search_defaults.library, 0)
    assert len(keys) == Toy.search_defaults.instances("library") >= 30
