// Data islands: gzip in base64, so that nothing in them can be read as HTML.

const UNPACKS = typeof DecompressionStream === "function";

async function unpackText(id) {
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function unpack(id) {
  return JSON.parse(await unpackText(id));
}

// The library's text is in an island too. The page's policy lets this one text run, by its hash.
async function loadPlotly() {
  const script = document.createElement("script");
  script.textContent = await unpackText("plotly");
  document.head.append(script);
  if (typeof Plotly !== "object") throw new Error("the plotting library did not run");
}
