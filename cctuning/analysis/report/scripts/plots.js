// The pictures, drawn by plotly. Colours come from the style sheet, so that they follow light and dark.

const QUIET = { displayModeBar: false, responsive: true, showTips: false, scrollZoom: false };
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const scaleOf = (kind) => {
  const colours = colour(kind).split(/\s*,\s*/);
  return colours.map((one, place) => [place / (colours.length - 1), one]);
};

function layoutOf(more) {
  return {
    font: { color: colour("text"), size: 13, family: getComputedStyle(document.body).fontFamily },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    dragmode: false,
    hoverlabel: {
      bgcolor: colour("panel"),
      bordercolor: colour("edge"),
      font: { color: colour("text") },
    },
    ...more,
  };
}

function axisOf(title, more) {
  return {
    title: { text: title, standoff: 8 },
    gridcolor: colour("edge"),
    zeroline: false,
    fixedrange: true,
    automargin: true,
    ...more,
  };
}

// As many layers named as there is room for.
const layerAxis = (title, layers, width, more) =>
  axisOf(title, {
    range: [-0.5, layers - 0.5],
    dtick: Math.max(1, Math.ceil(layers / Math.max(4, Math.floor(width / 36)))),
    tick0: 0,
    tickangle: 0,
    ...more,
  });

// --- The map of a grid --------------------------------------------------------------------------------------

// One scale for all languages of a benchmark, so that they can be compared.
function scaleLimits(grid) {
  const all = gridsOf({ benchmark: grid.benchmark, sublayer: grid.sublayer });
  const changes = all.flatMap((one) => one.cells.map((count) => percent(count - one.target, one.questions)));
  const shares = all.flatMap((one) => one.cells.map((count) => percent(count, one.questions)));
  const extreme = (values, better) => values.reduce((one, other) => better(one, other));
  return {
    change: extreme(changes.map(Math.abs), Math.max) || 1,
    accuracy: [extreme(shares, Math.min), extreme(shares, Math.max)],
  };
}

// Log-probabilities fall further than they rise: the largest gain is the end of the scale, or where there is
// hardly any, the median change.
function gainLimit(changes) {
  const sizes = changes.map(Math.abs).sort((one, other) => one - other);
  const median = (sizes[(sizes.length - 1) >> 1] + sizes[sizes.length >> 1]) / 2;
  return changes.reduce((one, other) => Math.max(one, other), median) || 1;
}

const likelihoods = (question) => (isOfQuestion() ? question.likelihood : study.grid.likelihood);

// 0 and 1: wrong, as the original and otherwise; 2 and 3: right, otherwise and as the original.
function verdictAt(question, cell) {
  const code = question.cells[cell];
  const same = code >> 1 === question.target >> 1;
  return code & 1 ? (same ? 3 : 2) : same ? 0 : 1;
}

function values(question) {
  const { grid, view } = study;
  const rows = [];
  for (let source = 0; source < grid.layers; source++) {
    rows.push([]);
    for (let target = 0; target < grid.layers; target++) {
      if (isOfLikelihood()) rows[source].push(likelihoods(question)?.[source * grid.layers + target] ?? null);
      else if (view === "change") rows[source].push(changeAt(grid, source, target));
      else if (view === "accuracy") rows[source].push(percent(countAt(grid, source, target), grid.questions));
      else rows[source].push(verdictAt(question, source * grid.layers + target));
    }
  }
  return rows;
}

function look(question) {
  if (isOfLikelihood()) {
    const all = gridsOf({ benchmark: study.grid.benchmark, sublayer: study.grid.sublayer });
    const limit = gainLimit(
      (isOfQuestion() ? question.likelihood : all.flatMap((one) => one.likelihood ?? [])) ?? [0],
    );
    return {
      zmin: -limit,
      zmax: limit,
      colorscale: scaleOf("diverging"),
      colorbar: { title: { text: "change of log-probability, nats; lower ones look alike" } },
    };
  }
  const limits = scaleLimits(study.grid);
  if (study.view === "change")
    return {
      zmin: -limits.change,
      zmax: limits.change,
      colorscale: scaleOf("diverging"),
      colorbar: { title: { text: "change of accuracy, points" } },
    };
  if (study.view === "accuracy")
    return {
      zmin: limits.accuracy[0],
      zmax: limits.accuracy[1],
      colorscale: scaleOf("sequential"),
      colorbar: { title: { text: "accuracy, %" } },
    };
  const colours = colour("verdicts").split(/\s*,\s*/);
  return {
    zmin: -0.5,
    zmax: 3.5,
    colorscale: colours.flatMap((one, place) => [
      [place / 4, one],
      [(place + 1) / 4, one],
    ]),
    colorbar: {
      title: { text: "same: the original's answer" },
      tickvals: [0, 1, 2, 3],
      ticktext: ["✗ same", "✗ other", "✓ other", "✓ same"],
    },
  };
}

const MARKS = { symbols: { overall: "star", source_last: "square", target_first: "diamond" }, size: 11 };

function strategyMarks(grid) {
  return Object.entries(grid.strategies).map(([name, [source, target]]) => ({
    type: "scatter",
    mode: "markers",
    name: label(name.replaceAll("_", " ")),
    x: [target],
    y: [source],
    hoverinfo: "skip",
    cliponaxis: false,
    marker: {
      symbol: MARKS.symbols[name] ?? "cross",
      size: MARKS.size,
      color: "#ffffff",
      line: { color: "#000000", width: 1.5 },
    },
  }));
}

function chosenCell() {
  const { source, target } = study;
  const frame = { type: "rect", x0: target - 0.5, x1: target + 0.5, y0: source - 0.5, y1: source + 0.5 };
  return [
    { ...frame, line: { color: "#ffffff", width: 5 } },
    { ...frame, line: { color: "#000000", width: 2.5 } },
  ];
}

function hoverTexts(grid, question) {
  return grid.cells.map((count, cell) => {
    if (isOfLikelihood()) {
      const change = likelihoods(question)?.[cell];
      return change === undefined ? "not known" : nats(change);
    }
    if (study.view === "question") {
      const code = question.cells[cell];
      return `${verdict(code)}: ${label(short(question.texts[code >> 1]))}`;
    }
    const share = percent(count, grid.questions).toFixed(1);
    return `${share} % (${points(percent(count - grid.target, grid.questions))})`;
  });
}

async function drawMap(question) {
  const { grid } = study;
  const drawn = at("map");
  const width = drawn.clientWidth;
  const texts = hoverTexts(grid, question);
  const heat = {
    type: "heatmap",
    z: values(question),
    customdata: Array.from({ length: grid.layers }, (_, source) =>
      texts.slice(source * grid.layers, (source + 1) * grid.layers),
    ),
    hovertemplate: "source layer %{y} → target layer %{x}<br>%{customdata}<extra></extra>",
    showlegend: false,
    ...look(question),
  };
  Object.assign(heat.colorbar, {
    orientation: "h", x: 0.5, y: -0.17, yanchor: "top", thickness: 12, len: 1, outlinewidth: 0,
  });
  heat.colorbar.title.side = "bottom";
  const square = { showgrid: false, constrain: "domain", ticks: "outside" };
  const layout = layoutOf({
    width,
    height: width + 95,
    margin: { l: 55, r: 10, t: 36, b: 130 },
    xaxis: layerAxis("target layer, from 0", grid.layers, width, square),
    yaxis: layerAxis("source layer, from 0", grid.layers, width, { ...square, scaleanchor: "x" }),
    shapes: chosenCell(),
    showlegend: true,
    legend: { orientation: "h", x: 0.5, xanchor: "center", y: 1, yanchor: "bottom", itemclick: false,
      itemdoubleclick: false },
  });
  await Plotly.react(drawn, [heat, ...strategyMarks(grid)], layout, QUIET);
}

// --- Bounds by layer ----------------------------------------------------------------------------------------

function level(name, count, dash, shade) {
  const { grid } = study;
  return {
    type: "scatter",
    mode: "lines",
    name,
    x: [-0.5, grid.layers - 0.5],
    y: Array(2).fill(percent(count, grid.questions)),
    line: { color: colour(shade), dash, width: 2 },
    hovertemplate: `${name}: %{y:.1f} %<extra></extra>`,
  };
}

async function drawBounds(id, kind, counts) {
  const { grid } = study;
  const shares = counts.map((count) => percent(count, grid.questions));
  const traces = [
    level("instance-aware upper bound", grid.upper, "dashdot", "third"),
    {
      type: "scatter",
      mode: "lines+markers",
      name: `bound of each ${kind} layer`,
      x: shares.map((_, layer) => layer),
      y: shares,
      line: { color: colour("first"), width: 2 },
      marker: { size: 6 },
      hovertemplate: `${kind} layer %{x}: %{y:.1f} %<extra></extra>`,
    },
    level("original", grid.target, "dash", "second"),
    ...(grid.chance === null ? [] : [level("upper bound by chance", grid.chance, "longdashdot", "fifth")]),
    level("asked in the source language", grid.source, "dot", "fourth"),
  ];
  const layout = layoutOf({
    height: 340,
    margin: { l: 55, r: 10, t: 10, b: 50 },
    xaxis: layerAxis(`${kind} layer, from 0`, grid.layers, at(id).clientWidth),
    yaxis: axisOf("accuracy, %", { rangemode: "nonnegative" }),
    showlegend: true,
    legend: { orientation: "h", x: 0, y: -0.28, yanchor: "top", itemclick: false, itemdoubleclick: false },
  });
  await Plotly.react(at(id), traces, layout, QUIET);
}

// --- All languages ------------------------------------------------------------------------------------------

const languageGrids = () => gridsOf({ benchmark: study.grid.benchmark, sublayer: study.grid.sublayer });

async function drawLanguages() {
  const grids = languageGrids();
  const marks = [
    ["original", (grid) => grid.target, "circle", "second"],
    ["best pair of all questions", (grid) => Math.max(...grid.cells), "diamond", "first"],
    ["instance-aware upper bound", (grid) => grid.upper, "triangle-up", "third"],
    ["asked in the source language", (grid) => grid.source, "x-thin-open", "fourth"],
  ];
  const traces = marks.map(([name, count, symbol, shade]) => ({
    type: "scatter",
    mode: "markers",
    name,
    x: grids.map((grid) => label(grid.language)),
    y: grids.map((grid) => percent(count(grid), grid.questions)),
    marker: { symbol, size: 10, color: colour(shade), line: { color: colour(shade), width: 2 } },
    hovertemplate: `%{x}, ${name}: %{y:.1f} %<extra></extra>`,
  }));
  const spans = grids.map((grid) => ({
    type: "line",
    layer: "below",
    x0: label(grid.language),
    x1: label(grid.language),
    y0: percent(grid.target, grid.questions),
    y1: percent(grid.upper, grid.questions),
    line: { color: colour("edge"), width: 3 },
  }));
  const layout = layoutOf({
    height: 380,
    margin: { l: 55, r: 10, t: 10, b: 50 },
    xaxis: axisOf("language of the questions", { type: "category", showgrid: false }),
    yaxis: axisOf("accuracy, %", { rangemode: "nonnegative" }),
    shapes: spans,
    showlegend: true,
    legend: { orientation: "h", x: 0, y: -0.25, yanchor: "top", itemclick: false, itemdoubleclick: false },
  });
  await Plotly.react(at("languages"), traces, layout, QUIET);
}
