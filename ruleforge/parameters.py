"""Parameters of task families: declared with unit, meaning, source and bounds, and checked as a whole.

Finite is not the same as usable: whatever passes here can be built. Each value has bounds of its own; times that lie on
the grid of the simulation are whole numbers of its steps, few enough for the kernels; and a family says what else has
to fit together.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from ruleforge.checked import CheckedModel

# Steps of the longest time: kernels keep steps as 32-bit integers, and a delay that is added to a time must fit too.
MAX_STEPS = 2**30 - 1
# Times that differ by less than this part of a step count as equal: 0.29/0.01 is 28.999999999999996.
GRID_TOLERANCE = 1e-6
# Bounds that families share. A time constant far below any step is a filter that forgets at once; one far above any
# experiment is an integrator, and beyond that nothing changes but the number.
TIME_CONSTANT: Mapping[str, Any] = {"ge": 1e-3, "le": 1e9}
POTENTIAL: Mapping[str, Any] = {"ge": -1e6, "le": 1e6}
# Positive scales, gains and rates of learning: what lies beyond overflows or vanishes as soon as it is squared.
SCALE: Mapping[str, Any] = {"ge": 1e-9, "le": 1e9}
SIGNED: Mapping[str, Any] = {"ge": -1e9, "le": 1e9}
# Differences of potential over which something grows e-fold: at the smallest it is a step, as for a neuron that has no
# noise (simulators are compared with it there).
STEEPNESS: Mapping[str, Any] = {"ge": 1e-6, "le": 1e6}
RESOLUTION: Mapping[str, Any] = {"ge": 1e-4, "le": 1.0}


def parameter(default: Any, *, unit: str, meaning: str, source: str, on_grid: bool = False, **limits: Any) -> Any:
    """A field of a family's Parameters: default, unit ("1" if dimensionless), meaning, source, pydantic's limits.

    on_grid: a time in the unit of `resolution`, of which it has to be a whole multiple.
    """
    extra: dict[str, Any] = {"unit": unit, "source": source}
    return Field(
        default, description=meaning, json_schema_extra=extra | ({"on_grid": True} if on_grid else {}), **limits
    )


class FamilyParameters(CheckedModel):
    """Base of every family's parameters: immutable, unknown names refused, finite numbers only, checked as a whole.

    A family with times on a grid has a parameter `resolution` and declares them with `on_grid`; what else has to fit
    together it says by overriding `faults`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def grid_times(cls) -> tuple[str, ...]:
        """The names of the times that are whole numbers of steps."""
        return _grid_times(cls)

    def steps(self, time: float) -> int:
        """The nearest whole number of steps of `resolution` to a time."""
        return round(time / self._step)

    @property
    def _step(self) -> float:
        step: float = self.resolution  # type: ignore[attr-defined]  # of those families that have a grid
        return step

    def faults(self) -> Iterator[tuple[str, str]]:
        """What does not fit together: (parameter, sentence) pairs.

        Asked when every value is within its own bounds and all times are whole numbers of steps.
        """
        return iter(())

    def _off_the_grid(self) -> Iterator[tuple[str, str]]:
        for name in self.grid_times():
            time, step = getattr(self, name), self._step
            if not time / step <= MAX_STEPS:
                yield name, f"{name}/resolution is expected to be at most {MAX_STEPS:,} steps, it is {time / step:,.0f}"
            elif time and (not self.steps(time) or abs(time - self.steps(time) * step) > GRID_TOLERANCE * step):
                yield name, f"{name} is expected to be a multiple of resolution ({step:g} ms), it is {time:.12g} ms"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = list(self._off_the_grid()) or list(self.faults())
        if found:
            # Each fault under the name of its parameter, which an error of a validator would not have.
            details = [
                InitErrorDetails(
                    type=PydanticCustomError("does_not_fit", "{sentence}", {"sentence": sentence}),
                    loc=(name,),
                    input={},
                )
                for name, sentence in found
            ]
            raise ValidationError.from_exception_data(type(self).__name__, details)
        return self


@functools.cache
def _grid_times(parameters: type[FamilyParameters]) -> tuple[str, ...]:
    extras = ((name, field.json_schema_extra) for name, field in parameters.model_fields.items())
    return tuple(name for name, extra in extras if isinstance(extra, dict) and extra.get("on_grid"))
