// Ties the controls to what is shown.

const questionShown = async () => (await blockOf(study.grid)).questions[study.question];

function fillControls() {
  const { grid } = study;
  const choices = (values, name = (value) => value) => values.map((value) => [value, name(value)]);
  const here = gridsOf({ benchmark: grid.benchmark });
  fill(at("benchmark"), choices(distinct("benchmark")), grid.benchmark);
  fill(at("language"), choices(distinct("language", here), languageName), grid.language);
  const sublayers = distinct("sublayer", gridsOf({ benchmark: grid.benchmark, language: grid.language }));
  fill(at("sublayer"), choices(sublayers), grid.sublayer);
  for (const name of ["source", "target"]) {
    at(name).max = grid.layers - 1;
    at(name).value = study[name];
  }
  for (const input of document.querySelectorAll("input[name=view]")) {
    input.parentElement.hidden = grid.likelihood === null && input.value.endsWith("likelihood");
    if (input.parentElement.hidden && study.view === input.value) study.view = "change";
  }
  document.querySelector(`input[name=view][value=${study.view}]`).checked = true;
}

function sayCell(question) {
  const { grid, source, target } = study;
  const count = countAt(grid, source, target);
  const share = percent(count, grid.questions).toFixed(1);
  at("cell").textContent =
    `Source layer ${source} into target layer ${target}: ${count} of ${grid.questions} right, ${share} %, `
    + `${points(changeAt(grid, source, target))} points against the original.`;
  const cell = source * grid.layers + target;
  if (grid.likelihood) at("cell").textContent += ` Right answers: ${nats(grid.likelihood[cell])}.`;
  if (isOfQuestion()) {
    const change = question.likelihood ? `, ${nats(question.likelihood[cell])}` : "";
    at("cell").textContent += ` Question ${shown(question.id)}: ${verdict(question.cells[cell])}${change}.`;
  }
}

async function showCell() {
  fillControls();
  const grid = study.grid;
  const block = await blockOf(grid);
  if (grid !== study.grid) return; // another one was chosen meanwhile
  sayCell(block.questions[study.question]);
  drawAnswers(block);
  fill(
    at("question"),
    block.questions.map((question, place) => [String(place), `question ${shown(short(question.id))}`]),
    String(study.question),
  );
  await drawMap(block.questions[study.question]);
  writeAddress(); // of what is shown now
}

async function showGrid() {
  const { grid } = study;
  const said = `${grid.benchmark}, ${languageName(grid.language)}, ${grid.sublayer}`;
  for (const place of document.querySelectorAll(".which")) place.textContent = said;
  await showCell();
  await drawBounds("source-bounds", "source", grid.sourceBounds);
  await drawBounds("target-bounds", "target", grid.targetBounds);
  await drawLanguages();
}

function showQuestion(place) {
  study.question = place;
  if (!isOfQuestion()) study.view = isOfLikelihood() ? "question-likelihood" : "question";
  showCell();
  at("map").scrollIntoView({ block: "nearest" });
}

const STEPS = {
  ArrowUp: [1, 0],
  ArrowDown: [-1, 0],
  ArrowRight: [0, 1],
  ArrowLeft: [0, -1],
};

function onKey(event) {
  const step = STEPS[event.key];
  if (step) chooseCell(study.source + step[0], study.target + step[1]);
  else if (event.key === "Home") chooseCell(...bestCell(study.grid));
  else if (event.key === "Enter") return at("answers-title").focus();
  else return undefined;
  event.preventDefault();
  return showCell();
}

function listen() {
  for (const id of ["benchmark", "language", "sublayer"])
    at(id).addEventListener("change", () => {
      chooseGrid(at("benchmark").value, at("language").value, at("sublayer").value);
      showGrid();
    });
  for (const id of ["source", "target"])
    at(id).addEventListener("change", () => {
      chooseCell(at("source").value, at("target").value);
      showCell();
    });
  at("question").addEventListener("change", () => showQuestion(Number(at("question").value)));
  at("best").addEventListener("click", () => {
    chooseCell(...bestCell(study.grid));
    showCell();
  });
  for (const input of document.querySelectorAll("input[name=view]"))
    input.addEventListener("change", () => {
      study.view = input.value;
      showCell();
    });
  for (const input of document.querySelectorAll("input[name=show], #open-prompts"))
    input.addEventListener("change", async () => drawAnswers(await blockOf(study.grid)));
  at("map").addEventListener("keydown", onKey);
  at("map").on("plotly_click", ({ points: [point] }) => {
    chooseCell(point.y, point.x);
    showCell();
  });
  at("languages").on("plotly_click", ({ points: [point] }) => {
    chooseGrid(study.grid.benchmark, languageGrids()[point.pointNumber].language, study.grid.sublayer);
    showGrid();
  });
  addEventListener("hashchange", () => {
    if (isAddress()) {
      readAddress();
      showGrid();
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showGrid);
  matchMedia("print").addEventListener("change", showGrid);
  new ResizeObserver(async () => drawMap(await questionShown())).observe(at("map"));
}

async function main() {
  if (!UNPACKS) {
    at("too-old").hidden = false;
    return;
  }
  study.grids = await unpack("overview");
  readAddress();
  const all = gridsOf({ benchmark: study.grid.benchmark, sublayer: study.grid.sublayer });
  const isWhite = all.every((grid) => grid.cells.every((count) => count === grid.target));
  if (isWhite && study.grid.likelihood) study.view = "likelihood";
  await loadPlotly();
  await showGrid();
  listen();
  document.body.dataset.ready = "yes";
}

main().catch((error) => {
  at("failed").textContent = `The pictures and answers cannot be shown: ${error.message}`;
  at("failed").hidden = false;
  throw error;
});
