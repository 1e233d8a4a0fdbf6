"""What the right source prompt is worth over another question's.

Most of what is moved says "here an answer begins", whatever the question. So the change of the right answers'
log-probability is compared with that under the source prompt of another question of the language.
"""

from collections.abc import Mapping

from cctuning.analysis.cells.grid import Grid
from cctuning.analysis.measures.likelihood import by_layers, known, likelihood_changes
from cctuning.stats.bootstrap import Array
from cctuning.stats.estimates import PAIR_RESAMPLES, Estimates, Resampling

GridsByLanguage = Mapping[str, Grid]


def over_control(grid: Grid, control: Grid) -> Array | None:
    """The nats (Q, L, L) that the right source prompt adds to what another's makes of a right answer.

    NaN for questions of which it is not known; None where nothing was scored.
    """
    right, wrong = grid.cells.right_log_probability, control.cells.right_log_probability
    return None if right is None or wrong is None else right - wrong


def measure_control(
    grids: GridsByLanguage, controls: GridsByLanguage, resampling: Resampling
) -> dict[str, Estimates]:
    """Log-probabilities of right answers over those of the control, in nats; empty without a control.

    `over_control_log_probability`: the mean over all pairs; `_by_source_layer`, `_by_target_layer`: (L,),
    `_by_pair`: (L, L). `control_log_probability_change_by_pair`: what the control itself changes.
    """
    differences = known(
        {name: over_control(grid, controls[name]) for name, grid in grids.items() if name in controls}
    )
    if not differences:
        return {}
    changes = known({name: likelihood_changes(controls[name]) for name in differences})
    return {
        **by_layers("over_control_log_probability", differences, resampling),
        "control_log_probability_change_by_pair": resampling.mean_of_known(changes, resamples=PAIR_RESAMPLES),
    }
