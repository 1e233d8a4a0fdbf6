// What the page shows now: a grid (benchmark, language, sub-layer), a view of it, a cell, a question.

const study = { grids: [], grid: null, view: "change", source: 0, target: 0, question: 0, blocks: new Map() };

const distinct = (name, grids = study.grids) => [...new Set(grids.map((grid) => grid[name]))];
const gridsOf = (wanted) =>
  study.grids.filter((grid) => Object.entries(wanted).every(([name, value]) => grid[name] === value));

// The answers of a grid, unpacked once.
function blockOf(grid) {
  if (!study.blocks.has(grid)) study.blocks.set(grid, unpack(`block-${study.grids.indexOf(grid)}`));
  return study.blocks.get(grid);
}

const countAt = (grid, source, target) => grid.cells[source * grid.layers + target];
const changeAt = (grid, source, target) =>
  percent(countAt(grid, source, target) - grid.target, grid.questions);

const isOfQuestion = () => study.view.startsWith("question");
const isOfLikelihood = () => study.view.endsWith("likelihood");

// Chooses the nearest grid that there is: the benchmark first, then the language, then the sub-layer.
function chooseGrid(benchmark, language, sublayer) {
  const near = (grids, name, value) => {
    const same = grids.filter((grid) => grid[name] === value);
    return same.length ? same : grids;
  };
  let grids = near(study.grids, "benchmark", benchmark);
  grids = grids.filter((grid) => grid.benchmark === grids[0].benchmark);
  grids = near(grids, "language", language);
  grids = grids.filter((grid) => grid.language === grids[0].language);
  study.grid = near(grids, "sublayer", sublayer)[0];
  study.question = Math.min(study.question, study.grid.questions - 1);
  chooseCell(study.source, study.target);
}

function chooseCell(source, target) {
  const inside = (layer) => Math.max(0, Math.min(study.grid.layers - 1, Math.trunc(layer) || 0));
  study.source = inside(source);
  study.target = inside(target);
}

// The pair with the most right answers, as the strategy that takes it breaks ties.
const bestCell = (grid) => grid.best;

// A link to what is shown: #benchmark/language/sub-layer/source/target. Links within the page have no strokes.
const isAddress = () => location.hash.includes("/");

function readAddress() {
  const [benchmark, language, sublayer, source, target] = location.hash
    .slice(1)
    .split("/")
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
  chooseGrid(benchmark, language, sublayer);
  chooseCell(...(target === undefined ? bestCell(study.grid) : [source, target]));
}

function writeAddress() {
  const { grid, source, target } = study;
  const parts = [grid.benchmark, grid.language, grid.sublayer, source, target];
  history.replaceState(null, "", "#" + parts.map(encodeURIComponent).join("/"));
}
