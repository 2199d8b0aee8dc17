"""Rules of the literature for the `correlation` family: (name, text, citation, published fitness)."""

from __future__ import annotations

from tasks.correlation.parameters import JORDAN_2021, PFISTER_2006

# Jordan et al. 2021, in the form in which they were scored: at poles the form decides (w/(1 − w) is not −w/(w − 1)).
EVOLVED: tuple[tuple[str, float], ...] = (
    ("depress: -w + x/w; facilitate: (w*x)**w - 1", 20.88),
    ("depress: -w + x; facilitate: w - (w/(w - x))**(w - x)", 20.03),
    ("depress: -40*w + 20*x; facilitate: -w/(w - 1)", 14.53),
    ("depress: -w + 0.1; facilitate: x**2 - w", 13.88),
    ("depress: -w + 0.1; facilitate: -w/(w**2 - w + 2*x)", 12.37),
    ("depress: w*x*(w + x)**(-w - x) - w - x; facilitate: x - w", 11.60),
    ("depress: -w + 2*x; facilitate: x**2 - w - 1", 11.21),
    ("depress: w*x - w - x; facilitate: x - w", 10.99),
    ("depress: -10 + 100*x/w; facilitate: w/x", 4.68),
    ("depress: (w**2 + x)**4/w**4; facilitate: w/x", 3.25),
)

# w ← w + 0.01·x − 0.0015 at an output spike, in units of λ = 0.01. To be scored with facilitate_lower_bound = 0.
HOMEOSTATIC_RULE = "depress: 0; facilitate: x - 0.15"

LITERATURE: tuple[tuple[str, str, str, float | None], ...] = (
    ("additive STDP", "depress: 1.05*x; facilitate: x", "Song, Miller & Abbott, Nat. Neurosci. 3:919 (2000)", None),
    (
        "multiplicative STDP",
        "depress: w*x; facilitate: (1 - w)*x",
        "Rubin, Lee & Sompolinsky, Phys. Rev. Lett. 86:364 (2001)",
        None,
    ),
    (
        "van Rossum STDP",
        "depress: w*x; facilitate: x",
        "van Rossum, Bi & Turrigiano, J. Neurosci. 20:8812 (2000)",
        None,
    ),
    (
        "homeostatic STDP",
        HOMEOSTATIC_RULE,
        "Masquelier, Neuroscience 389:133 (2018); Kempter, Gerstner & van Hemmen, Neural Comput. 13:2709 (2001)",
        None,
    ),
    # Table 3: A2− = 7.1·10⁻³, A3+ = 6.5·10⁻³, A2+ = A3− = 0, here in units of λ = 0.01; τ_y = 114 ms is the default
    # of the slow traces. Its τ+ = 16.8 ms and τ− = 33.7 ms are one parameter here, with 20 ms for both.
    ("triplet STDP", "depress: 0.71*x; facilitate: 0.65*x*y_slow", PFISTER_2006, None),
    *(
        (f"Jordan 2021, rule {rank}", text, JORDAN_2021, fitness)
        for rank, (text, fitness) in enumerate(EVOLVED, start=1)
    ),
)
