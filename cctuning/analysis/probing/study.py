"""A study from questions to cells: the pilot's grids, the chosen pairs, the unseen questions."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cctuning.analysis.cells.activations import Activations, activations_path, read_activations
from cctuning.analysis.cells.applied import Applied
from cctuning.analysis.cells.grid import Grid, GridKey, LayerPair
from cctuning.analysis.cells.load_cells import read_applied, read_grid
from cctuning.analysis.probing.folder import StudyFolder
from cctuning.analysis.probing.sweeping import Job, Sweeping, cell_of, do_jobs
from cctuning.analysis.probing.tasks import ProbeTask
from cctuning.analysis.transplant import Cell
from cctuning.analysis.transplant.interventions import REPLACE
from cctuning.data.prompts import PromptFormat
from cctuning.distributed.sharing import ALONE, Shard
from cctuning.tools.progress import Advance

StrategyPairs = Mapping[str, LayerPair]  # of each strategy

PILOT, UNSEEN = "pilot", "unseen"
CONTROL = "control"  # the pilot with other source prompts


@dataclass(frozen=True)
class Study:
    """A model, the folder that keeps its cells, and how they are made.

    `settings` is what all cells depend on beside the questions: it says where they may be gone on with. `how`
    is how a grid is swept, under whichever sub-layer.
    """

    folder: StudyFolder
    model: Any
    prompts: PromptFormat
    settings: Mapping[str, Any]
    sublayers: Sequence[str]
    how: Sweeping
    rows: int | None = None
    shard: Shard = ALONE

    def cell_of(self, pair: LayerPair) -> Cell:
        """The swaps of a pair."""
        layers = self.model.config.get_text_config().num_hidden_layers
        return cell_of(pair, layers, self.how.also_targets)

    def sweep_grids(self, which: str, probes: Sequence[ProbeTask], progress: Advance) -> None:
        """Every layer into every layer, for all questions and sub-layers; and the sources as they are."""
        jobs = [
            Job(piece, replace(self.how, sublayer=sublayer), probe.metric)
            for sublayer in self.sublayers
            for probe in probes
            for piece in self.folder.pieces(which, sublayer, probe, whole_grid=True)
        ]
        self._do(which, probes, jobs, progress)

    def sweep_control(self, controls: Sequence[ProbeTask], progress: Advance) -> None:
        """The pilot's grids with the source prompts of other questions, for log-probabilities alone.

        What was made with others, as of a pilot of another size, is made again.
        """
        new_tokens = min(1, self.how.max_new_tokens)
        how = replace(self.how, max_new_tokens=new_tokens, plain=False, activations=False)
        jobs = [
            Job(piece, replace(how, sublayer=sublayer), probe.metric, redo=True)
            for sublayer in self.sublayers
            for probe in controls
            for piece in self.folder.pieces(CONTROL, sublayer, probe, whole_grid=True)
        ]
        self._do(CONTROL, [], jobs, progress)

    def sweep_pairs(
        self,
        which: str,
        probes: Sequence[ProbeTask],
        pairs: Mapping[GridKey, StrategyPairs],
        progress: Advance,
    ) -> None:
        """The pairs that were chosen for each task, and the model as it is.

        What was made with other pairs is made again.
        """
        jobs = []
        for sublayer in self.sublayers:
            for probe in probes:
                chosen = sorted(set(pairs[sublayer, probe.benchmark, probe.language].values()))
                how = self._of_cells(((), *map(self.cell_of, chosen)), sublayer)
                pieces = self.folder.pieces(which, sublayer, probe, whole_grid=False)
                jobs += [Job(piece, how, probe.metric, redo=True) for piece in pieces]
        self._do(which, probes, jobs, progress)

    def grids(self, which: str, probes: Sequence[ProbeTask]) -> dict[GridKey, Grid]:
        """The grids of all tasks, read from their files."""
        return {
            (sublayer, probe.benchmark, probe.language): read_grid(
                self.folder.cell_files(which, sublayer, probe, probes, whole_grid=True)
            )
            for sublayer in self.sublayers
            for probe in probes
        }

    def applied(
        self,
        which: str,
        probes: Sequence[ProbeTask],
        pairs: Mapping[GridKey, StrategyPairs],
        *,
        whole_grid: bool,
    ) -> dict[GridKey, Applied]:
        """The answers of the chosen pairs to all tasks, read from their files, or from whole grids."""
        by_key = {}
        for sublayer in self.sublayers:
            for probe in probes:
                files = self.folder.cell_files(which, sublayer, probe, probes, whole_grid=whole_grid)
                key = (sublayer, probe.benchmark, probe.language)
                by_key[key] = read_applied(files, pairs[key], probe.fingerprints)
        return by_key

    def activations(
        self, which: str, probes: Sequence[ProbeTask], *, whole_grid: bool
    ) -> dict[GridKey, Activations]:
        """The activations moved into the questions of all tasks, where they are kept."""
        return {
            (sublayer, probe.benchmark, probe.language): read_activations(
                [
                    activations_path(piece.path)
                    for piece in self.folder.pieces(which, sublayer, probe, whole_grid=whole_grid)
                ],
                probe.ids,
            )
            for sublayer in self.sublayers
            for probe in probes
        }

    def _do(self, which: str, probes: Sequence[ProbeTask], jobs: Sequence[Job], progress: Advance) -> None:
        as_it_is = replace(self._of_cells(((),), "ffn"), activations=False, intervention=REPLACE)
        metrics = {probe.benchmark: probe.metric for probe in probes}
        sources = [
            Job(piece, as_it_is, metrics[benchmark], redo=True)
            for benchmark, piece in self.folder.source_pieces(which, probes)
        ]
        work = functools.partial(
            do_jobs,
            self.model,
            self.prompts,
            settings=self.settings,
            shard=self.shard,
            rows=self.rows,
            work=self.folder.path / "work" / f"process_{self.shard.rank}.jsonl",
        )
        # Cells of something else are an error before anything is written.
        done = [job.is_done(self.settings) for job in (*sources, *jobs)]
        if self.shard.rank == 0 and not all(done):
            self.folder.begin()
        work(sources)
        work(jobs, progress=progress)

    def _of_cells(self, cells: tuple[Cell, ...], sublayer: str) -> Sweeping:
        return replace(self.how, cells=cells, sublayer=sublayer, also_targets=())
