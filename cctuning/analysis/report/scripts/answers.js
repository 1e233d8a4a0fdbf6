// What the model answered under the chosen pair, question by question.

// Questions at a time: where the list has a box of its own, it may be long.
const pageSize = () => (matchMedia("(min-width: 62rem)").matches ? 50 : 10);

const MATTERS = {
  all: () => true,
  changed: (question, code) => code >> 1 !== question.target >> 1,
  wins: (question, code) => (code & 1) > (question.target & 1),
  losses: (question, code) => (code & 1) < (question.target & 1),
};

const verdict = (code) => (code & 1 ? "✓ right" : "✗ wrong");

function outcome(question, code) {
  if (MATTERS.wins(question, code)) return ["win", "▲ win: wrong → right"];
  if (MATTERS.losses(question, code)) return ["loss", "▼ loss: right → wrong"];
  return ["tie", MATTERS.changed(question, code) ? "= tie: another answer" : "= tie: the same answer"];
}

function textBox(text, language) {
  const attributes = { class: "text", dir: "auto" };
  if (language) attributes.lang = language;
  return text === "" ? element("em", {}, "(nothing)") : element("div", attributes, shown(text));
}

function answerRow(name, question, code, language) {
  const right = code & 1;
  return [
    element("dt", {}, name),
    element(
      "dd",
      { class: right ? "right" : "wrong" },
      element("span", { class: "verdict" }, verdict(code)),
      textBox(question.texts[code >> 1], language),
    ),
  ];
}

function optionList(question, language) {
  const options = question.options.map(([name, text]) =>
    element("li", {}, `(${shown(name)}) `, element("bdi", { lang: language }, shown(text))),
  );
  return options.length
    ? [element("dt", {}, "Options"), element("dd", {}, element("ul", { class: "options" }, ...options))]
    : [];
}

// Where the prompts of a block begin to differ: the same frame stands before each question.
function frameLength(questions) {
  const [first, ...others] = questions.map((question) => question.prompt);
  let length = others.length ? first.length : 0;
  for (const other of others) while (!other.startsWith(first.slice(0, length))) length--;
  return first.lastIndexOf(" ", length) + 1;
}

function promptBox(question, grid, frame, open) {
  const preview = shown(question.prompt.slice(frame, frame + 200).replace(/\s+/g, " "));
  const box = element(
    "details",
    { class: "prompt" },
    element("summary", {}, "Prompts: ", element("bdi", { lang: grid.askedIn }, preview)),
    element("h5", {}, "Asked (target)"),
    textBox(question.prompt, grid.askedIn),
    element("h5", {}, "Where the activations come from (source)"),
    textBox(question.sourcePrompt, grid.sourceIn),
  );
  box.open = open;
  return box;
}

// "(2) Neutral" for the label 2 of a choice.
function goldText(question) {
  const options = new Map(question.options);
  const named = (answer) => (options.has(answer) ? `(${answer}) ${options.get(answer)}` : answer);
  return question.answers.map(named).join(" | ");
}

function card(question, place, cell, frame, open) {
  const { grid } = study;
  const code = question.cells[cell];
  const [kind, said] = outcome(question, code);
  const right = question.cells.filter((one) => one & 1).length;
  const button = element("button", { type: "button", class: "quiet" }, "Show on the map");
  button.addEventListener("click", () => showQuestion(place));
  return element(
    "article",
    { class: `card ${kind}`, "data-question": question.id },
    element(
      "header",
      {},
      element("h4", {}, `Question ${shown(question.id)}`),
      element("span", { class: "badge" }, said),
    ),
    promptBox(question, grid, frame, open),
    element(
      "dl",
      {},
      ...optionList(question, grid.askedIn),
      element("dt", {}, "Right answer"),
      element("dd", {}, textBox(goldText(question), grid.askedIn)),
      ...answerRow("Original answer", question, question.target, grid.askedIn),
      ...answerRow("Source-language answer", question, question.source, grid.sourceIn),
      ...answerRow("This pair's answer", question, code, grid.askedIn),
    ),
    element(
      "footer",
      {},
      `Right under ${right} of ${question.cells.length} pairs; ${new Set(question.cells.map((c) => c >> 1)).size} `
        + "distinct answers. ",
      button,
    ),
  );
}

function drawAnswers(block, limit = pageSize()) {
  const { grid, source, target } = study;
  const cell = source * grid.layers + target;
  const counts = Object.fromEntries(
    Object.entries(MATTERS).map(([name, matters]) => [
      name,
      block.questions.filter((question) => matters(question, question.cells[cell])).length,
    ]),
  );
  for (const [name, count] of Object.entries(counts)) at(`count-${name}`).textContent = `(${count})`;
  const wanted = document.querySelector("input[name=show]:checked").value;
  const open = at("open-prompts").checked;
  const frame = frameLength(block.questions);
  const chosen = block.questions
    .map((question, place) => [question, place])
    .filter(([question]) => MATTERS[wanted](question, question.cells[cell]));
  at("answers-title").textContent = `Answers: source layer ${source} into target layer ${target}`;
  const cards = chosen.slice(0, limit).map(([question, place]) => card(question, place, cell, frame, open));
  if (chosen.length === 0) cards.push(element("p", {}, "No question is like that under this pair."));
  if (chosen.length > limit) {
    const more = element("button", { type: "button" }, `Show ${Math.min(50, chosen.length - limit)} more`);
    more.addEventListener("click", () => drawAnswers(block, limit + 50));
    cards.push(more);
  }
  at("cards").replaceChildren(...cards);
}
