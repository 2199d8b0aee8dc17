"""A linear rate neuron y = w·x finds the first principal component of its inputs (Oja 1982)."""

from collections import namedtuple

import numpy as np

from ruleforge.family import FamilyParameters, Outcome, Quantity, Scores, SearchDefaults, TaskFamily, parameter
from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.interpreter import fill_constants, interpret
from ruleforge.kernel.program import compile_programs
from ruleforge.language import Signal, Slot

OJA, CHOSEN = "Oja, J. Math. Biol. 15:267 (1982)", "chosen for this example"
Problem = namedtuple("Problem", "component samples initial_weights")  # (n,), of length 1; (n_samples, n); (n,)


class Parameters(FamilyParameters):
    """What defines the distribution of problems."""

    n_inputs: int = parameter(8, unit="1", meaning="number of inputs", source=CHOSEN, ge=2, le=1000)
    n_samples: int = parameter(1000, unit="1", meaning="samples shown, one after the other", source=CHOSEN, ge=1)
    variance: float = parameter(6.0, unit="1", meaning="most along the component; 1 across", source=CHOSEN, gt=2)
    learning_rate: float = parameter(0.003, unit="1", meaning="η in w ← w + η·f(x, y, w)", source=CHOSEN, gt=0)


@kernel()
def learn(samples, instructions, length, result, registers, learning_rate, weights):
    """Show all samples to one rule. weights: (n_samples + 1, n_inputs), first row given, the others filled in."""
    for t in range(len(samples)):
        registers[0, :] = samples[t]  # the first registers are the slot's signals, in their order: x, y, w
        registers[1, :] = (weights[t] * samples[t]).sum()
        registers[2, :] = weights[t]
        interpret(instructions, length, registers, samples.shape[1])
        weights[t + 1, :] = weights[t] + learning_rate * registers[result]


class Oja(TaskFamily):
    """The rule sees one synapse: its input x, the neuron's output y, its weight w."""

    name, version, title, citation = "oja", 1, "finding the first principal component", OJA
    fitness_meaning = "|cos| of the angle between w and the component, less 0.1 per decade of |w| off 1; 1 is perfect"
    Parameters = Parameters
    x = Signal("x", "1", "activity of this input", (-3.0, 3.0))
    y = Signal("y", "1", "activity of the neuron, w·x", (-3.0, 3.0), special=(0.0,))
    w = Signal("w", "1", "weight of this input", (-1.0, 1.0), special=(0.0,))
    slots = (Slot("dw", (x, y, w), updates="w → w + η·f, every synapse", when="step"),)
    search_defaults = SearchDefaults(("+", "-", "*"), (1.0,), target=0.95, training=20, validation=20)
    literature = (("Oja's rule", "y*(x - y*w)", OJA, None), ("Hebb's rule", "y*x", "Hebb (1949), Wiley", None))

    def build(self, key):
        """Draw the problem of a key; all randomness comes from the key."""
        own, random = self.parameters, np.random.Generator(np.random.PCG64(key.seed_sequence()))
        component = random.normal(size=own.n_inputs)
        component /= np.sqrt((component**2).sum())
        samples = random.normal(size=(own.n_samples, own.n_inputs))
        stretch = np.sqrt(random.uniform(2.0, own.variance)) - 1
        samples += np.outer((samples * component).sum(axis=1), stretch * component)
        return Problem(component, samples, random.normal(0.0, 0.1, own.n_inputs))

    def simulate(self, rule, problem):
        """Weights before the first and after every sample: (n_samples + 1, n_inputs)."""
        programs = compile_programs([rule.expressions[0]], self.slots[0].symbols)
        registers = fill_constants(programs, self.parameters.n_inputs)[0]
        weights = np.tile(problem.initial_weights, (len(problem.samples) + 1, 1))
        program = programs.instructions[0], programs.lengths[0], programs.results[0]
        learn(problem.samples, *program, registers, self.parameters.learning_rate, weights)
        return weights

    def evaluate(self, rules, instance, *, give_up_below=None):
        """Score a batch of rules on one problem."""
        final = np.array([self.simulate(rule, instance)[-1] for rule in rules])
        with np.errstate(all="ignore"):
            length = np.sqrt((final**2).sum(axis=1))
            fitness = np.abs((final * instance.component).sum(axis=1)) / length - 0.1 * np.abs(np.log10(length))
        ok = np.isfinite(fitness)
        return Scores(np.where(ok, fitness, -np.inf), tuple(Outcome.ok if o else Outcome.non_finite for o in ok))

    def trace(self, rule, instance):
        """Record what a picture could show."""
        return {"weights": Quantity(self.simulate(rule, instance), "1", "weights after each sample, by input")}
