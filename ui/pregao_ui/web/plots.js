/* Small plots as SVG: lines over a common axis, with a band or a diagonal; bars beside names. Drawn once, no library. */
(() => {
  "use strict";
  if (Pregao.plots) return;
  const { make } = Pregao;
  const SPACE = "http://www.w3.org/2000/svg";
  const W = 460, H = 210, LEFT = 52, RIGHT = 10, TOP = 10, BOTTOM = 24;
  const svg = (tag, attributes, text) => {
    const node = document.createElementNS(SPACE, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };

  function ticks(low, high, wanted) {
    const rough = (high - low) / wanted || 1;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * unit).find((size) => size >= rough);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
    return found;
  }
  const finite = (points) => points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));

  /* series: [{name, tone, points: [[x, y]], dots, dashed}]; band: {points: [[x, low, high]], name}; x, y: how a tick is written. */
  function lines({ title, series, band = null, diagonal = null, x, y, xTicks = 4, yFrom = null }) {
    const all = series.flatMap((one) => finite(one.points));
    if (all.length < 2) return null;
    const xs = all.map((point) => point[0]);
    const ys = [...all.map((point) => point[1]), ...(band?.points ?? []).flatMap(([, low, high]) => [low, high]).filter(Number.isFinite), ...(yFrom === null ? [] : [yFrom])];
    const box = { x0: Math.min(...xs), x1: Math.max(...xs), y0: Math.min(...ys), y1: Math.max(...ys) };
    if (diagonal) { box.x0 = box.y0 = Math.min(box.x0, box.y0); box.x1 = box.y1 = Math.max(box.x1, box.y1); }
    const pad = (box.y1 - box.y0) * 0.06 || Math.abs(box.y1) * 0.01 || 1;
    box.y0 -= pad; box.y1 += pad;
    const px = (value) => LEFT + (value - box.x0) / (box.x1 - box.x0 || 1) * (W - LEFT - RIGHT);
    const py = (value) => H - BOTTOM - (value - box.y0) / (box.y1 - box.y0) * (H - TOP - BOTTOM);
    const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${title}: ${series.map((one) => one.name).join(", ")}` });
    for (const at of ticks(box.y0, box.y1, 4)) {
      picture.append(svg("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: py(at), y2: py(at) }), svg("text", { class: "tick", x: LEFT - 6, y: py(at) + 3.5, "text-anchor": "end" }, y(at)));
    }
    const marks = diagonal ? ticks(box.x0, box.x1, xTicks) : Array.from({ length: xTicks }, (_, i) => box.x0 + (box.x1 - box.x0) * i / (xTicks - 1));
    marks.forEach((at, i) => picture.append(svg("text", { class: "tick", x: px(at), y: H - 6, "text-anchor": diagonal ? "middle" : i === 0 ? "start" : i === marks.length - 1 ? "end" : "middle" }, x(at))));
    if (diagonal) picture.append(svg("line", { class: "diagonal", x1: px(box.x0), y1: py(box.x0), x2: px(box.x1), y2: py(box.x1) }));
    if (band?.points.length) {
      const there = band.points.filter(([, low, high]) => Number.isFinite(low) && Number.isFinite(high));
      picture.append(svg("polygon", { class: "band", points: [...there.map(([at, , high]) => `${px(at)},${py(high)}`), ...there.reverse().map(([at, low]) => `${px(at)},${py(low)}`)].join(" ") }));
    }
    for (const one of series) {
      const points = finite(one.points);
      picture.append(svg("polyline", { class: `line ${one.tone}${one.dashed ? " dashed" : ""}`, points: points.map(([at, value]) => `${px(at).toFixed(1)},${py(value).toFixed(1)}`).join(" ") }));
      if (one.dots) for (const [at, value, size = 3] of points) picture.append(svg("circle", { class: `dot ${one.tone}`, cx: px(at), cy: py(value), r: size }));
    }
    const legend = [...series.map((one) => [one.tone, one.name]), ...(band?.points.length ? [["band", band.name]] : []), ...(diagonal ? [["diagonal", diagonal]] : [])];
    return figure(title, picture, legend);
  }
  const figure = (title, picture, legend) => make("figure", { class: "pg-plot-figure" }, make("figcaption", {}, make("b", {}, title),
    ...legend.map(([tone, name]) => make("span", { class: `key ${tone}` }, name))), picture);

  /* rows: [{name, note, values: [of each series]}], series: [{name, tone}]; every value is a share of the largest. */
  function bars({ title, rows, series, value }) {
    if (!rows.length) return null;
    const most = Math.max(...rows.flatMap((row) => row.values).filter(Number.isFinite), 1e-9);
    const list = make("dl", { class: "pg-bars" }, ...rows.flatMap((row) => [
      make("dt", {}, row.name, row.note ? make("small", {}, row.note) : null),
      make("dd", {}, ...row.values.map((share, i) => make("span", { class: "track" },
        make("i", { class: series[i].tone, style: `width:${Math.max(0, (share ?? 0) / most * 100).toFixed(1)}%` }), make("b", {}, Number.isFinite(share) ? value(share) : "–")))),
    ]));
    return figure(title, list, series.length > 1 ? series.map((one) => [one.tone, one.name]) : []);
  }

  Pregao.plots = { lines, bars };
})();
