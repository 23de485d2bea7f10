"""How the gallery's pictures look, and in which order its scripts stand."""

from typing import Any

ORDER = [
    # guides
    "ten_minutes.py",
    "bring_your_own_model.py",
    "bring_your_own_law.py",
    "bring_your_own_solver.py",
    # gallery
    "three_ways_at_a_front.py",
    "mass_and_bounds.py",
    "exact_at_the_wall.py",
    "learned_covariance.py",
    "calibrated_and_lawful.py",
    "train_with_a_law.py",
    "orders_of_convergence.py",
    "*",
]


def style(configuration: dict[str, Any], script: str) -> None:
    """Quiet axes, words that can be read, colours that the colour-blind can tell apart; before each script."""
    import matplotlib
    from matplotlib import cycler

    from lawbound.ink import INK, PALETTE

    matplotlib.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 160,
            "figure.figsize": (8.0, 3.4),
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.edgecolor": "#6b6b6b",
            "axes.labelcolor": INK,
            "axes.prop_cycle": cycler(color=list(PALETTE)),
            "xtick.color": "#6b6b6b",
            "ytick.color": "#6b6b6b",
            "text.color": INK,
            "lines.linewidth": 2.0,
            "legend.frameon": False,
        }
    )
